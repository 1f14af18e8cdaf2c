//! Custom-resource types that stages and sandbox share.
//!
//! Only the parts that pipectl reads or writes are modelled. From the same types come the structural schemas of the
//! sandbox's CustomResourceDefinitions, so what pipectl renders and what the sandbox's API server accepts cannot
//! drift apart. Subtrees that are not modelled keep unknown fields; everything else is strict.

pub mod crd;
pub mod resource;
pub mod schema;
pub mod spark;
pub mod strimzi;

pub use resource::{Metadata, Resource, ResourceSpec};
