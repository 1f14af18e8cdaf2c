//! Applying a set: waves of concurrent server-side applies, then pruning.

use std::time::Duration;

use futures::FutureExt as _;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{
    order::{WAVES, wave},
    ownership::{Owner, key, mark, owner, terminating, uid},
    records::{Record, Records},
    set::{ObjectSet, OnForeign, Standing, Wanted, owned_without_secrets},
    together::together,
};
use crate::{
    context::StepContext,
    error::{PortError, PortErrorKind, Retry, StepError},
    ports::objects::{ApplyOptions, ObjectRef},
    step::Change,
};

/// How long a kind may take to be served after its definition was applied in the same set.
const SERVED_WITHIN: Duration = Duration::from_secs(30);

/// How long an object of ours that is being deleted may take to go before it is made again.
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// How often a kind that is not served yet is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What applying a set did.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The largest change of all.
    pub change: Change,
    /// What to remember.
    pub records: Records,
    /// How many objects were written or deleted.
    pub written: usize,
}

impl ObjectSet {
    /// Makes the cluster hold the set: writes what differs, deletes what this step applied and nobody wants any more.
    ///
    /// # Errors
    /// When an object is somebody else's, the API refuses one, or the cluster cannot be reached. What was applied
    /// before stays, and the next try continues.
    pub async fn ensure(&self, cx: &StepContext) -> Result<Applied, StepError> {
        let survey = self.survey(cx).await?;
        for (wanted, standing) in self.wanted.iter().zip(&survey.standings) {
            match standing {
                Standing::Foreign(owner) => return Err(foreign(&wanted.at, &owner.words())),
                Standing::Missing => return Err(missing(&wanted.at)),
                _ => {}
            }
        }
        // A change in place and a removal are announced like a creation: the journal holds no effect without an intent before it.
        let written = self
            .wanted
            .iter()
            .zip(&survey.standings)
            .filter(|(_, standing)| !matches!(standing, Standing::Same(_) | Standing::Brought(_)))
            .map(|(wanted, _)| key(&wanted.at));
        let written: Vec<String> = written
            .chain(survey.extra.iter().map(|(at, _)| key(at)))
            .collect();
        if !written.is_empty() {
            cx.intent(json!({"objects": written})).await?;
        }

        let mut applied = Applied {
            change: Change::Unchanged,
            records: Records::default(),
            written: 0,
        };
        for number in 0..WAVES {
            let members: Vec<(&Wanted, &Standing)> = self
                .wanted
                .iter()
                .zip(&survey.standings)
                .filter(|(wanted, _)| wave(&wanted.at.kind) == number)
                .collect();
            if members.is_empty() {
                continue;
            }
            check_cancelled(cx)?;
            let mut calls = Vec::new();
            for (wanted, standing) in members {
                calls.push(ensure_one(cx, wanted, standing).boxed());
            }
            let results = together(calls).await;
            let mut failed: Option<StepError> = None;
            for result in results {
                match result {
                    Ok((record, change)) => {
                        applied.written += usize::from(change > Change::Unchanged);
                        applied.change = applied.change.max(change);
                        applied.records.put(record);
                    }
                    Err(error) => match &mut failed {
                        None => failed = Some(error),
                        Some(first) => first.evidence.push(error.to_string()),
                    },
                }
            }
            if let Some(mut error) = failed {
                error.left_behind = applied.records.objects.keys().cloned().collect();
                return Err(error);
            }
        }
        self.prune(cx, &survey.extra, &mut applied).await?;
        Ok(applied)
    }

    async fn prune(
        &self,
        cx: &StepContext,
        extra: &[(ObjectRef, String)],
        applied: &mut Applied,
    ) -> Result<(), StepError> {
        let mut extra: Vec<&(ObjectRef, String)> = extra.iter().collect();
        extra.sort_by_key(|(at, _)| std::cmp::Reverse(wave(&at.kind)));
        for (at, uid) in extra {
            check_cancelled(cx)?;
            cx.progress(format!("removing {at}: not in the pipeline any more"));
            cx.ports
                .objects
                .delete(at, Some(uid))
                .await
                .map_err(|error| error.during("delete", at))?;
            applied.written += 1;
            applied.change = applied.change.max(Change::Removed);
        }
        Ok(())
    }
}

