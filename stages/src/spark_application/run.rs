//! The application itself, with the run semantics that the operator leaves to its users.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use pipectl_config::{Loaded, SparkApplication};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{kind, render};
use crate::{
    blocks::{Row, objects_step::NOT_SERVED, pods},
    context::StepContext,
    error::{Retry, StepError},
    health::{Health, Trouble, judge, spark_state},
    objects::{
        Record, Records, Remaining, check_cancelled, delete_all,
        diff::differences,
        digest,
        ownership::{Owner, RUN_ANNOTATION, key, mark, owner, terminating, uid},
        remaining,
    },
    ports::objects::{ApplyOptions, Kind, ObjectRef},
    step::{
        Change, Difference, Need, Observation, Outcome, Readiness, Step, StepId, Timeouts, Wanted,
    },
};

/// Label that the operator puts on the pods of an application.
pub(super) const APP_LABEL: &str = "sparkoperator.k8s.io/app-name";

/// How long the operator may take to look at an application before it is taken for not watching the namespace.
const LOOKED_AT_WITHIN: Duration = Duration::from_secs(120);

/// How long an old application's driver may take to end before the new one is submitted: both have one name.
const DRIVER_GONE_WITHIN: Duration = Duration::from_secs(60);

pub(super) struct Run {
    row: Row,
    loaded: Arc<Loaded>,
    app: SparkApplication,
}

/// How the application stands.
enum Standing {
    Absent,
    Foreign(Owner),
    Same(Record),
    /// Ours and as wanted, but never recorded: an earlier run was cut off.
    Unrecorded(Arc<Value>),
    /// To be deleted and made again, for this reason.
    Again(Arc<Value>, Vec<Difference>),
}

impl Run {
    pub(super) fn new(row: Row, loaded: &Arc<Loaded>, app: &SparkApplication) -> Self {
        Self {
            row,
            loaded: loaded.clone(),
            app: app.clone(),
        }
    }

    /// The application as wanted, marked, with its digest: without the run, which does not make it another one.
    fn wanted(&self, cx: &StepContext) -> (Value, String) {
        let mut object = render::application(&self.loaded, &self.app);
        mark(&mut object, &cx.environment, &cx.step);
        let want = digest(&object);
        (object, want)
    }

    fn at(&self, object: &Value) -> ObjectRef {
        ObjectRef::of(object)
    }

    async fn live(
        &self,
        cx: &StepContext,
        at: &ObjectRef,
    ) -> Result<Option<Arc<Value>>, StepError> {
        let owned = remaining(cx, &kind()).await?;
        let wanted = key(at);
        if let Some(found) = owned
            .into_iter()
            .find(|object| key(&ObjectRef::of(object)) == wanted)
        {
            return Ok(Some(found));
        }
        match cx.ports.objects.get(at).await {
            Ok(found) => Ok(found.map(Arc::new)),
            Err(error) if error.kind == crate::error::PortErrorKind::NotServed => Ok(None),
            Err(error) => Err(error.during("read", at)),
        }
    }

    async fn standing(&self, cx: &StepContext) -> Result<Standing, StepError> {
        let (wanted, want) = self.wanted(cx);
        let at = self.at(&wanted);
        let Some(live) = self.live(cx, &at).await? else {
            return Ok(Standing::Absent);
        };
        match owner(&live, &cx.environment) {
            Owner::Ours => {}
            other => return Ok(Standing::Foreign(other)),
        }
        let again = |field: Option<&str>, live_words: &str, wanted_words: &str| Difference {
            resource: at.to_string(),
            field: field.map(str::to_owned),
            live: Some(live_words.to_owned()),
            wanted: Some(wanted_words.to_owned()),
            change: Change::Replaced,
        };
        if terminating(&live) {
            let reason = again(None, "being deleted", "submitted");
            return Ok(Standing::Again(live, vec![reason]));
        }
        let records = Records::of(cx.recorded());
        let recorded = records
            .get(&at)
            .filter(|record| record.uid == uid(&live))
            .cloned();
        let owned = crate::objects::owned_fields::owned_digest(&live);
        let mut found = differences(&wanted, &live);
        // The run is written on the application and does not make it another one.
        let run_field = format!("metadata.annotations.{RUN_ANNOTATION}");
        found.retain(|difference| difference.field.as_deref() != Some(&run_field));
        let changed = match &recorded {
            Some(record) => record.want != want || record.owned != owned,
            None => !found.is_empty(),
        };
        if changed {
            for difference in &mut found {
                difference.change = Change::Replaced;
            }
            if found.is_empty() {
                found.push(again(None, "changed", "as declared"));
            }
            return Ok(Standing::Again(live, found));
        }
        let submitted_by = live["metadata"]["annotations"][RUN_ANNOTATION].as_str();
        if failed_for_good(&live) && submitted_by != Some(cx.run.as_str()) {
            let reason = again(Some("status"), spark_state(&live), "submitted anew");
            return Ok(Standing::Again(live, vec![reason]));
        }
        Ok(match recorded {
            Some(record) => Standing::Same(record),
            None => Standing::Unrecorded(live),
        })
    }

