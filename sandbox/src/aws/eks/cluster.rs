//! Clusters: what they are, how they become active and go.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access::Entry;
use super::addon::Addon;
use super::nodegroup::Nodegroup;
use super::pod_identity::Association;
use super::update::Update;
use super::{Event, Issue, bad_request, by_id, changed, cluster_of, in_use, network, paged};
use crate::aws::logs;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::{Place, Scene};
use crate::aws::world::tags::Tags;

/// A cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    /// Unique: 32 capital hexadecimal digits, also in its issuer's and its server's address.
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(super) created: Time,
    pub(crate) version: String,
    pub(crate) status: Status,
    pub(super) role: String,
    pub(crate) vpc: String,
    pub(super) subnets: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) endpoint: Endpoint,
    pub(super) service_range: String,
    pub(super) logging: BTreeSet<String>,
    /// ARN of the key that encrypts Secrets.
    pub(super) encryption: Option<String>,
    /// `API`, `API_AND_CONFIG_MAP` or `CONFIG_MAP`.
    pub(super) authentication: String,
    pub(super) support: String,
    pub(super) deletion_protection: bool,
    /// Whether `vpc-cni`, `kube-proxy` and `coredns` came with it, unmanaged.
    pub(super) self_managed: bool,
    pub(super) token: Option<String>,
    /// The security group that EKS made.
    pub(crate) own_group: String,
    /// The control plane's interfaces.
    pub(super) interfaces: Vec<String>,
    /// Whether its time of creation is over; it is active when its control plane is up, too.
    pub(super) due: bool,
    /// Its control plane, once it is up.
    pub(super) plane: Option<Plane>,
    pub(super) issues: Vec<Issue>,
    pub(crate) tags: Tags,
    pub(super) updates: BTreeMap<String, Update>,
    pub(crate) nodegroups: BTreeMap<String, Nodegroup>,
    pub(crate) addons: BTreeMap<String, Addon>,
    /// By ARN of the principal.
    pub(crate) entries: BTreeMap<String, Entry>,
    /// By id.
    pub(crate) identities: BTreeMap<String, Association>,
    /// Volumes that were made for its claims: one that somebody deleted does not come again.
    #[serde(default)]
    pub(super) claimed: BTreeSet<String>,
}

/// The states of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    Creating,
    Active,
    Updating,
    Deleting,
    Failed,
}

/// From where the API server is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Endpoint {
    pub(super) public: bool,
    pub(super) private: bool,
    pub(super) cidrs: Vec<String>,
}

/// Where a control plane is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plane {
    pub(super) server: String,
    /// PEM in base64.
    pub(super) authority: String,
}

/// The kinds of logs, in the order in which replies have them.
pub(super) const LOGS: [&str; 5] = [
    "api",
    "audit",
    "authenticator",
    "controllerManager",
    "scheduler",
];

/// The log group of a cluster.
fn log_group_of(name: &str) -> String {
    format!("/aws/eks/{name}/cluster")
}

impl Cluster {
    /// The issuer of its service account tokens.
    pub(crate) fn issuer(&self, place: &Place) -> String {
        format!(
            "https://oidc.eks.{}.amazonaws.com/id/{}",
            place.region, self.id
        )
    }

    /// Whether it works.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.status, Status::Active | Status::Updating)
    }

    /// Whether nodes get a network: they are not ready without.
    pub(super) fn has_network(&self) -> bool {
        self.self_managed || self.addons.get("vpc-cni").is_some_and(Addon::is_installed)
    }

    /// How many nodes are ready.
    pub(super) fn nodes(&self) -> usize {
        self.nodegroups.values().map(Nodegroup::ready).sum()
    }

    /// As replies show it.
    pub(super) fn show(&self, scene: &Scene<'_>) -> Value {
        let up = self.status != Status::Creating;
        let plane = self.plane.as_ref().filter(|_| up);
        let of = |on: bool| -> Vec<&str> {
            LOGS.into_iter()
                .filter(|kind| self.logging.contains(*kind) == on)
                .collect()
        };
        let mut logging = Vec::new();
        for (types, enabled) in [(of(true), true), (of(false), false)] {
            if !types.is_empty() {
                logging.push(json!({"types": types, "enabled": enabled}));
            }
        }
        let encryption = self
            .encryption
            .as_ref()
            .map(|key| json!([{"resources": ["secrets"], "provider": {"keyArn": key}}]));
        json!({
            "name": self.name,
            "arn": self.arn,
            "createdAt": self.created.epoch(),
            "version": self.version,
            "endpoint": plane.map(|plane| &plane.server),
            "roleArn": self.role,
            "resourcesVpcConfig": {
                "subnetIds": self.subnets,
                "securityGroupIds": self.groups,
                "clusterSecurityGroupId": up.then_some(&self.own_group),
                "vpcId": self.vpc,
                "endpointPublicAccess": self.endpoint.public,
                "endpointPrivateAccess": self.endpoint.private,
                "publicAccessCidrs": self.endpoint.cidrs,
            },
            "kubernetesNetworkConfig": {
                "serviceIpv4Cidr": self.service_range,
                "ipFamily": "ipv4",
                "elasticLoadBalancing": {"enabled": false},
            },
            "logging": {"clusterLogging": logging},
            "identity": up.then(|| json!({"oidc": {"issuer": self.issuer(scene.place)}})),
            "status": self.status,
            "certificateAuthority": plane.map_or_else(|| json!({}), |plane| json!({"data": plane.authority})),
            "clientRequestToken": self.token,
            "platformVersion": "eks.4",
            "tags": self.tags.current(),
            "encryptionConfig": encryption,
            "health": Issue::show(&self.issues),
            "accessConfig": {"authenticationMode": self.authentication},
            "upgradePolicy": {"supportType": self.support},
            "deletionProtection": self.deletion_protection,
        })
    }

    /// The update that is under way, if any.
    pub(super) fn under_way(&self) -> Option<&Update> {
        let mut all = self.updates.values();
        all.find(|update| update.is_of_cluster() && update.is_under_way())
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::read("DescribeCluster", &["name"], describe_cluster).at("GET", "/clusters/{name}"),
    Action::read(
        "ListClusters",
        &["maxResults", "nextToken", "include"],
        list_clusters,
    )
    .at("GET", "/clusters"),
    Action::write("DeleteCluster", &["name"], delete_cluster).at("DELETE", "/clusters/{name}"),
];

