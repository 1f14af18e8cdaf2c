//! Many calls at the same time, within a bound.

use futures::{StreamExt as _, future::BoxFuture, stream};

/// How many calls of one set are under way at the same time.
const AT_ONCE: usize = 20;

/// Runs all of them, [`AT_ONCE`] at a time; the results come as they end.
pub(crate) async fn together<T: Send>(calls: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    stream::iter(calls)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}
