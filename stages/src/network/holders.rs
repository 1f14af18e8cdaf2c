//! What holds a subnet, a security group, a gateway or a VPC that cannot go yet: the chain, nearest first, and whether
//! any of it is somebody else's.

use std::collections::BTreeSet;

use crate::{
    cloud::{
        Removed, cloud,
        scope::{self, belongs},
    },
    context::StepContext,
    error::StepError,
    ports::{
        balancers::{Balancer, BalancerKind},
        compute::{InstanceState, Interface, Selector},
        network::{Detail, Lookup, Piece, PieceKind},
    },
};

/// Types of interfaces that load balancers have (EC2 API, `NetworkInterface.InterfaceType`).
const BALANCER_TYPES: &[&str] = &[
    "network_load_balancer",
    "load_balancer",
    "gateway_load_balancer",
];
/// Types that go with pieces of other removals: NAT gateways and endpoints.
const PIECE_TYPES: &[&str] = &[
    "nat_gateway",
    "vpc_endpoint",
    "gateway_load_balancer_endpoint",
];

/// Whose an interface is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Left over from the cluster: to be deleted.
    Leftover,
    /// The cluster's, and still used; it goes with what uses it, in words.
    Going(String),
    /// Somebody else's; the chain of what it belongs to.
    Others(Vec<String>),
}

/// Everything that tells whose the interfaces of a VPC are.
pub(crate) struct Around {
    clusters: BTreeSet<String>,
    instances: Vec<crate::ports::compute::Instance>,
    balancers: Vec<Balancer>,
    endpoints: Vec<Piece>,
}

impl Around {
    /// Looks around in a VPC.
    pub(crate) async fn look(cx: &StepContext, vpc: &str) -> Result<Self, StepError> {
        let cloud = cloud(cx)?;
        let read = |error: crate::error::PortError| error.during("look into", format!("VPC {vpc}"));
        Ok(Self {
            clusters: scope::cluster_names(cx).await?,
            instances: cloud
                .compute
                .instances(&Selector::Vpc(vpc.to_owned()))
                .await
                .map_err(read)?,
            balancers: cloud.balancers.in_vpc(vpc).await.map_err(read)?,
            endpoints: cloud
                .network
                .find(PieceKind::Endpoint, &Lookup::InVpc(vpc.to_owned()))
                .await
                .map_err(read)?,
        })
    }

    /// Whose an interface is.
    pub(crate) fn whose(&self, cx: &StepContext, interface: &Interface) -> Whose {
        let name = format!("interface {}", interface.id);
        let cluster = interface.description.strip_prefix("Amazon EKS ");
        let control_plane = cluster.is_some_and(|cluster| self.clusters.contains(cluster));
        if interface.available {
            return if control_plane || belongs(&interface.tags, cx, &self.clusters) {
                Whose::Leftover
            } else {
                Whose::Others(vec![name, described(interface)])
            };
        }
        let attachment = interface.attachment.as_ref();
        if let Some(id) = attachment.and_then(|attachment| attachment.instance.as_ref()) {
            let instance = self.instances.iter().find(|instance| instance.id == *id);
            let ours = instance.is_none_or(|instance| {
                belongs(&instance.tags, cx, &self.clusters)
                    || instance.state == InstanceState::Terminated
            });
            return if ours {
                Whose::Going(format!("instance {id}"))
            } else {
                Whose::Others(vec![name, format!("instance {id}")])
            };
        }
        let of_balancer = BALANCER_TYPES.contains(&interface.interface_type.as_str())
            || attachment.and_then(|attachment| attachment.owner.as_deref()) == Some("amazon-elb");
        if of_balancer {
            let others = self.balancers.iter().find(|balancer| {
                balancer.kind != BalancerKind::TargetGroup
                    && !belongs(&balancer.tags, cx, &self.clusters)
                    && is_of(interface, balancer)
            });
            return match others {
                Some(balancer) => {
                    let mut chain = vec![name];
                    chain.extend(balancer_chain(balancer));
                    Whose::Others(chain)
                }
                None => Whose::Going("a load balancer that is gone or going".to_owned()),
            };
        }
        if interface.interface_type == "vpc_endpoint" {
            let others = self.endpoints.iter().find(|endpoint| {
                !belongs(&endpoint.tags, cx, &self.clusters)
                    && matches!(endpoint.detail, Detail::Endpoint { gateway: false, .. })
            });
            if let Some(endpoint) = others {
                return Whose::Others(vec![name, endpoint_words(endpoint)]);
            }
            return Whose::Going("a VPC endpoint".to_owned());
        }
        if control_plane || belongs(&interface.tags, cx, &self.clusters) {
            return Whose::Going(described(interface));
        }
        if PIECE_TYPES.contains(&interface.interface_type.as_str()) {
            return Whose::Going(described(interface));
        }
        Whose::Others(vec![name, described(interface)])
    }
}

