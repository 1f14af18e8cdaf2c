//! How a VPC's address range is shared out: one private and one public subnet in each zone.

use std::net::Ipv4Addr;

/// The longest prefix that EC2 allows for a subnet (VPC user guide, subnet sizing).
const LONGEST: u32 = 28;

/// The ranges of a VPC's subnets, zone by zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Private subnets: the larger ones, since every pod takes an address of them.
    pub private: Vec<String>,
    /// Public subnets, for load balancers and NAT gateways.
    pub public: Vec<String>,
}

/// Shares `cidr` out among so many zones. `None` when it is no range, or too small.
///
/// Each zone gets a private block; the block after them is cut up among the public ones. A range too small for that is
/// cut into equal parts.
#[must_use]
pub fn share_out(cidr: &str, zones: usize) -> Option<Layout> {
    let (base, length) = parse(cidr)?;
    let zones = u32::try_from(zones).ok().filter(|zones| *zones > 0)?;
    let blocks = length + bits(zones + 1);
    let parts = blocks + bits(zones);
    let block = |number: u32, length: u32| at(base, number, length);
    if parts <= LONGEST {
        // The public block, counted in public parts.
        let first = zones << (parts - blocks);
        return Some(Layout {
            private: (0..zones).map(|zone| block(zone, blocks)).collect(),
            public: (0..zones).map(|zone| block(first + zone, parts)).collect(),
        });
    }
    let parts = length + bits(zones * 2);
    (parts <= LONGEST).then(|| Layout {
        private: (0..zones).map(|zone| block(zone, parts)).collect(),
        public: (zones..zones * 2)
            .map(|number| block(number, parts))
            .collect(),
    })
}

/// Address and prefix length of a range.
#[must_use]
pub fn parse(cidr: &str) -> Option<(u32, u32)> {
    let (address, length) = cidr.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let length: u32 = length.parse().ok().filter(|length| *length <= 32)?;
    Some((u32::from(address), length))
}

/// Whether two ranges have an address in common; false when one is no range.
#[must_use]
pub fn overlap(left: &str, right: &str) -> bool {
    let (Some(left), Some(right)) = (parse(left), parse(right)) else {
        return false;
    };
    let shorter = left.1.min(right.1);
    let network = |address: u32| {
        address
            .checked_shr(32_u32.saturating_sub(shorter))
            .unwrap_or(0)
    };
    network(left.0) == network(right.0)
}

fn at(base: u32, number: u32, length: u32) -> String {
    let address = base + number.checked_shl(32 - length).unwrap_or(0);
    format!("{}/{length}", Ipv4Addr::from(address))
}

/// How many bits tell so many things apart.
fn bits(things: u32) -> u32 {
    things.next_power_of_two().trailing_zeros()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_zones_of_the_default_range() {
        let layout = share_out("10.0.0.0/16", 3).unwrap();
        assert_eq!(
            layout.private,
            ["10.0.0.0/18", "10.0.64.0/18", "10.0.128.0/18"]
        );
        assert_eq!(
            layout.public,
            ["10.0.192.0/20", "10.0.208.0/20", "10.0.224.0/20"]
        );
    }

    #[test]
    fn the_smallest_range_still_has_room_for_six_zones() {
        let layout = share_out("10.0.0.0/24", 6).unwrap();
        assert!(layout.public.iter().all(|cidr| cidr.ends_with("/28")));
    }

    #[test]
    fn overlaps() {
        assert!(overlap("10.0.0.0/16", "10.0.128.0/20"));
        assert!(!overlap("10.0.0.0/16", "10.1.0.0/16"));
        assert!(overlap("0.0.0.0/0", "10.1.0.0/16"));
    }

    proptest! {
        #[test]
        fn subnets_lie_in_the_range_and_apart(length in 16_u32..=24, zones in 2_usize..=6) {
            let cidr = format!("172.16.0.0/{length}");
            let layout = share_out(&cidr, zones).unwrap();
            let all: Vec<&String> = layout.private.iter().chain(&layout.public).collect();
            prop_assert_eq!(all.len(), zones * 2);
            for (place, one) in all.iter().enumerate() {
                let (address, own) = parse(one).unwrap();
                prop_assert!(own > length && own <= LONGEST);
                prop_assert!(overlap(&cidr, one));
                prop_assert_eq!(address & (u32::MAX >> own), 0, "{} is aligned", one);
                for other in &all[place + 1..] {
                    prop_assert!(!overlap(one, other), "{} and {}", one, other);
                }
            }
        }
    }
}
