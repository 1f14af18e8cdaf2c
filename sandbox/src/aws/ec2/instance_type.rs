//! Instance types, and where they are offered.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

use super::resource::answer;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;
use crate::aws::world::zones;

/// An instance type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InstanceType {
    pub(crate) name: &'static str,
    pub(crate) vcpus: u32,
    pub(crate) memory_mib: u64,
    /// `x86_64` or `arm64`.
    pub(crate) architecture: &'static str,
    /// Network interfaces, and private addresses of each.
    interfaces: u32,
    addresses: u32,
    burstable: bool,
}

impl InstanceType {
    /// How many pods fit by the addresses of its interfaces, as EKS images reckon without prefix delegation.
    pub(crate) fn max_pods(&self) -> u32 {
        self.interfaces * (self.addresses - 1) + 2
    }
}

#[derive(Deserialize)]
struct Table {
    sizes: BTreeMap<String, Size>,
    families: Vec<Family>,
    /// Zone ids that have none of these families.
    missing_zones: Vec<String>,
}

#[derive(Clone, Deserialize)]
struct Size {
    vcpus: u32,
    interfaces: u32,
    addresses: u32,
    /// Where the family's factor does not say it.
    #[serde(default)]
    memory_mib: Option<u64>,
}

#[derive(Deserialize)]
struct Family {
    name: String,
    architecture: String,
    memory_gib_per_vcpu: u64,
    sizes: Vec<String>,
    #[serde(default)]
    burstable: bool,
}

static TABLE: LazyLock<Option<Table>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../data/instance-types.json")).ok());

static TYPES: LazyLock<Vec<InstanceType>> = LazyLock::new(|| {
    let Some(table) = TABLE.as_ref() else {
        return Vec::new();
    };
    let all = table.families.iter().flat_map(|family| {
        family.sizes.iter().filter_map(|name| {
            let size = table.sizes.get(name)?;
            // The table lives as long as the program: a few hundred names are made once.
            let short = name.rsplit(':').next().unwrap_or(name);
            Some(InstanceType {
                name: Box::leak(format!("{}.{short}", family.name).into_boxed_str()),
                vcpus: size.vcpus,
                memory_mib: size
                    .memory_mib
                    .unwrap_or(u64::from(size.vcpus) * family.memory_gib_per_vcpu * 1024),
                architecture: &family.architecture,
                interfaces: size.interfaces,
                addresses: size.addresses,
                burstable: family.burstable,
            })
        })
    });
    all.collect()
});

/// A type by its name.
pub(crate) fn find(name: &str) -> Option<&'static InstanceType> {
    TYPES.iter().find(|kind| kind.name == name)
}

/// The code of the quota that counts a type's vCPUs: that of its families, spot apart. The table has standard ones and G.
pub(crate) fn quota(name: &str, spot: bool) -> &'static str {
    match (name.starts_with('g'), spot) {
        (true, false) => "L-DB2E81BA",
        (true, true) => "L-3819A6DF",
        (false, false) => "L-1216C47A",
        (false, true) => "L-34B43A08",
    }
}

/// Whether a zone (by name) offers what is in the table.
pub(crate) fn is_offered(zone: &str) -> bool {
    let missing = TABLE.as_ref().map(|table| table.missing_zones.as_slice());
    zones::zone_id(zone)
        .is_some_and(|id| !missing.unwrap_or_default().iter().any(|zone| zone == id))
}

/// A type that can be launched in a zone.
///
/// # Errors
/// When there is no such type, or that zone doesn't offer it.
pub(crate) fn check(
    scene: &Scene<'_>,
    name: &str,
    zone: &str,
) -> Result<&'static InstanceType, ApiError> {
    let kind = find(name).ok_or_else(|| {
        let message = format!("Invalid value '{name}' for InstanceType.");
        ApiError::new("InvalidParameterValue", message)
    })?;
    if is_offered(zone) {
        return Ok(kind);
    }
    let others = zone_names(scene)
        .into_iter()
        .filter(|zone| is_offered(zone));
    let message = format!(
        "Your requested instance type ({name}) is not supported in your requested Availability Zone ({zone}). Please retry your \
         request by not specifying an Availability Zone or choosing {}.",
        others.collect::<Vec<_>>().join(", ")
    );
    Err(ApiError::new("Unsupported", message))
}

fn zone_names(scene: &Scene<'_>) -> Vec<String> {
    let region = &scene.place.region;
    let zones = zones::region(region).map_or(&[][..], |region| region.zones);
    zones
        .iter()
        .map(|(letter, _)| format!("{region}{letter}"))
        .collect()
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::read(
        "DescribeInstanceTypes",
        &["InstanceType", "Filter", "MaxResults", "NextToken"],
        describe_instance_types,
    ),
    Action::read(
        "DescribeInstanceTypeOfferings",
        &["LocationType", "Filter", "MaxResults", "NextToken"],
        describe_instance_type_offerings,
    ),
];

