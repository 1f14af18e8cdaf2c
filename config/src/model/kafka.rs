//! The Kafka cluster.

use super::values::{Resources, Scalar};
use crate::units::{Period, Size, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The Kafka cluster, with its node pools, listeners and topics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Kafka {
    /// The cluster's name, from which Strimzi derives those of pods and services.
    pub name: String,
    /// The cluster's namespace.
    pub namespace: String,
    /// The Kafka version; it must be one that the Strimzi version runs.
    pub version: Version,
    /// The metadata version, such as `4.3-IV0`; without it, that of the Kafka version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_version: Option<String>,
    /// Groups of brokers and controllers. Left out: three brokers and three controllers with 10Gi each.
    pub node_pools: Vec<NodePool>,
    /// How clients connect. Left out: one plain listener inside the cluster, on port 9092.
    pub listeners: Vec<Listener>,
    /// Broker settings in Kafka's own words.
    pub config: BTreeMap<String, Scalar>,
    /// Topics.
    pub topics: Vec<Topic>,
    /// The operators for topics and users.
    pub entity_operator: EntityOperator,
    /// ZooKeeper, for Kafka versions that still need one.
    pub zookeeper: Zookeeper,
    /// Bootstrap addresses of other Kafka clusters that clients may use as well; without it, every such address must be this cluster's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_bootstrap_addresses: Vec<String>,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            name: "kafka".to_owned(),
            namespace: "kafka".to_owned(),
            version: Version::new(4, 3, 1),
            metadata_version: None,
            node_pools: NodePool::standard(),
            listeners: vec![Listener::plain()],
            config: BTreeMap::new(),
            topics: Vec::new(),
            entity_operator: EntityOperator::default(),
            zookeeper: Zookeeper::default(),
            other_bootstrap_addresses: Vec::new(),
        }
    }
}

impl Kafka {
    /// The listener that clients inside the cluster use: the first internal one without TLS, else the first internal one.
    pub fn client_listener(&self) -> Option<&Listener> {
        let internal = || {
            self.listeners
                .iter()
                .filter(|listener| listener.listener_type.is_internal())
        };
        internal()
            .find(|listener| !listener.tls)
            .or_else(|| internal().next())
    }

    /// The bootstrap address for clients, `CLUSTER-kafka-bootstrap.NAMESPACE.svc:PORT`: the one place where it is made.
    ///
    /// The service's name is Strimzi's ("Kafka cluster resources": `CLUSTER-kafka-bootstrap`). Without an internal listener the
    /// first listener's port is taken, or Kafka's usual 9092.
    pub fn bootstrap_address(&self) -> String {
        format!("{}:{}", self.bootstrap_host(), self.client_port())
    }

    /// The same address with the full cluster domain, `CLUSTER-kafka-bootstrap.NAMESPACE.svc.cluster.local:PORT`.
    pub fn bootstrap_fqdn(&self) -> String {
        format!(
            "{}.cluster.local:{}",
            self.bootstrap_host(),
            self.client_port()
        )
    }

    /// The bootstrap address of the listener with this name, if there is one inside the cluster.
    pub fn bootstrap_of(&self, listener: &str) -> Option<String> {
        self.listeners
            .iter()
            .find(|candidate| candidate.name == listener && candidate.listener_type.is_internal())
            .map(|listener| format!("{}:{}", self.bootstrap_host(), listener.port))
    }

    /// Whether a client that uses `address` reaches this cluster: the bootstrap service by its short or full name, on the port of
    /// any internal listener. A client in the cluster's own namespace may leave the namespace out.
    pub fn accepts_bootstrap(&self, address: &str, client_namespace: Option<&str>) -> bool {
        let Some((host, port)) = address.rsplit_once(':') else {
            return false;
        };
        let service = self.bootstrap_service();
        let full = self.bootstrap_host();
        let host_fits = host == full
            || host == format!("{full}.cluster.local")
            || host == format!("{service}.{}", self.namespace)
            || (host == service && client_namespace == Some(self.namespace.as_str()));
        let port_fits = self.listeners.iter().any(|listener| {
            listener.listener_type.is_internal() && listener.port.to_string() == port
        });
        host_fits && port_fits
    }

    /// The bootstrap service's name.
    pub fn bootstrap_service(&self) -> String {
        format!("{}-kafka-bootstrap", self.name)
    }

    fn bootstrap_host(&self) -> String {
        format!("{}.{}.svc", self.bootstrap_service(), self.namespace)
    }

    fn client_port(&self) -> u16 {
        self.client_listener()
            .or(self.listeners.first())
            .map_or(9092, |listener| listener.port)
    }

    /// How many nodes have this role.
    pub fn nodes_with(&self, role: NodePoolRole) -> u32 {
        self.node_pools
            .iter()
            .filter(|pool| pool.roles.contains(&role))
            .map(|pool| pool.replicas)
            .sum()
    }

    /// How many brokers there are.
    pub fn brokers(&self) -> u32 {
        self.nodes_with(NodePoolRole::Broker)
    }

    /// How many controllers there are.
    pub fn controllers(&self) -> u32 {
        self.nodes_with(NodePoolRole::Controller)
    }
}

