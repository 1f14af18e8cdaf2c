//! The mutation check of the way down: each edge of its graph, and each wait until something is gone, taken out in turn, must be
//! noticed: the run fails or finds no end, AWS refuses a call, something is taken out of somebody's hands, or something is left.
//!
//! What an edge or a wait is for is slowed down when it is taken out, so that the machine's load decides nothing.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::StreamExt;
use pipectl::engine::{Graph, Verb, stop};
use pipectl_sandbox::aws::{AwsFaultEffect, AwsFaultRule, Wait};
use pipectl_stages::{Need, Removal, RemovalProgress, StepContext, StepError, StepId, Timeouts};
use pipectl_state::MemoryStore;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::{
    account::{Account, Beginning},
    cluster::FakeCluster,
    graph::{all, standing},
    house::{House, chosen, pipeline},
};

/// How many ways down are gone at once: they mostly wait.
const AT_ONCE: usize = 6;
/// A way down that has not ended by then finds no end.
const ENDS_WITHIN: Duration = Duration::from_secs(25);
/// By how much a deletion is slowed that an edge waits for: longer than all of the rest takes.
const SLOWED: Duration = Duration::from_secs(3);

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

/// Waits that nothing can notice, and why: what they wait for is done when the call returns, or somebody else waits for it too.
const UNNOTICED: &[(&str, &str)] = &[
    (
        "nodes/instances",
        "network/interfaces waits for their interfaces, and nothing else asks for them",
    ),
    (
        "cluster/log-group",
        "CloudWatch deletes in the call; that the group stays away is looked at for EKS's own late writes, which need a living cluster here",
    ),
    ("nodes/snapshots", "EC2 deletes in the call"),
    ("cluster/oidc-provider", "IAM deletes in the call"),
    (
        "cluster/roles",
        "IAM deletes in the call, and what is in use is tried again within it",
    ),
    (
        "cluster/key",
        "KMS takes the alias in the call, and gives the date in it",
    ),
    ("account/anchor", "Systems Manager deletes in the call"),
];

/// The calls with which a removal asks.
fn asks_with(step: &str) -> &'static [&'static str] {
    match step {
        "nodes/groups" => &["DeleteNodegroup"],
        "nodes/instances" => &["TerminateInstances"],
        "nodes/volumes" => &["DeleteVolume"],
        "nodes/snapshots" => &["DeleteSnapshot"],
        "cluster/control-plane" => &["DeleteCluster"],
        "network/nat-gateways" => &["DeleteNatGateway"],
        "network/endpoints" => &["DeleteVpcEndpoints"],
        "network/interfaces" => &["DeleteNetworkInterface"],
        "network/internet-gateways" => &["DetachInternetGateway"],
        "network/route-tables" => &["DeleteRouteTable"],
        "network/security-groups" => &["DeleteSecurityGroup"],
        "network/subnets" => &["DeleteSubnet"],
        _ => &[],
    }
}

/// The lifecycle that a removal waits for.
fn lasts(step: &str) -> Option<Wait> {
    Some(match step {
        "nodes/groups" => Wait::NodeDrained,
        "nodes/volumes" => Wait::VolumeDeleted,
        "cluster/control-plane" => Wait::ClusterDeleted,
        "network/nat-gateways" => Wait::NatGatewayDeleted,
        "network/endpoints" => Wait::EndpointDeleted,
        "network/interfaces" => Wait::BalancerInterfacesGone,
        _ => return None,
    })
}

/// What AWS answers once to a removal that has nothing else to wait for: not yet.
fn not_yet(step: &str) -> Option<AwsFaultRule> {
    let (action, code) = match step {
        "network/addresses" => ("ReleaseAddress", "InvalidIPAddress.InUse"),
        "network/internet-gateways" => ("DetachInternetGateway", "DependencyViolation"),
        "network/route-tables" => ("DeleteRouteTable", "DependencyViolation"),
        "network/security-groups" => ("DeleteSecurityGroup", "DependencyViolation"),
        "network/subnets" => ("DeleteSubnet", "DependencyViolation"),
        "network/vpc" => ("DeleteVpc", "DependencyViolation"),
        _ => return None,
    };
    Some(AwsFaultRule {
        action: Some(action.to_owned()),
        count: Some(1),
        effect: AwsFaultEffect::Error {
            code: code.to_owned(),
            message: "Something still uses it.".to_owned(),
            status: None,
        },
        ..AwsFaultRule::default()
    })
}

