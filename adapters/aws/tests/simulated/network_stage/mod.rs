//! The stage of the network over this adapter: up, again, changed, broken off, down.

mod broken;
mod changes;
mod down;
mod up;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;
use pipectl_config::{Blueprint, LoadOptions, Loaded, Override};
use pipectl_sandbox::aws::Consistency;
use pipectl_stages::{
    Change, CloudOptions, Observation, Outcome, Pace, Readiness, Removal, RemovalProgress, Retry,
    Step, StepContext, StepError, StepId, account,
    error::{PortError, PortErrorKind},
    network,
    ports::{
        entrance::{Door, EntranceApi},
        objects::ClusterIdentity,
    },
    testing::World,
};
use serde_json::{Value, json};

use crate::support::Account;

/// As fast as the account.
const SCALE: f64 = 500.0;
/// How often something is looked at, every 50 ms, until it counts as never coming.
const LOOKS: usize = 600;

/// Reads that are late enough to be late on a busy machine as well: by tag 200 ms of its own clock.
fn late() -> Consistency {
    Consistency {
        by_id: Duration::from_secs(25),
        by_filter: Duration::from_secs(100),
    }
}

/// Nobody enters a cluster here.
struct NoEntrance;

#[async_trait]
impl EntranceApi for NoEntrance {
    async fn enter(&self, _: &Door) -> Result<ClusterIdentity, PortError> {
        Err(PortError::new(
            PortErrorKind::Unreachable,
            "X",
            "no cluster",
        ))
    }

    fn entered(&self) -> Option<Door> {
        None
    }
}

/// A run of the stage in an account.
struct Run {
    account: Account,
    world: World,
}

impl Run {
    async fn new(consistency: Consistency) -> Self {
        let mut world = World::default();
        // What the checks before the first effect found out.
        let zones = json!({"zones": ["us-west-2a", "us-west-2b", "us-west-2c"]});
        let preflight = account::preflight().to_string();
        world.outputs.insert(preflight, zones);
        Self {
            account: Account::with(consistency).await,
            world,
        }
    }

    /// With reads that know everything at once.
    async fn prompt() -> Self {
        Self::new(Consistency {
            by_id: Duration::ZERO,
            by_filter: Duration::ZERO,
        })
        .await
    }

    /// What was recorded is lost, but for the checks' results.
    fn forget(&mut self) {
        let preflight = account::preflight();
        let kept = |step: &String, _: &mut Value| step == preflight.as_str();
        self.world.outputs.retain(kept);
    }

    fn context(&self, step: &StepId) -> StepContext {
        let mut cx = self.world.context(step);
        cx.ports.cloud = Some(self.account.aws.cloud(Arc::new(NoEntrance)));
        cx
    }

    /// One step as the engine does it: anew while repeating may help, and until it is ready.
    async fn step(&mut self, step: &Arc<dyn Step>) -> Result<Option<Change>, StepError> {
        let change = self.ensure(step).await?;
        self.ready(step).await?;
        Ok(change)
    }