    /// Deletes the old application and waits until its driver is gone too.
    async fn clear(&self, cx: &StepContext, old: &Arc<Value>) -> Result<(), StepError> {
        let at = ObjectRef::of(old);
        cx.progress("ending the old run");
        delete_all(cx, std::slice::from_ref(old)).await?;
        crate::objects::wait_gone(cx, &at).await?;
        let driver = ObjectRef {
            kind: Kind::new("", "v1", "Pod"),
            namespace: at.namespace.clone(),
            name: old["status"]["driverInfo"]["podName"]
                .as_str()
                .map_or_else(|| format!("{}-driver", at.name), str::to_owned),
        };
        let deadline = Instant::now() + DRIVER_GONE_WITHIN;
        let mut changes = cx.ports.objects.changes();
        loop {
            let found = cx.ports.objects.get(&driver).await;
            let found = found.map_err(|error| error.during("read", &driver))?;
            let Some(left) = found else {
                return Ok(());
            };
            check_cancelled(cx)?;
            if Instant::now() >= deadline {
                // Submitted now, the new run would meet a driver of its own name and fail.
                return Err(StepError::new(
                    "SPK004",
                    "submit",
                    &at,
                    "the driver of its old run is still there",
                )
                .with_retry(Retry::Soon)
                .with_evidence(vec![Remaining::of(&left).words()])
                .with_hint(
                    "wait for the pod to end, or see what holds it, then run pipectl up again",
                ));
            }
            cx.progress("the old driver still ends");
            let _ = tokio::time::timeout(Duration::from_millis(500), changes.changed()).await;
        }
    }

    /// Submits: anew, or the same bytes to the live application of this UID.
    async fn submit(
        &self,
        cx: &StepContext,
        run: &str,
        live: Option<&str>,
    ) -> Result<(Record, Value), StepError> {
        let (mut object, want) = self.wanted(cx);
        let at = self.at(&object);
        object["metadata"]["annotations"][RUN_ANNOTATION] = json!(run);
        if let Some(uid) = live {
            object["metadata"]["uid"] = json!(uid);
        }
        let options = ApplyOptions {
            // Where none was, a conflict says that somebody else was faster.
            force: live.is_some(),
            dry_run: false,
        };
        let answer = cx.ports.objects.apply(&object, options).await;
        let answer = answer.map_err(|error| error.during("submit", &at))?;
        Ok((Record::of_applied(&answer, &want), answer))
    }

    fn outcome(&self, change: Change, record: Record, run: &str) -> Outcome {
        let mut records = Records::default();
        records.put(record);
        Outcome {
            change,
            outputs: records.outputs(json!({"run": run})),
            summary: format!(
                "driver and {} executors of {}",
                self.app.executor.instances, self.app.name
            ),
        }
    }
}

/// Whether the application has failed and the operator will not try again.
fn failed_for_good(live: &Value) -> bool {
    matches!(judge(live), Health::Failed(_))
}

