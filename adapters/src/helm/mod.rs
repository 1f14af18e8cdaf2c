//! Helm releases: [`HelmAdapter`] implements `ReleaseApi` over the Helm program, 3.13 and newer or 4.
//!
//! | file | what |
//! | --- | --- |
//! | `adapter.rs` | the port's methods, repair of releases left halfway |
//! | `run.rs` | one run: a guarded child with a bound, values on standard input |
//! | `charts.rs` | charts fetched once, used from the local file |
//! | `records.rs` | releases from the metadata of Helm's own records, without running Helm |
//! | `options.rs` | settings, the mirror map, Helm's environment |
//!
//! What is used of Helm is what 3.13 and 4 have in common: `upgrade --install --labels`, `rollback`, `uninstall`,
//! `template`, `pull`, `version --template`. Of what differs nothing is used: `--atomic`
//! (`--rollback-on-failure` in 4), `--force` (`--force-replace`), `--wait` (a strategy in 4) and post-renderers. Helm 4
//! applies server-side by default and Helm 3 does not; either is Helm's own business, under its own field manager.

mod adapter;
mod archive;
mod charts;
mod codes;
mod options;
mod records;
mod run;

pub use crate::EffectDeadline;
pub use adapter::HelmAdapter;
pub use charts::ChartFile;
pub use codes::CODES;
pub use options::HelmOptions;
pub(crate) use options::withheld;

/// The cluster that Helm is pointed at, and the fence before it.
#[async_trait::async_trait]
pub(crate) trait Reach: Send + Sync {
    /// The identity fence: passes only for the environment's own cluster.
    async fn verify(&self) -> Result<(), pipectl_stages::PortError>;

    /// The kubeconfig and the context in it.
    fn origin(&self) -> (&std::path::Path, Option<&str>);
}

#[async_trait::async_trait]
impl Reach for crate::kubernetes::KubernetesAdapter {
    async fn verify(&self) -> Result<(), pipectl_stages::PortError> {
        Self::verify(self).await
    }

    fn origin(&self) -> (&std::path::Path, Option<&str>) {
        Self::origin(self)
    }
}
