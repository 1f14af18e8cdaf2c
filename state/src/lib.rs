//! Journal, fold, lease and local store of an environment.
//!
//! The journal is the append-only record of intents and outcomes; the state of an environment is a fold of it
//! ([`EnvironmentState`]). It speeds things up and makes a killed run resumable; the cloud stays the truth.
//! Who may write is settled by the [`Lease`]; reading needs none.
//!
//! This crate knows nobody but the redactor: no stage, no cloud, no pipeline file, only plain types.

mod clock;
mod codes;
mod environment;
mod error;
mod fold;
mod journal;
mod law;
mod lease;
mod record;
mod redact;
mod state;
mod store;
#[cfg(test)]
mod testing;

pub use clock::{BootClock, BootInstant, Clock, FixedClock, LeaseClock, SystemClock};
pub use codes::{CODES, CodeEntry, explain};
pub use environment::{Environment, EnvironmentEntry, default_root, list_environments};
pub use error::StateError;
pub use journal::{Journal, OpenMode};
pub use lease::{
    Fence, Holder, Lease, LeaseError, LeaseOptions, LeaseRecord, LeaseWait, Liveness, Standing,
    WaitListener,
};
pub use pipectl_redact::Redactor;
pub use record::{
    Body, Change, CheckTotals, FORMAT_VERSION, InventoryTotals, Invoker, Leftover, Outcome, Phase,
    Pins, PlanSummary, Record, RecordedError, RunId, RunKind,
};
pub use state::{
    Durations, EnvironmentState, INTENTS_KEPT, Intent, InventoryState, LifePhase, OpenRun,
    RUNS_KEPT, RunCounts, RunSummary, StepFailure, StepState, StepStatus, VerificationState,
};
pub use store::{
    ConditionalObjectStore, JournalStore, Loaded, LocalStore, MemoryObjects, MemoryStore,
    ObjectError, ObjectJournal, PutOutcome, TornTail,
};