#[async_trait]
impl Step for Run {
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
        Ok(match self.standing(cx).await? {
            Standing::Absent => Observation::Absent,
            Standing::Foreign(owner) => Observation::Foreign(owner.words()),
            Standing::Same(_) | Standing::Unrecorded(_) => Observation::Present,
            Standing::Again(_, differences) => Observation::Partial(differences),
        })
    }

    async fn ensure(&self, cx: &StepContext, _: &Observation) -> Result<Outcome, StepError> {
        let run_of = |live: &Value| {
            let run = live["metadata"]["annotations"][RUN_ANNOTATION].as_str();
            run.unwrap_or(&cx.run).to_owned()
        };
        let change = match self.standing(cx).await? {
            Standing::Foreign(owner) => {
                let (object, _) = self.wanted(cx);
                return Err(crate::objects::foreign(&self.at(&object), &owner.words()));
            }
            Standing::Same(record) => return Ok(self.outcome(Change::Unchanged, record, &cx.run)),
            Standing::Unrecorded(live) => {
                cx.intent(json!({"application": self.app.name, "adopts": uid(&live)}))
                    .await?;
                // Under the run that submitted it: the same bytes change nothing.
                let run = run_of(&live);
                let (record, _) = self.submit(cx, &run, Some(uid(&live))).await?;
                return Ok(self.outcome(Change::Adopted, record, &run));
            }
            Standing::Again(old, _) => {
                cx.intent(json!({"application": self.app.name, "replaces": uid(&old)}))
                    .await?;
                self.clear(cx, &old).await?;
                Change::Replaced
            }
            Standing::Absent => Change::Created,
        };
        let served = cx.ports.objects.served(&kind().group, &kind().kind).await;
        let served = served.map_err(|error| error.during("discover", "kind SparkApplication"))?;
        if served.is_none() {
            return Err(StepError::new(
                NOT_SERVED,
                "submit",
                &self.row.title,
                "the cluster serves no kind SparkApplication",
            )
            .with_retry(Retry::Soon)
            .with_hint("its CRDs come with stage spark-operator; an operator of your own must be installed first"));
        }
        cx.intent(
            json!({"application": self.app.name, "namespace": self.app.namespace, "run": cx.run}),
        )
        .await?;
        let (record, _) = self.submit(cx, &cx.run, None).await?;
        Ok(self.outcome(change, record, &cx.run))
    }

    async fn wants(&self, cx: &StepContext) -> Result<Wanted, StepError> {
        let (object, _) = self.wanted(cx);
        Ok(Wanted {
            objects: vec![self.at(&object)],
            ..Wanted::default()
        })
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        let (object, _) = self.wanted(cx);
        let at = self.at(&object);
        let record = Records::of(cx.recorded()).get(&at).cloned();
        let live = remaining(cx, &kind()).await?.into_iter().find(|live| {
            let of_record = record.as_ref().is_none_or(|record| record.uid == uid(live));
            key(&ObjectRef::of(live)) == key(&at) && of_record && !terminating(live)
        });
        let Some(live) = live else {
            return Ok(Readiness::waiting("not there yet"));
        };
        let health = match judge(&live) {
            Health::InProgress { .. } if spark_state(&live).is_empty() && ignored(&live) => {
                Health::Failed(
                    Trouble {
                        code: "SPK003",
                        cause: "the Spark operator has not looked at it".to_owned(),
                        hint: None,
                        evidence: Vec::new(),
                    }
                    .with_hint(format!(
                        "does the operator run, and does it watch namespace {}? (spec.sparkOperator.jobNamespaces)",
                        self.app.namespace
                    )),
                )
            }
            health => {
                let patience = pods::patience(cx, [live.as_ref()]).await?;
                pods::explain(cx, health, &self.app.namespace, patience, |pod| {
                    let phase = pod["status"]["phase"].as_str();
                    pod["metadata"]["labels"][APP_LABEL] == self.app.name.as_str()
                        && matches!(phase, Some("Pending" | "Running"))
                })
                .await?
            }
        };
        Ok(health.readiness(&at))
    }
}

/// Whether an application without a state is older than the operator needs.
fn ignored(live: &Value) -> bool {
    live["metadata"]["creationTimestamp"]
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok())
        .is_some_and(|created| {
            let age = Timestamp::now().duration_since(created);
            age.as_secs() > i64::try_from(LOOKED_AT_WITHIN.as_secs()).unwrap_or(i64::MAX)
        })
}
