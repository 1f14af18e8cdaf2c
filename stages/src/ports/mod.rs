//! The ports: one per capability, never a mirror of an SDK. The adapters implement them.
//!
//! The AWS half adds its own beside these (`network`, `clusters`, `identity`, ...): a stage folder each, the same engine.

pub mod objects;
pub mod probes;
pub mod releases;
pub mod secrets;
