//! The mutation check of the way down: each edge of its graph, and each wait until something is gone, taken out in turn, must be
//! noticed: the run fails, AWS refuses a call, somebody's work is taken out of their hands, or something is left.
//!
//! Lifecycles are slowed where AWS's own figures would leave an edge to luck.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::StreamExt;
use pipectl::engine::{Graph, Stop, Verb};
use pipectl_sandbox::aws::Wait;
use pipectl_stages::{Need, Removal, RemovalProgress, StepContext, StepError, StepId, Timeouts};
use pipectl_state::MemoryStore;
use tokio::sync::OnceCell;

use crate::{
    account::{Account, Beginning},
    graph::standing,
    house::{House, pipeline},
};

/// What is taken out of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mutation {
    /// Nothing.
    None,
    /// This removal does not wait for that one.
    Edge(StepId, StepId),
    /// This removal says "gone" as soon as it has asked.
    Wait(StepId),
}

/// How many ways down are gone at once: they mostly wait.
const AT_ONCE: usize = 8;

/// Mutations that nothing in an account can notice, and why the graph is right all the same.
const UNNOTICED: &[(&str, &str, &str)] = &[];

/// A removal with something taken out.
struct Mutated {
    removal: Arc<dyn Removal>,
    without: Option<StepId>,
    hasty: bool,
}

#[async_trait]
impl Removal for Mutated {
    fn id(&self) -> &StepId {
        self.removal.id()
    }
    fn title(&self) -> String {
        self.removal.title()
    }
    fn needs(&self) -> Vec<Need> {
        let needs = self.removal.needs().into_iter();
        needs
            .filter(|need| Some(&need.step) != self.without.as_ref())
            .collect()
    }
    fn regardless(&self) -> bool {
        self.removal.regardless()
    }
    fn timeouts(&self) -> Timeouts {
        self.removal.timeouts()
    }
    fn poll_interval(&self) -> Option<Duration> {
        self.removal.poll_interval()
    }
    async fn start(&self, cx: &StepContext) -> Result<u32, StepError> {
        self.removal.start(cx).await
    }
    async fn progress(&self, cx: &StepContext) -> Result<RemovalProgress, StepError> {
        if self.hasty {
            return Ok(RemovalProgress::Gone("gone, they say".to_owned()));
        }
        self.removal.progress(cx).await
    }
}

fn mutate(removals: Vec<Arc<dyn Removal>>, mutation: &Mutation) -> Vec<Arc<dyn Removal>> {
    removals
        .into_iter()
        .map(|removal| {
            let (without, hasty) = match mutation {
                Mutation::Edge(step, need) if step == removal.id() => (Some(need.clone()), false),
                Mutation::Wait(step) if step == removal.id() => (None, true),
                _ => return removal,
            };
            Arc::new(Mutated {
                removal,
                without,
                hasty,
            }) as Arc<dyn Removal>
        })
        .collect()
}

/// An account in which an environment is up, with a load balancer and a claim's volume, kept in a file to begin from again.
struct Kept {
    graph: PathBuf,
    environment: pipectl_stages::Environment,
    store: MemoryStore,
    _directory: tempfile::TempDir,
}

static KEPT: OnceCell<Kept> = OnceCell::const_new();

fn slow() -> BTreeMap<Wait, Duration> {
    [
        (Wait::EndpointDeleted, 300),
        (Wait::VolumeDeleted, 60),
        (Wait::InstanceTerminated, 300),
        (Wait::NatGatewayDeleted, 300),
        (Wait::BalancerInterfacesGone, 300),
        (Wait::ClusterDeleted, 900),
    ]
    .map(|(wait, seconds)| (wait, Duration::from_secs(seconds)))
    .into()
}

async fn kept() -> &'static Kept {
    KEPT.get_or_init(|| async {
        let directory = tempfile::tempdir().unwrap();
        let graph = directory.path().join("graph.json");
        let account = Account::begin(Beginning {
            file: Some(graph.clone()),
            latencies: slow(),
            ..Beginning::default()
        });
        let account = Arc::new(account.await);
        let mut house = House::new(account.clone(), "mutant").await;
        house.up(&pipeline(&[])).await.well();
        Kept {
            graph,
            environment: house.environment.clone(),
            store: house.store.clone(),
            _directory: directory,
        }
    })
    .await
}

/// What is noticed of a mutation; nothing when the way down went well.
async fn noticed(mutation: &Mutation) -> Vec<String> {
    let kept = kept().await;
    let directory = tempfile::tempdir().unwrap();
    let graph = directory.path().join("graph.json");
    std::fs::copy(&kept.graph, &graph).unwrap();
    let account = Account::begin(Beginning {
        file: Some(graph),
        latencies: slow(),
        ..Beginning::default()
    });
    let account = Arc::new(account.await);
    let mut house = House::new(account.clone(), "mutant").await;
    house.environment = kept.environment.clone();
    house.store = copy(&kept.store).await;
    // A service and a claim, as workloads have them.
    let hand = account.hand();
    house.enter().await;
    house.cluster.expose(&hand, "web").await;
    house.cluster.claim(&hand, "vol-0c1a1300000000001").await;

    account.aws.reset_counters();
    let removals = mutate(house.removals(false).await, mutation);
    let graph = Graph::down(removals).unwrap();
    let seen = house.run(graph, Verb::Down, Stop::never()).await;

    let mut red = seen.failures();
    red.extend(account.refused());
    let left = standing(&account.graph());
    red.extend(
        left.iter()
            .map(|(kind, count)| format!("left: {count} {kind}")),
    );
    if house.cluster.removed_balancers() == 0 {
        red.push("the controller could not remove its load balancer".to_owned());
    }
    red
}

/// A journal of its own with the same records.
async fn copy(store: &MemoryStore) -> MemoryStore {
    use pipectl_state::JournalStore;
    let mut copy = MemoryStore::new();
    copy.append(&store.records()).await.unwrap();
    copy
}

/// Every mutation of the graph as it stands.
async fn all() -> Vec<Mutation> {
    let account = Arc::new(Account::new().await);
    let house = House::new(account, "mutant").await;
    let removals = house.removals(false).await;
    let mut all = Vec::new();
    for removal in &removals {
        let needs = removal.needs();
        // The proof comes after everything, and the record after the proof: those are one statement, not an edge each.
        if removal.id().as_str() != "account/inventory" {
            let edges = needs.into_iter().map(|need| need.step);
            all.extend(edges.map(|need| Mutation::Edge(removal.id().clone(), need)));
        }
        all.push(Mutation::Wait(removal.id().clone()));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_down_as_it_stands_meets_no_refusal() {
    assert_eq!(noticed(&Mutation::None).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_edge_and_every_wait_of_the_way_down_is_needed() {
    let runs = futures::stream::iter(all().await)
        .map(async |mutation| (noticed(&mutation).await, mutation))
        .buffered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    let mut wrong = Vec::new();
    let mut table = Vec::new();
    for (red, mutation) in runs {
        let listed = UNNOTICED.iter().any(|(step, need, _)| match &mutation {
            Mutation::Edge(of, on) => of.as_str() == *step && on.as_str() == *need,
            Mutation::Wait(of) => of.as_str() == *step && need.is_empty(),
            Mutation::None => false,
        });
        table.push(format!("{mutation:?}: {red:?}"));
        if red.is_empty() != listed {
            wrong.push(format!("{mutation:?}: listed {listed}, noticed {red:?}"));
        }
    }
    if let Some(file) = std::env::var_os("PIPECTL_AWS_TABLE") {
        std::fs::write(file, table.join("\n")).unwrap();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
