//! Durations with a unit.

use super::{UnitError, text_unit};
use std::{fmt, str::FromStr, time::Duration};

/// A duration, written as whole numbers with units: `500ms`, `30s`, `10m`, `1h30m`, `2d`. Millisecond resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Period(Duration);

text_unit!(
    Period,
    "period",
    r"^([0-9]+(ms|s|m|h|d))+$",
    "A duration: whole numbers with the units ms, s, m, h, d.",
    "10m"
);

/// Units from large to small, with their milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Period {
    /// A period of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A period of whole minutes.
    pub const fn minutes(minutes: u64) -> Self {
        Self(Duration::from_secs(minutes * 60))
    }

    /// A period of whole milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The standard library's form.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Whole milliseconds, as Kafka's `*.ms` settings take them.
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.0
    }
}

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = || {
            UnitError(format!(
                "'{text}' is not a duration; write a number and a unit, such as 30s, 10m, 1h30m or 600000ms"
            ))
        };
        let mut rest = text;
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(refuse());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let letters = rest[digits..]
                .bytes()
                .take_while(u8::is_ascii_lowercase)
                .count();
            let amount: u64 = rest[..digits].parse().map_err(|_| refuse())?;
            let unit = &rest[digits..digits + letters];
            let millis = UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(refuse)?
                .1;
            let part = amount
                .checked_mul(millis)
                .and_then(|part| total.checked_add(part));
            total = part
                .ok_or_else(|| UnitError(format!("'{text}' is longer than any clock can count")))?;
            rest = &rest[digits + letters..];
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in UNITS {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Period;

    #[test]
    fn reads_every_unit_and_writes_the_shortest_form() {
        for (text, canonical, millis) in [
            ("600000ms", "10m", 600_000),
            ("10m", "10m", 600_000),
            ("90m", "1h30m", 5_400_000),
            ("1h30m", "1h30m", 5_400_000),
            ("48h", "2d", 172_800_000),
            ("1500ms", "1s500ms", 1_500),
            ("0s", "0s", 0),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!(
                (period.to_string().as_str(), period.as_millis()),
                (canonical, millis),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_has_no_unit_or_does_not_fit() {
        for text in [
            "",
            "10",
            "m",
            "10 m",
            "-5s",
            "1.5h",
            "10M",
            "99999999999999999999s",
            "18446744073709551615d",
            "5µs",
        ] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
