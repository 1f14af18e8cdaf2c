//! Versions of components.

use super::{UnitError, text_unit};
use std::{cmp::Ordering, fmt, str::FromStr};

/// A version of the form `MAJOR.MINOR.PATCH`, with an optional `-suffix` that orders before the plain version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version {
    numbers: [u32; 3],
    suffix: Option<String>,
}

text_unit!(
    Version,
    "version",
    r"^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$",
    "A version: three numbers with dots, and an optional suffix after a hyphen.",
    "4.3.1"
);

impl Version {
    /// The version `major.minor.patch`.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            numbers: [major, minor, patch],
            suffix: None,
        }
    }

    /// The first number.
    pub const fn major(&self) -> u32 {
        self.numbers[0]
    }

    /// The second number.
    pub const fn minor(&self) -> u32 {
        self.numbers[1]
    }

    /// The third number.
    pub const fn patch(&self) -> u32 {
        self.numbers[2]
    }
}

fn number(part: &str) -> Option<u32> {
    if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        None
    } else {
        part.parse().ok()
    }
}

impl FromStr for Version {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = || {
            UnitError(format!(
                "'{text}' is not a version; write three numbers with dots, such as 4.3.1"
            ))
        };
        let (core, suffix) = match text.split_once('-') {
            Some((core, suffix)) => (core, Some(suffix)),
            None => (text, None),
        };
        let valid = |suffix: &str| {
            !suffix.is_empty()
                && suffix
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        };
        if suffix.is_some_and(|suffix| !valid(suffix)) {
            return Err(refuse());
        }
        let numbers: Vec<u32> = core
            .split('.')
            .map(number)
            .collect::<Option<_>>()
            .ok_or_else(refuse)?;
        let numbers = numbers.try_into().map_err(|_| refuse())?;
        Ok(Self {
            numbers,
            suffix: suffix.map(str::to_owned),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        self.suffix
            .iter()
            .try_for_each(|suffix| write!(f, "-{suffix}"))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| match (&self.suffix, &other.suffix) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(left), Some(right)) => left.cmp(right),
            })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A Kubernetes version as EKS names it: `MAJOR.MINOR`. A patch number is read and dropped, since EKS chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubernetesVersion {
    major: u32,
    minor: u32,
}

text_unit!(
    KubernetesVersion,
    "kubernetes-version",
    r"^1\.[0-9]{1,3}(\.[0-9]+)?$",
    "A Kubernetes version: major and minor number; a patch number is ignored.",
    "1.35"
);

/// The largest minor number that is taken for a version: three new ones come a year (Kubernetes release cadence), so that
/// more is a slip of the hand.
const MINOR: u32 = 999;

impl KubernetesVersion {
    /// The version `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// The first number.
    pub const fn major(self) -> u32 {
        self.major
    }

    /// The second number.
    pub const fn minor(self) -> u32 {
        self.minor
    }
}

impl FromStr for KubernetesVersion {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = || {
            UnitError(format!(
                "'{text}' is not a Kubernetes version; write major and minor number, such as 1.35"
            ))
        };
        let parts: Vec<u32> = text
            .split('.')
            .map(number)
            .collect::<Option<_>>()
            .ok_or_else(refuse)?;
        match parts[..] {
            [1, 0..=MINOR] | [1, 0..=MINOR, _] => Ok(Self {
                major: parts[0],
                minor: parts[1],
            }),
            [_, _] | [_, _, _] => Err(UnitError(format!(
                "there is no Kubernetes {text}; write a version such as 1.35"
            ))),
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::{KubernetesVersion, Version};

    #[test]
    fn versions_order_by_number_and_a_suffix_comes_first() {
        let parse = |text: &str| text.parse::<Version>().unwrap();
        assert!(parse("0.9.0") < parse("0.46.0"));
        assert!(parse("0.51.0") < parse("1.0.0"));
        assert!(parse("4.3.1-rc1") < parse("4.3.1"));
        assert_eq!(parse("4.3.1").to_string(), "4.3.1");
    }

    #[test]
    fn versions_refuse_other_shapes() {
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "v1.2.3",
            "1.2.x",
            "1.2.3-",
            "1..3",
            "1.2.3-a b",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn kubernetes_versions_drop_the_patch() {
        assert_eq!(
            "1.35.4".parse::<KubernetesVersion>().unwrap(),
            KubernetesVersion::new(1, 35)
        );
        assert!(KubernetesVersion::new(1, 9) < KubernetesVersion::new(1, 33));
        for text in [
            "",
            "1",
            "v1.35",
            "1.x",
            "1.2.3.4",
            "1.4294967295",
            "1.4294967296",
            "135.0",
            "0.9",
        ] {
            assert!(text.parse::<KubernetesVersion>().is_err(), "{text}");
        }
    }
}
