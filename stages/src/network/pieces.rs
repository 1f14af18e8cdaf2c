//! The pieces of a VPC for EKS: what each is made of, and how it hangs together with the others.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    layout,
    piece::{Mending, Wants},
    steps,
};
use crate::{
    account,
    cloud::{known, names, text, texts},
    context::StepContext,
    error::StepError,
    ports::{
        cloud::Tags,
        network::{
            Arrangement, Detail, Direction, Piece, PieceKind, PieceSpec, Route, RouteTarget, Rule,
            RulePeer,
        },
    },
};

/// Everything outside.
pub(super) const ANYWHERE: &str = "0.0.0.0/0";

/// What cannot change once it is made.
fn fixed(live: &Piece, field: &str, is: &str, wanted: &str) -> Result<(), StepError> {
    if is == wanted {
        return Ok(());
    }
    Err(StepError::new(
        "NET001",
        "change",
        format!("{} {}", live.kind().words(), live.id),
        format!("its {field} is {is}, the pipeline file says {wanted}, and EC2 cannot change it"),
    )
    .with_hint(
        "put the file back as it was, or take the environment down and bring it up anew: pipectl down, pipectl up",
    ))
}

fn flag(on: bool) -> Option<String> {
    Some(on.to_string())
}

/// The VPC.
pub(super) struct Vpc {
    pub(super) cidr: String,
}

#[async_trait]
impl Wants for Vpc {
    fn kind(&self) -> PieceKind {
        PieceKind::Vpc
    }

    fn called(&self) -> String {
        "vpc".to_owned()
    }

    async fn spec(&self, _: &StepContext) -> Result<PieceSpec, StepError> {
        Ok(PieceSpec::Vpc {
            cidr: self.cidr.clone(),
        })
    }

    /// EKS needs both attributes for private endpoints (EKS user guide, network requirements).
    fn mendings(&self, _: &StepContext, live: &Piece) -> Result<Vec<Mending>, StepError> {
        let Detail::Vpc {
            cidr,
            dns_support,
            dns_hostnames,
            ..
        } = &live.detail
        else {
            return Ok(Vec::new());
        };
        fixed(live, "address range", cidr, &self.cidr)?;
        if *dns_support && *dns_hostnames {
            return Ok(Vec::new());
        }
        Ok(vec![Mending {
            field: "dns",
            live: flag(false),
            wanted: flag(true),
            arrangement: Arrangement::Dns {
                vpc: live.id.clone(),
                support: true,
                hostnames: true,
            },
        }])
    }

    fn facts(&self, live: &Piece) -> Value {
        match &live.detail {
            Detail::Vpc { cidr, .. } => json!({"cidr": cidr}),
            _ => json!({}),
        }
    }

    fn summary(&self, live: &Piece) -> String {
        format!("VPC {} {}", self.cidr, live.id)
    }
}

/// The internet gateway.
pub(super) struct InternetGateway;

#[async_trait]
impl Wants for InternetGateway {
    fn kind(&self) -> PieceKind {
        PieceKind::InternetGateway
    }

    fn called(&self) -> String {
        "internet-gateway".to_owned()
    }

    async fn spec(&self, _: &StepContext) -> Result<PieceSpec, StepError> {
        Ok(PieceSpec::InternetGateway)
    }

    fn mendings(&self, cx: &StepContext, live: &Piece) -> Result<Vec<Mending>, StepError> {
        let Detail::InternetGateway { vpc } = &live.detail else {
            return Ok(Vec::new());
        };
        let wanted = known(cx, &steps::vpc(), "id")?;
        if vpc.as_deref() == Some(wanted.as_str()) {
            return Ok(Vec::new());
        }
        Ok(vec![Mending {
            field: "attachment",
            live: vpc.clone(),
            wanted: Some(wanted.clone()),
            arrangement: Arrangement::Attached {
                gateway: live.id.clone(),
                vpc: wanted,
            },
        }])
    }

    fn collides(&self, _: &PieceSpec, _: &Piece) -> bool {
        true
    }
}

