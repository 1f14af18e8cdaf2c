//! A step that is a Helm release.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Row, objects_step::judge_with_pods, pods::of_namespace};
use crate::{
    context::StepContext,
    error::{PortErrorKind, StepError},
    health::Health,
    objects::{digest, removal::list},
    ports::{
        objects::{Kind, ObjectRef, Selection},
        releases::{ChartRef, Release, ReleaseSpec, ReleaseStatus},
    },
    step::{
        Change, Difference, Need, Observation, Outcome, Readiness, Step, StepId, Timeouts, Wanted,
    },
};

/// Bound of one Helm call.
pub const HELM_TIMEOUT: Duration = Duration::from_secs(240);

/// Annotation that Helm puts on everything a release makes (Helm 3.2 and newer).
const RELEASE_ANNOTATION: &str = "meta.helm.sh/release-name";

/// Label that Helm puts on everything a release makes.
const HELM_LABEL: &str = "app.kubernetes.io/managed-by=Helm";

/// What a stage says about one release.
#[async_trait]
pub trait WantsRelease: Send + Sync {
    /// Release name.
    fn name(&self) -> &str;

    /// Namespace.
    fn namespace(&self) -> &str;

    /// The chart, before mirrors.
    fn chart(&self) -> ChartRef;

    /// The values. They may hold secrets, which are resolved here and nowhere kept.
    async fn values(&self, cx: &StepContext) -> Result<Value, StepError>;

    /// Kinds of workloads the chart makes that must work; `(group, kind)`.
    fn workloads(&self) -> &'static [(&'static str, &'static str)] {
        &[("apps", "Deployment")]
    }

    /// What must work besides the workloads.
    async fn further(&self, _cx: &StepContext) -> Result<Health, StepError> {
        Ok(Health::Ready(String::new()))
    }

    /// Whether a release without any workload counts as working.
    fn may_be_empty(&self) -> bool {
        false
    }
}

/// A step that installs or upgrades a release and waits until its workloads work.
pub struct ReleaseStep<W> {
    row: Row,
    wants: W,
}

impl<W: WantsRelease + 'static> ReleaseStep<W> {
    /// The step of this row.
    #[must_use]
    pub fn step(row: Row, wants: W) -> Arc<dyn Step> {
        let row = row.ensured_within(HELM_TIMEOUT + Duration::from_secs(60));
        Arc::new(Self { row, wants })
    }

    async fn spec(&self, cx: &StepContext) -> Result<ReleaseSpec, StepError> {
        let chart = self.wants.chart();
        let values = self.wants.values(cx).await?;
        Ok(ReleaseSpec {
            name: self.wants.name().to_owned(),
            namespace: self.wants.namespace().to_owned(),
            // The environment's UID goes in as a salt: values may hold secrets, and the digest stands in a label.
            digest: digest(&json!({
                "chart": chart,
                "values": values,
                "environment": cx.environment.uid,
            })),
            chart,
            values,
            environment_uid: cx.environment.uid.clone(),
            timeout: HELM_TIMEOUT,
        })
    }

    fn at(&self) -> String {
        format!(
            "Helm release {}/{}",
            self.wants.namespace(),
            self.wants.name()
        )
    }

    async fn find(&self, cx: &StepContext) -> Result<Option<Release>, StepError> {
        let found = cx
            .ports
            .releases
            .find(self.wants.namespace(), self.wants.name())
            .await;
        found.map_err(|error| error.during("read", self.at()))
    }

    fn stand(&self, cx: &StepContext, spec: &ReleaseSpec, found: Option<&Release>) -> Observation {
        let Some(release) = found.filter(|release| release.status != ReleaseStatus::Uninstalled)
        else {
            return Observation::Absent;
        };
        match release.environment_uid.as_deref() {
            Some(uid) if uid == cx.environment.uid => {}
            Some(uid) => {
                return Observation::Foreign(format!(
                    "it belongs to the environment with UID {uid}"
                ));
            }
            None => return Observation::Foreign("it was not installed by pipectl".to_owned()),
        }
        if release.status == ReleaseStatus::Deployed
            && release.digest.as_deref() == Some(spec.digest.as_str())
        {
            return Observation::Present;
        }
        let (live, wanted) = if release.status == ReleaseStatus::Deployed {
            let version = spec.chart.version.clone().unwrap_or_default();
            (
                format!("revision {}", release.revision),
                format!("{} {version} with changed chart or values", spec.chart.name),
            )
        } else {
            let status = json!(release.status);
            (
                status.as_str().unwrap_or("?").to_owned(),
                "deployed".to_owned(),
            )
        };
        Observation::Partial(vec![Difference {
            resource: self.at(),
            field: None,
            live: Some(live),
            wanted: Some(wanted),
            change: Change::Updated,
        }])
    }

    /// Everything of a kind that this release made.
    async fn made(
        &self,
        cx: &StepContext,
        group: &str,
        kind: &str,
    ) -> Result<Vec<Arc<Value>>, StepError> {
        let selection = of_namespace(group, kind, self.wants.namespace());
        let all = list(cx, &selection).await?;
        Ok(all
            .into_iter()
            .filter(|object| is_of(object, self.wants.name()))
            .collect())
    }

    /// The generations that the install left, read now: what a watch shows below these is old.
    async fn generations(&self, cx: &StepContext) -> Result<BTreeMap<String, i64>, StepError> {
        let mut generations = BTreeMap::new();
        for (group, kind) in self.wants.workloads() {
            let selection = Selection {
                kind: Kind::new(group, "", kind),
                namespace: Some(self.wants.namespace().to_owned()),
                labels: Some(HELM_LABEL.to_owned()),
            };
            let listed = match cx.ports.objects.list_metadata(&selection).await {
                Ok(listed) => listed,
                Err(error) if error.kind == PortErrorKind::NotServed => continue,
                Err(error) => return Err(error.during("list", format!("{kind} objects"))),
            };
            for object in listed
                .iter()
                .filter(|object| is_of(object, self.wants.name()))
            {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
                generations.insert(format!("{kind} {name}"), generation);
            }
        }
        Ok(generations)
    }
}

