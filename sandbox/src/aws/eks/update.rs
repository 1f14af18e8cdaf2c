//! Changes of clusters, node groups and add-ons, as EKS reports them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cluster::{Cluster, Status};
use super::create::{encryption, endpoint, logging};
use super::{
    Event, bad_parameter, bad_request, by_id, changed, cluster, cluster_mut, cluster_of, in_use,
    moves, not_found, paged, version,
};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::Scene;

/// An update.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Update {
    pub(super) id: String,
    kind: String,
    status: UpdateStatus,
    params: Vec<(String, String)>,
    created: Time,
    pub(super) nodegroup: Option<String>,
    pub(super) addon: Option<String>,
    /// Version of the cluster or add-on when it is done.
    version: Option<String>,
    token: Option<String>,
    errors: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum UpdateStatus {
    InProgress,
    Successful,
    Failed,
}

impl Update {
    pub(super) fn is_under_way(&self) -> bool {
        self.status == UpdateStatus::InProgress
    }

    pub(super) fn is_of_cluster(&self) -> bool {
        self.nodegroup.is_none() && self.addon.is_none()
    }

    /// Whether it is one of a node group's version, which replaces its nodes.
    pub(super) fn rolls_nodes(&self) -> bool {
        self.nodegroup.is_some() && self.kind == "VersionUpdate"
    }

    /// It came to nothing.
    pub(super) fn fail(&mut self, code: &str, message: &str) {
        self.status = UpdateStatus::Failed;
        self.errors.push((code.to_owned(), message.to_owned()));
    }

    /// It is done.
    pub(super) fn succeed(&mut self) {
        self.status = UpdateStatus::Successful;
    }

    pub(super) fn show(&self) -> Value {
        let list: Vec<Value> = self
            .params
            .iter()
            .map(|(kind, value)| json!({"type": kind, "value": value}))
            .collect();
        let errors: Vec<Value> = self
            .errors
            .iter()
            .map(|(code, message)| json!({"errorCode": code, "errorMessage": message}))
            .collect();
        json!({
            "id": self.id,
            "status": self.status,
            "type": self.kind,
            "params": list,
            "createdAt": self.created.epoch(),
            "errors": errors,
        })
    }
}

/// An update that is to begin.
pub(super) struct Change<'a> {
    /// As EKS calls it, e.g. `VersionUpdate`.
    pub(super) kind: &'a str,
    /// What changes.
    pub(super) list: Vec<(&'a str, String)>,
    /// The node group or the add-on; neither for the cluster itself.
    pub(super) of: (Option<&'a str>, Option<&'a str>),
    /// The cluster's version when it is done.
    pub(super) version: Option<String>,
    /// How long it takes.
    pub(super) wait: Wait,
}

impl<'a> Change<'a> {
    /// One of a cluster's settings.
    pub(super) fn of_cluster(kind: &'a str, list: Vec<(&'a str, String)>) -> Self {
        Self {
            kind,
            list,
            of: (None, None),
            version: None,
            wait: Wait::ClusterUpdated,
        }
    }
}

/// Note an update of a cluster or of something in it, and let it be done later. Returns the reply.
pub(super) fn begin(
    scene: &mut Scene<'_>,
    params: Params<'_>,
    cluster: &str,
    change: Change<'_>,
) -> Value {
    let Change {
        kind,
        list,
        of,
        version,
        wait,
    } = change;
    let update = Update {
        id: scene.core.ids.uuid(),
        kind: kind.to_owned(),
        status: UpdateStatus::InProgress,
        params: list
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        created: scene.now,
        nodegroup: of.0.map(str::to_owned),
        addon: of.1.map(str::to_owned),
        version,
        token: params.text("clientRequestToken").map(str::to_owned),
        errors: Vec::new(),
    };
    let shown = json!({ "update": update.show() });
    let mut id = None;
    if let Some(cluster) = scene.region.eks.clusters.get_mut(cluster) {
        if update.is_of_cluster() {
            cluster.status = Status::Updating;
        }
        id = Some((cluster.id.clone(), update.id.clone()));
        cluster.updates.insert(update.id.clone(), update);
    }
    if let Some((id, update)) = id {
        scene.schedule(wait, Event::UpdateDone { id, update });
    }
    shown
}

/// The update that a call with the same token began, if any.
pub(super) fn begun(cluster: &Cluster, params: Params<'_>) -> Option<Value> {
    let token = params.text("clientRequestToken")?;
    let mut all = cluster.updates.values();
    let update = all.find(|update| update.token.as_deref() == Some(token))?;
    Some(json!({ "update": update.show() }))
}

