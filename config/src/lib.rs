//! The pipeline file: types, validation, JSON schema and blueprints.
//!
//! [`load`] reads a pipeline file with everything it names and either returns it complete and checked ([`Loaded`]) or says all
//! that is wrong with it at once ([`Diagnostics`]), each finding with its line, column and a suggestion.

mod blueprint;
mod checks;
mod clients;
pub mod compat;
pub mod diagnostics;
mod digest;
mod load;
mod loaded;
mod manifests;
pub mod model;
mod normalize;
mod overrides;
mod record;
pub mod reference;
mod report;
mod schema;
mod secrets;
mod shape;
pub mod source;
mod substitute;
mod suggest;
pub mod units;
mod yaml;

pub use blueprint::Blueprint;
pub use diagnostics::{Diagnostic, Diagnostics, Location, Severity};
pub use digest::digest_of;
pub use load::{LoadOptions, load, load_path};
pub use loaded::{ClientAddress, Loaded, ManifestObject};
pub use model::*;
pub use overrides::Override;
pub use schema::pipeline_schema;
pub use units::{Cpu, KubernetesVersion, Period, Size, SparkMemory, Version};