fn show(kind: &InstanceType) -> Value {
    json!({
        "instanceType": kind.name,
        "currentGeneration": true,
        "freeTierEligible": false,
        "supportedUsageClasses": ["on-demand", "spot"],
        "supportedRootDeviceTypes": ["ebs"],
        "supportedVirtualizationTypes": ["hvm"],
        "bareMetal": false,
        "hypervisor": "nitro",
        "processorInfo": {"supportedArchitectures": [kind.architecture]},
        "vCpuInfo": {"defaultVCpus": kind.vcpus},
        "memoryInfo": {"sizeInMiB": kind.memory_mib},
        "instanceStorageSupported": false,
        "networkInfo": {
            "maximumNetworkInterfaces": kind.interfaces,
            "maximumNetworkCards": 1,
            "defaultNetworkCardIndex": 0,
            "ipv4AddressesPerInterface": kind.addresses,
            "ipv6AddressesPerInterface": kind.addresses,
            "ipv6Supported": true,
        },
        "burstablePerformanceSupported": kind.burstable,
    })
}

fn describe_instance_types(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let names = params.texts("InstanceType");
    let unknown: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| find(name).is_none())
        .collect();
    if !unknown.is_empty() {
        let message = format!(
            "The following supplied instance types do not exist: [{}]",
            unknown.join(", ")
        );
        return Err(ApiError::new("InvalidInstanceType", message));
    }
    let none = Tags::default();
    let found = TYPES
        .iter()
        .filter(|kind| names.is_empty() || names.contains(&kind.name))
        .map(|kind| (kind.name.to_owned(), &none, show(kind)))
        .collect();
    let fields = [
        ("instance-type", "instanceType"),
        ("current-generation", "currentGeneration"),
        ("bare-metal", "bareMetal"),
        ("hypervisor", "hypervisor"),
        ("supported-usage-class", "supportedUsageClasses"),
        (
            "processor-info.supported-architecture",
            "processorInfo.supportedArchitectures",
        ),
        ("vcpu-info.default-vcpus", "vCpuInfo.defaultVCpus"),
        ("memory-info.size-in-mib", "memoryInfo.sizeInMiB"),
        (
            "burstable-performance-supported",
            "burstablePerformanceSupported",
        ),
    ];
    answer(
        scene,
        params,
        found,
        &fields,
        "instanceTypeSet",
        names.is_empty(),
    )
}

fn describe_instance_type_offerings(
    scene: &mut Scene<'_>,
    params: Params<'_>,
) -> Result<Value, ApiError> {
    let kind = params.text("LocationType").unwrap_or("region");
    let zones = zone_names(scene)
        .into_iter()
        .filter(|zone| is_offered(zone));
    let locations: Vec<String> = match kind {
        "region" => vec![scene.place.region.clone()],
        "availability-zone" => zones.collect(),
        "availability-zone-id" => zones
            .filter_map(|zone| zones::zone_id(&zone))
            .map(str::to_owned)
            .collect(),
        other => {
            let message = format!("Value ({other}) for parameter locationType is invalid.");
            return Err(ApiError::new("InvalidParameterValue", message));
        }
    };
    let none = Tags::default();
    let found = TYPES
        .iter()
        .flat_map(|one| locations.iter().map(move |location| (one, location)))
        .map(|(one, location)| {
            let shown =
                json!({"instanceType": one.name, "locationType": kind, "location": location});
            (format!("{}/{location}", one.name), &none, shown)
        })
        .collect();
    let fields = [("instance-type", "instanceType"), ("location", "location")];
    answer(
        scene,
        params,
        found,
        &fields,
        "instanceTypeOfferingSet",
        true,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_fit_as_the_table_of_the_images_says() {
        let pods = |name: &str| find(name).unwrap().max_pods();
        assert_eq!(
            [
                pods("m6i.large"),
                pods("m6g.xlarge"),
                pods("t3.medium"),
                pods("m5.4xlarge")
            ],
            [29, 58, 17, 234]
        );
        assert_eq!(find("r6i.large").unwrap().memory_mib, 16_384);
        assert_eq!(find("m7g.large").unwrap().architecture, "arm64");
        assert!(find("t3.micro").unwrap().burstable);
        assert!(is_offered("us-west-2a") && !is_offered("us-east-1e") && !is_offered("us-west-2x"));
    }
}
