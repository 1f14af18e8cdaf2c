//! The AWS half of both graphs, run by the engine through the AWS adapter against a simulated account in this process.
//!
//! No cluster is booted: what a step or a removal asks the cluster for is answered by [`cluster`], which knows nodes, services and
//! the controller behind them. Everything else is as in a run of the program: steps, removals, journal, lease, fence, SDK, wire.
//!
//! `PIPECTL_AWS_MATRIX=all cargo test --test aws` also runs the mutations and the kill points that the fast subset leaves out.

mod account;
mod astray;
mod brought;
mod changes;
mod cluster;
mod figures;
mod graph;
mod holds;
mod house;
mod kills;
mod lifecycle;
mod looks;
mod mutations;
mod neighbours;
mod permissions;
mod secrets;
mod trouble;