/// Whether an interface is this balancer's: ELB describes its interfaces as `ELB NAME`, or `ELB KIND/NAME/ID` (ELB user
/// guides, network interfaces).
fn is_of(interface: &Interface, balancer: &Balancer) -> bool {
    let named = interface.description.strip_prefix("ELB ");
    named.is_some_and(|named| named.split('/').any(|part| part == balancer.name))
}

/// Whether an interface goes with a NAT gateway or an endpoint, which have removals of their own.
pub(crate) fn goes_with_piece(interface: &Interface) -> bool {
    PIECE_TYPES.contains(&interface.interface_type.as_str())
}

fn described(interface: &Interface) -> String {
    let attachment = interface.attachment.as_ref();
    let owner = attachment.and_then(|attachment| attachment.owner.as_deref());
    match (interface.description.as_str(), owner) {
        ("", None) => format!(
            "type {}, made by nobody that AWS names",
            interface.interface_type
        ),
        ("", Some(owner)) => format!("{} of {owner}", interface.interface_type),
        (description, _) => format!("\"{description}\""),
    }
}

/// A load balancer, and the service or ingress it was made for, as its controller's tags say (in-tree provider:
/// `kubernetes.io/service-name`; AWS load balancer controller: `service.k8s.aws/stack`, `ingress.k8s.aws/stack`).
pub(crate) fn balancer_chain(balancer: &Balancer) -> Vec<String> {
    let what = match balancer.kind {
        BalancerKind::TargetGroup => "target group",
        _ => "load balancer",
    };
    let mut chain = vec![format!("{what} {}", balancer.name)];
    let made_for = [
        ("kubernetes.io/service-name", "service"),
        ("service.k8s.aws/stack", "service"),
        ("ingress.k8s.aws/stack", "ingress"),
    ];
    chain.extend(made_for.iter().find_map(|(key, what)| {
        let name = balancer.tags.get(*key)?;
        Some(format!("{what} {name}"))
    }));
    chain
}

fn endpoint_words(endpoint: &Piece) -> String {
    match &endpoint.detail {
        Detail::Endpoint {
            service,
            requester_managed: true,
            ..
        } => format!(
            "VPC endpoint {} for {service}, which a service of AWS made",
            endpoint.id
        ),
        Detail::Endpoint { service, .. } => format!("VPC endpoint {} for {service}", endpoint.id),
        _ => format!("VPC endpoint {}", endpoint.id),
    }
}

/// What holds a piece in a VPC: of its interfaces those that `concerns` picks, then other people's pieces.
pub(super) async fn of_piece(
    cx: &StepContext,
    vpc: &str,
    concerns: impl Fn(&Interface) -> bool,
    pieces: &[PieceKind],
) -> Result<Removed, StepError> {
    let around = Around::look(cx, vpc).await?;
    let interfaces = cloud(cx)?
        .compute
        .interfaces(&Selector::Vpc(vpc.to_owned()))
        .await
        .map_err(|error| error.during("look into", format!("VPC {vpc}")))?;
    let mut going = Vec::new();
    for interface in interfaces.iter().filter(|interface| concerns(interface)) {
        match around.whose(cx, interface) {
            Whose::Others(chain) => {
                let safe_next = Some(format!(
                    "aws ec2 describe-network-interfaces --network-interface-ids {}",
                    interface.id
                ));
                return Ok(Removed::HeldByOthers { chain, safe_next });
            }
            Whose::Leftover => going.push(vec![format!("interface {}", interface.id)]),
            Whose::Going(words) => going.push(vec![format!("interface {}", interface.id), words]),
        }
    }
    for kind in pieces {
        let inside = cloud(cx)?
            .network
            .find(*kind, &Lookup::InVpc(vpc.to_owned()))
            .await
            .map_err(|error| error.during("look into", format!("VPC {vpc}")))?;
        for piece in inside
            .iter()
            .filter(|piece| piece.is_alive() && !inherent(piece))
        {
            let words = match kind {
                PieceKind::Endpoint => endpoint_words(piece),
                kind => format!("{} {}", kind.words(), piece.id),
            };
            if belongs(&piece.tags, cx, &around.clusters) {
                going.push(vec![words]);
            } else {
                return Ok(Removed::HeldByOthers {
                    chain: vec![words],
                    safe_next: None,
                });
            }
        }
    }
    Ok(Removed::Held(going.into_iter().next().unwrap_or_default()))
}

/// Whether a piece comes and goes with its VPC: the main route table, the default security group.
pub(crate) fn inherent(piece: &Piece) -> bool {
    match &piece.detail {
        Detail::RouteTable { associations, .. } => associations
            .iter()
            .any(|association| association.subnet.is_none()),
        Detail::SecurityGroup { name, .. } => name == "default",
        _ => false,
    }
}
