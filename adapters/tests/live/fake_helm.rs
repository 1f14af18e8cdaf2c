//! The Helm adapter with a script in Helm's place: what it is told, and how it is ended.
pub const TESTS: &[crate::Plain] = &[];
