//! The embedded cloud: a real Kubernetes control plane and a simulated AWS on this machine.

pub mod aws;
pub mod charts;
pub mod control;
pub mod error;
pub mod files;
mod lifecycle;
pub mod pki;
mod proxy;
mod settings;
pub mod simulation;
pub mod standins;
pub mod supervisor;
mod tls;
pub mod tools;

pub use aws::{AwsFaultEffect, AwsFaultMoment, AwsFaultRule, CallCount};
pub use control::{AwsAccess, ClusterBoot, ClusterStatus, EksStatus, Phase, SandboxStatus};
pub use error::{Report, SandboxError};
pub use files::Layout;
pub use lifecycle::{Sandbox, StartEvent};
pub use proxy::counters::Count;
pub use proxy::faults::{FaultEffect, FaultMoment, FaultRule};
pub use settings::{ClusterEntrance, FOREIGN_VARIABLES, SandboxSettings, shell_exports};
pub use supervisor::context::SandboxContext;
pub use supervisor::egress::EgressMap;
pub use supervisor::process::{ComponentStatus, Survivor};
pub use supervisor::{AwsOptions, StartOptions, instance_types, supervise};
pub use tools::{InstallEvent, InstallPhase, Program, Programs};
