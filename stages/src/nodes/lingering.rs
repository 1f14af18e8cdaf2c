//! Issues of a group that stood before this run. EKS gives them no time, and keeps one about launches until instances could
//! be launched since, be that hours after capacity came back (containers-roadmap#2326). So an issue that comes while a run
//! waits says that the group cannot come up, and one that was there when the run came says only that it could not.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    cloud::{Pace, cloud},
    context::StepContext,
    error::StepError,
    ports::{
        cloud::{Issue, Tags},
        compute::{InstanceState, Selector},
        node_groups::NodeGroup,
    },
};

/// How long a group may stand still under an issue of before. The Auto Scaling group behind it goes on trying to launch,
/// at its own pace; a minute or two between tries are usual, and no promise of AWS's.
const STANDS_STILL: Duration = Duration::from_secs(300);
/// And at least so long: what is asked takes its own time on this machine.
const AT_LEAST: Duration = Duration::from_secs(4);

/// What stood when this run came, and whether the group moves since.
pub(super) struct Lingering {
    patience: Duration,
    /// Codes of the issues that the first look of this run saw.
    stood: Mutex<Option<BTreeSet<String>>>,
    moved: Mutex<Option<Moved>>,
}

/// How far the group had come, and when it came there.
struct Moved {
    instances: BTreeSet<String>,
    ready: u32,
    since: Instant,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lingering {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            patience: pace.scaled(STANDS_STILL).max(AT_LEAST),
            stood: Mutex::new(None),
            moved: Mutex::new(None),
        }
    }

    /// Notes what stands; only the first look of a run counts. A group that is not there yet has nothing against it.
    pub(super) fn came_upon(&self, group: Option<&NodeGroup>) {
        let issues = group.into_iter().flat_map(|group| &group.issues);
        let codes = || issues.map(|issue| issue.code.clone()).collect();
        held(&self.stood).get_or_insert_with(codes);
    }

    /// Whether an issue stood already when this run came.
    pub(super) fn stood(&self, issue: &Issue) -> bool {
        let stood = held(&self.stood);
        stood
            .as_ref()
            .is_some_and(|codes| codes.contains(&issue.code))
    }

    /// Whether a group under old issues still moves: instances were launched, or nodes became ready, not long ago.
    pub(super) async fn moves(
        &self,
        cx: &StepContext,
        cluster: &str,
        group: &NodeGroup,
        ready: u32,
    ) -> Result<bool, StepError> {
        let of_group = Tags::from([
            ("eks:cluster-name".to_owned(), cluster.to_owned()),
            ("eks:nodegroup-name".to_owned(), group.name.clone()),
        ]);
        let compute = &cloud(cx)?.compute;
        let found = compute.instances(&Selector::Tagged(of_group)).await;
        let found = found.map_err(|error| error.during("look for", "instances"))?;
        let instances: BTreeSet<String> = found
            .into_iter()
            .filter(|instance| {
                matches!(
                    instance.state,
                    InstanceState::Pending | InstanceState::Running
                )
            })
            .map(|instance| instance.id)
            .collect();
        let mut moved = held(&self.moved);
        let known = moved.get_or_insert_with(|| Moved {
            instances: instances.clone(),
            ready,
            since: Instant::now(),
        });
        let launched = !instances.is_subset(&known.instances);
        if launched || ready > known.ready {
            known.since = Instant::now();
        }
        known.instances = instances;
        known.ready = ready;
        Ok(known.since.elapsed() < self.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(code: &str) -> Issue {
        Issue {
            code: code.to_owned(),
            message: String::new(),
            resources: Vec::new(),
        }
    }

    #[test]
    fn only_what_the_first_look_saw_is_old() {
        let lingering = Lingering::new(Pace::default());
        assert!(!lingering.stood(&issue("AsgInstanceLaunchFailures")));
        lingering.came_upon(None);
        assert!(!lingering.stood(&issue("AsgInstanceLaunchFailures")));
    }
}
