//! A control plane moves to other subnets, or gets other security groups.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::update::{Change, begin, free};
use super::{bad_parameter, check, cluster_mut, cluster_of, network};
use crate::aws::ec2::interface;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;

/// Other subnets, or other security groups: of the same VPC, and in exactly the zones that the first ones were in. The control
/// plane's interfaces move with the call.
pub(super) fn moves(
    scene: &mut Scene<'_>,
    params: Params<'_>,
    wanted: Params<'_>,
) -> Result<Value, ApiError> {
    let reach = [
        "endpointPublicAccess",
        "endpointPrivateAccess",
        "publicAccessCidrs",
    ];
    if reach.iter().any(|field| wanted.has(field)) {
        return Err(bad_parameter("Only one type of update can be allowed."));
    }
    let cluster = cluster_of(scene, params, "name")?;
    free(cluster, "VpcConfigUpdate")?;
    let given = |field: &str, was: &[String]| -> Vec<String> {
        if wanted.has(field) {
            let texts = wanted.texts(field);
            texts.into_iter().map(str::to_owned).collect()
        } else {
            was.to_vec()
        }
    };
    let (subnets, groups) = (
        given("subnetIds", &cluster.subnets),
        given("securityGroupIds", &cluster.groups),
    );
    if subnets == cluster.subnets && groups == cluster.groups {
        return Err(bad_parameter(
            "No changes needed for the VPC config provided",
        ));
    }
    let ids: Vec<&str> = subnets.iter().map(String::as_str).collect();
    let found = check::control_plane_subnets(scene, &ids)?;
    if found.iter().any(|subnet| subnet.vpc != cluster.vpc) {
        return Err(bad_parameter(
            "Provided subnets are not in the VPC of the cluster",
        ));
    }
    let zones: BTreeSet<&String> = found.iter().map(|subnet| &subnet.zone).collect();
    let first = cluster.subnets.iter();
    let first = first.filter_map(|id| scene.region.ec2.subnets.get(id));
    if zones != first.map(|subnet| &subnet.zone).collect() {
        return Err(bad_parameter(
            "Provided subnets have to belong to the same set of availability zones as those that the cluster was created with",
        ));
    }
    let ids: Vec<&str> = groups.iter().map(String::as_str).collect();
    check::groups(scene, &ids, &cluster.vpc)?;
    let mut all = vec![cluster.own_group.clone()];
    all.extend(groups.iter().cloned());
    let (name, old) = (cluster.name.clone(), cluster.interfaces.clone());
    let made = network::interfaces(scene, &name, &subnets, &all)
        .map_err(|error| bad_parameter(error.message))?;
    old.iter().for_each(|id| interface::remove(scene, id));
    let list = vec![
        ("Subnets", json!(subnets).to_string()),
        ("SecurityGroups", json!(groups).to_string()),
    ];
    let cluster = cluster_mut(scene, params, "name")?;
    cluster.interfaces = made;
    cluster.subnets = subnets;
    cluster.groups = groups;
    Ok(begin(
        scene,
        params,
        &name,
        Change::of_cluster("VpcConfigUpdate", list),
    ))
}
