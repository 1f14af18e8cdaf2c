//! pipectl stands a streaming-data platform up on Kubernetes and takes it down again.
//!
//! `docs/architecture.md` has the words, the rooms and the arrows between them.

pub mod cli;
pub mod engine;
pub mod exit;
pub mod failure;
pub mod reporter;
pub mod session;
