//! One event a line, as JSON: for programs. Every line carries the version of the events' form.

use std::io::{self, Write};

use super::Reporter;
use crate::engine::Event;

/// Writes events as lines of JSON.
pub struct Ndjson<W> {
    out: W,
}

impl<W: Write + Send> Ndjson<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Reporter for Ndjson<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()
    }
}
