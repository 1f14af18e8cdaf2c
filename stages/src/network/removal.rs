//! Taking the network down: what the nodes and the control plane left in it, gateways, routes, groups, subnets, and the
//! VPC last. A VPC that the user brought stays; only what is the environment's in it goes.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    POLL, STAGE,
    holders::{self, Around, Whose},
};
use crate::{
    blocks::Row,
    cloud::{
        CloudRemoval, Pace, Remnant, Removed, Unwanted, cloud, lost,
        scope::{self, belongs, own_pieces},
    },
    cluster::removal::control_plane,
    context::StepContext,
    error::{PortError, PortErrorKind, StepError},
    nodes::removal::instances,
    ports::{
        cloud::Deletion,
        compute::Selector,
        network::{Arrangement, Detail, Lookup, Piece, PieceKind, PieceState, RulePeer},
    },
    removal::Removal,
    step::{Need, StepId},
};

/// How long a removal in this stage may take; the pipeline file that might say otherwise need not exist any more.
const REMOVED_WITHIN: Duration = Duration::from_secs(1200);

/// Seconds between two looks at what goes when it is asked to.
const QUICK_POLL: u64 = 2;

fn id(name: &str) -> StepId {
    StepId::new(STAGE, name)
}

/// The removal of interfaces that nothing uses any more.
#[must_use]
pub fn interfaces() -> StepId {
    id("interfaces")
}

/// The removal of the VPC.
#[must_use]
pub fn vpc() -> StepId {
    id("vpc")
}

/// The removals of the stage: a row a kind, in the order in which one lets go of the next.
#[must_use]
pub fn removals(pace: Pace) -> Vec<Arc<dyn Removal>> {
    let gone = Need::ready;
    let row = |step: StepId, title: &str, expected: u64, needs: Vec<Need>| {
        let mut row = Row::new(step.stage(), step.name(), title).needs(needs);
        row.timeouts.ready = pace.bound(REMOVED_WITHIN);
        row.timeouts.expected = pace.expected(expected);
        row
    };
    let pieces = |row: Row, kind: PieceKind| {
        let lasting = matches!(kind, PieceKind::NatGateway | PieceKind::Endpoint);
        let poll = if lasting { POLL } else { QUICK_POLL };
        CloudRemoval::removal(row, pace.poll(poll), Pieces { kind })
    };
    // Nodes need the way out until they are gone: a drained pod may still have to say good-bye.
    let nodes = || gone(instances());
    vec![
        pieces(
            row(id("nat-gateways"), "NAT gateways", 50, vec![nodes()]),
            PieceKind::NatGateway,
        ),
        pieces(
            row(
                id("addresses"),
                "addresses",
                1,
                vec![gone(id("nat-gateways"))],
            ),
            PieceKind::Address,
        ),
        pieces(
            row(id("endpoints"), "VPC endpoints", 10, Vec::new()),
            PieceKind::Endpoint,
        ),
        CloudRemoval::removal(
            row(
                interfaces(),
                "interfaces that the cluster left",
                30,
                // Sooner, it would take interfaces away that the network plugin is about to attach. It waits by itself for
                // all that are in use.
                vec![gone(control_plane())],
            ),
            pace.poll(POLL),
            Interfaces,
        ),
        pieces(
            row(
                id("internet-gateways"),
                "internet gateway",
                1,
                // A gateway is not detached while public addresses are mapped into its VPC.
                vec![gone(id("nat-gateways")), gone(interfaces())],
            ),
            PieceKind::InternetGateway,
        ),
        pieces(
            row(id("route-tables"), "route tables", 1, vec![nodes()]),
            PieceKind::RouteTable,
        ),
        CloudRemoval::removal(
            row(
                id("security-groups"),
                "security groups, those that the cluster left among them",
                1,
                vec![gone(interfaces())],
            ),
            pace.poll(QUICK_POLL),
            SecurityGroups,
        ),
        pieces(
            row(
                id("subnets"),
                "subnets",
                1,
                vec![gone(interfaces()), gone(id("nat-gateways"))],
            ),
            PieceKind::Subnet,
        ),
        pieces(
            row(
                vpc(),
                "VPC",
                1,
                vec![
                    gone(id("subnets")),
                    gone(id("security-groups")),
                    gone(id("route-tables")),
                    gone(id("internet-gateways")),
                    gone(id("endpoints")),
                ],
            ),
            PieceKind::Vpc,
        ),
    ]
}

