//! The reporters: they consume events, and nothing else of the engine.
//!
//! [`view`] folds the events into what a run looks like now; [`screen`] and [`result`] turn that into lines; the reporters
//! proper ([`terminal`], [`plain`], [`ndjson`], [`summary`]) put these where they belong.

pub mod attach;
pub mod error;
pub mod estimate;
pub mod ndjson;
pub mod plain;
pub mod result;
pub mod screen;
pub mod steps;
pub mod summary;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod theme;
pub mod view;
pub mod words;

use std::io;

use crate::engine::Event;

pub use attach::{Attached, Format, Options, attach};

/// Consumes a run's events in their order.
pub trait Reporter: Send {
    /// Takes an event in.
    ///
    /// # Errors
    /// When it cannot be written where it belongs.
    fn event(&mut self, event: &Event) -> io::Result<()>;

    /// Some time has passed; `now_ms` since the run began.
    fn tick(&mut self, now_ms: u64) {
        let _ = now_ms;
    }
}
