//! The inventory over the account: everything that carries the environment's tags, stands under its path, or lives in its
//! VPC or cluster, whoever made it.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::STAGE;
use crate::{
    cloud::{
        cloud,
        lost::Lost,
        names,
        scope::{self, Vpcs, cluster_names},
        tags,
    },
    cluster::{
        log_group::left_behind,
        own_keys::OwnKeys,
        removal::{self, Made},
    },
    context::{Environment, Intents, Ports, Progress, ProgressSink, StepContext},
    error::{PortError, StepError},
    inventory::{Inventory, Item, ItemStanding},
    network::holders::{self, Around, Whose},
    ports::{
        compute::{InstanceState, Selector},
        keys::KeyState,
        network::{Lookup, PieceKind, PieceState},
    },
    step::StepId,
};

/// The types whose resources the sections below look at one by one, or that go with what these look at, as ARNs name them:
/// service and type. The tagging service lags behind and shows what is gone for a while, so it is asked only for what nobody
/// else looks at. Of log groups and parameters only those of our names are looked at; see [`looked_at`].
const LOOKED_AT: &[(&str, &[&str])] = &[
    (
        "ec2",
        &[
            "vpc",
            "internet-gateway",
            "subnet",
            "elastic-ip",
            "natgateway",
            "route-table",
            "vpc-endpoint",
            "security-group",
            "security-group-rule",
            "instance",
            "network-interface",
            "volume",
            "snapshot",
        ],
    ),
    (
        "eks",
        &[
            "cluster",
            "nodegroup",
            "addon",
            "access-entry",
            "podidentityassociation",
        ],
    ),
    ("iam", &["role", "oidc-provider"]),
    ("kms", &["key"]),
    (
        "elasticloadbalancing",
        &["loadbalancer", "targetgroup", "listener", "listener-rule"],
    ),
];

/// Where environments have their records.
const ANCHORS: &str = "parameter/pipectl/environments/";

/// The look at what lives in the environment's VPC, whoever made it.
const IN_THE_VPC: &str = "EC2 in the VPC";

/// Takes the inventory outside of a run: before a `down`, or for `status`. `outputs` are those recorded, by step.
pub async fn look_around(
    ports: &Ports,
    environment: &Environment,
    outputs: BTreeMap<String, Value>,
    keep_data: bool,
) -> Inventory {
    let onlooker = Arc::new(Onlooker);
    let cx = StepContext {
        step: StepId::new(STAGE, "inventory"),
        environment: environment.clone(),
        run: String::new(),
        ports: ports.clone(),
        outputs: Arc::new(outputs),
        intents: onlooker.clone(),
        sink: onlooker,
        cancel: CancellationToken::new(),
    };
    take(&cx, keep_data, &OwnKeys::default()).await
}

/// Somebody who only looks.
struct Onlooker;

#[async_trait]
impl Intents for Onlooker {
    async fn intent(&self, step: &StepId, _: Value) -> Result<(), StepError> {
        Err(StepError::new(
            "CLD005",
            "change",
            step,
            "a look changes nothing",
        ))
    }
}

impl ProgressSink for Onlooker {
    fn progress(&self, _: &StepId, _: Progress) {}
}

/// Takes the inventory. Reads only, and never fails: what cannot be looked at is said as such. The anchor is not part of
/// it: it is what the inventory is taken for.
pub(super) async fn take(cx: &StepContext, keep_data: bool, own: &OwnKeys) -> Inventory {
    let mut inventory = Inventory::default();
    let vpcs = match scope::vpcs(cx).await {
        Ok(vpcs) => vpcs,
        Err(error) => {
            let what = IN_THE_VPC.to_owned();
            inventory.not_checked.push((what, error.cause));
            Vpcs::default()
        }
    };
    let (of_ec2, inside, of_ebs, of_elb, of_eks, of_iam, of_kms, tagged) = futures::join!(
        pieces(cx),
        dwellers(cx, &vpcs),
        volumes(cx, keep_data),
        balancers(cx, &vpcs),
        clusters(cx),
        identities(cx),
        keys_and_logs(cx, own),
        others(cx),
    );
    let sections: [(&str, Result<Vec<Seen>, StepError>); 8] = [
        ("EC2", of_ec2),
        (IN_THE_VPC, inside),
        ("EBS", of_ebs),
        ("ELB", of_elb),
        ("EKS", of_eks),
        ("IAM", of_iam),
        ("KMS and Logs", of_kms),
        ("tags", tagged),
    ];
    for (name, section) in sections {
        inventory.over.push(name.to_owned());
        match section {
            Ok(seen) => {
                for Seen { item, key } in seen {
                    let look = inventory.looks.entry(key.clone());
                    look.or_insert_with(|| name.to_owned());
                    inventory.items.entry(key).or_insert(item);
                }
            }
            Err(error) => inventory.not_checked.push((name.to_owned(), error.cause)),
        }
    }
    inventory
}

