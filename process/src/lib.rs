//! Child processes that never outlive their parent.
//!
//! A child is not started directly but by a *guard*: the same program again, as the hidden subcommand
//! [`GUARD_SUBCOMMAND`]. The guard holds its standard input as a liveness pipe whose other end only the parent has.
//! When the pipe ends, also because the parent was killed outright, the guard ends the child's whole process group.
//! That needs neither unsafe code nor anything that only one operating system has.

mod clock;
mod command;
mod guard;

pub use clock::boot_time;
pub use command::{GuardedChild, GuardedCommand, GuardedOutput, SpawnError};
pub use guard::{
    DEADLINE_EXIT_CODE, GUARD_SUBCOMMAND, NOT_STARTED_EXIT_CODE, USAGE_EXIT_CODE, run_guard,
};
