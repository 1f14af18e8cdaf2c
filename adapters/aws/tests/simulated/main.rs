//! The adapter against the simulated AWS, which runs in the test's own process on a free port: one account a test.

mod account;
mod ambient;
mod anchors;
mod balancers;
mod calls;
mod compute;
mod eks;
mod identity;
mod keys;
mod logs;
mod network;
mod network_stage;
mod place;
mod sdk;
mod secrets;
mod support;