/// One thing seen.
struct Seen {
    key: String,
    item: Item,
}

fn seen(kind: &str, id: &str, held_by: Vec<String>) -> Seen {
    let standing = ItemStanding::There {
        held_by,
        safe_next: None,
    };
    standing_as(kind, id, standing)
}

fn standing_as(kind: &str, id: &str, standing: ItemStanding) -> Seen {
    Seen {
        key: format!("{kind} {id}"),
        item: Item {
            resource: format!("{kind} {id}"),
            kind: kind.to_owned(),
            standing,
        },
    }
}

/// What this environment made and does not say so any more.
fn astray(lost: &Lost) -> Seen {
    let standing = ItemStanding::There {
        held_by: vec![lost.why.clone()],
        safe_next: lost.put_back.clone(),
    };
    standing_as(lost.kind, &lost.id, standing)
}

/// What is to be said of a thing in the environment's VPC, unless it is the environment's.
fn unless(ours: bool) -> Vec<String> {
    let words = || "not tagged as this environment's".to_owned();
    (!ours).then(words).into_iter().collect()
}

fn reading(what: &str) -> impl Fn(PortError) -> StepError + '_ {
    move |error| error.during("look for", what)
}

/// Pieces that carry the environment's tags.
async fn pieces(cx: &StepContext) -> Result<Vec<Seen>, StepError> {
    let kinds = [
        PieceKind::Vpc,
        PieceKind::InternetGateway,
        PieceKind::Subnet,
        PieceKind::Address,
        PieceKind::NatGateway,
        PieceKind::RouteTable,
        PieceKind::Endpoint,
        PieceKind::SecurityGroup,
    ];
    let mut all = Vec::new();
    for kind in kinds {
        let found = scope::pieces(cx, kind).await?;
        all.extend(found.lost.iter().map(astray));
        for piece in found.own {
            match &piece.state {
                // Shown for an hour; a gateway that failed likewise, and neither holds or costs anything.
                PieceState::Deleted | PieceState::Failed { .. } => {}
                PieceState::Deleting => {
                    let going = vec!["it is being deleted".to_owned()];
                    all.push(seen(kind.words(), &piece.id, going));
                }
                PieceState::Pending | PieceState::Available => {
                    all.push(seen(kind.words(), &piece.id, Vec::new()));
                }
            }
        }
    }
    Ok(all)
}