/// One subnet.
pub(super) struct Subnet {
    /// Which zone of the environment's, from 0.
    pub(super) zone: usize,
    pub(super) public: bool,
    pub(super) cidr: String,
    /// The pipeline, for the cluster's name.
    pub(super) loaded: std::sync::Arc<pipectl_config::Loaded>,
}

impl Subnet {
    fn zone_name(&self, cx: &StepContext) -> Result<String, StepError> {
        let zones = texts(cx, &account::preflight(), "zones");
        match zones.get(self.zone) {
            Some(zone) => Ok(zone.clone()),
            None => known(cx, &account::preflight(), "zones"),
        }
    }
}

#[async_trait]
impl Wants for Subnet {
    fn kind(&self) -> PieceKind {
        PieceKind::Subnet
    }

    fn called(&self) -> String {
        let side = if self.public { "public" } else { "private" };
        format!("{side}-{}", self.zone + 1)
    }

    async fn spec(&self, cx: &StepContext) -> Result<PieceSpec, StepError> {
        Ok(PieceSpec::Subnet {
            vpc: known(cx, &steps::vpc(), "id")?,
            zone: self.zone_name(cx)?,
            cidr: self.cidr.clone(),
        })
    }

    /// Load balancer controllers choose subnets by these tags (EKS user guide, network load balancing).
    fn extra_tags(&self, cx: &StepContext) -> Tags {
        let role = if self.public {
            "kubernetes.io/role/elb"
        } else {
            "kubernetes.io/role/internal-elb"
        };
        let cluster = names::cluster(&self.loaded, &cx.environment);
        Tags::from([
            (role.to_owned(), "1".to_owned()),
            (
                format!("kubernetes.io/cluster/{cluster}"),
                "shared".to_owned(),
            ),
        ])
    }

    fn mendings(&self, cx: &StepContext, live: &Piece) -> Result<Vec<Mending>, StepError> {
        let Detail::Subnet {
            zone,
            cidr,
            public_addresses,
            ..
        } = &live.detail
        else {
            return Ok(Vec::new());
        };
        fixed(live, "address range", cidr, &self.cidr)?;
        fixed(live, "zone", zone, &self.zone_name(cx)?)?;
        if *public_addresses == self.public {
            return Ok(Vec::new());
        }
        Ok(vec![Mending {
            field: "publicAddresses",
            live: flag(*public_addresses),
            wanted: flag(self.public),
            arrangement: Arrangement::PublicAddresses {
                subnet: live.id.clone(),
                on: self.public,
            },
        }])
    }

    fn facts(&self, live: &Piece) -> Value {
        match &live.detail {
            Detail::Subnet { zone, cidr, .. } => json!({"zone": zone, "cidr": cidr}),
            _ => json!({}),
        }
    }

    fn collides(&self, spec: &PieceSpec, other: &Piece) -> bool {
        match (spec, &other.detail) {
            (PieceSpec::Subnet { cidr: wanted, .. }, Detail::Subnet { cidr, .. }) => {
                layout::overlap(wanted, cidr)
            }
            _ => false,
        }
    }
}

/// An address for a NAT gateway.
pub(super) struct NatAddress {
    pub(super) zone: usize,
}

#[async_trait]
impl Wants for NatAddress {
    fn kind(&self) -> PieceKind {
        PieceKind::Address
    }

    fn called(&self) -> String {
        format!("nat-{}", self.zone + 1)
    }

    async fn spec(&self, _: &StepContext) -> Result<PieceSpec, StepError> {
        Ok(PieceSpec::Address)
    }

    fn facts(&self, live: &Piece) -> Value {
        match &live.detail {
            Detail::Address { ip, .. } => json!({"ip": ip}),
            _ => json!({}),
        }
    }
}

/// A NAT gateway.
pub(super) struct NatGateway {
    pub(super) zone: usize,
}

#[async_trait]
impl Wants for NatGateway {
    fn kind(&self) -> PieceKind {
        PieceKind::NatGateway
    }

    fn called(&self) -> String {
        format!("nat-{}", self.zone + 1)
    }

