//! The pipeline file: types, validation, JSON schema and blueprints.
//!
//! [`load`] reads a pipeline file with everything it names and either returns it complete and checked ([`Loaded`]) or says all
//! that is wrong with it at once ([`Diagnostics`]), each finding with its line, column and a suggestion.

pub mod diagnostics;
mod load;
mod loaded;
pub mod model;
pub mod source;
pub mod units;

pub use diagnostics::{Diagnostic, Diagnostics, Location, Severity};
pub use load::{LoadOptions, Override, load, load_path};
pub use loaded::{Loaded, ManifestObject};
pub use model::*;
pub use units::{Cpu, KubernetesVersion, Period, Size, SparkMemory, Version};
