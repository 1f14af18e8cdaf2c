//! `ReleaseApi` over the Helm program.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::{
        objects::{ClusterIdentity, ObjectApi},
        releases::{ChartRef, Release, ReleaseApi, ReleaseSpec, ReleaseStatus},
    },
};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{
    Reach,
    charts::{self, ChartFile, Charts},
    codes::{self, error},
    options::HelmOptions,
    records::{DIGEST_LABEL, ENVIRONMENT_LABEL, Records},
    run::{Run, Runner},
};
use crate::kubernetes::KubernetesAdapter;

/// Revisions that Helm keeps of a release.
const HISTORY: &str = "5";

/// Helm for one cluster.
pub struct HelmAdapter {
    cluster: Arc<dyn Reach>,
    objects: Arc<dyn ObjectApi>,
    records: Records,
    runner: Runner,
    charts: Charts,
    identity: OnceCell<ClusterIdentity>,
}

impl std::fmt::Debug for HelmAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HelmAdapter")
            .field("options", &self.runner.options)
            .finish_non_exhaustive()
    }
}

impl HelmAdapter {
    /// Over the same kubeconfig and behind the same fence as `kubernetes`. Runs nothing yet.
    #[must_use]
    pub fn new(kubernetes: Arc<KubernetesAdapter>, options: HelmOptions) -> Self {
        Self::over(Arc::clone(&kubernetes) as _, kubernetes, options)
    }

    /// Over a cluster that is reached through `objects`, perhaps only later: until then charts can be fetched and
    /// rendered.
    pub(crate) fn over(
        cluster: Arc<dyn Reach>,
        objects: Arc<dyn ObjectApi>,
        options: HelmOptions,
    ) -> Self {
        Self {
            cluster,
            records: Records {
                objects: Arc::clone(&objects),
            },
            objects,
            runner: Runner::new(options),
            charts: Charts::new(),
            identity: OnceCell::new(),
        }
    }

    /// Whether there is a Helm that will do, before anything needs it.
    ///
    /// # Errors
    /// `HLM001` missing, `HLM002` too old, `HLM011` or `HLM012` when it is no Helm.
    pub async fn check(&self) -> Result<(), PortError> {
        self.runner.version().await.map(drop)
    }

    /// The chart on this machine, fetched if need be.
    ///
    /// # Errors
    /// `HLM004` when it cannot be had, `HLM007` without a pinned version, and those of [`Self::check`].
    pub async fn chart(&self, chart: &ChartRef) -> Result<ChartFile, PortError> {
        self.charts.file(&self.runner, chart).await
    }

    /// The arguments that say which cluster, release and namespace; nothing ambient is left to Helm.
    fn addressed(&self, run: Run, namespace: &str) -> Run {
        let (kubeconfig, context) = self.cluster.origin();
        let run = run
            .args(["--namespace", namespace, "--kubeconfig"])
            .args([kubeconfig]);
        match context {
            Some(context) => run.args(["--kube-context", context]),
            None => run,
        }
    }

    /// Makes a release that its dead owner left halfway fit for an upgrade (helm/helm#7476). Who calls this holds the
    /// environment's lease, and Helm never outlives its guard, so the owner of a release with our label is dead.
    async fn repair(&self, spec: &ReleaseSpec) -> Result<(), PortError> {
        let history = self.records.history(&spec.namespace, &spec.name).await?;
        let Some(newest) = history.last() else {
            return Ok(());
        };
        if newest.environment_uid.as_deref() != Some(spec.environment_uid.as_str())
            && newest.status != ReleaseStatus::Uninstalled
        {
            return Err(error(
                Kind::Foreign,
                codes::FOREIGN,
                format!(
                    "release {} in namespace {} belongs to {}",
                    spec.name,
                    spec.namespace,
                    match &newest.environment_uid {
                        Some(other) => format!("the environment with the UID {other}"),
                        None => "somebody else: it carries no environment label".to_owned(),
                    }
                ),
            ));
        }
        match newest.status {
            ReleaseStatus::PendingInstall | ReleaseStatus::Uninstalling => {
                tracing::info!(
                    release = spec.name,
                    revision = newest.revision,
                    "uninstalls a half-made release"
                );
                self.run_uninstall(&spec.namespace, &spec.name, spec.timeout)
                    .await
            }
            ReleaseStatus::PendingUpgrade | ReleaseStatus::PendingRollback => {
                match last_good(&history) {
                    Some(good) => {
                        tracing::info!(
                            release = spec.name,
                            to = good,
                            "rolls a half-made upgrade back"
                        );
                        self.run_rollback(spec, good).await
                    }
                    None => {
                        self.run_uninstall(&spec.namespace, &spec.name, spec.timeout)
                            .await
                    }
                }
            }
            _ => Ok(()),
        }
    }

