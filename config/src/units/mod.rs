//! Values with units: durations, sizes, processor shares, versions.
//!
//! Each is a newtype that reads the text a person writes (`10m`, `600000ms`, `10Gi`, `500m`) and writes one canonical text back,
//! so that two spellings of the same amount compare, hash and digest alike.

mod cpu;
mod period;
mod size;
mod version;

pub use cpu::Cpu;
pub use period::Period;
pub use size::{Size, SparkMemory};
pub use version::{KubernetesVersion, Version};

/// Why a text is not an amount of the expected unit; the sentence is meant for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(pub String);

/// Gives a unit type its text forms: `FromStr`-backed serde, `Display`-backed serialization, and a JSON schema with a `format`
/// by which the shape check finds the parser again.
macro_rules! text_unit {
    ($type:ident, $format:literal, $pattern:literal, $description:literal, $example:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "format": $format,
                    "pattern": $pattern,
                    "description": $description,
                    "examples": [$example],
                })
            }
        }

        impl $type {
            /// The `format` keyword of this type's JSON schema.
            pub const FORMAT: &'static str = $format;
        }
    };
}
pub(crate) use text_unit;
