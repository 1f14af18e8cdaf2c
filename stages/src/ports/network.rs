//! VPCs and the pieces they are made of.
//!
//! All pieces are made, found, tagged and deleted alike; what differs stands in [`PieceSpec`] and [`Detail`]. How
//! pieces hang together is changed by [`Arrangement`]s.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cloud::{Deletion, Tags};
use crate::error::PortError;

/// The kinds of pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PieceKind {
    /// A VPC.
    Vpc,
    /// An internet gateway.
    InternetGateway,
    /// A subnet.
    Subnet,
    /// An Elastic IP address.
    Address,
    /// A NAT gateway.
    NatGateway,
    /// A route table.
    RouteTable,
    /// A VPC endpoint of any type.
    Endpoint,
    /// A security group.
    SecurityGroup,
}

impl PieceKind {
    /// What it is called in a sentence.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Vpc => "VPC",
            Self::InternetGateway => "internet gateway",
            Self::Subnet => "subnet",
            Self::Address => "Elastic IP address",
            Self::NatGateway => "NAT gateway",
            Self::RouteTable => "route table",
            Self::Endpoint => "VPC endpoint",
            Self::SecurityGroup => "security group",
        }
    }

    /// Whether the call that makes one takes a client token (EC2 API, `ClientToken`).
    #[must_use]
    pub fn takes_token(self) -> bool {
        matches!(self, Self::NatGateway | Self::RouteTable | Self::Endpoint)
    }
}

/// A piece to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PieceSpec {
    /// A VPC with this address range.
    Vpc {
        /// e.g. `10.0.0.0/16`.
        cidr: String,
    },
    /// An internet gateway, attached to nothing.
    InternetGateway,
    /// A subnet.
    Subnet {
        /// The VPC's id.
        vpc: String,
        /// The zone's name.
        zone: String,
        /// Its address range.
        cidr: String,
    },
    /// An address for a VPC.
    Address,
    /// A public NAT gateway.
    NatGateway {
        /// The subnet it stands in, which must have a way to the internet.
        subnet: String,
        /// Allocation id of its address.
        address: String,
    },
    /// A route table with nothing but the local route, associated with nothing.
    RouteTable {
        /// The VPC's id.
        vpc: String,
    },
    /// A gateway endpoint.
    GatewayEndpoint {
        /// The VPC's id.
        vpc: String,
        /// The service without its prefix, e.g. `s3`; the adapter says `com.amazonaws.REGION.s3`.
        service: String,
        /// Route tables that get its route.
        route_tables: Vec<String>,
    },
    /// A security group without rules of its own making.
    SecurityGroup {
        /// The VPC's id.
        vpc: String,
        /// Its name, unique in the VPC.
        name: String,
        /// What it is for.
        description: String,
    },
}

impl PieceSpec {
    /// The kind of piece that is made of it.
    #[must_use]
    pub fn kind(&self) -> PieceKind {
        match self {
            Self::Vpc { .. } => PieceKind::Vpc,
            Self::InternetGateway => PieceKind::InternetGateway,
            Self::Subnet { .. } => PieceKind::Subnet,
            Self::Address => PieceKind::Address,
            Self::NatGateway { .. } => PieceKind::NatGateway,
            Self::RouteTable { .. } => PieceKind::RouteTable,
            Self::GatewayEndpoint { .. } => PieceKind::Endpoint,
            Self::SecurityGroup { .. } => PieceKind::SecurityGroup,
        }
    }
}

/// Where a piece is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PieceState {
    /// Being made.
    Pending,
    /// There. Kinds that know no states are always this.
    Available,
    /// It came to nothing; the service's code and words.
    Failed {
        /// e.g. `Gateway.NotAttached`.
        code: String,
        /// In the service's words.
        message: String,
    },
    /// Being deleted.
    Deleting,
    /// Deleted and still shown for a while (NAT gateways).
    Deleted,
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteTarget {
    /// Within the VPC.
    Local,
    /// An internet gateway, by id.
    InternetGateway(String),
    /// A NAT gateway, by id.
    NatGateway(String),
    /// Something else, by id; e.g. a gateway endpoint or a peering.
    Other(String),
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    /// Address range or prefix list.
    pub destination: String,
    /// Where it leads.
    pub target: RouteTarget,
    /// Whether its target is gone (`blackhole`).
    pub dead: bool,
}

