//! The Helm adapter with the real Helm and a real API server.
pub const TESTS: &[crate::Clustered] = &[];
