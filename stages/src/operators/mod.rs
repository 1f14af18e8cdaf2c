//! What both operators share: their CRDs, and how releases and CRDs go away again.

pub mod definitions;
pub mod removal;

/// The stage's name in the down graph.
pub const STAGE: &str = "operators";
