//! The engine: runs a graph of steps or removals and says what happens.
//!
//! Reading order: [`graph`] (what is to be done), `scheduler` (what may begin, what a failure withholds), `executor`
//! and `waiting` (what happens to one step), `dispatcher` and `settle` (the only writer), [`run()`] (from request to
//! report), [`event`] (the only output).

mod books;
mod codes;
pub mod critical_path;
mod dispatcher;
pub mod event;
mod executor;
pub mod graph;
mod hold;
mod node_run;
mod options;
pub mod recovery;
mod redact;
mod retry;
mod run;
mod scheduler;
mod settle;
mod stop;
#[cfg(test)]
mod tests;
mod waiting;
mod words;

pub use books::RunRecord;
pub use codes::CODES;
pub use event::{Event, EventKind, PipelineInfo, Plan, RunOutcome, Verb};
pub use graph::{Graph, GraphError, Task};
pub use hold::Hold;
pub use options::RunOptions;
pub use retry::RetryPolicy;
pub use run::{RunEnd, RunReport, RunRequest, StepFailure, expectations, run, state_error};
pub use stop::{Stop, Stopper, stop};
pub use words::{WAITED_IN_VAIN, span};