    async fn run_rollback(&self, spec: &ReleaseSpec, revision: u32) -> Result<(), PortError> {
        self.cluster.verify().await?;
        let run = Run::new(
            ["rollback", &spec.name, &revision.to_string()],
            spec.timeout,
        );
        let run = self
            .addressed(run, &spec.namespace)
            .args(["--timeout".to_owned(), seconds(spec.timeout)])
            .args(["--history-max", HISTORY])
            .effect();
        self.runner.output(run).await.map(drop)
    }

    async fn run_uninstall(
        &self,
        namespace: &str,
        name: &str,
        timeout: Duration,
    ) -> Result<(), PortError> {
        self.cluster.verify().await?;
        let run = self
            .addressed(Run::new(["uninstall", name], timeout), namespace)
            .args(["--timeout".to_owned(), seconds(timeout)])
            .effect();
        self.runner.output(run).await.map(drop)
    }

    /// The cluster's version, for templates that ask for it; read once.
    async fn kube_version(&self) -> Option<&str> {
        let identity = self
            .identity
            .get_or_try_init(|| self.objects.identity())
            .await;
        identity.ok().map(|identity| identity.version.as_str())
    }
}

/// The newest revision that worked, else the newest that at least ended.
fn last_good(history: &[Release]) -> Option<u32> {
    let newest = |wanted: &[ReleaseStatus]| {
        history
            .iter()
            .rev()
            .find(|release| wanted.contains(&release.status))
            .map(|release| release.revision)
    };
    newest(&[ReleaseStatus::Deployed, ReleaseStatus::Superseded])
        .or_else(|| newest(&[ReleaseStatus::Failed]))
}

/// A Go duration.
fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs().max(1))
}

/// What Helm and the API would refuse later, or what would become another argument.
fn check_spec(spec: &ReleaseSpec) -> Result<(), PortError> {
    let refuse = |cause: String| Err(error(Kind::Invalid, codes::BAD_SPEC, cause));
    for (what, name) in [("release", &spec.name), ("namespace", &spec.namespace)] {
        if !is_dns_label(name) {
            return refuse(format!("{what} name {name:?} is not a DNS label"));
        }
    }
    for (label, value) in [
        (DIGEST_LABEL, &spec.digest),
        (ENVIRONMENT_LABEL, &spec.environment_uid),
    ] {
        if !is_label_value(value) {
            return refuse(format!(
                "{value:?} cannot be the value of the label {label}"
            ));
        }
    }
    Ok(())
}

fn is_dns_label(name: &str) -> bool {
    // Helm's own bound of release names is 53 characters; namespaces may have 63.
    (1..=63).contains(&name.len())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
}

fn is_label_value(value: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric();
    (1..=63).contains(&value.len())
        && value.starts_with(plain)
        && value.ends_with(plain)
        && value
            .chars()
            .all(|letter| plain(letter) || matches!(letter, '-' | '_' | '.'))
}

#[async_trait]
impl ReleaseApi for HelmAdapter {
    async fn find(&self, namespace: &str, name: &str) -> Result<Option<Release>, PortError> {
        self.records.newest(namespace, name).await
    }

    async fn owned(&self, environment_uid: &str) -> Result<Vec<Release>, PortError> {
        self.records.owned(environment_uid).await
    }

    async fn crds(&self, chart: &ChartRef) -> Result<Vec<Value>, PortError> {
        self.charts.crds(&self.runner, chart).await
    }

    async fn render(&self, spec: &ReleaseSpec) -> Result<Vec<Value>, PortError> {
        check_spec(spec)?;
        let file = self.chart(&spec.chart).await?;
        let mut run = Run::new(["template", &spec.name], spec.timeout)
            .args([&file.path])
            .args(["--namespace", &spec.namespace, "--values", "-"])
            .stdin(spec.values.to_string().into_bytes());
        if let Some(version) = self.kube_version().await {
            run = run.args(["--kube-version", version]);
        }
        charts::documents(&self.runner.output(run).await?)
    }