    async fn ready(&self, step: &Arc<dyn Step>) -> Result<(), StepError> {
        let cx = self.context(step.id());
        let mut last = String::new();
        for _ in 0..LOOKS {
            match step.readiness(&cx).await? {
                Readiness::Ready(_) => return Ok(()),
                Readiness::InProgress { waiting_for, .. } => last = waiting_for,
                Readiness::Failed(error) => return Err(*error),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} never got ready: {last}", step.id());
    }

    async fn ensure(&mut self, step: &Arc<dyn Step>) -> Result<Option<Change>, StepError> {
        let Some(outcome) = self.outcome(step).await? else {
            return Ok(None);
        };
        let id = step.id().to_string();
        self.world.outputs.insert(id, outcome.outputs);
        Ok(Some(outcome.change))
    }

    async fn outcome(&self, step: &Arc<dyn Step>) -> Result<Option<Outcome>, StepError> {
        for _ in 0..LOOKS {
            match self.attempt(step).await {
                Err(error) if error.retry == Retry::Soon => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                attempted => return attempted,
            }
        }
        panic!("{} never succeeded", step.id());
    }

    async fn attempt(&self, step: &Arc<dyn Step>) -> Result<Option<Outcome>, StepError> {
        let cx = self.context(step.id());
        let observed = step.observe(&cx).await?;
        if let Observation::Foreign(words) = &observed {
            return Err(StepError::new("STG001", "use", step.id(), words));
        }
        if observed == Observation::Present && cx.recorded().is_some() {
            return Ok(None);
        }
        step.ensure(&cx, &observed).await.map(Some)
    }

    /// All steps in waves: side by side whatever has what it needs.
    async fn up_side_by_side(&mut self, loaded: &Arc<Loaded>) {
        let mut open = all(loaded);
        let names: BTreeSet<StepId> = open.iter().map(|step| step.id().clone()).collect();
        while !open.is_empty() {
            let waiting: BTreeSet<StepId> = open.iter().map(|step| step.id().clone()).collect();
            let may_begin = |step: &Arc<dyn Step>| {
                let needs = step.needs();
                let mut inside = needs.iter().filter(|need| names.contains(&need.step));
                inside.all(|need| !waiting.contains(&need.step))
            };
            let (wave, later): (Vec<_>, Vec<_>) = open.into_iter().partition(may_begin);
            assert!(!wave.is_empty(), "steps that wait for each other");
            let done = join_all(wave.iter().map(|step| self.outcome(step))).await;
            for (step, outcome) in wave.iter().zip(done) {
                let outcome = outcome.unwrap_or_else(|error| panic!("{}: {error:?}", step.id()));
                if let Some(outcome) = outcome {
                    let id = step.id().to_string();
                    self.world.outputs.insert(id, outcome.outputs);
                }
            }
            for (step, ready) in wave
                .iter()
                .zip(join_all(wave.iter().map(|step| self.ready(step))).await)
            {
                ready.unwrap_or_else(|error| panic!("{}: {error:?}", step.id()));
            }
            open = later;
        }
    }

    /// All steps, in the order of their table, and what each did.
    async fn up(&mut self, loaded: &Arc<Loaded>) -> BTreeMap<String, Option<Change>> {
        let mut changes = BTreeMap::new();
        for step in all(loaded) {
            let done = self.step(&step).await;
            let done = done.unwrap_or_else(|error| panic!("{}: {error:?}", step.id()));
            changes.insert(step.id().to_string(), done);
        }
        changes
    }

    /// All removals, in the order of their table.
    async fn down(&self) -> Result<(), StepError> {
        for removal in network::removal::removals(Pace::times(SCALE)) {
            self.remove(&removal).await?;
        }
        Ok(())
    }

    async fn remove(&self, removal: &Arc<dyn Removal>) -> Result<(), StepError> {
        let cx = self.context(removal.id());
        removal.start(&cx).await?;
        let mut last = String::new();
        for _ in 0..LOOKS {
            match removal.progress(&cx).await? {
                RemovalProgress::Gone(_) => return Ok(()),
                RemovalProgress::InProgress { waiting_for, .. } => last = waiting_for,
                RemovalProgress::Stuck(error) => return Err(*error),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} never ended: {last}", removal.id());
    }

    /// How many there are of each kind, as the raw graph has it; NAT gateways that are gone do not count.
    fn census(&self) -> BTreeMap<String, usize> {
        let mut census = BTreeMap::new();
        let graph = self.account.simulator.inspect();
        count(&graph, &mut census);
        census
    }

    /// Calls that changed something since the last time.
    fn changes(&self) -> Vec<String> {
        let counters = self.account.simulator.counters();
        self.account.count_anew();
        let mutating = counters.into_iter().filter(|count| count.mutating);
        mutating.map(|count| count.action).collect()
    }
}

/// Looks for EC2's maps anywhere in the graph: a map of resources by identifier.
fn count(graph: &Value, census: &mut BTreeMap<String, usize>) {
    let Value::Object(map) = graph else {
        return;
    };
    for (key, value) in map {
        let Value::Object(inner) = value else {
            continue;
        };
        let alive = inner.iter().filter(|(id, one)| {
            let of_resource = id.split_once('-').is_some_and(|(_, rest)| {
                rest.len() == 17 && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
            });
            of_resource && !matches!(one["state"].as_str(), Some("deleted" | "failed"))
        });
        match alive.count() {
            0 => count(value, census),
            some => *census.entry(key.clone()).or_default() += some,
        }
    }
}

/// The census of an environment's own VPC with so many zones and NAT gateways, with what comes with a VPC.
fn whole(zones: usize, nats: usize) -> BTreeMap<String, usize> {
    let mut census = BTreeMap::from([
        ("vpcs".to_owned(), 1),
        ("acls".to_owned(), 1),
        ("internet_gateways".to_owned(), 1),
        ("subnets".to_owned(), 2 * zones),
        ("route_tables".to_owned(), 2 + zones),
        ("groups".to_owned(), 2),
        ("endpoints".to_owned(), 1),
    ]);
    if nats > 0 {
        for of_nat in ["addresses", "nat_gateways", "interfaces"] {
            census.insert(of_nat.to_owned(), nats);
        }
    }
    census
}

fn all(loaded: &Arc<Loaded>) -> Vec<Arc<dyn Step>> {
    let options = CloudOptions {
        pace: Pace::times(SCALE),
        state_url: None,
    };
    let mut steps = network::steps(loaded, &options);
    steps.extend(network::steps_after_nodes(loaded, &options));
    steps
}

fn named(steps: &[Arc<dyn Step>], name: &str) -> Arc<dyn Step> {
    let found = steps.iter().find(|step| step.id().name() == name);
    found.unwrap_or_else(|| panic!("no step {name}")).clone()
}

/// The blueprint with these fields set.
fn pipeline(overrides: &[(&str, &str)]) -> Arc<Loaded> {
    let overrides = overrides.iter().map(|(path, value)| Override {
        path: (*path).to_owned(),
        value: (*value).to_owned(),
    });
    let options = LoadOptions {
        overrides: overrides.collect(),
        ..LoadOptions::default()
    };
    let blueprint = Blueprint::get("streaming").unwrap();
    Arc::new(blueprint.load(&options).unwrap())
}
