//! Regions and their zones.

/// A region, and its zones as (letter, zone id).
pub(crate) struct RegionZones {
    pub(crate) name: &'static str,
    /// Letter of the zone's name, and its id. Which letter has which id differs from account to account; this is one of the
    /// possible assignments.
    pub(crate) zones: &'static [(&'static str, &'static str)],
}

/// The regions that are simulated (AWS: regions and availability zones).
pub(crate) const REGIONS: &[RegionZones] = &[
    RegionZones {
        name: "us-east-1",
        zones: &[
            ("a", "use1-az1"),
            ("b", "use1-az2"),
            ("c", "use1-az4"),
            ("d", "use1-az6"),
            ("e", "use1-az3"),
            ("f", "use1-az5"),
        ],
    },
    RegionZones {
        name: "us-east-2",
        zones: &[("a", "use2-az1"), ("b", "use2-az2"), ("c", "use2-az3")],
    },
    RegionZones {
        name: "us-west-1",
        zones: &[("a", "usw1-az1"), ("c", "usw1-az3")],
    },
    RegionZones {
        name: "us-west-2",
        zones: &[
            ("a", "usw2-az1"),
            ("b", "usw2-az2"),
            ("c", "usw2-az3"),
            ("d", "usw2-az4"),
        ],
    },
    RegionZones {
        name: "ca-central-1",
        zones: &[("a", "cac1-az1"), ("b", "cac1-az2"), ("d", "cac1-az4")],
    },
    RegionZones {
        name: "sa-east-1",
        zones: &[("a", "sae1-az1"), ("b", "sae1-az2"), ("c", "sae1-az3")],
    },
    RegionZones {
        name: "eu-west-1",
        zones: &[("a", "euw1-az1"), ("b", "euw1-az2"), ("c", "euw1-az3")],
    },
    RegionZones {
        name: "eu-west-2",
        zones: &[("a", "euw2-az2"), ("b", "euw2-az3"), ("c", "euw2-az1")],
    },
    RegionZones {
        name: "eu-west-3",
        zones: &[("a", "euw3-az1"), ("b", "euw3-az2"), ("c", "euw3-az3")],
    },
    RegionZones {
        name: "eu-central-1",
        zones: &[("a", "euc1-az2"), ("b", "euc1-az3"), ("c", "euc1-az1")],
    },
    RegionZones {
        name: "eu-north-1",
        zones: &[("a", "eun1-az1"), ("b", "eun1-az2"), ("c", "eun1-az3")],
    },
    RegionZones {
        name: "ap-south-1",
        zones: &[("a", "aps1-az1"), ("b", "aps1-az3"), ("c", "aps1-az2")],
    },
    RegionZones {
        name: "ap-southeast-1",
        zones: &[("a", "apse1-az1"), ("b", "apse1-az2"), ("c", "apse1-az3")],
    },
    RegionZones {
        name: "ap-southeast-2",
        zones: &[("a", "apse2-az3"), ("b", "apse2-az1"), ("c", "apse2-az2")],
    },
    RegionZones {
        name: "ap-northeast-1",
        zones: &[("a", "apne1-az4"), ("c", "apne1-az1"), ("d", "apne1-az2")],
    },
    RegionZones {
        name: "ap-northeast-2",
        zones: &[
            ("a", "apne2-az1"),
            ("b", "apne2-az2"),
            ("c", "apne2-az3"),
            ("d", "apne2-az4"),
        ],
    },
];

/// A region by its name.
pub(crate) fn region(name: &str) -> Option<&'static RegionZones> {
    REGIONS.iter().find(|region| region.name == name)
}

/// The zone id of a zone's name, e.g. `usw2-az1` of `us-west-2a`.
pub(crate) fn zone_id(zone: &str) -> Option<&'static str> {
    REGIONS.iter().find_map(|region| {
        let letter = zone.strip_prefix(region.name)?;
        let found = region.zones.iter().find(|(name, _)| *name == letter)?;
        Some(found.1)
    })
}