/// An update's time is over.
pub(super) fn done(scene: &mut Scene<'_>, id: &str, update: &str) {
    let Some(cluster) = by_id(scene, id) else {
        return;
    };
    let Some(update) = cluster
        .updates
        .get_mut(update)
        .filter(|update| update.is_under_way())
    else {
        return;
    };
    let update = update.clone();
    if let Some(group) = &update.nodegroup {
        super::nodegroup_update::done(scene, id, group, &update.id);
        return;
    }
    if let Some(addon) = &update.addon {
        super::addon::updated(scene, id, addon, &update.id);
        return;
    }
    if let Some(version) = &update.version {
        cluster.version.clone_from(version);
    }
    if cluster.status == Status::Updating {
        cluster.status = Status::Active;
    }
    if let Some(update) = cluster.updates.get_mut(&update.id) {
        update.succeed();
    }
    let name = cluster.name.clone();
    cluster::logs(scene, id);
    changed(scene, &name);
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "UpdateClusterConfig",
        &[
            "name",
            "resourcesVpcConfig",
            "logging",
            "clientRequestToken",
            "accessConfig",
            "upgradePolicy",
            "deletionProtection",
        ],
        update_config,
    )
    .at("POST", "/clusters/{name}/update-config"),
    Action::write(
        "UpdateClusterVersion",
        &["name", "version", "clientRequestToken"],
        update_version,
    )
    .at("POST", "/clusters/{name}/updates"),
    Action::write(
        "AssociateEncryptionConfig",
        &["clusterName", "encryptionConfig", "clientRequestToken"],
        associate_encryption,
    )
    .at(
        "POST",
        "/clusters/{clusterName}/encryption-config/associate",
    ),
    Action::read(
        "DescribeUpdate",
        &["name", "updateId", "nodegroupName", "addonName"],
        describe_update,
    )
    .at("GET", "/clusters/{name}/updates/{updateId}"),
    Action::read(
        "ListUpdates",
        &[
            "name",
            "nodegroupName",
            "addonName",
            "maxResults",
            "nextToken",
        ],
        list_updates,
    )
    .at("GET", "/clusters/{name}/updates"),
];

/// One update at a time.
pub(super) fn free(cluster: &Cluster, kind: &str) -> Result<(), ApiError> {
    if let Some(update) = cluster.under_way() {
        let message = format!(
            "Cannot {kind} because cluster {} currently has update {} in progress",
            cluster.name, update.id
        );
        return Err(in_use(message).field("clusterName", cluster.name.clone()));
    }
    if cluster.status != Status::Active {
        let message = format!(
            "Cannot {kind} because cluster {} is not active",
            cluster.name
        );
        return Err(in_use(message).field("clusterName", cluster.name.clone()));
    }
    Ok(())
}

fn update_config(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let cluster = cluster_of(scene, params, "name")?;
    if let Some(again) = begun(cluster, params) {
        return Ok(again);
    }
    let name = cluster.name.clone();
    let network = params.section("resourcesVpcConfig");
    let logs = logging(params)?;
    let access = params
        .section("accessConfig")
        .and_then(|access| access.text("authenticationMode"));
    let support = params
        .section("upgradePolicy")
        .and_then(|policy| policy.text("supportType"));
    let protection = params.flag("deletionProtection")?;
    let given = [
        network.is_some(),
        logs.is_some(),
        access.is_some(),
        support.is_some(),
        protection.is_some(),
    ];
    match given.iter().filter(|given| **given).count() {
        1 => {}
        0 => {
            return Err(bad_parameter(
                "No changes needed for the cluster: nothing was given",
            ));
        }
        _ => return Err(bad_parameter("Only one type of update can be allowed.")),
    }
    if let Some(network) = network {
        if network.has("subnetIds") || network.has("securityGroupIds") {
            return moves::moves(scene, params, network);
        }
        free(cluster, "EndpointAccessUpdate")?;
        let wanted = endpoint(network, Some(&cluster.endpoint))?;
        if wanted == cluster.endpoint {
            return Err(bad_parameter(
                "Cluster is already at the desired configuration with endpointPrivateAccess, endpointPublicAccess, and publicAccessCidrs",
            ));
        }
        let list = vec![
            ("EndpointPublicAccess", wanted.public.to_string()),
            ("EndpointPrivateAccess", wanted.private.to_string()),
            ("PublicAccessCidrs", json!(wanted.cidrs).to_string()),
        ];
        cluster_mut(scene, params, "name")?.endpoint = wanted;
        return Ok(begin(
            scene,
            params,
            &name,
            Change::of_cluster("EndpointAccessUpdate", list),
        ));
    }
    if let Some(logs) = logs {
        free(cluster, "LoggingUpdate")?;
        if logs == cluster.logging {
            return Err(bad_parameter(
                "No changes needed for the logging config provided",
            ));
        }
        let list = vec![("ClusterLogging", params.tree()["logging"].to_string())];
        cluster_mut(scene, params, "name")?.logging = logs;
        return Ok(begin(
            scene,
            params,
            &name,
            Change::of_cluster("LoggingUpdate", list),
        ));
    }
    if let Some(mode) = access {
        free(cluster, "AccessConfigUpdate")?;
        let order = ["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"];
        let rank = |mode: &str| order.iter().position(|one| *one == mode);
        if rank(mode) <= rank(&cluster.authentication) {
            return Err(bad_parameter(format!(
                "Unsupported authentication mode update from {} to {mode}",
                cluster.authentication
            )));
        }
        cluster_mut(scene, params, "name")?.authentication = mode.to_owned();
        let list = vec![("AuthenticationMode", mode.to_owned())];
        return Ok(begin(
            scene,
            params,
            &name,
            Change::of_cluster("AccessConfigUpdate", list),
        ));
    }
    if let Some(support) = support {
        free(cluster, "UpgradePolicyUpdate")?;
        cluster_mut(scene, params, "name")?.support = support.to_owned();
        let list = vec![("UpgradePolicy", support.to_owned())];
        return Ok(begin(
            scene,
            params,
            &name,
            Change::of_cluster("UpgradePolicyUpdate", list),
        ));
    }
    free(cluster, "DeletionProtectionUpdate")?;
    let on = protection.unwrap_or(false);
    cluster_mut(scene, params, "name")?.deletion_protection = on;
    let list = vec![("DeletionProtection", on.to_string())];
    Ok(begin(
        scene,
        params,
        &name,
        Change::of_cluster("DeletionProtectionUpdate", list),
    ))
}