/// The error for somebody else's object.
pub(crate) fn foreign(at: &ObjectRef, owner: &str) -> StepError {
    StepError::new("STG001", "use", at, owner).with_hint(
        "pipectl never takes over what it did not make: choose another name in the pipeline file, or delete the object \
         yourself if nobody needs it",
    )
}

fn missing(at: &ObjectRef) -> StepError {
    StepError::new(
        "STG007",
        "use",
        at,
        "the pipeline file says that you bring it, and it does not exist",
    )
    .with_hint("create it, or let pipectl create it: `createdBy: pipectl`")
}

/// An error when the run is being cancelled.
pub(crate) fn check_cancelled(cx: &StepContext) -> Result<(), StepError> {
    if cx.cancel.is_cancelled() {
        return Err(PortError::new(
            PortErrorKind::Cancelled,
            "STG009",
            "the run is being cancelled",
        )
        .during("go on with", &cx.step));
    }
    Ok(())
}

async fn ensure_one(
    cx: &StepContext,
    wanted: &Wanted,
    standing: &Standing,
) -> Result<(Record, Change), StepError> {
    let live = match standing {
        Standing::Same(record) | Standing::Brought(record) => {
            return Ok((record.clone(), Change::Unchanged));
        }
        Standing::Differs(live) => Some(live.as_ref()),
        Standing::Ending => {
            wait_gone(cx, &wanted.at).await?;
            None
        }
        Standing::Absent | Standing::Missing | Standing::Foreign(_) => None,
    };
    check_cancelled(cx)?;
    // From here on the write names whom it means: what came under this name since the look is somebody else's.
    let claimed = match live {
        None if is_namespace(&wanted.at) => match claim(cx, wanted).await? {
            Claim::Made(uid) => Some(uid),
            Claim::Brought(record) => return Ok((record, Change::Unchanged)),
        },
        None => None,
        Some(live) => Some(uid(live).to_owned()),
    };
    match apply_when_served(cx, &wanted.object, claimed.as_deref()).await {
        Ok(answer) => {
            let change = match live {
                None => Change::Created,
                Some(live)
                    if live["metadata"]["resourceVersion"]
                        == answer["metadata"]["resourceVersion"] =>
                {
                    Change::Adopted
                }
                Some(_) => Change::Updated,
            };
            Ok((record(&answer, &wanted.want), change))
        }
        Err(error)
            if matches!(error.kind, PortErrorKind::Invalid | PortErrorKind::Conflict)
                && taken(cx, &wanted.at, claimed.as_deref()).await? =>
        {
            Err(refused(error, &wanted.at).with_retry(Retry::Soon))
        }
        Err(error) if error.kind == PortErrorKind::Invalid && live.is_some() => {
            replace_or_explain(cx, wanted, live.map_or("", uid), error).await
        }
        Err(error) => Err(refused(error, &wanted.at)),
    }
}

fn is_namespace(at: &ObjectRef) -> bool {
    at.kind.group.is_empty() && at.kind.kind == "Namespace"
}

/// What asking for a free name gave.
enum Claim {
    /// It is ours, with this UID.
    Made(String),
    /// Somebody else was faster, and theirs is used as it is.
    Brought(Record),
}

/// Takes the name of a namespace, in one call that fails when somebody else has it. An apply would put our labels on
/// theirs, and with the labels it would go when ours go. Only the marks are made so: they are ours for as long as it
/// lives, while everything else must be able to leave with a later apply.
async fn claim(cx: &StepContext, wanted: &Wanted) -> Result<Claim, StepError> {
    let at = &wanted.at;
    let mut marks = json!({
        "apiVersion": at.kind.api_version(),
        "kind": at.kind.kind,
        "metadata": {"name": at.name},
    });
    mark(&mut marks, &cx.environment, &cx.step);
    match cx.ports.objects.create(&marks).await {
        Ok(made) => Ok(Claim::Made(uid(&made).to_owned())),
        Err(error) if error.kind == PortErrorKind::AlreadyExists => {
            let live = cx.ports.objects.get(at).await;
            let live = live.map_err(|error| error.during("read", at))?;
            let Some(live) = live else {
                return Err(refused(error, at).with_retry(Retry::Soon));
            };
            match owner(&live, &cx.environment) {
                Owner::Ours => Ok(Claim::Made(uid(&live).to_owned())),
                Owner::Unmarked if wanted.on_foreign != OnForeign::Refuse => {
                    Ok(Claim::Brought(Record::of_brought(at, &live)))
                }
                other => Err(foreign(at, &other.words())),
            }
        }
        Err(error) => Err(refused(error, at)),
    }
}