    async fn install(&self, spec: &ReleaseSpec) -> Result<Release, PortError> {
        check_spec(spec)?;
        self.cluster.verify().await?;
        self.runner.version().await?;
        let file = self.chart(&spec.chart).await?;
        self.repair(spec).await?;
        let run = Run::new(["upgrade", &spec.name], spec.timeout)
            .args([&file.path])
            .args([
                "--install",
                "--skip-crds",
                "--values",
                "-",
                "--output",
                "json",
            ])
            .args([
                "--labels".to_owned(),
                format!(
                    "{DIGEST_LABEL}={},{ENVIRONMENT_LABEL}={}",
                    spec.digest, spec.environment_uid
                ),
                "--timeout".to_owned(),
                seconds(spec.timeout),
            ])
            .args(["--history-max", HISTORY])
            .stdin(spec.values.to_string().into_bytes())
            .effect();
        self.cluster.verify().await?;
        // The output repeats the values; it is not looked at, the release's record tells the rest.
        let ran = self
            .runner
            .output(self.addressed(run, &spec.namespace))
            .await;
        let newest = self.records.newest(&spec.namespace, &spec.name).await;
        match (ran, newest) {
            (Ok(_), Ok(Some(release))) => Ok(release),
            (Ok(_), Ok(None)) => Err(error(
                Kind::Other,
                codes::OUTPUT,
                format!(
                    "Helm reported success, but release {} has no record",
                    spec.name
                ),
            )),
            (Ok(_), Err(unread)) => Err(unread),
            (Err(failed), newest) => Err(self.explain(failed, newest, spec)),
        }
    }

    async fn uninstall(
        &self,
        namespace: &str,
        name: &str,
        timeout: Duration,
    ) -> Result<bool, PortError> {
        if self.records.newest(namespace, name).await?.is_none() {
            return Ok(false);
        }
        let ran = self.run_uninstall(namespace, name, timeout).await;
        match ran {
            Ok(()) => Ok(true),
            // Whatever Helm said: a release without a record is uninstalled.
            Err(failed) if failed.code == codes::FAILED => {
                match self.records.newest(namespace, name).await {
                    Ok(None) => Ok(true),
                    Ok(Some(_)) | Err(_) => Err(failed),
                }
            }
            Err(failed) => Err(failed),
        }
    }
}

impl HelmAdapter {
    /// Helm ends with 1 whatever happened; the release's record tells one thing more.
    fn explain(
        &self,
        failed: PortError,
        newest: Result<Option<Release>, PortError>,
        spec: &ReleaseSpec,
    ) -> PortError {
        if failed.code != codes::FAILED {
            return failed;
        }
        match newest {
            // Who cannot read the record now could not reach the cluster then.
            Err(unread) if unread.kind == Kind::Unreachable => unread,
            Ok(Some(release)) if is_pending(release.status) => error(
                Kind::Conflict,
                codes::BUSY,
                format!(
                    "release {} revision {} is being changed: {}",
                    spec.name, release.revision, failed.cause
                ),
            ),
            _ => failed,
        }
    }
}

fn is_pending(status: ReleaseStatus) -> bool {
    matches!(
        status,
        ReleaseStatus::PendingInstall
            | ReleaseStatus::PendingUpgrade
            | ReleaseStatus::PendingRollback
            | ReleaseStatus::Uninstalling
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(revision: u32, status: ReleaseStatus) -> Release {
        Release {
            name: "r".to_owned(),
            namespace: "n".to_owned(),
            revision,
            status,
            digest: None,
            environment_uid: None,
        }
    }

    #[test]
    fn the_last_good_revision_is_rolled_back_to() {
        use ReleaseStatus as Status;
        let history = |statuses: &[Status]| -> Vec<Release> {
            (1u32..)
                .zip(statuses)
                .map(|(revision, status)| release(revision, *status))
                .collect()
        };
        for (statuses, expected) in [
            (
                vec![Status::Superseded, Status::Deployed, Status::PendingUpgrade],
                Some(2),
            ),
            (
                vec![Status::Deployed, Status::Failed, Status::PendingUpgrade],
                Some(1),
            ),
            (vec![Status::Failed, Status::PendingUpgrade], Some(1)),
            (vec![Status::PendingUpgrade], None),
        ] {
            assert_eq!(last_good(&history(&statuses)), expected, "{statuses:?}");
        }
    }

    #[test]
    fn what_labels_and_names_can_hold() {
        assert!(is_label_value("a1b2") && is_label_value("0198c5de-7b1a-7c3e"));
        assert!(
            !is_label_value(&"a".repeat(64)) && !is_label_value("") && !is_label_value("a,b=c")
        );
        assert!(is_dns_label("spark-operator"));
        assert!(!is_dns_label("--kubeconfig") && !is_dns_label("A") && !is_dns_label(""));
        assert_eq!(seconds(Duration::from_millis(10)), "1s");
    }
}
