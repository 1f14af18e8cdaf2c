//! The way to an AWS account: the ports of the stages over the AWS SDKs.
//!
//! [`connect`] gives an [`Aws`], which stands behind every port of [`Cloud`](pipectl_stages::ports::cloud::Cloud). Each port
//! has a module of its own; what they share is the SDK clients (`client.rs`), the bounds and the fence of calls
//! (`call.rs`) and one translation of errors (`errors.rs`).

mod access;
mod account;
mod addons;
mod allowances;
mod anchors;
mod balancers;
mod call;
mod client;
mod clusters;
mod codes;
mod compute;
mod connect;
mod convert;
mod errors;
mod identity;
mod keys;
mod logs;
mod network;
mod node_groups;
mod options;
mod secrets;
mod servers_clock;
mod tagged;
mod token;
mod updates;

pub use call::{CallBounds, EffectDeadline};
pub use client::Aws;
pub use codes::CODES;
pub use connect::connect;
pub use options::{AwsOptions, OwnEndpoint};
pub use token::ClusterToken;