fn describe_cluster(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let cluster = cluster_of(scene, params, "name")?;
    Ok(json!({ "cluster": cluster.show(scene) }))
}

fn list_clusters(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let all = scene.region.eks.clusters.values();
    let listed = all.filter(|cluster| scene.listed(cluster.created));
    let names = listed.map(|cluster| (cluster.name.clone(), json!(cluster.name)));
    paged(params, "clusters", names.collect())
}

fn delete_cluster(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let cluster = cluster_of(scene, params, "name")?;
    let name = cluster.name.clone();
    if cluster.deletion_protection {
        let message = format!("Cluster {name} has deletion protection enabled.");
        return Err(bad_request(message));
    }
    if let Some(group) = cluster.nodegroups.values().next() {
        return Err(in_use("Cluster has nodegroups attached")
            .field("clusterName", name)
            .field("nodegroupName", group.name.clone()));
    }
    if cluster.status == Status::Creating {
        let message =
            format!("Cannot delete because cluster {name} currently has create in progress");
        return Err(in_use(message).field("clusterName", name));
    }
    if let Some(update) = cluster.under_way() {
        let message = format!(
            "Cannot delete because cluster {name} currently has update {} in progress",
            update.id
        );
        return Err(in_use(message).field("clusterName", name));
    }
    let id = cluster.id.clone();
    if cluster.status != Status::Deleting {
        if let Some(cluster) = by_id(scene, &id) {
            cluster.status = Status::Deleting;
        }
        scene.schedule(Wait::ClusterDeleted, Event::ClusterDeleted { id });
    }
    let cluster = cluster_of(scene, params, "name")?;
    Ok(json!({ "cluster": cluster.show(scene) }))
}

/// Its time of creation is over.
pub(super) fn due(scene: &mut Scene<'_>, id: &str) {
    if let Some(cluster) = by_id(scene, id) {
        cluster.due = true;
    }
    settles(scene, id);
}

/// It becomes active when its time has come and its control plane is up.
pub(super) fn settles(scene: &mut Scene<'_>, id: &str) {
    let (hosted, region) = (scene.core.hosted, scene.place.region.clone());
    let Some(cluster) = by_id(scene, id) else {
        return;
    };
    if cluster.status != Status::Creating || !cluster.due {
        return;
    }
    if cluster.plane.is_none() && !hosted {
        // Nobody hosts clusters: an address of the usual form, behind which nothing is.
        cluster.plane = Some(Plane {
            server: format!("https://{}.gr7.{region}.eks.amazonaws.com", cluster.id),
            authority: String::new(),
        });
    }
    if cluster.plane.is_none() {
        return;
    }
    cluster.status = Status::Active;
    let name = cluster.name.clone();
    logs(scene, id);
    changed(scene, &name);
}

/// It has gone, with what EKS made for it. A group that something else still uses stays behind.
pub(super) fn deleted(scene: &mut Scene<'_>, id: &str) {
    let Some(cluster) = by_id(scene, id) else {
        return;
    };
    let (name, group) = (cluster.name.clone(), cluster.own_group.clone());
    let interfaces = std::mem::take(&mut cluster.interfaces);
    scene.region.eks.clusters.remove(&name);
    network::remove(scene, &interfaces, &group);
    changed(scene, &name);
}

/// A cluster that logs makes its log group where it is missing: when it starts, and again whenever somebody deletes it.
pub(super) fn logs(scene: &mut Scene<'_>, id: &str) {
    let Some(cluster) = by_id(scene, id) else {
        return;
    };
    if !cluster.logging.is_empty() && cluster.status != Status::Creating {
        let name = log_group_of(&cluster.name);
        logs::ensure(scene, &name);
    }
}

/// Somebody deleted a log group: a cluster that writes to it makes it again in a while, also while it is being deleted.
pub(crate) fn log_group_deleted(scene: &mut Scene<'_>, group: &str) {
    let mut all = scene.region.eks.clusters.values();
    let writer = all.find(|cluster| log_group_of(&cluster.name) == group);
    if let Some(id) = writer.map(|cluster| cluster.id.clone()) {
        scene.schedule(Wait::ClusterLogs, Event::Logs { id });
    }
}
