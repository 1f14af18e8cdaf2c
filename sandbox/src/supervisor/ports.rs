//! Ports that a sandbox had, to have again: what was handed out earlier stays right.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::SandboxError;
use crate::files::{self, Layout};

/// The ports; 0 where there was none yet.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Known {
    pub(super) api: u16,
    pub(super) charts: u16,
    pub(super) aws: u16,
}

/// The ports in their file.
pub(super) struct Ports {
    file: PathBuf,
    known: Mutex<Known>,
}

impl Ports {
    /// Those of that sandbox.
    pub(super) fn of(layout: &Layout) -> Self {
        let file = layout.ports();
        let text = std::fs::read(&file).ok();
        let known = text.and_then(|text| serde_json::from_slice(&text).ok());
        Self {
            file,
            known: Mutex::new(known.unwrap_or_default()),
        }
    }

    /// As they are now.
    pub(super) fn get(&self) -> Known {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Change and keep them.
    pub(super) fn change(&self, change: impl FnOnce(&mut Known)) -> Result<(), SandboxError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut known);
        files::write_private(&self.file, &serde_json::to_vec(&*known).unwrap_or_default())
    }
}
