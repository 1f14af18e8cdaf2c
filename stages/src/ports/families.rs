//! The families of instance types that share a quota of vCPUs.

use serde::{Deserialize, Serialize};

/// Families whose running vCPUs are counted together (Amazon EC2 user guide: On-Demand Instance quotas, Spot Instance quotas).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Families {
    /// A, C, D, H, I, M, R, T, Z.
    Standard,
    /// G and VT.
    Graphics,
    /// P.
    P,
    /// X.
    X,
    /// Inf.
    Inf,
    /// Trn.
    Trn,
    /// F.
    F,
    /// DL.
    Dl,
}

impl Families {
    /// Those that an instance type belongs to; `None` for types of families that are not known here, or that are counted in
    /// another way (`mac`: by dedicated hosts), and for spot instances of P5 and later, which are counted apart from the
    /// other P.
    #[must_use]
    pub fn of(instance_type: &str, spot: bool) -> Option<Self> {
        let digit = instance_type.find(|letter: char| !letter.is_ascii_lowercase())?;
        let (family, rest) = instance_type.split_at(digit);
        Some(match family {
            // What begins with one of these letters and goes on with others has a quota of its own, except the storage
            // families `im` and `is`, which belong to I.
            "a" | "c" | "d" | "h" | "i" | "im" | "is" | "m" | "r" | "t" | "z" => Self::Standard,
            "g" | "gr" | "vt" => Self::Graphics,
            "p" if !spot || rest.starts_with(['2', '3', '4']) => Self::P,
            "x" => Self::X,
            "inf" => Self::Inf,
            "trn" => Self::Trn,
            "f" => Self::F,
            "dl" => Self::Dl,
            _ => return None,
        })
    }

    /// As a person knows them.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Graphics => "G and VT",
            Self::P => "P",
            Self::X => "X",
            Self::Inf => "Inf",
            Self::Trn => "Trn",
            Self::F => "F",
            Self::Dl => "DL",
        }
    }

    /// Code of the quota of on-demand instances in Service Quotas.
    pub(super) fn on_demand(self) -> &'static str {
        match self {
            Self::Standard => "L-1216C47A",
            Self::Graphics => "L-DB2E81BA",
            Self::P => "L-417A185B",
            Self::X => "L-7295265B",
            Self::Inf => "L-1945791B",
            Self::Trn => "L-2C3B7624",
            Self::F => "L-74FC7D96",
            Self::Dl => "L-6E869C2A",
        }
    }

    /// Code of the quota of spot instances in Service Quotas.
    pub(super) fn spot(self) -> &'static str {
        match self {
            Self::Standard => "L-34B43A08",
            Self::Graphics => "L-3819A6DF",
            Self::P => "L-7212CCBC",
            Self::X => "L-E3A00192",
            Self::Inf => "L-B5D1601B",
            Self::Trn => "L-6B0D517C",
            Self::F => "L-88CF9481",
            Self::Dl => "L-85EED4F7",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_counted_where_its_family_is() {
        for (name, families) in [
            ("m6i.large", Some(Families::Standard)),
            ("c7gn.xlarge", Some(Families::Standard)),
            ("im4gn.large", Some(Families::Standard)),
            ("is4gen.large", Some(Families::Standard)),
            ("inf2.xlarge", Some(Families::Inf)),
            ("dl1.24xlarge", Some(Families::Dl)),
            ("trn1.2xlarge", Some(Families::Trn)),
            ("g5.xlarge", Some(Families::Graphics)),
            ("gr6.4xlarge", Some(Families::Graphics)),
            ("p5.48xlarge", Some(Families::P)),
            ("x2idn.16xlarge", Some(Families::X)),
            ("hpc6a.48xlarge", None),
            ("mac2.metal", None),
            ("u-6tb1.metal", None),
        ] {
            assert_eq!(Families::of(name, false), families, "{name}");
        }
        assert_eq!(Families::of("p4d.24xlarge", true), Some(Families::P));
        assert_eq!(Families::of("p5.48xlarge", true), None);
    }
}
