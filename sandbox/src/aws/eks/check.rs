//! What EKS looks at before it makes something: roles, subnets, groups, names, labels, disks.

use std::collections::BTreeMap;

use crate::aws::ec2::security_group::Group;
use crate::aws::ec2::subnet::Subnet;
use crate::aws::iam;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;
use crate::aws::world::zones;

use super::{bad_parameter, bad_request};

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

/// The form of a name in Kubernetes: letters and digits at both ends.
fn is_name(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.len() <= 63
        && text.chars().all(inner)
        && edge(text.chars().next())
        && edge(text.chars().next_back())
}

/// The key of a label or taint: a name, with a domain and a slash before it or without.
pub(super) fn label_key(key: &str) -> Result<(), ApiError> {
    let (domain, name) = key.split_once('/').unwrap_or(("a", key));
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let is_domain = !domain.is_empty() && domain.len() <= 253 && domain.chars().all(lower);
    if is_domain && is_name(name) {
        return Ok(());
    }
    Err(bad_parameter(format!(
        "Invalid key: {key}: it must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
         alphanumeric character, with an optional DNS subdomain prefix and '/'"
    )))
}

/// The value of a label, or of a taint that has one.
pub(super) fn label_value(value: &str) -> Result<(), ApiError> {
    if is_name(value) {
        return Ok(());
    }
    Err(bad_parameter(format!(
        "Invalid value: {value} : field must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
         alphanumeric character"
    )))
}

/// Labels, of which EKS takes none without a value.
pub(super) fn labels(labels: &BTreeMap<String, String>) -> Result<(), ApiError> {
    for (key, value) in labels {
        label_key(key)?;
        label_value(value)?;
    }
    Ok(())
}

/// The size of a node's disk in GiB: no smaller than the image, no larger than a gp3 volume can be.
pub(super) fn disk(gib: i64) -> Result<i64, ApiError> {
    if gib < 20 {
        return Err(bad_request(format!(
            "Volume of size {gib}GB is smaller than snapshot 'snap-0e5a1c0ffee5a1c00', expect size>= 20GB"
        )));
    }
    if gib > 65_536 {
        return Err(bad_parameter(format!(
            "The disk size {gib} is larger than 65536 GiB."
        )));
    }
    Ok(gib)
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