/// The environment's pieces of one kind.
struct Pieces {
    kind: PieceKind,
}

fn words(piece: &Piece) -> String {
    format!("{} {}", piece.kind().words(), piece.id)
}

#[async_trait]
impl Unwanted for Pieces {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        let pieces = scope::pieces(cx, self.kind).await?;
        if self.kind == PieceKind::Endpoint && !pieces.own.is_empty() {
            // It waits for nothing, and a cluster that lost its tags may still use it.
            scope::own_clusters(cx).await?;
        }
        let left = pieces.own.iter().filter(|piece| match piece.state {
            PieceState::Deleted => false,
            // A NAT gateway that failed holds nothing, and AWS takes it away by itself; asking is still allowed.
            PieceState::Failed { .. } => self.kind != PieceKind::NatGateway,
            _ => true,
        });
        let left: Vec<Remnant> = left
            .map(|piece| match piece.state {
                PieceState::Deleting => Remnant::going(&piece.id, words(piece)),
                _ => Remnant::there(&piece.id, words(piece)),
            })
            .collect();
        if left.is_empty() {
            lost::none_left(&pieces.lost)?;
        }
        Ok(left)
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        let network = &cloud(cx)?.network;
        if matches!(
            self.kind,
            PieceKind::InternetGateway | PieceKind::RouteTable
        ) && let Err(error) = self.let_go(cx, &remnant.id).await?
        {
            return Ok(Err(error));
        }
        Ok(network.delete(self.kind, &remnant.id).await)
    }

    async fn holders(&self, cx: &StepContext, remnant: &Remnant) -> Result<Removed, StepError> {
        let found = cloud(cx)?
            .network
            .find(self.kind, &Lookup::Ids(vec![remnant.id.clone()]))
            .await
            .map_err(|error| error.during("look at", &remnant.words))?;
        let Some(piece) = found.first() else {
            return Ok(Removed::Absent);
        };
        match &piece.detail {
            Detail::Vpc { .. } => {
                let kinds = [
                    PieceKind::Subnet,
                    PieceKind::Endpoint,
                    PieceKind::InternetGateway,
                    PieceKind::RouteTable,
                    PieceKind::SecurityGroup,
                ];
                holders::of_piece(cx, &piece.id, |_| true, &kinds).await
            }
            Detail::Subnet { vpc, .. } => {
                let subnet = piece.id.clone();
                holders::of_piece(cx, vpc, |interface| interface.subnet == subnet, &[]).await
            }
            Detail::InternetGateway { vpc: Some(vpc) } => {
                holders::of_piece(cx, vpc, |interface| !interface.available, &[]).await
            }
            _ => Ok(Removed::Held(Vec::new())),
        }
    }

    fn gone(&self) -> String {
        match self.kind {
            PieceKind::Address => "no Elastic IP addresses left".to_owned(),
            kind => format!("no {}s left", kind.words()),
        }
    }
}

