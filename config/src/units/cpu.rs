//! Processor shares.

use super::{UnitError, text_unit};
use std::{fmt, str::FromStr};

/// Processor time in Kubernetes notation: `500m` (thousandths of a core), `2`, `1.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cpu(u64);

text_unit!(
    Cpu,
    "cpu",
    r"^([0-9]+m|[0-9]+(\.[0-9]{1,3})?)$",
    "Processor time: cores (2, 1.5) or thousandths of a core (500m).",
    "500m"
);

impl Cpu {
    /// Thousandths of a core.
    pub const fn millicores(millicores: u64) -> Self {
        Self(millicores)
    }

    /// Thousandths of a core.
    pub const fn as_millicores(self) -> u64 {
        self.0
    }
}

impl FromStr for Cpu {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = || {
            UnitError(format!(
                "'{text}' is not an amount of CPU; write cores, such as 2 or 1.5, or thousandths, such as 500m"
            ))
        };
        let all_digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(thousandths) = text.strip_suffix('m') {
            return if all_digits(thousandths) {
                thousandths.parse().map(Self).map_err(|_| refuse())
            } else {
                Err(refuse())
            };
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 3 {
            return Err(refuse());
        }
        let cores: u64 = whole.parse().map_err(|_| refuse())?;
        let thousandths: u64 = format!("{fraction:0<3}").parse().map_err(|_| refuse())?;
        cores
            .checked_mul(1000)
            .and_then(|cores| cores.checked_add(thousandths))
            .map(Self)
            .ok_or_else(refuse)
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) {
            write!(f, "{}", self.0 / 1000)
        } else {
            write!(f, "{}m", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cpu;

    #[test]
    fn reads_cores_and_thousandths() {
        for (text, canonical, millicores) in [
            ("500m", "500m", 500),
            ("1", "1", 1000),
            ("1000m", "1", 1000),
            ("1.5", "1500m", 1500),
            ("0.25", "250m", 250),
        ] {
            let cpu: Cpu = text.parse().unwrap();
            assert_eq!(
                (cpu.to_string().as_str(), cpu.as_millicores()),
                (canonical, millicores),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_anything_else() {
        for text in [
            "",
            "m",
            "1.",
            ".5",
            "-1",
            "1.2345",
            "1 core",
            "1e3",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Cpu>().is_err(), "{text}");
        }
    }
}