    async fn spec(&self, cx: &StepContext) -> Result<PieceSpec, StepError> {
        Ok(PieceSpec::NatGateway {
            subnet: known(cx, &steps::public_subnet(self.zone), "id")?,
            address: known(cx, &steps::nat_address(self.zone), "id")?,
        })
    }
}

/// The route table of all public subnets.
pub(super) struct PublicRoutes {
    pub(super) zones: usize,
}

#[async_trait]
impl Wants for PublicRoutes {
    fn kind(&self) -> PieceKind {
        PieceKind::RouteTable
    }

    fn called(&self) -> String {
        "public".to_owned()
    }

    async fn spec(&self, cx: &StepContext) -> Result<PieceSpec, StepError> {
        let vpc = known(cx, &steps::vpc(), "id")?;
        Ok(PieceSpec::RouteTable { vpc })
    }

    fn mendings(&self, cx: &StepContext, live: &Piece) -> Result<Vec<Mending>, StepError> {
        let gateway = known(cx, &steps::internet_gateway(), "id")?;
        let mut mendings: Vec<Mending> = route(live, RouteTarget::InternetGateway(gateway))
            .into_iter()
            .collect();
        for zone in 0..self.zones {
            mendings.extend(association(cx, live, &steps::public_subnet(zone))?);
        }
        Ok(mendings)
    }
}

/// The route table of one private subnet.
pub(super) struct PrivateRoutes {
    pub(super) zone: usize,
    /// The zone whose NAT gateway it leads to; `None`: nowhere.
    pub(super) nat: Option<usize>,
}

#[async_trait]
impl Wants for PrivateRoutes {
    fn kind(&self) -> PieceKind {
        PieceKind::RouteTable
    }

    fn called(&self) -> String {
        format!("private-{}", self.zone + 1)
    }

    async fn spec(&self, cx: &StepContext) -> Result<PieceSpec, StepError> {
        let vpc = known(cx, &steps::vpc(), "id")?;
        Ok(PieceSpec::RouteTable { vpc })
    }

    fn mendings(&self, cx: &StepContext, live: &Piece) -> Result<Vec<Mending>, StepError> {
        let mut mendings = Vec::new();
        // A way out that nobody wants any more is taken away by `obsolete`, when no nodes are left that use it.
        if let Some(zone) = self.nat {
            let nat = known(cx, &steps::nat_gateway(zone), "id")?;
            mendings.extend(route(live, RouteTarget::NatGateway(nat)));
        }
        mendings.extend(association(cx, live, &steps::private_subnet(self.zone))?);
        Ok(mendings)
    }
}

/// What makes a table lead everything outside to `target`.
fn route(live: &Piece, target: RouteTarget) -> Option<Mending> {
    let outside = way_out(live);
    if outside.is_some_and(|route| !route.dead && route.target == target) {
        return None;
    }
    Some(Mending {
        field: "routes",
        live: outside.map(|route| target_words(&route.target)),
        wanted: Some(target_words(&target)),
        arrangement: Arrangement::Routed {
            table: live.id.clone(),
            destination: ANYWHERE.to_owned(),
            target,
        },
    })
}

/// A table's route to everything outside.
pub(super) fn way_out(table: &Piece) -> Option<&Route> {
    let Detail::RouteTable { routes, .. } = &table.detail else {
        return None;
    };
    routes.iter().find(|route| route.destination == ANYWHERE)
}

fn target_words(target: &RouteTarget) -> String {
    match target {
        RouteTarget::Local => "local".to_owned(),
        RouteTarget::InternetGateway(id) | RouteTarget::NatGateway(id) | RouteTarget::Other(id) => {
            id.clone()
        }
    }
}

/// What makes a subnet use a table.
fn association(
    cx: &StepContext,
    live: &Piece,
    subnet: &crate::step::StepId,
) -> Result<Option<Mending>, StepError> {
    let Detail::RouteTable { associations, .. } = &live.detail else {
        return Ok(None);
    };
    let wanted = known(cx, subnet, "id")?;
    let there = associations
        .iter()
        .any(|association| association.subnet.as_deref() == Some(wanted.as_str()));
    Ok((!there).then(|| Mending {
        field: "subnets",
        live: None,
        wanted: Some(wanted.clone()),
        arrangement: Arrangement::Associated {
            table: live.id.clone(),
            subnet: wanted,
        },
    }))
}