/// What lives in the environment's own VPC, whoever made it, and what its cluster left in one that the user brought.
async fn dwellers(cx: &StepContext, vpcs: &Vpcs) -> Result<Vec<Seen>, StepError> {
    let cloud = cloud(cx)?;
    let clusters = cluster_names(cx).await?;
    let mut all = Vec::new();
    for (vpc, own) in vpcs.all() {
        let inside = Selector::Vpc(vpc.clone());
        let instances = cloud.compute.instances(&inside).await;
        for instance in instances.map_err(reading("instances"))? {
            let ours = scope::belongs(&instance.tags, cx, &clusters);
            if (own || ours) && instance.state != InstanceState::Terminated {
                all.push(seen("instance", &instance.id, unless(ours)));
            }
        }
        let around = Around::look(cx, vpc).await?;
        let interfaces = cloud.compute.interfaces(&inside).await;
        for interface in interfaces.map_err(reading("interfaces"))? {
            let held_by = match around.whose(cx, &interface) {
                Whose::Leftover => Vec::new(),
                // In a VPC that was brought, NAT gateways and endpoints came with it.
                Whose::Going(_) if !own && holders::goes_with_piece(&interface) => continue,
                Whose::Going(words) => vec![words],
                Whose::Others(_) if !own => continue,
                Whose::Others(chain) => chain.into_iter().skip(1).collect(),
            };
            all.push(seen("interface", &interface.id, held_by));
        }
        for kind in [
            PieceKind::Subnet,
            PieceKind::RouteTable,
            PieceKind::Endpoint,
            PieceKind::SecurityGroup,
        ] {
            let found = cloud.network.find(kind, &Lookup::InVpc(vpc.clone())).await;
            for piece in found.map_err(reading(kind.words()))? {
                let ours = scope::belongs(&piece.tags, cx, &clusters);
                if (own || ours) && piece.is_alive() && !holders::inherent(&piece) {
                    all.push(seen(kind.words(), &piece.id, unless(ours)));
                }
            }
        }
    }
    Ok(all)
}

async fn volumes(cx: &StepContext, keep_data: bool) -> Result<Vec<Seen>, StepError> {
    let ours = Selector::Tagged(tags::owned_by(&cx.environment));
    let compute = &cloud(cx)?.compute;
    let (volumes, snapshots) = futures::join!(compute.volumes(&ours), compute.snapshots(&ours));
    let standing = |held_by: Vec<String>| {
        if keep_data {
            ItemStanding::Kept {
                why: "--keep-data".to_owned(),
            }
        } else {
            ItemStanding::There {
                held_by,
                safe_next: None,
            }
        }
    };
    let mut all = Vec::new();
    for volume in volumes.map_err(reading("volumes"))? {
        let attached = volume.attached_to.iter();
        let held_by = attached.map(|id| format!("instance {id}")).collect();
        all.push(standing_as("volume", &volume.id, standing(held_by)));
    }
    for snapshot in snapshots.map_err(reading("snapshots"))? {
        all.push(standing_as("snapshot", &snapshot.id, standing(Vec::new())));
    }
    Ok(all)
}

async fn balancers(cx: &StepContext, vpcs: &Vpcs) -> Result<Vec<Seen>, StepError> {
    let clusters = cluster_names(cx).await?;
    let mut all = Vec::new();
    for (vpc, own) in vpcs.all() {
        let inside = cloud(cx)?.balancers.in_vpc(vpc).await;
        for balancer in inside.map_err(reading("load balancers"))? {
            let ours = scope::belongs(&balancer.tags, cx, &clusters);
            if own || ours {
                let mut chain = holders::balancer_chain(&balancer).split_off(1);
                chain.extend(unless(ours));
                all.push(seen("load balancer", &balancer.name, chain));
            }
        }
    }
    Ok(all)
}

async fn clusters(cx: &StepContext) -> Result<Vec<Seen>, StepError> {
    let clusters = scope::clusters(cx).await?;
    let cloud = cloud(cx)?;
    let lost = clusters.lost.iter();
    let mut all: Vec<Seen> = lost
        .map(|cluster| astray(&scope::lost_cluster(cx, cluster)))
        .collect();
    for cluster in clusters.own {
        let inside = format!("EKS cluster {}", cluster.name);
        let groups = cloud.node_groups.names(&cluster.name).await;
        let addons = cloud.addons.names(&cluster.name).await;
        all.push(seen("EKS cluster", &cluster.name, Vec::new()));
        for group in groups.map_err(reading("node groups"))? {
            all.push(seen("node group", &group, vec![inside.clone()]));
        }
        for addon in addons.map_err(reading("add-ons"))? {
            all.push(seen("add-on", &addon, vec![inside.clone()]));
        }
    }
    Ok(all)
}