fn update_version(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let cluster = cluster_of(scene, params, "name")?;
    if let Some(again) = begun(cluster, params) {
        return Ok(again);
    }
    let wanted = params.need("version")?;
    free(cluster, "VersionUpdate")?;
    if !version::exists(wanted) {
        return Err(bad_parameter(format!(
            "unsupported Kubernetes version: {wanted}"
        )));
    }
    if version::next(&cluster.version) != Some(wanted) {
        return Err(bad_parameter(format!(
            "Unsupported Kubernetes minor version update from {} to {wanted}",
            cluster.version
        )));
    }
    let behind: Vec<&str> = cluster
        .nodegroups
        .values()
        .filter(|group| group.version != cluster.version)
        .map(|group| group.name.as_str())
        .collect();
    if !behind.is_empty() {
        return Err(bad_parameter(format!(
            "Nodegroups {} must be updated to match cluster version {} before updating cluster version",
            behind.join(", "),
            cluster.version
        )));
    }
    let name = cluster.name.clone();
    let list = vec![
        ("Version", wanted.to_owned()),
        ("PlatformVersion", "eks.4".to_owned()),
    ];
    let version = Some(wanted.to_owned());
    Ok(begin(
        scene,
        params,
        &name,
        Change {
            kind: "VersionUpdate",
            list,
            of: (None, None),
            version,
            wait: Wait::ClusterUpgraded,
        },
    ))
}

fn associate_encryption(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let cluster = cluster_of(scene, params, "clusterName")?;
    if let Some(again) = begun(cluster, params) {
        return Ok(again);
    }
    free(cluster, "AssociateEncryptionConfig")?;
    if cluster.encryption.is_some() {
        return Err(bad_parameter("Cluster already has encryption configured"));
    }
    let name = cluster.name.clone();
    let key = encryption(scene, params)?.ok_or_else(|| ApiError::missing("encryptionConfig"))?;
    let list = vec![(
        "EncryptionConfig",
        params.tree()["encryptionConfig"].to_string(),
    )];
    cluster_mut(scene, params, "clusterName")?.encryption = Some(key);
    Ok(begin(
        scene,
        params,
        &name,
        Change::of_cluster("AssociateEncryptionConfig", list),
    ))
}

fn describe_update(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let cluster = cluster_of(scene, params, "name")?;
    let id = params.need("updateId")?;
    let (group, addon) = (params.text("nodegroupName"), params.text("addonName"));
    let update = cluster
        .updates
        .get(id)
        .filter(|update| update.nodegroup.as_deref() == group && update.addon.as_deref() == addon);
    let update = update.ok_or_else(|| not_found(format!("No update found for ID: {id}")))?;
    Ok(json!({ "update": update.show() }))
}

fn list_updates(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let cluster = cluster_of(scene, params, "name")?;
    let (group, addon) = (params.text("nodegroupName"), params.text("addonName"));
    if group.is_some() && addon.is_some() {
        return Err(bad_request(
            "nodegroupName and addonName cannot both be given",
        ));
    }
    let all = cluster.updates.values();
    let mine = all
        .filter(|update| update.nodegroup.as_deref() == group && update.addon.as_deref() == addon);
    paged(
        params,
        "updateIds",
        mine.map(|update| (update.id.clone(), json!(update.id)))
            .collect(),
    )
}
