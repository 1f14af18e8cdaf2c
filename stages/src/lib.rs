//! The Step contract, the ports, and one folder per stage in install order.
//!
//! Nothing here names an SDK: a step talks to the outside through the ports in [`ports`], which the adapters implement.
//!
//! Reading order: [`step`] (what a step is), [`removal`] (what a removal is), then one folder per stage.

pub mod context;
pub mod error;
pub mod findings;
pub mod health;
pub mod objects;
pub mod ports;
pub mod removal;
pub mod step;

pub use context::{Environment, Intents, Ports, Progress, ProgressSink, StepContext};
pub use error::{PortError, PortErrorKind, Retry, StepError};
pub use findings::{AbsenceReport, CheckResult, Fate, Finding, Leftover, Verdict};
pub use removal::{Removal, RemovalProgress};
pub use step::{
    Change, Difference, Milestone, Need, Observation, Outcome, Readiness, Step, StepId, Timeouts,
};
