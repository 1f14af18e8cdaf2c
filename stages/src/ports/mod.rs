//! The ports: one per capability, never a mirror of an SDK. The adapters implement them.
//!
//! Kubernetes and Helm: [`objects`], [`probes`], [`releases`], [`secrets`]. An AWS account: [`cloud`] holds them
//! together; what stands between both is [`entrance`].

pub mod access;
pub mod account;
pub mod addons;
pub mod anchors;
pub mod balancers;
pub mod cloud;
pub mod clusters;
pub mod compute;
pub mod entrance;
pub mod families;
pub mod identity;
pub mod keys;
pub mod logs;
pub mod network;
pub mod node_groups;
pub mod objects;
pub mod probes;
pub mod releases;
pub mod secrets;
pub mod tagged;
