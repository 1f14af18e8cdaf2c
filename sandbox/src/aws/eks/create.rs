//! Making a cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::access::Entry;
use super::cluster::{Cluster, Endpoint, LOGS, Status};
use super::{Event, bad_parameter, changed, check, in_use, limit, network, tags, texts, version};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;
use crate::aws::world::tokens::{Replay, remember, replay};

pub(crate) const ACTIONS: &[Action] = &[Action::write(
    "CreateCluster",
    &[
        "name",
        "version",
        "roleArn",
        "resourcesVpcConfig",
        "kubernetesNetworkConfig",
        "logging",
        "clientRequestToken",
        "tags",
        "encryptionConfig",
        "accessConfig",
        "bootstrapSelfManagedAddons",
        "upgradePolicy",
        "deletionProtection",
    ],
    create_cluster,
)
.at("POST", "/clusters")];

/// The code of a token that was used with other parameters.
pub(super) const MISMATCH: &str = "InvalidParameterException";

fn create_cluster(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let first = replay(scene, params, "clientRequestToken", MISMATCH)?;
    if let Replay::Again(name) = &first
        && let Some(cluster) = scene.region.eks.clusters.get(name)
    {
        return Ok(json!({ "cluster": cluster.show(scene) }));
    }
    let cluster = prepare(scene, params)?;
    let (name, id) = (cluster.name.clone(), cluster.id.clone());
    scene.region.eks.clusters.insert(name.clone(), cluster);
    scene.schedule(Wait::ClusterActive, Event::ClusterActive { id });
    remember(scene, first, &name);
    changed(scene, &name);
    let shown = scene
        .region
        .eks
        .clusters
        .get(&name)
        .map(|cluster| cluster.show(scene));
    Ok(json!({ "cluster": shown }))
}