/// The gateway endpoint for S3, where images' layers come from: it costs nothing and keeps them off the NAT gateway.
pub(super) struct S3Endpoint {
    pub(super) zones: usize,
}

impl S3Endpoint {
    fn tables(&self, cx: &StepContext) -> Result<Vec<String>, StepError> {
        let tables = (0..self.zones).map(|zone| known(cx, &steps::private_routes(zone), "id"));
        let public = known(cx, &steps::public_routes(), "id");
        tables.chain([public]).collect()
    }
}

#[async_trait]
impl Wants for S3Endpoint {
    fn kind(&self) -> PieceKind {
        PieceKind::Endpoint
    }

    fn called(&self) -> String {
        "s3".to_owned()
    }

    async fn spec(&self, cx: &StepContext) -> Result<PieceSpec, StepError> {
        Ok(PieceSpec::GatewayEndpoint {
            vpc: known(cx, &steps::vpc(), "id")?,
            service: "s3".to_owned(),
            route_tables: self.tables(cx)?,
        })
    }

    fn mendings(&self, cx: &StepContext, live: &Piece) -> Result<Vec<Mending>, StepError> {
        let Detail::Endpoint { route_tables, .. } = &live.detail else {
            return Ok(Vec::new());
        };
        let tables = self.tables(cx)?;
        let now: BTreeSet<&String> = route_tables.iter().collect();
        if now == tables.iter().collect() {
            return Ok(Vec::new());
        }
        Ok(vec![Mending {
            field: "routeTables",
            live: Some(route_tables.join(", ")),
            wanted: Some(tables.join(", ")),
            arrangement: Arrangement::EndpointRoutes {
                endpoint: live.id.clone(),
                tables,
            },
        }])
    }

    fn collides(&self, _: &PieceSpec, other: &Piece) -> bool {
        matches!(&other.detail, Detail::Endpoint { service, gateway: true, .. } if service.ends_with(".s3"))
    }
}

/// The further security group of the control plane's interfaces: the API server's private endpoint answers the whole VPC,
/// not only the cluster's own nodes.
pub(super) struct ControlPlaneGroup;

#[async_trait]
impl Wants for ControlPlaneGroup {
    fn kind(&self) -> PieceKind {
        PieceKind::SecurityGroup
    }

    fn called(&self) -> String {
        "control-plane".to_owned()
    }

    async fn spec(&self, cx: &StepContext) -> Result<PieceSpec, StepError> {
        Ok(PieceSpec::SecurityGroup {
            vpc: known(cx, &steps::vpc(), "id")?,
            name: format!("pipectl-{}-control-plane", cx.environment.name),
            description: "Reaches the API server from the VPC".to_owned(),
        })
    }

    fn mendings(&self, cx: &StepContext, live: &Piece) -> Result<Vec<Mending>, StepError> {
        let Detail::SecurityGroup { rules, .. } = &live.detail else {
            return Ok(Vec::new());
        };
        let Some(cidr) = text(cx, &steps::vpc(), "cidr") else {
            return Ok(Vec::new());
        };
        let wanted = Rule {
            direction: Direction::In,
            protocol: "tcp".to_owned(),
            ports: Some((443, 443)),
            peer: RulePeer::Cidr(cidr.clone()),
        };
        if rules.contains(&wanted) {
            return Ok(Vec::new());
        }
        Ok(vec![Mending {
            field: "rules",
            live: None,
            wanted: Some(format!("tcp 443 from {cidr}")),
            arrangement: Arrangement::Allowed {
                group: live.id.clone(),
                rules: vec![wanted],
            },
        }])
    }

    fn collides(&self, spec: &PieceSpec, other: &Piece) -> bool {
        match (spec, &other.detail) {
            (PieceSpec::SecurityGroup { name: wanted, .. }, Detail::SecurityGroup { name, .. }) => {
                wanted == name
            }
            _ => false,
        }
    }
}