impl Pieces {
    /// Takes a gateway off its VPC, a table off its subnets: neither goes while it is in use.
    async fn let_go(&self, cx: &StepContext, id: &str) -> Result<Result<(), PortError>, StepError> {
        let network = &cloud(cx)?.network;
        let found = network
            .find(self.kind, &Lookup::Ids(vec![id.to_owned()]))
            .await
            .map_err(|error| error.during("look at", id))?;
        let mut arrangements = Vec::new();
        for piece in &found {
            match &piece.detail {
                Detail::InternetGateway { vpc: Some(vpc) } => {
                    arrangements.push(Arrangement::Detached {
                        gateway: piece.id.clone(),
                        vpc: vpc.clone(),
                    });
                }
                Detail::RouteTable { associations, .. } => {
                    arrangements.extend(associations.iter().filter_map(|association| {
                        association.subnet.as_ref()?;
                        Some(Arrangement::Dissociated {
                            association: association.id.clone(),
                        })
                    }));
                }
                _ => {}
            }
        }
        for arrangement in arrangements {
            match network.arrange(&arrangement).await {
                Ok(()) => {}
                Err(error) if error.kind == PortErrorKind::NotFound => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(()))
    }
}

/// Interfaces that the cluster's network plugin, its control plane or its load balancers left in the VPC.
struct Interfaces;

impl Interfaces {
    async fn all(
        cx: &StepContext,
    ) -> Result<Vec<(crate::ports::compute::Interface, Whose)>, StepError> {
        let mut all = Vec::new();
        for (vpc, own) in scope::vpcs(cx).await?.all() {
            let interfaces = cloud(cx)?
                .compute
                .interfaces(&Selector::Vpc(vpc.clone()))
                .await
                .map_err(|error| error.during("look for interfaces in", format!("VPC {vpc}")))?;
            if interfaces.is_empty() {
                continue;
            }
            let around = Around::look(cx, vpc).await?;
            for interface in interfaces {
                let whose = around.whose(cx, &interface);
                // In a VPC that the user brought, other people's interfaces are no concern of ours.
                let concern = own || !matches!(whose, Whose::Others(_));
                if concern && !holders::goes_with_piece(&interface) {
                    all.push((interface, whose));
                }
            }
        }
        Ok(all)
    }
}

#[async_trait]
impl Unwanted for Interfaces {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        Ok(Self::all(cx)
            .await?
            .into_iter()
            .map(|(interface, whose)| {
                let words = format!("interface {}", interface.id);
                match whose {
                    Whose::Leftover | Whose::Others(_) => Remnant::there(&interface.id, words),
                    Whose::Going(with) => {
                        Remnant::going(&interface.id, format!("{words} ← {with}"))
                    }
                }
            })
            .collect())
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        let all = Self::all(cx).await?;
        let found = all.iter().find(|(interface, _)| interface.id == remnant.id);
        match found {
            None => Ok(Ok(Deletion::Absent)),
            Some((_, Whose::Leftover)) => {
                Ok(cloud(cx)?.compute.delete_interface(&remnant.id).await)
            }
            Some((_, Whose::Going(_) | Whose::Others(_))) => Ok(Err(PortError::new(
                PortErrorKind::InUse,
                "NET006",
                "it is not left over",
            ))),
        }
    }

    async fn holders(&self, cx: &StepContext, remnant: &Remnant) -> Result<Removed, StepError> {
        let all = Self::all(cx).await?;
        let found = all
            .into_iter()
            .find(|(interface, _)| interface.id == remnant.id);
        Ok(match found {
            None => Removed::Absent,
            Some((_, Whose::Leftover)) => Removed::Held(Vec::new()),
            Some((_, Whose::Going(words))) => Removed::Held(vec![words]),
            Some((_, Whose::Others(chain))) => Removed::HeldByOthers {
                chain: chain.into_iter().skip(1).collect(),
                safe_next: None,
            },
        })
    }

    fn gone(&self) -> String {
        "no interfaces left".to_owned()
    }
}

/// The environment's security groups, and those that EKS and controllers made for its cluster.
struct SecurityGroups;

