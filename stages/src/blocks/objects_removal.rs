//! A removal that deletes a selection of objects and waits until they are gone.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use serde_json::Value;

use super::Row;
use crate::{
    context::StepContext,
    error::StepError,
    objects::{
        Owner, Remaining, delete_all, owner, ownership::terminating, remaining, removal::list,
    },
    ports::objects::{Kind, Selection},
    removal::{Removal, RemovalProgress},
    step::{Need, StepId, Timeouts},
};

/// What a stage says about one removal.
#[async_trait]
pub trait Unwants: Send + Sync {
    /// What is to go and still there, in the order in which it was asked to go.
    async fn find(&self, cx: &StepContext) -> Result<Vec<Arc<Value>>, StepError>;

    /// What must be gone too, but goes by itself: pods, children. Only waited for.
    async fn followers(&self, _cx: &StepContext) -> Result<Vec<Arc<Value>>, StepError> {
        Ok(Vec::new())
    }

    /// Helps something along that is being deleted and held; answers words when it did.
    async fn help(
        &self,
        _cx: &StepContext,
        _held: &Arc<Value>,
    ) -> Result<Option<String>, StepError> {
        Ok(None)
    }

    /// What "gone" reads like.
    fn gone(&self) -> String;
}

/// A removal of objects.
pub struct ObjectsRemoval<U> {
    row: Row,
    unwants: U,
}

impl<U: Unwants + 'static> ObjectsRemoval<U> {
    /// The removal of this row.
    #[must_use]
    pub fn removal(row: Row, unwants: U) -> Arc<dyn Removal> {
        Arc::new(Self { row, unwants })
    }
}

#[async_trait]
impl<U: Unwants + 'static> Removal for ObjectsRemoval<U> {
    fn id(&self) -> &StepId {
        &self.row.id
    }

    fn title(&self) -> String {
        self.row.title.clone()
    }

    fn needs(&self) -> Vec<Need> {
        self.row.needs.clone()
    }

    fn timeouts(&self) -> Timeouts {
        self.row.timeouts
    }

    fn poll_interval(&self) -> Option<std::time::Duration> {
        // Some of what is waited for is read without a watch.
        Some(std::time::Duration::from_secs(1))
    }

    async fn start(&self, cx: &StepContext) -> Result<u32, StepError> {
        let found = self.unwants.find(cx).await?;
        delete_all(cx, &found).await
    }

    async fn progress(&self, cx: &StepContext) -> Result<RemovalProgress, StepError> {
        let found = self.unwants.find(cx).await?;
        // What came after the asking (an operator at work, a run that was cut off) goes as well.
        let fresh: Vec<Arc<Value>> = found
            .iter()
            .filter(|one| !terminating(one))
            .cloned()
            .collect();
        if !fresh.is_empty() {
            delete_all(cx, &fresh).await?;
        }
        for held in found.iter().filter(|one| terminating(one)) {
            if let Some(words) = self.unwants.help(cx, held).await? {
                cx.progress(words);
            }
        }
        let mut left: Vec<Remaining> = found.iter().map(|object| Remaining::of(object)).collect();
        let followers = self.unwants.followers(cx).await?;
        left.extend(followers.iter().map(|object| Remaining::of(object)));
        Ok(match left.first() {
            None => RemovalProgress::Gone(self.unwants.gone()),
            Some(first) => RemovalProgress::InProgress {
                waiting_for: if left.len() == 1 {
                    first.words()
                } else {
                    format!("{} (and {} more)", first.words(), left.len() - 1)
                },
                count: None,
            },
        })
    }
}

/// The kind of namespaces.
fn namespace_kind() -> Kind {
    Kind::new("", "", "Namespace")
}

/// The environment's own namespaces that are still there: everything in them goes with them.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn own_namespaces(cx: &StepContext) -> Result<BTreeSet<String>, StepError> {
    let found = remaining(cx, &namespace_kind()).await?;
    Ok(found
        .iter()
        .filter_map(|namespace| namespace["metadata"]["name"].as_str().map(str::to_owned))
        .collect())
}

/// Everything of a kind that carries our label or lives in a namespace of ours.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn belonging(cx: &StepContext, kind: &Kind) -> Result<Vec<Arc<Value>>, StepError> {
    let own = own_namespaces(cx).await?;
    let selection = Selection {
        kind: Kind::new(&kind.group, "", &kind.kind),
        namespace: None,
        labels: None,
    };
    let all = list(cx, &selection).await?;
    Ok(all
        .into_iter()
        .filter(|object| {
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
            owner(object, &cx.environment) == Owner::Ours || own.contains(namespace)
        })
        .collect())
}
