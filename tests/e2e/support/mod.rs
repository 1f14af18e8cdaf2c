//! What every test stands on: a home of its own, bounded runs of the real binary, sandboxes that always end.

mod aws;
mod cluster;
mod events;
mod permits;
mod pipelines;
mod processes;
mod programs;
mod run;
mod sandbox;
mod stranger;
mod world;

pub use aws::{Account, small};
pub use cluster::{Cluster, Kind};
pub use events::Events;
pub use pipelines::{TINY, tiny, tiny_named};
pub use processes::processes_with;
pub use run::{Outcome, Run, Running};
pub use sandbox::Sandbox;
pub use stranger::Stranger;
pub use world::World;

use std::time::{Duration, Instant};

/// How long a condition may take that is only waited for; generous, since the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Says something that is seen even where test output is captured.
#[expect(
    clippy::print_stderr,
    reason = "the only way to be heard from a test without --nocapture is the process's own standard error"
)]
pub fn loudly(text: &str) {
    use std::io::Write as _;
    // `eprintln!` is captured by the test runner, a write to the stream itself is not.
    if writeln!(std::io::stderr(), "{text}").is_err() {
        eprintln!("{text}");
    }
}

/// Waits until `look` gives something, at most [`PATIENCE`].
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(25));
    }
}