/// An association of a route table with a subnet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Association {
    /// Its id.
    pub id: String,
    /// The subnet; `None` for the association that makes a table the VPC's main one.
    pub subnet: Option<String>,
}

/// The direction of a security group's rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Into the group.
    In,
    /// Out of it.
    Out,
}

/// The other side of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RulePeer {
    /// An address range.
    Cidr(String),
    /// A security group, by id.
    Group(String),
}

/// One rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    /// Its direction.
    pub direction: Direction,
    /// Protocol as EC2 says it: `tcp`, `udp`, `icmp`, `-1` for all.
    pub protocol: String,
    /// First and last port; `None`: all.
    pub ports: Option<(u16, u16)>,
    /// The other side.
    pub peer: RulePeer,
}

/// What is particular to a piece of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// A VPC.
    Vpc {
        /// Its first address range.
        cidr: String,
        /// Ranges that were added to it later.
        further: Vec<String>,
        /// Whether the region's default VPC.
        default: bool,
        /// Whether it resolves names (attribute `enableDnsSupport`); looked up for lookups by id and by tags only.
        dns_support: bool,
        /// Whether its instances get names (attribute `enableDnsHostnames`); likewise.
        dns_hostnames: bool,
    },
    /// An internet gateway.
    InternetGateway {
        /// The VPC it is attached to.
        vpc: Option<String>,
    },
    /// A subnet.
    Subnet {
        /// Its VPC.
        vpc: String,
        /// Its zone.
        zone: String,
        /// Its range.
        cidr: String,
        /// Whether instances in it get public addresses.
        public_addresses: bool,
        /// Free addresses.
        free: u32,
    },
    /// An address.
    Address {
        /// The address itself.
        ip: String,
        /// Association id, while it is used.
        association: Option<String>,
        /// The interface that uses it.
        interface: Option<String>,
    },
    /// A NAT gateway.
    NatGateway {
        /// Its VPC.
        vpc: String,
        /// Its subnet.
        subnet: String,
        /// Allocation id of its address.
        address: Option<String>,
    },
    /// A route table.
    RouteTable {
        /// Its VPC.
        vpc: String,
        /// Its routes.
        routes: Vec<Route>,
        /// Its associations; the VPC's main table has one without a subnet.
        associations: Vec<Association>,
    },
    /// An endpoint.
    Endpoint {
        /// Its VPC.
        vpc: String,
        /// The whole service name.
        service: String,
        /// Whether of type Gateway.
        gateway: bool,
        /// Route tables that have its route.
        route_tables: Vec<String>,
        /// Whether a service of AWS made and manages it.
        requester_managed: bool,
    },
    /// A security group.
    SecurityGroup {
        /// Its VPC.
        vpc: String,
        /// Its name; `default` is the VPC's own, which goes with it.
        name: String,
        /// Its rules.
        rules: Vec<Rule>,
    },
}

/// A piece as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Its id.
    pub id: String,
    /// Where it is in its life.
    pub state: PieceState,
    /// Its tags.
    pub tags: Tags,
    /// When it was made, where EC2 says so (NAT gateways and endpoints).
    pub created: Option<Timestamp>,
    /// What is particular to its kind.
    pub detail: Detail,
}

impl Piece {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> PieceKind {
        match self.detail {
            Detail::Vpc { .. } => PieceKind::Vpc,
            Detail::InternetGateway { .. } => PieceKind::InternetGateway,
            Detail::Subnet { .. } => PieceKind::Subnet,
            Detail::Address { .. } => PieceKind::Address,
            Detail::NatGateway { .. } => PieceKind::NatGateway,
            Detail::RouteTable { .. } => PieceKind::RouteTable,
            Detail::Endpoint { .. } => PieceKind::Endpoint,
            Detail::SecurityGroup { .. } => PieceKind::SecurityGroup,
        }
    }

