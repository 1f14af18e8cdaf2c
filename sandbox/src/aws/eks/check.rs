//! What EKS looks at before it makes something: roles, subnets, groups, names.

use crate::aws::ec2::security_group::Group;
use crate::aws::ec2::subnet::Subnet;
use crate::aws::iam;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;
use crate::aws::world::zones;

use super::bad_parameter;

/// Zones in which EKS has no control planes (EKS user guide: network requirements).
const WITHOUT_EKS: [&str; 3] = ["use1-az3", "usw1-az2", "cac1-az3"];

/// A name of EKS': letters, digits, hyphens and underscores, beginning with a letter or digit.
pub(super) fn name<'a>(
    params: Params<'a>,
    field: &str,
    longest: usize,
) -> Result<&'a str, ApiError> {
    let name = params.need(field)?;
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if begins && name.len() <= longest && name.chars().all(allowed) {
        return Ok(name);
    }
    Err(bad_parameter(format!(
        "The {field} '{name}' must satisfy regular expression pattern: [a-zA-Z0-9][a-zA-Z0-9-_]* and have at most {longest} \
         characters"
    )))
}

/// A role that a service of AWS can assume. A role, or a change of it, is not known at once.
pub(super) fn role<'a>(scene: &'a Scene<'_>, arn: &str, service: &str) -> Option<&'a iam::Role> {
    let role = scene.account.iam.role_of(arn)?;
    let known = iam::known_elsewhere(scene, role.created);
    (known && iam::trusts(&role.trust, service, "sts:AssumeRole")).then_some(role)
}

/// The subnets of that list.
pub(super) fn subnets<'a>(scene: &'a Scene<'_>, ids: &[&str]) -> Result<Vec<&'a Subnet>, ApiError> {
    let ec2 = &scene.region.ec2;
    let known = |id: &&str| {
        ec2.subnets
            .get(*id)
            .filter(|subnet| scene.known(subnet.created))
    };
    let found: Vec<&Subnet> = ids.iter().filter_map(known).collect();
    if found.len() < ids.len() {
        let missing: Vec<&str> = ids
            .iter()
            .copied()
            .filter(|id| known(id).is_none())
            .collect();
        let message = format!("The subnet ID '{}' does not exist", missing.join(", "));
        return Err(bad_parameter(message));
    }
    let mut vpcs: Vec<&str> = found.iter().map(|subnet| subnet.vpc.as_str()).collect();
    vpcs.dedup();
    if vpcs.len() > 1 {
        return Err(bad_parameter(
            "Subnets specified must belong to the same VPC",
        ));
    }
    Ok(found)
}

/// The subnets of a control plane: in at least two zones, all of which have EKS.
pub(super) fn control_plane_subnets<'a>(
    scene: &'a Scene<'_>,
    ids: &[&str],
) -> Result<Vec<&'a Subnet>, ApiError> {
    let found = subnets(scene, ids)?;
    let mut names: Vec<&str> = found.iter().map(|subnet| subnet.zone.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let unsupported = |zone: &&str| zones::zone_id(zone).is_none_or(|id| WITHOUT_EKS.contains(&id));
    if let Some(zone) = names.iter().copied().find(unsupported) {
        let region = zones::region(&scene.place.region);
        let all = region.map_or(&[][..], |region| region.zones).iter();
        let valid: Vec<String> = all
            .filter(|(_, id)| !WITHOUT_EKS.contains(id))
            .map(|(letter, _)| format!("{}{letter}", scene.place.region))
            .collect();
        let message = format!(
            "Cannot create cluster because {zone}, the targeted availability zone, does not currently have sufficient capacity to \
             support the cluster. Retry and choose from these availability zones: {}",
            valid.join(", ")
        );
        return Err(
            ApiError::new("UnsupportedAvailabilityZoneException", message)
                .field("validZones", valid),
        );
    }
    if names.len() < 2 {
        let message = "Subnets specified must be in at least two different AZs";
        return Err(bad_parameter(message));
    }
    for subnet in &found {
        if subnet.free_addresses(scene) < 6 {
            let message = format!(
                "Subnet {} has not enough free addresses: EKS needs at least 6 in each.",
                subnet.id
            );
            return Err(bad_parameter(message));
        }
    }
    Ok(found)
}

/// Security groups of a VPC.
pub(super) fn groups(scene: &Scene<'_>, ids: &[&str], vpc: &str) -> Result<(), ApiError> {
    for id in ids {
        let group: Option<&Group> = scene.region.ec2.groups.get(*id);
        match group {
            None => {
                let message = format!("The security group '{id}' does not exist");
                return Err(bad_parameter(message));
            }
            Some(group) if group.vpc != vpc => {
                return Err(bad_parameter(
                    "Security group(s) and subnets must belong to the same VPC",
                ));
            }
            Some(_) => {}
        }
    }
    if ids.len() > 4 {
        return Err(bad_parameter("At most 4 security groups can be given."));
    }
    Ok(())
}
