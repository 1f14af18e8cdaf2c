//! Regions and zones, and what the account may do.

use serde_json::{Value, json};

use super::resource::answer;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;
use crate::aws::world::zones::{self, REGIONS};

pub(crate) const ACTIONS: &[Action] = &[
    Action::read(
        "DescribeAvailabilityZones",
        &["ZoneName", "ZoneId", "AllAvailabilityZones", "Filter"],
        describe_availability_zones,
    ),
    Action::read(
        "DescribeRegions",
        &["RegionName", "AllRegions", "Filter"],
        describe_regions,
    ),
    Action::read(
        "DescribeAccountAttributes",
        &["AttributeName"],
        describe_account_attributes,
    ),
];

fn describe_availability_zones(
    scene: &mut Scene<'_>,
    params: Params<'_>,
) -> Result<Value, ApiError> {
    let region = &scene.place.region;
    let (names, ids) = (params.texts("ZoneName"), params.texts("ZoneId"));
    let zones = zones::region(region).map_or(&[][..], |region| region.zones);
    let all: Vec<(String, &str)> = zones
        .iter()
        .map(|(letter, id)| (format!("{region}{letter}"), *id))
        .collect();
    if let Some(wrong) = names
        .iter()
        .find(|name| !all.iter().any(|(zone, _)| zone == *name))
    {
        let message = format!("Invalid availability zone: [{wrong}]");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let none = Tags::default();
    let found = all
        .iter()
        .filter(|(name, id)| {
            (names.is_empty() || names.contains(&name.as_str()))
                && (ids.is_empty() || ids.contains(id))
        })
        .map(|(name, id)| {
            let shown = json!({
                "zoneState": "available",
                "optInStatus": "opt-in-not-required",
                "messageSet": [],
                "regionName": region,
                "zoneName": name,
                "zoneId": id,
                "groupName": format!("{region}-zg-1"),
                "networkBorderGroup": region,
                "zoneType": "availability-zone",
            });
            (name.clone(), &none, shown)
        })
        .collect();
    let fields = [
        ("group-name", "groupName"),
        ("opt-in-status", "optInStatus"),
        ("region-name", "regionName"),
        ("state", "zoneState"),
        ("zone-id", "zoneId"),
        ("zone-name", "zoneName"),
        ("zone-type", "zoneType"),
    ];
    answer(scene, params, found, &fields, "availabilityZoneInfo", true)
}

fn describe_regions(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let names = params.texts("RegionName");
    if let Some(wrong) = names.iter().find(|name| zones::region(name).is_none()) {
        let message = format!("Invalid region: [{wrong}]");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let none = Tags::default();
    let found = REGIONS
        .iter()
        .filter(|region| names.is_empty() || names.contains(&region.name))
        .map(|region| {
            let shown = json!({
                "regionName": region.name,
                "regionEndpoint": format!("ec2.{}.amazonaws.com", region.name),
                "optInStatus": "opt-in-not-required",
            });
            (region.name.to_owned(), &none, shown)
        })
        .collect();
    let fields = [
        ("region-name", "regionName"),
        ("endpoint", "regionEndpoint"),
        ("opt-in-status", "optInStatus"),
    ];
    answer(scene, params, found, &fields, "regionInfo", true)
}

/// Terraform asks for the platforms; an account of today has VPCs only, and this one no default VPC.
fn describe_account_attributes(
    scene: &mut Scene<'_>,
    params: Params<'_>,
) -> Result<Value, ApiError> {
    let names = params.texts("AttributeName");
    let all = [
        ("supported-platforms", "VPC".to_owned()),
        ("default-vpc", "none".to_owned()),
        ("vpc-max-elastic-ips", scene.quota("L-0263D0A3").to_string()),
        (
            "vpc-max-security-groups-per-interface",
            scene.quota("L-2AFB9258").to_string(),
        ),
    ];
    let shown: Vec<Value> = all
        .iter()
        .filter(|(name, _)| names.is_empty() || names.contains(name))
        .map(|(name, value)| {
            json!({"attributeName": name, "attributeValueSet": [{"attributeValue": value}]})
        })
        .collect();
    Ok(json!({ "accountAttributeSet": shown }))
}