impl SecurityGroups {
    async fn all(cx: &StepContext) -> Result<Vec<Piece>, StepError> {
        let mut all = own_pieces(cx, PieceKind::SecurityGroup).await?;
        let clusters = scope::cluster_names(cx).await?;
        for (vpc, _) in scope::vpcs(cx).await?.all() {
            let inside = cloud(cx)?
                .network
                .find(PieceKind::SecurityGroup, &Lookup::InVpc(vpc.clone()))
                .await
                .map_err(|error| error.during("look for groups in", format!("VPC {vpc}")))?;
            let leaked = inside
                .into_iter()
                .filter(|group| belongs(&group.tags, cx, &clusters) && !holders::inherent(group));
            for group in leaked {
                if !all.iter().any(|known| known.id == group.id) {
                    all.push(group);
                }
            }
        }
        Ok(all)
    }
}

#[async_trait]
impl Unwanted for SecurityGroups {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        let all = Self::all(cx).await?;
        if all.is_empty() {
            lost::none_left(&scope::pieces(cx, PieceKind::SecurityGroup).await?.lost)?;
        }
        Ok(all
            .iter()
            .map(|group| Remnant::there(&group.id, words(group)))
            .collect())
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        let network = &cloud(cx)?.network;
        // Groups that name each other in rules hold each other.
        let mut all = Self::all(cx).await?;
        all.sort_by(|left, right| left.id.cmp(&right.id));
        for group in &all {
            let Detail::SecurityGroup { rules, .. } = &group.detail else {
                continue;
            };
            let naming: Vec<_> = rules
                .iter()
                .filter(|rule| rule.peer == RulePeer::Group(remnant.id.clone()))
                .cloned()
                .collect();
            if naming.is_empty() || group.id == remnant.id {
                continue;
            }
            let revoked = network
                .arrange(&Arrangement::Revoked {
                    group: group.id.clone(),
                    rules: naming,
                })
                .await;
            match revoked {
                Ok(()) => {}
                Err(error) if error.kind == PortErrorKind::NotFound => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(network.delete(PieceKind::SecurityGroup, &remnant.id).await)
    }

    async fn holders(&self, cx: &StepContext, remnant: &Remnant) -> Result<Removed, StepError> {
        let all = Self::all(cx).await?;
        let found = all.iter().find(|group| group.id == remnant.id);
        match found.map(|group| &group.detail) {
            Some(Detail::SecurityGroup { vpc, .. }) => {
                if let Some(held) = named_by_others(cx, &remnant.id, &all).await? {
                    return Ok(held);
                }
                let uses = |interface: &crate::ports::compute::Interface| {
                    interface.groups.contains(&remnant.id)
                };
                holders::of_piece(cx, vpc, uses, &[]).await
            }
            _ => Ok(Removed::Absent),
        }
    }

    fn gone(&self) -> String {
        "no security groups left".to_owned()
    }
}

/// Other people's groups whose rules name this one: EC2 deletes no group that a rule of another names, and such a rule goes
/// only when its owner takes it away. The VPC's default group counts among them: nobody's tags are on it.
async fn named_by_others(
    cx: &StepContext,
    group: &str,
    ours: &[Piece],
) -> Result<Option<Removed>, StepError> {
    let naming = Lookup::Naming(group.to_owned());
    let found = cloud(cx)?.network.find(PieceKind::SecurityGroup, &naming);
    let found = found
        .await
        .map_err(|error| error.during("look for groups whose rules name", group))?;
    let others: Vec<&Piece> = found
        .iter()
        .filter(|other| other.id != group && !ours.iter().any(|own| own.id == other.id))
        .collect();
    if others.is_empty() {
        return Ok(None);
    }
    let words: Vec<String> = others
        .iter()
        .map(|other| match &other.detail {
            Detail::SecurityGroup { name, .. } => format!("{} ({name})", other.id),
            _ => other.id.clone(),
        })
        .collect();
    let ids: Vec<&str> = others.iter().map(|other| other.id.as_str()).collect();
    Ok(Some(Removed::HeldByOthers {
        chain: vec![format!("a rule of security group {}", words.join(", "))],
        safe_next: Some(format!(
            "take the rules that name it away, then run pipectl down again; aws ec2 describe-security-group-rules --filters Name=group-id,Values={} shows them",
            ids.join(",")
        )),
    }))
}