fn delays(step: &StepId) -> Vec<AwsFaultRule> {
    let actions = asks_with(step.as_str()).iter();
    let rules = actions.map(|action| AwsFaultRule {
        action: Some((*action).to_owned()),
        effect: AwsFaultEffect::Delay {
            milliseconds: u64::try_from(SLOWED.as_millis()).unwrap(),
        },
        ..AwsFaultRule::default()
    });
    rules.collect()
}

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

/// An account in which an environment is up, kept in a file to begin from again.
struct Kept {
    graph: PathBuf,
    environment: pipectl_stages::Environment,
    store: MemoryStore,
    _directory: tempfile::TempDir,
}

static KEPT: OnceCell<Kept> = OnceCell::const_new();

async fn kept() -> &'static Kept {
    KEPT.get_or_init(|| async {
        let directory = tempfile::tempdir().unwrap();
        let graph = directory.path().join("graph.json");
        let account = Account::begin(Beginning {
            file: Some(graph.clone()),
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
async fn noticed(mutation: &Mutation, faults: Vec<AwsFaultRule>) -> Vec<String> {
    let kept = kept().await;
    let directory = tempfile::tempdir().unwrap();
    let graph = directory.path().join("graph.json");
    std::fs::copy(&kept.graph, &graph).unwrap();
    // Long after the group was found to stay away.
    let mut latencies = BTreeMap::from([(Wait::ClusterLogs, Duration::from_secs(1200))]);
    let waited_for = match mutation {
        Mutation::Wait(step) | Mutation::Edge(_, step) => lasts(step.as_str()),
        Mutation::None => None,
    };
    if let Some(wait) = waited_for {
        let real = match wait {
            // These begin early, and are noticed late.
            Wait::VolumeDeleted | Wait::EndpointDeleted | Wait::BalancerInterfacesGone => {
                SLOWED * 10
            }
            // What waits for it in vain has to be through meanwhile, and the rest waits for it all the same.
            Wait::ClusterDeleted => SLOWED * 3,
            _ => SLOWED,
        };
        latencies.insert(wait, real.mul_f64(crate::account::SCALE));
    }
    let account = Account::begin(Beginning {
        file: Some(graph),
        latencies,
        ..Beginning::default()
    });
    let account = Arc::new(account.await);
    let mut house = House::new(account.clone(), "mutant").await;
    house.environment = kept.environment.clone();
    house.store = copy(&kept.store).await;
    // What workloads and the cluster's own controllers have made.
    let hand = account.hand();
    let name = house.enter().await;
    let works_for = match mutation {
        Mutation::Wait(step) if step.as_str() == "cluster/load-balancers" => SLOWED,
        _ => Duration::from_millis(600),
    };
    house.cluster.expose(&hand, "web", works_for).await;
    house.cluster.plug(&hand).await;
    house.cluster.claim("data");
    house.cluster.back_up(&hand, &house.environment).await;
    hand.stray(&name).await;

    account.aws.reset_counters();
    let removals = mutate(house.removals(false).await, mutation);
    let slowed = match mutation {
        Mutation::Edge(_, need) => delays(need),
        Mutation::None | Mutation::Wait(_) => Vec::new(),
    };
    let planned = faults.len() as u64;
    account.faults(faults.into_iter().chain(slowed).collect());
    let graph = Graph::down(removals).unwrap();
    let (stopper, stop) = stop();
    let over = CancellationToken::new();
    let watcher = watch(
        account.clone(),
        house.cluster.clone(),
        planned,
        over.clone(),
    );
    let watched = tokio::spawn(async move {
        let red = watcher.await;
        if !red.is_empty() {
            stopper.request();
            stopper.request();
        }
        red
    });
    let seen = house.run(graph, Verb::Down, stop).await;
    over.cancel();
    let mut red = watched.await.unwrap();
    if !red.is_empty() {
        red.extend(seen.waits());
        return red;
    }
    red = seen.failures();
    if !seen.succeeded() {
        red.push(format!("{:?}", seen.end.report.outcome));
    }
    let left = standing(&account.graph());
    red.extend(
        left.iter()
            .map(|(kind, count)| format!("left: {count} {kind}")),
    );
    if house.cluster.removed_balancers() == 0 {
        red.push("the controller could not remove its load balancer".to_owned());
    }
    if seen.end.report.absence.is_empty() {
        red.push("absence was not proven".to_owned());
    }
    red
}

/// Looks until the run is over, or there is something to notice.
async fn watch(
    account: Arc<Account>,
    cluster: Arc<FakeCluster>,
    planned: u64,
    over: CancellationToken,
) -> Vec<String> {
    let until = tokio::time::Instant::now() + ENDS_WITHIN;
    loop {
        // Seen before the look, so that the last look is after the end.
        let last = over.is_cancelled();
        let mut red: Vec<String> = cluster
            .taken()
            .into_iter()
            .map(|what| format!("taken: {what}"))
            .collect();
        let refused: u64 = account.changes().iter().map(|count| count.failed).sum();
        if refused > planned {
            red.push(format!("refused: {}", account.refused().join(", ")));
        }
        let graph = cluster.graph();
        if all(&graph, "ssm", "parameters").is_empty() && !standing(&graph).is_empty() {
            red.push("the record in the account went before the environment".to_owned());
        }
        if tokio::time::Instant::now() > until {
            red.push("no end".to_owned());
        }
        if last || !red.is_empty() {
            return red;
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

/// A journal of its own with the same records.
async fn copy(store: &MemoryStore) -> MemoryStore {
    use pipectl_state::JournalStore;
    let mut copy = MemoryStore::new();
    copy.append(&store.records()).await.unwrap();
    copy
}

/// Every mutation of the graph as it stands.
async fn mutations() -> Vec<Mutation> {
    let account = Arc::new(Account::new().await);
    let house = House::new(account, "mutant").await;
    let removals = house.removals(false).await;
    let mut mutations = Vec::new();
    for removal in &removals {
        // The proof comes after everything: that is one statement and no edge that lets anything go.
        if removal.id().as_str() != "account/inventory" {
            let edges = removal.needs().into_iter().map(|need| need.step);
            mutations.extend(edges.map(|need| Mutation::Edge(removal.id().clone(), need)));
        }
        mutations.push(Mutation::Wait(removal.id().clone()));
    }
    mutations
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_down_as_it_stands_meets_no_refusal() {
    assert_eq!(
        noticed(&Mutation::None, Vec::new()).await,
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_says_not_yet_to_is_asked_again() {
    let steps = [
        "network/addresses",
        "network/internet-gateways",
        "network/route-tables",
        "network/security-groups",
        "network/subnets",
        "network/vpc",
    ];
    let faults: Vec<AwsFaultRule> = steps.iter().filter_map(|step| not_yet(step)).collect();
    assert_eq!(faults.len(), steps.len());
    assert_eq!(noticed(&Mutation::None, faults).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_edge_and_every_wait_of_the_way_down_is_needed() {
    let chosen = chosen(mutations().await, 6);
    let runs = futures::stream::iter(chosen)
        .map(|mutation| async move {
            let faults = match &mutation {
                Mutation::Wait(step) => not_yet(step.as_str()).into_iter().collect(),
                Mutation::None | Mutation::Edge(..) => Vec::new(),
            };
            (noticed(&mutation, faults).await, mutation)
        })
        .buffered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    let mut wrong = Vec::new();
    let mut table = Vec::new();
    for (red, mutation) in runs {
        let listed = match &mutation {
            Mutation::Wait(step) => UNNOTICED.iter().any(|(listed, _)| *listed == step.as_str()),
            Mutation::None | Mutation::Edge(..) => false,
        };
        let line = format!("{mutation:?}: {red:?}");
        // What is listed need not be noticed, but may be: the reason says why it is not always.
        if red.is_empty() && !listed {
            wrong.push(line.clone());
        }
        table.push(line);
    }
    if let Some(file) = std::env::var_os("PIPECTL_AWS_TABLE") {
        std::fs::write(file, table.join("\n")).unwrap();
    }
    assert!(wrong.is_empty(), "not noticed: {wrong:#?}");
}
