//! The hold on an environment that reaches farther than the lease of its state directory.

use async_trait::async_trait;
use pipectl_stages::StepError;

/// A hold on the environment that other machines see, where it has one: taken with the run's first effect, by the ports that the
/// run is given.
#[async_trait]
pub trait Hold: Send + Sync {
    /// Returns when nothing may be changed any more, because somebody else holds the environment or may; why.
    async fn lost(&self) -> StepError;

    /// Gives it back: nothing that it covered is under way any more. What cannot be given back runs out by itself.
    async fn give_back(&self);

    /// Lets it run out by itself, because calls are still under way.
    async fn abandon(&self);
}