async fn identities(cx: &StepContext) -> Result<Vec<Seen>, StepError> {
    let Made { own: roles, lost } = removal::roles(cx).await?;
    let mut all: Vec<Seen> = lost.iter().map(astray).collect();
    all.extend(
        roles
            .iter()
            .map(|role| seen("role", &role.name, Vec::new())),
    );
    let Made { own, lost } = removal::providers(cx).await?;
    all.extend(lost.iter().map(astray));
    for provider in own {
        all.push(seen("OIDC provider", &provider.issuer, Vec::new()));
    }
    Ok(all)
}

async fn keys_and_logs(cx: &StepContext, own: &OwnKeys) -> Result<Vec<Seen>, StepError> {
    let found = own.look(cx).await?;
    let mut all: Vec<Seen> = found.lost.iter().map(astray).collect();
    for key in found.keys.values() {
        let standing = match key.state {
            KeyState::PendingDeletion(on) => ItemStanding::Scheduled {
                on: on.map_or_else(
                    || "a date that KMS does not say".to_owned(),
                    |on| on.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                ),
            },
            _ => ItemStanding::There {
                held_by: Vec::new(),
                safe_next: None,
            },
        };
        all.push(standing_as("KMS key", &key.id, standing));
    }
    if found.aliased {
        let alias = names::key_alias(&cx.environment);
        all.push(seen("key alias", &alias, Vec::new()));
    }
    for group in left_behind(cx).await? {
        all.push(seen("log group", &group.name, Vec::new()));
    }
    Ok(all)
}

/// What carries the environment's tag and is of a type that no section above looks at.
async fn others(cx: &StepContext) -> Result<Vec<Seen>, StepError> {
    let tagged = cloud(cx)?
        .tagged
        .all(&tags::owned_by(&cx.environment))
        .await;
    let clusters = cluster_names(cx).await?;
    let logs: Vec<String> = clusters.iter().map(|name| names::log_group(name)).collect();
    let looked_at = |arn: &str| logs.iter().any(|logs| looked_at(arn, logs));
    Ok(tagged
        .map_err(reading("tagged resources"))?
        .iter()
        .filter(|resource| !looked_at(&resource.arn))
        .map(|resource| seen("resource", &resource.arn, Vec::new()))
        .collect())
}

/// Whether one of the sections looks at what this ARN names; `logs` is the control plane's log group.
fn looked_at(arn: &str, logs: &str) -> bool {
    let mut parts = arn.splitn(6, ':').skip(2);
    let service = parts.next().unwrap_or_default();
    let resource = parts.nth(2).unwrap_or_default();
    let kind = resource.split(['/', ':']).next().unwrap_or_default();
    match service {
        "logs" => resource.strip_prefix("log-group:").is_some_and(|name| {
            // Some calls answer it with the streams in it.
            name.strip_suffix(":*").unwrap_or(name) == logs
        }),
        "ssm" => resource.starts_with(ANCHORS),
        _ => LOOKED_AT
            .iter()
            .any(|(known, kinds)| *known == service && kinds.contains(&kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_section_looks_at_is_left_to_the_tags() {
        let of = |rest: &str| format!("arn:aws:{rest}");
        let logs = "/aws/eks/c/cluster";
        for looked in [
            "ec2:r:1:vpc/vpc-1",
            "ec2:r:1:snapshot/snap-1",
            "eks:r:1:nodegroup/c/default/aa",
            "kms:r:1:key/k",
            "elasticloadbalancing:r:1:listener/net/a/b/c",
            "logs:r:1:log-group:/aws/eks/c/cluster",
            "logs:r:1:log-group:/aws/eks/c/cluster:*",
            "ssm:r:1:parameter/pipectl/environments/demo",
        ] {
            assert!(looked_at(&of(looked), logs), "{looked}");
        }
        for left in [
            "ec2:r:1:launch-template/lt-1",
            "ec2:r:1:image/ami-1",
            "eks:r:1:fargateprofile/c/p/aa",
            "iam::1:instance-profile/p",
            "logs:r:1:log-group:/aws/vpc/flow",
            "ssm:r:1:parameter/somebody/else",
            "sqs:r:1:queue",
        ] {
            assert!(!looked_at(&of(left), logs), "{left}");
        }
    }
}
