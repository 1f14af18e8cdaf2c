//! Addresses and their ranges.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IPv4 range in CIDR notation; the bits behind the prefix are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Cidr {
    base: u32,
    prefix: u8,
}

impl Cidr {
    /// How many bits are fixed.
    pub(crate) fn prefix(self) -> u8 {
        self.prefix
    }

    fn mask(self) -> u32 {
        u32::MAX
            .checked_shl(32 - u32::from(self.prefix))
            .unwrap_or(0)
    }

    /// How many addresses are in it.
    pub(crate) fn size(self) -> u64 {
        1 << (32 - u32::from(self.prefix))
    }

    /// Whether all of `other` is in it.
    pub(crate) fn contains(self, other: Self) -> bool {
        self.prefix <= other.prefix && other.base & self.mask() == self.base
    }

    /// Whether they have an address in common.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// The addresses that a subnet can give out: AWS keeps the first four and the last (Amazon VPC user guide: subnet sizing).
    pub(crate) fn usable(self) -> impl Iterator<Item = Ipv4Addr> {
        let last = u64::from(self.base) + self.size() - 1;
        (u64::from(self.base) + 4..last)
            .filter_map(|address| u32::try_from(address).ok())
            .map(Ipv4Addr::from)
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} is no CIDR block");
        let (base, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let base = u32::from(Ipv4Addr::from_str(base).map_err(|_| wrong())?);
        let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
        if prefix > 32 {
            return Err(wrong());
        }
        let cidr = Self { base, prefix };
        // EC2 takes a block with bits behind its prefix for its canonical form (CreateVpc, CreateSubnet).
        Ok(Self {
            base: base & cidr.mask(),
            prefix,
        })
    }
}

impl TryFrom<String> for Cidr {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_are_canonical_and_compared() {
        assert_eq!(cidr("10.0.1.7/16").to_string(), "10.0.0.0/16");
        assert!(cidr("10.0.0.0/16").contains(cidr("10.0.255.0/24")));
        assert!(!cidr("10.0.0.0/24").contains(cidr("10.0.0.0/16")));
        assert!(cidr("10.0.0.0/24").overlaps(cidr("10.0.0.0/16")));
        assert!(!cidr("10.0.0.0/24").overlaps(cidr("10.0.1.0/24")));
        for wrong in ["10.0.0.0", "10.0.0/8", "10.0.0.0/33", "x/8"] {
            assert!(wrong.parse::<Cidr>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn five_addresses_of_a_subnet_are_kept() {
        let usable: Vec<_> = cidr("10.0.0.0/28").usable().collect();
        assert_eq!(usable.len(), 11);
        assert_eq!(usable[0], Ipv4Addr::new(10, 0, 0, 4));
        assert_eq!(usable[10], Ipv4Addr::new(10, 0, 0, 14));
    }
}
