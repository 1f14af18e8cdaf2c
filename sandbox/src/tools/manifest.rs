//! What was built, from what, and how a later run knows that it is still the same.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Program, hex, is_executable};
use crate::error::SandboxError;
use crate::files;

/// Everything built into one directory.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) programs: BTreeMap<String, Entry>,
}

/// One built program.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Version of the program.
    version: String,
    /// Hash over go.mod, go.sum and the flags.
    pin: String,
    /// The Go that built it.
    go: String,
    /// Digest of the executable.
    sha256: String,
    /// Size and modification time (seconds, nanoseconds) of the executable: the cheap way to see that it is untouched.
    size: u64,
    modified: (i64, i64),
}

fn path(directory: &Path) -> PathBuf {
    directory.join("manifest.json")
}

impl Manifest {
    pub(super) fn load(directory: &Path) -> Self {
        // A damaged manifest only means that the programs are built again.
        std::fs::read(path(directory))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// Record the executable as it is on disk now.
    pub(super) fn record(directory: &Path, program: Program, go: &str) -> Result<(), SandboxError> {
        let executable = directory.join(program.file_name());
        let data = executable
            .metadata()
            .map_err(SandboxError::io("read", &executable))?;
        let content = std::fs::read(&executable).map_err(SandboxError::io("read", &executable))?;
        let digest = ring::digest::digest(&ring::digest::SHA256, &content);
        let mut manifest = Self::load(directory);
        let entry = Entry {
            version: program.version().to_owned(),
            pin: program.module().pin(),
            go: go.to_owned(),
            sha256: hex(digest.as_ref()),
            size: data.len(),
            modified: (data.mtime(), data.mtime_nsec()),
        };
        manifest
            .programs
            .insert(program.file_name().to_owned(), entry);
        let text = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
        files::write_private(&path(directory), &text)
    }
}

/// Whether the executable is there, built from what is pinned now, and untouched since.
pub(super) fn is_current(directory: &Path, program: Program) -> bool {
    let executable = directory.join(program.file_name());
    let manifest = Manifest::load(directory);
    let Some(entry) = manifest.programs.get(program.file_name()) else {
        return false;
    };
    let Ok(data) = executable.metadata() else {
        return false;
    };
    entry.pin == program.module().pin()
        && is_executable(&executable)
        && entry.size == data.len()
        && entry.modified == (data.mtime(), data.mtime_nsec())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_touched_program_is_not_current_any_more() {
        let directory = tempfile::tempdir().unwrap();
        let executable = directory.path().join("kwok");
        std::fs::write(&executable, "program").unwrap();
        std::fs::set_permissions(&executable, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(!is_current(directory.path(), Program::Kwok));
        Manifest::record(directory.path(), Program::Kwok, "go1.26.0").unwrap();
        assert!(is_current(directory.path(), Program::Kwok));
        std::fs::write(&executable, "another").unwrap();
        assert!(!is_current(directory.path(), Program::Kwok));
    }
}
