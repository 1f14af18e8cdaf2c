//! Environments on Amazon EKS: the same program and the same pipeline files, in the sandbox's simulated AWS, whose clusters are
//! real control planes.
//!
//! What stands in the account is asked of the sandbox's own audit (`pipectl sandbox inspect`), what was called of its counters.

mod changes;
mod faults;
mod killed;
mod lifecycle;
mod machines;
mod neighbours;
mod refused;