/// Whether another object has the name than the one that was meant (`None`: none at all). An error when that is
/// somebody else's.
async fn taken(cx: &StepContext, at: &ObjectRef, meant: Option<&str>) -> Result<bool, StepError> {
    let live = cx.ports.objects.get(at).await;
    let live = live.map_err(|error| error.during("read", at))?;
    let Some(live) = live else {
        return Ok(meant.is_some());
    };
    if meant == Some(uid(&live)) {
        return Ok(false);
    }
    match owner(&live, &cx.environment) {
        Owner::Ours => Ok(true),
        other => Err(foreign(at, &other.words())),
    }
}

fn record(answer: &Value, want: &str) -> Record {
    Record {
        owned: owned_without_secrets(answer),
        ..Record::of_applied(answer, want)
    }
}

fn refused(error: PortError, at: &ObjectRef) -> StepError {
    let kind = error.kind;
    let mut error = error.during("apply", at);
    if error.hint.is_none() {
        error.hint = match kind {
            PortErrorKind::Terminating => Some(
                "its namespace is still being deleted: wait for it, or see what holds it with `pipectl status`"
                    .to_owned(),
            ),
            PortErrorKind::NotServed => Some(format!(
                "the cluster serves no kind {} of group {}: is its operator among the pipeline's stages?",
                at.kind.kind, at.kind.group
            )),
            _ => None,
        };
    }
    error
}