/// Whether Helm made this object for the release of this name.
#[must_use]
pub fn is_of(object: &Value, release: &str) -> bool {
    object["metadata"]["annotations"][RELEASE_ANNOTATION] == release
}

#[async_trait]
impl<W: WantsRelease + 'static> Step for ReleaseStep<W> {
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

    async fn observe(&self, cx: &StepContext) -> Result<Observation, StepError> {
        let spec = self.spec(cx).await?;
        let found = self.find(cx).await?;
        Ok(self.stand(cx, &spec, found.as_ref()))
    }

    async fn ensure(&self, cx: &StepContext, _: &Observation) -> Result<Outcome, StepError> {
        let spec = self.spec(cx).await?;
        let found = self.find(cx).await?;
        let (release, change) = match (self.stand(cx, &spec, found.as_ref()), found) {
            (Observation::Foreign(owner), _) => {
                return Err(StepError::new("STG006", "install", self.at(), owner).with_hint(
                    "choose another release name in the pipeline file, or uninstall that release if nobody needs it",
                ));
            }
            (Observation::Present, Some(release)) => {
                let change = if cx.recorded().is_some() {
                    Change::Unchanged
                } else {
                    Change::Adopted
                };
                (release, change)
            }
            (_, found) => {
                cx.intent(json!({"release": spec.name, "namespace": spec.namespace}))
                    .await?;
                let installed = cx.ports.releases.install(&spec).await;
                let installed = installed.map_err(|error| error.during("install", self.at()))?;
                // Of an uninstalled release only its history is left.
                let change = match found.map(|found| found.status) {
                    None | Some(ReleaseStatus::Uninstalled) => Change::Created,
                    Some(_) => Change::Updated,
                };
                (installed, change)
            }
        };
        let version = spec.chart.version.clone().unwrap_or_default();
        Ok(Outcome {
            change,
            summary: format!("{} {version}", spec.chart.name),
            outputs: json!({
                "release": release.name,
                "namespace": release.namespace,
                "revision": release.revision,
                "digest": spec.digest,
                "chart": spec.chart.name,
                "version": version,
                "generations": self.generations(cx).await?,
            }),
        })
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        let recorded = cx.recorded().cloned().unwrap_or(Value::Null);
        let mut seen = 0;
        let mut unready: Option<(ObjectRef, Health)> = None;
        for (group, kind) in self.wants.workloads() {
            for object in self.made(cx, group, kind).await? {
                seen += 1;
                let at = ObjectRef::of(&object);
                let key = format!("{kind} {}", at.name);
                let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
                let old = recorded["generations"][&key]
                    .as_i64()
                    .is_some_and(|applied| generation < applied);
                let health = if old {
                    Health::waiting("the change is not seen yet")
                } else {
                    judge_with_pods(cx, &object).await?
                };
                match health {
                    Health::Ready(_) => {}
                    failed @ Health::Failed(_) => return Ok(failed.readiness(&at)),
                    waiting @ Health::InProgress { .. } => {
                        unready.get_or_insert((at, waiting));
                    }
                }
            }
        }
        if let Some((at, Health::InProgress { words, count })) = unready {
            return Ok(Readiness::InProgress {
                waiting_for: format!("{at}: {words}"),
                count,
            });
        }
        if seen == 0 && !self.wants.may_be_empty() {
            return Ok(Readiness::waiting("its workloads are not there yet"));
        }
        let at = ObjectRef {
            kind: Kind::new("", "", "release"),
            namespace: Some(self.wants.namespace().to_owned()),
            name: self.wants.name().to_owned(),
        };
        Ok(match self.wants.further(cx).await? {
            Health::Ready(words) => {
                let chart = self.wants.chart();
                let version = chart.version.unwrap_or_default();
                let more = if words.is_empty() {
                    words
                } else {
                    format!(", {words}")
                };
                Readiness::Ready(format!("{} {version}{more}", chart.name))
            }
            other => other.readiness(&at),
        })
    }

    async fn wants(&self, _: &StepContext) -> Result<Wanted, StepError> {
        let release = (
            self.wants.namespace().to_owned(),
            self.wants.name().to_owned(),
        );
        Ok(Wanted {
            releases: vec![release],
            ..Wanted::default()
        })
    }

    async fn diff(&self, cx: &StepContext) -> Result<Vec<Difference>, StepError> {
        Ok(match self.observe(cx).await? {
            Observation::Present => Vec::new(),
            Observation::Partial(differences) => differences,
            Observation::Absent => vec![Difference {
                resource: self.at(),
                field: None,
                live: None,
                wanted: Some("deployed".to_owned()),
                change: Change::Created,
            }],
            Observation::Foreign(owner) => {
                return Err(StepError::new("STG006", "install", self.at(), owner));
            }
        })
    }
}