    /// Whether it is there or on its way.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self.state, PieceState::Pending | PieceState::Available)
    }
}

/// Which pieces of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lookup {
    /// Those of these ids that exist.
    Ids(Vec<String>),
    /// Those that carry all of these tags.
    Tagged(Tags),
    /// Those in this VPC (an internet gateway: attached to it; an address: in no VPC, so none).
    InVpc(String),
    /// Security groups with a rule that names this one, whatever VPC they are in; of other kinds none.
    Naming(String),
}

/// How pieces hang together. Each says how it is to be; where it is so already, nothing happens and nothing is an
/// error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrangement {
    /// A VPC's names. Hostnames need support, so an adapter sets support first.
    Dns {
        /// The VPC.
        vpc: String,
        /// Resolve names.
        support: bool,
        /// Give instances names.
        hostnames: bool,
    },
    /// A gateway is attached to a VPC.
    Attached {
        /// The internet gateway.
        gateway: String,
        /// The VPC.
        vpc: String,
    },
    /// A gateway is attached to this VPC no more.
    Detached {
        /// The internet gateway.
        gateway: String,
        /// The VPC.
        vpc: String,
    },
    /// Instances in a subnet get public addresses, or not.
    PublicAddresses {
        /// The subnet.
        subnet: String,
        /// Whether.
        on: bool,
    },
    /// A table has this route; one with the same destination and another target is replaced.
    Routed {
        /// The route table.
        table: String,
        /// Address range.
        destination: String,
        /// Where it leads.
        target: RouteTarget,
    },
    /// A table has no route for this destination.
    Unrouted {
        /// The route table.
        table: String,
        /// Address range.
        destination: String,
    },
    /// A subnet uses this table; another explicit association of the subnet is replaced.
    Associated {
        /// The route table.
        table: String,
        /// The subnet.
        subnet: String,
    },
    /// An association is gone.
    Dissociated {
        /// Its id.
        association: String,
    },
    /// A gateway endpoint's route is in exactly these tables.
    EndpointRoutes {
        /// The endpoint.
        endpoint: String,
        /// The route tables.
        tables: Vec<String>,
    },
    /// A group has these rules (others stay).
    Allowed {
        /// The security group.
        group: String,
        /// The rules.
        rules: Vec<Rule>,
    },
    /// A group does not have these rules.
    Revoked {
        /// The security group.
        group: String,
        /// The rules.
        rules: Vec<Rule>,
    },
}

/// A piece to be made, with its tags in the same call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPiece {
    /// What it is.
    pub spec: PieceSpec,
    /// Its tags, set in the call that makes it.
    pub tags: Tags,
    /// Client token, for the kinds whose call takes one (NAT gateway, route table, endpoint); the others ignore it.
    pub token: String,
}

/// EC2 networking.
#[async_trait]
pub trait NetworkApi: Send + Sync {
    /// Makes a piece. A replayed token answers the piece it made before, in whatever state that is now.
    async fn create(&self, piece: &NewPiece) -> Result<Piece, PortError>;

    /// The pieces of a kind that a lookup selects, deleted and failed ones among them while EC2 shows them.
    async fn find(&self, kind: PieceKind, lookup: &Lookup) -> Result<Vec<Piece>, PortError>;

    /// Makes it so.
    async fn arrange(&self, arrangement: &Arrangement) -> Result<(), PortError>;

    /// Sets these tags on a piece and removes those keys.
    async fn retag(&self, id: &str, set: &Tags, remove: &[String]) -> Result<(), PortError>;

    /// Deletes a piece (releases an address). What something else still needs is
    /// [`PortErrorKind::InUse`](crate::error::PortErrorKind).
    async fn delete(&self, kind: PieceKind, id: &str) -> Result<Deletion, PortError>;
}