/// Applies, to the object of this UID where one is given; a kind whose definition was applied a moment ago may take a
/// moment to be served. The API refuses an apply whose UID is not the live object's: as invalid, or as a conflict when
/// there is none (kubernetes/kubernetes#127625).
async fn apply_when_served(
    cx: &StepContext,
    object: &Value,
    uid: Option<&str>,
) -> Result<Value, PortError> {
    let options = ApplyOptions {
        // An object of ours: what others changed of the fields we declare is taken back, as the plan has shown. Where
        // none was, there is nothing to take, except from somebody who was faster.
        force: uid.is_some(),
        dry_run: false,
    };
    let mut object = object.clone();
    if let Some(uid) = uid {
        object["metadata"]["uid"] = json!(uid);
    }
    let object = &object;
    let deadline = Instant::now() + SERVED_WITHIN;
    loop {
        match cx.ports.objects.apply(object, options).await {
            Err(error)
                if error.kind == PortErrorKind::NotServed
                    && Instant::now() < deadline
                    && !cx.cancel.is_cancelled() =>
            {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            other => return other,
        }
    }
}

/// The API refused to change an object. If it would accept the same content under a name that is free, the content is
/// right and only the change is impossible (a field that cannot change once it is set). Decided by asking, since the
/// refusal's code is the same for both.
async fn replace_or_explain(
    cx: &StepContext,
    wanted: &Wanted,
    live_uid: &str,
    error: PortError,
) -> Result<(Record, Change), StepError> {
    let at = &wanted.at;
    let mut probe = wanted.object.clone();
    let digits: String = wanted.want.chars().take(8).collect();
    let stem: String = at.name.chars().take(40).collect();
    probe["metadata"]["name"] = json!(format!("{stem}-check-{digits}"));
    let dry = ApplyOptions {
        force: true,
        dry_run: true,
    };
    if cx.ports.objects.apply(&probe, dry).await.is_err() {
        return Err(refused(error, at));
    }
    if !replaceable(at) {
        return Err(StepError::new("STG002", "change", at, error.cause).with_hint(format!(
            "the change touches a field that cannot change once it is set. Delete the object (kubectl delete {} {}{}) \
             and run pipectl up again: what it holds or serves is interrupted meanwhile",
            at.kind.kind.to_lowercase(),
            at.namespace.as_ref().map_or(String::new(), |namespace| format!("-n {namespace} ")),
            at.name,
        )));
    }
    cx.progress(format!(
        "{at} cannot be changed in place: deleting and making it again"
    ));
    cx.ports
        .objects
        .delete(at, Some(live_uid))
        .await
        .map_err(|error| error.during("delete", at))?;
    wait_gone(cx, at).await?;
    let answer = apply_when_served(cx, &wanted.object, None)
        .await
        .map_err(|error| refused(error, at))?;
    Ok((record(&answer, &wanted.want), Change::Replaced))
}

/// Whether deleting and making it again loses nothing but its past run.
fn replaceable(at: &ObjectRef) -> bool {
    matches!(
        (at.kind.group.as_str(), at.kind.kind.as_str()),
        ("batch", "Job") | ("sparkoperator.k8s.io", "SparkApplication")
    )
}

/// Waits, bounded, until an object that is being deleted is gone. An error when the name is somebody else's by then.
pub(crate) async fn wait_gone(cx: &StepContext, at: &ObjectRef) -> Result<(), StepError> {
    let deadline = Instant::now() + GONE_WITHIN;
    let mut changes = cx.ports.objects.changes();
    loop {
        check_cancelled(cx)?;
        let live = cx.ports.objects.get(at).await;
        let live = live.map_err(|error| error.during("read", at))?;
        let Some(live) = live else {
            return Ok(());
        };
        if !terminating(&live) {
            return match owner(&live, &cx.environment) {
                Owner::Ours => Ok(()),
                other => Err(foreign(at, &other.words())),
            };
        }
        if Instant::now() >= deadline {
            let held = super::ownership::finalizers(&live).join(", ");
            return Err(StepError::new(
                "STG005",
                "make",
                at,
                format!("an earlier one is still being deleted, held by finalizers: {held}"),
            )
            .with_retry(Retry::Soon)
            .with_hint("wait for it to go, then run pipectl up again"));
        }
        cx.progress(format!("{at}: an earlier one is still being deleted"));
        let pause = (Instant::now() + Duration::from_secs(1)).min(deadline);
        let _ = timeout_at(pause, changes.changed()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{step::StepId, testing::World};

    fn config(data: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "settings", "namespace": "default"}, "data": {"a": data}})
    }

    fn context(world: &World) -> StepContext {
        world.context(&StepId::new("workloads", "w"))
    }

    #[tokio::test(start_paused = true)]
    async fn what_somebody_made_after_the_look_stays_as_it_is() {
        let world = World::default();
        let cx = context(&world);
        world.cluster.make_before_our_write(config("theirs"));
        let set = ObjectSet::new(&cx, vec![config("ours")]);
        let error = set.ensure(&cx).await.unwrap_err();
        assert_eq!(error.code, "STG001");
        let live = world.cluster.find("ConfigMap", "settings").unwrap();
        assert_eq!(live["data"]["a"], "theirs");
        assert!(live["metadata"]["labels"].is_null());
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_meant_for_the_object_that_was_seen() {
        let world = World::default();
        let cx = context(&world);
        let first = ObjectSet::new(&cx, vec![config("ours")]);
        first.ensure(&cx).await.unwrap();
        let mut theirs = config("theirs");
        theirs["metadata"]["uid"] = json!("another");
        world.cluster.make_before_our_write(theirs);
        let changed = ObjectSet::new(&cx, vec![config("changed")]);
        let error = changed.ensure(&cx).await.unwrap_err();
        assert_eq!(error.code, "STG001");
        let live = world.cluster.find("ConfigMap", "settings").unwrap();
        assert_eq!(live["data"]["a"], "theirs");
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_somebody_made_after_the_look_is_not_ours() {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "was"}});
        for on_foreign in [OnForeign::UseAsItIs, OnForeign::Refuse] {
            let world = World::default();
            let cx = context(&world);
            world.cluster.make_before_our_write(namespace.clone());
            let set = ObjectSet::with(&cx, vec![namespace.clone()], on_foreign);
            let applied = set.ensure(&cx).await;
            match on_foreign {
                OnForeign::Refuse => assert_eq!(applied.unwrap_err().code, "STG001"),
                _ => assert!(applied.unwrap().records.objects["Namespace was"].brought),
            }
            let live = world.cluster.find("Namespace", "was").unwrap();
            assert!(live["metadata"]["labels"].is_null(), "{live}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn gone_is_not_the_same_as_taken() {
        let world = World::default();
        let cx = context(&world);
        let at = ObjectRef::of(&config(""));
        wait_gone(&cx, &at).await.unwrap();
        world.cluster.put(config("theirs"));
        assert_eq!(wait_gone(&cx, &at).await.unwrap_err().code, "STG001");
    }
}