/// Look at everything, then make what belongs to it.
fn prepare(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Cluster, ApiError> {
    let name = check::name(params, "name", 100)?.to_owned();
    if scene.region.eks.clusters.contains_key(&name) {
        let message = format!("Cluster already exists with name: {name}");
        return Err(in_use(message).field("clusterName", name));
    }
    if scene.region.eks.clusters.len() >= scene.quota("L-1194D53C") {
        return Err(limit(
            "The maximum number of clusters per account and region is reached.",
        ));
    }
    let version = version::chosen(params)?;
    let role = params.need("roleArn")?.to_owned();
    let Some(found) = check::role(scene, &role, "eks.amazonaws.com") else {
        let message = format!(
            "Role with arn: {role}, could not be assumed because it does not exist or the trusted entity is not correct"
        );
        return Err(bad_parameter(message).field("clusterName", name));
    };
    let policy = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy";
    if !found.attached.contains(policy) {
        let message = format!(
            "The provided role doesn't have the Amazon EKS Managed Policies associated with it. Please ensure the following \
             policy is attached: [{policy}]"
        );
        return Err(bad_parameter(message).field("clusterName", name));
    }
    let network = params
        .section("resourcesVpcConfig")
        .ok_or_else(|| ApiError::missing("resourcesVpcConfig"))?;
    let ids = network.texts("subnetIds");
    let subnets = check::control_plane_subnets(scene, &ids)?;
    let vpc = subnets
        .first()
        .map(|subnet| subnet.vpc.clone())
        .unwrap_or_default();
    let groups = network.texts("securityGroupIds");
    check::groups(scene, &groups, &vpc)?;
    let endpoint = endpoint(network, None)?;
    let logging = logging(params)?.unwrap_or_default();
    let access = params.section("accessConfig");
    let authentication = access.and_then(|access| access.text("authenticationMode"));
    let authentication = authentication.unwrap_or("CONFIG_MAP").to_owned();
    if !["API", "API_AND_CONFIG_MAP", "CONFIG_MAP"].contains(&authentication.as_str()) {
        return Err(bad_parameter("Unsupported authentication mode"));
    }
    let administrator = match access {
        Some(access) => access.flag("bootstrapClusterCreatorAdminPermissions")?,
        None => None,
    };
    let tags = Tags::new(tags(params)?);
    let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let (subnets, groups) = (owned(&ids), owned(&groups));
    let range = params.section("kubernetesNetworkConfig");
    let range = range
        .and_then(|config| config.text("serviceIpv4Cidr"))
        .map(str::to_owned);
    let service_range = range.unwrap_or_else(|| service_range(scene, &vpc));
    let self_managed = params.flag("bootstrapSelfManagedAddons")?.unwrap_or(true);
    let support = params
        .section("upgradePolicy")
        .and_then(|policy| policy.text("supportType"));
    let support = support.unwrap_or("EXTENDED").to_owned();
    let deletion_protection = params.flag("deletionProtection")?.unwrap_or(false);
    let encryption = encryption(scene, params)?;

    let own_group = network::group(scene, &vpc, &name)?;
    let mut all = vec![own_group.clone()];
    all.extend(groups.iter().cloned());
    let interfaces = match network::interfaces(scene, &name, &subnets, &all) {
        Ok(interfaces) => interfaces,
        Err(error) => {
            scene.region.ec2.groups.remove(&own_group);
            return Err(bad_parameter(error.message));
        }
    };
    let mut entries = BTreeMap::new();
    if administrator.unwrap_or(true) && authentication != "CONFIG_MAP" {
        let entry = Entry::of_creator(scene, &name);
        entries.insert(entry.principal.clone(), entry);
    }
    Ok(Cluster {
        id: scene.core.ids.hex(32).to_ascii_uppercase(),
        arn: scene.place.arn("eks", &format!("cluster/{name}")),
        name,
        created: scene.now,
        version,
        status: Status::Creating,
        role,
        vpc,
        subnets,
        groups,
        endpoint,
        service_range,
        logging,
        encryption,
        authentication,
        support,
        deletion_protection,
        self_managed,
        token: params.text("clientRequestToken").map(str::to_owned),
        own_group,
        interfaces,
        due: false,
        plane: None,
        issues: Vec::new(),
        tags,
        updates: BTreeMap::new(),
        nodegroups: BTreeMap::new(),
        addons: BTreeMap::new(),
        entries,
        identities: BTreeMap::new(),
        claimed: BTreeSet::new(),
    })
}

/// 10.100.0.0/16, or 172.20.0.0/16 where the VPC is in 10.0.0.0/8 (EKS user guide: `kubernetesNetworkConfig`).
fn service_range(scene: &Scene<'_>, vpc: &str) -> String {
    let vpc = scene.region.ec2.vpcs.get(vpc);
    let ten = vpc.is_some_and(|vpc| vpc.cidr.to_string().starts_with("10."));
    if ten {
        "172.20.0.0/16"
    } else {
        "10.100.0.0/16"
    }
    .to_owned()
}

/// From where the API server is to be reached; what is not said stays as it `was`.
pub(super) fn endpoint(network: Params<'_>, was: Option<&Endpoint>) -> Result<Endpoint, ApiError> {
    let public = network.flag("endpointPublicAccess")?;
    let private = network.flag("endpointPrivateAccess")?;
    let given = network.texts("publicAccessCidrs");
    let mut cidrs: Vec<String> = given.iter().map(|cidr| (*cidr).to_owned()).collect();
    if cidrs.is_empty() {
        cidrs = was.map_or_else(|| vec!["0.0.0.0/0".to_owned()], |was| was.cidrs.clone());
    }
    let endpoint = Endpoint {
        public: public.or(was.map(|was| was.public)).unwrap_or(true),
        private: private.or(was.map(|was| was.private)).unwrap_or(false),
        cidrs,
    };
    if !endpoint.public && !endpoint.private {
        return Err(bad_parameter(
            "Private and public endpoint access cannot both be false",
        ));
    }
    Ok(endpoint)
}

/// The kinds of logs that are to be written, where the call says something about logs.
pub(super) fn logging(params: Params<'_>) -> Result<Option<BTreeSet<String>>, ApiError> {
    let Some(logging) = params.section("logging") else {
        return Ok(None);
    };
    let mut kinds = BTreeSet::new();
    for setup in logging.sections("clusterLogging") {
        let on = setup.flag("enabled")?.unwrap_or(false);
        for kind in texts(setup, "types") {
            if !LOGS.contains(&kind) {
                return Err(bad_parameter(format!("Unsupported logging type: {kind}")));
            }
            if on {
                kinds.insert(kind.to_owned());
            }
        }
    }
    Ok(Some(kinds))
}

/// The key that encrypts Secrets.
pub(super) fn encryption(
    scene: &Scene<'_>,
    params: Params<'_>,
) -> Result<Option<String>, ApiError> {
    let Some(config) = params.sections("encryptionConfig").into_iter().next() else {
        return Ok(None);
    };
    let secrets = config.texts("resources");
    let key = config
        .section("provider")
        .and_then(|provider| provider.text("keyArn"));
    match key {
        Some(key) if secrets == ["secrets"] && scene.region.kms.usable(key).is_none() => Err(
            bad_parameter(format!("The key {key} is not there or cannot be used")),
        ),
        Some(key) if secrets == ["secrets"] => Ok(Some(key.to_owned())),
        _ => Err(bad_parameter(
            "encryptionConfig has to name a key for secrets",
        )),
    }
}
