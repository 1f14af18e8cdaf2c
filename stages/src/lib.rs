//! The Step contract, the ports, and one folder per stage in install order.
//!
//! Nothing here names an SDK: a step talks to the outside through the ports in [`ports`], which the adapters implement.
//!
//! Reading order: [`step`] (what a step is), [`removal`] (what a removal is), then one folder per stage.

#![expect(
    clippy::result_large_err,
    reason = "a step fails once, and its error carries its evidence"
)]

pub mod account;
pub mod addons;
pub mod blocks;
pub mod cloud;
pub mod cluster;
pub mod codes;
pub mod context;
pub mod environment;
pub mod error;
pub mod findings;
pub mod health;
pub mod inventory;
pub mod kafka;
pub mod namespaces;
pub mod network;
pub mod nodes;
pub mod objects;
pub mod operators;
pub mod plan;
pub mod ports;
pub mod removal;
pub mod spark_application;
pub mod spark_operator;
pub mod step;
pub mod strimzi;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod verification;
pub mod workloads;

pub use cloud::{CloudOptions, Pace};
pub use codes::CODES;
pub use context::{Environment, Intents, Ports, Progress, ProgressSink, StepContext};
pub use error::{PortError, PortErrorKind, Retry, StepError};
pub use findings::{AbsenceReport, CheckResult, Fate, Finding, Leftover, Verdict};
pub use plan::{
    CloudDownOptions, DOWN_STAGES, DOWN_STAGES_ON_AWS, DownOptions, STAGES, UpOptions, down,
    down_on_aws, rendered_objects, up, up_on_aws, up_with,
};
pub use removal::{Removal, RemovalProgress};
pub use step::{
    Change, Difference, Milestone, Need, Observation, Outcome, Readiness, Step, StepId, Timeouts,
    Wanted,
};
