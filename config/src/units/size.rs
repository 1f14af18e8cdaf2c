//! Sizes of memory and disks.

use super::{UnitError, text_unit};
use std::{fmt, str::FromStr};

/// An amount of bytes in Kubernetes notation: `512Mi`, `10Gi`, `50G`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(u64);

text_unit!(
    Size,
    "size",
    r"^[0-9]+(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$",
    "A size in bytes with an optional unit: Ki, Mi, Gi, Ti, Pi (powers of 1024) or k, M, G, T, P (powers of 1000).",
    "10Gi"
);

const BINARY: [(&str, u64); 5] = [
    ("Pi", 1 << 50),
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
];
const DECIMAL: [(&str, u64); 5] = [
    ("P", 1_000_000_000_000_000),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1_000),
];

impl Size {
    /// A size of whole gibibytes.
    pub const fn gibibytes(gibibytes: u64) -> Self {
        Self(gibibytes << 30)
    }

    /// A size of whole mebibytes.
    pub const fn mebibytes(mebibytes: u64) -> Self {
        Self(mebibytes << 20)
    }

    /// Bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Whole gibibytes, rounded up, as AWS counts volumes.
    pub const fn gibibytes_ceil(self) -> u64 {
        self.0.div_ceil(1 << 30)
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = || {
            UnitError(format!(
                "'{text}' is not a size; write a whole number and a unit, such as 512Mi, 10Gi or 50G"
            ))
        };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let amount: u64 = text[..digits].parse().map_err(|_| refuse())?;
        let unit = &text[digits..];
        let factor = if unit.is_empty() {
            1
        } else {
            BINARY
                .iter()
                .chain(&DECIMAL)
                .find(|(name, _)| *name == unit)
                .ok_or_else(refuse)?
                .1
        };
        amount
            .checked_mul(factor)
            .map(Self)
            .ok_or_else(|| UnitError(format!("'{text}' is larger than 64 bits can count")))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |units: &[(&str, u64)]| {
            units
                .iter()
                .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
                .map(|(unit, factor)| format!("{}{unit}", self.0 / factor))
        };
        let mut best = self.0.to_string();
        for candidate in [exact(&DECIMAL), exact(&BINARY)].into_iter().flatten() {
            if candidate.len() <= best.len() {
                best = candidate;
            }
        }
        f.write_str(&best)
    }
}

/// Memory of a Spark driver or executor in the notation of the JVM, which Spark's `spark.driver.memory` takes: `512m`, `1g`, `2g`.
///
/// Spark reads the units as powers of 1024 (Spark configuration, "Spark Properties": "1k or 1kb = kibibytes").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SparkMemory(u64);

text_unit!(
    SparkMemory,
    "spark-memory",
    r"^[0-9]+(k|m|g|t)$",
    "An amount of memory as Spark writes it: a whole number with k, m, g or t (powers of 1024).",
    "2g"
);

const JVM: [(&str, u64); 4] = [
    ("t", 1 << 40),
    ("g", 1 << 30),
    ("m", 1 << 20),
    ("k", 1 << 10),
];

impl SparkMemory {
    /// Whole gibibytes.
    pub const fn gibibytes(gibibytes: u64) -> Self {
        Self(gibibytes << 30)
    }

    /// Bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for SparkMemory {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = || {
            UnitError(format!(
                "'{text}' is not an amount of Spark memory; write it as Spark does, such as 512m, 1g or 2g"
            ))
        };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let amount: u64 = text[..digits].parse().map_err(|_| refuse())?;
        let factor = JVM
            .iter()
            .find(|(name, _)| *name == &text[digits..])
            .ok_or_else(refuse)?
            .1;
        match amount.checked_mul(factor) {
            Some(bytes) if bytes > 0 => Ok(Self(bytes)),
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for SparkMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = JVM
            .iter()
            .find(|(_, factor)| self.0.is_multiple_of(*factor))
            .unwrap_or(&JVM[3]);
        write!(f, "{}{unit}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::{Size, SparkMemory};

    #[test]
    fn sizes_keep_their_amount_and_take_the_shortest_exact_unit() {
        for (text, canonical, bytes) in [
            ("10Gi", "10Gi", 10 << 30),
            ("1024Mi", "1Gi", 1 << 30),
            ("512Mi", "512Mi", 512 << 20),
            ("50G", "50G", 50_000_000_000),
            ("1000", "1k", 1000),
            ("1023", "1023", 1023),
            ("0", "0", 0),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!(
                (size.to_string().as_str(), size.bytes()),
                (canonical, bytes),
                "{text}"
            );
        }
        assert_eq!("50G".parse::<Size>().unwrap().gibibytes_ceil(), 47);
    }

    #[test]
    fn sizes_refuse_unknown_units_and_overflow() {
        for text in [
            "",
            "Gi",
            "10GB",
            "10 Gi",
            "1.5Gi",
            "-1Gi",
            "99999999999Pi",
            "10gi",
        ] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn spark_memory_is_written_as_spark_writes_it() {
        for (text, canonical) in [("1g", "1g"), ("2048m", "2g"), ("512m", "512m")] {
            assert_eq!(text.parse::<SparkMemory>().unwrap().to_string(), canonical);
        }
        for text in ["1Gi", "1G", "g", "1", "0g", "1.5g"] {
            assert!(text.parse::<SparkMemory>().is_err(), "{text}");
        }
    }
}
