//! The embedded cloud: a real Kubernetes control plane and a simulated AWS on this machine.

pub mod charts;
pub mod pki;
pub mod simulation;
pub mod standins;
pub mod supervisor;

pub use supervisor::context::SandboxContext;
pub use supervisor::egress::EgressMap;