/// A group of Kafka nodes of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodePool {
    /// The pool's name, unique in the cluster. Pods are called `CLUSTER-POOL-NUMBER`.
    pub name: String,
    /// What the nodes do: `broker`, `controller` or both.
    pub roles: Vec<NodePoolRole>,
    /// How many nodes the pool has.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: u32,
    /// Where the nodes keep their data.
    #[serde(default)]
    pub storage: Storage,
    /// What each node asks for and may use.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
}

fn three() -> u32 {
    3
}

impl NodePool {
    /// The pools of a Kafka section without any: `broker-pool` and `controller-pool`, three nodes each.
    pub fn standard() -> Vec<Self> {
        [
            ("broker-pool", NodePoolRole::Broker),
            ("controller-pool", NodePoolRole::Controller),
        ]
        .map(|(name, role)| Self {
            name: name.to_owned(),
            roles: vec![role],
            replicas: three(),
            storage: Storage::default(),
            resources: Resources::default(),
        })
        .into()
    }
}

/// What a Kafka node does.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum NodePoolRole {
    /// Keeps partitions and serves clients.
    Broker,
    /// Keeps the cluster's metadata.
    Controller,
}

/// Where Kafka nodes keep their data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Storage {
    /// The size of each node's volume; for ephemeral storage, its limit.
    pub size: Size,
    /// The storage class; without it, the cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Deletes the claim with its node. Off, `down` reports the volumes as left behind, and a later Kafka of the same name trips over the old cluster id.
    pub delete_claim: bool,
    /// Keeps data in the pod only; it is gone when the pod restarts.
    pub ephemeral: bool,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            size: Size::gibibytes(10),
            class: None,
            delete_claim: true,
            ephemeral: false,
        }
    }
}

/// A way for clients to connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// The listener's name: lower-case letters and digits, at most 11.
    pub name: String,
    /// The port: 9092 or higher, except 9404 and 9999.
    pub port: u16,
    /// How it is reached.
    #[serde(default, rename = "type")]
    pub listener_type: ListenerType,
    /// Whether connections are encrypted.
    #[serde(default)]
    pub tls: bool,
}

impl Listener {
    /// The listener of a Kafka section without any: `plain`, inside the cluster, on port 9092, without TLS.
    pub fn plain() -> Self {
        Self {
            name: "plain".to_owned(),
            port: 9092,
            listener_type: ListenerType::Internal,
            tls: false,
        }
    }
}

/// How a listener is reached; the words are Strimzi's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ListenerType {
    /// From inside the cluster.
    #[default]
    Internal,
    /// From inside the cluster, with one service a broker.
    ClusterIp,
    /// From outside, on a port of every node.
    #[serde(rename = "nodeport")]
    NodePort,
    /// From outside, through a load balancer.
    #[serde(rename = "loadbalancer")]
    LoadBalancer,
    /// From outside, through an ingress; needs TLS.
    Ingress,
}

impl ListenerType {
    /// Whether Strimzi's bootstrap service inside the cluster serves it.
    pub const fn is_internal(self) -> bool {
        matches!(self, Self::Internal)
    }

    /// The word in Strimzi's API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::ClusterIp => "cluster-ip",
            Self::NodePort => "nodeport",
            Self::LoadBalancer => "loadbalancer",
            Self::Ingress => "ingress",
        }
    }
}

/// A Kafka topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Topic {
    /// The topic's name, which is also its Kubernetes object's.
    pub name: String,
    /// How many partitions it has.
    #[serde(default = "three")]
    #[schemars(range(min = 1))]
    pub partitions: u32,
    /// How many copies of each partition there are; not more than brokers.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 32767))]
    pub replicas: u32,
    /// How long messages are kept (`retention.ms`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Period>,
    /// How many copies must be in step for a write to succeed (`min.insync.replicas`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_in_sync_replicas: Option<u32>,
    /// Further topic settings in Kafka's own words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, Scalar>,
}

impl Topic {
    /// All settings in Kafka's own words: `config`, and `retention.ms` and `min.insync.replicas` from the typed fields.
    pub fn kafka_config(&self) -> BTreeMap<String, Scalar> {
        let mut config = self.config.clone();
        if let Some(retention) = self.retention {
            config.insert(
                "retention.ms".to_owned(),
                Scalar::from(retention.as_millis()),
            );
        }
        if let Some(replicas) = self.min_in_sync_replicas {
            config.insert(
                "min.insync.replicas".to_owned(),
                Scalar::from(u64::from(replicas)),
            );
        }
        config
    }
}

/// The operators for topics and users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct EntityOperator {
    /// Runs the topic operator, without which `topics` are never created.
    pub topic_operator: bool,
    /// Runs the user operator.
    pub user_operator: bool,
    /// What each of the operators asks for and may use.
    #[serde(skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
}

impl Default for EntityOperator {
    fn default() -> Self {
        Self {
            topic_operator: true,
            user_operator: false,
            resources: Resources::default(),
        }
    }
}

/// ZooKeeper, which Strimzi 0.46 and newer cannot use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Zookeeper {
    /// Whether the manifest is applied.
    pub enabled: bool,
    /// The manifest file, relative to the pipeline file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}
