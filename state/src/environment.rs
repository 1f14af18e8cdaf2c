//! Environments as directories: `ROOT/environments/NAME/`, and where finished ones go.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::StateError;
use crate::journal::{Journal, OpenMode};
use crate::lease::{Lease, LeaseOptions, LeaseRecord};
use crate::record::RunId;
use crate::state::EnvironmentState;
use crate::store::{flush_directory, journal_file, make_directory};

/// Where pipectl keeps its state unless told otherwise: `$XDG_STATE_HOME/pipectl`, else `~/.local/state/pipectl`
/// (XDG Base Directory Specification; a relative `XDG_STATE_HOME` counts as unset). None when neither variable is set.
pub fn default_root() -> Option<PathBuf> {
    root_from(|name| std::env::var_os(name))
}

fn root_from(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|base| base.join("pipectl"))
}

/// The place of one environment on this machine; it need not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    root: PathBuf,
    name: String,
    directory: PathBuf,
}

/// One environment of which something is recorded here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentEntry {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub directory: PathBuf,
}

impl Environment {
    /// The environment `name` under the state directory `root`.
    ///
    /// # Errors
    /// [`StateError::BadName`].
    pub fn new(root: &Path, name: &str) -> Result<Self, StateError> {
        check_name(name).map_err(|reason| StateError::BadName {
            name: name.to_owned(),
            reason,
        })?;
        let directory = root.join("environments").join(name);
        Ok(Self {
            root: root.to_owned(),
            name: name.to_owned(),
            directory,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether a journal of it is here (possibly an empty one).
    pub fn exists(&self) -> bool {
        journal_file(&self.directory).is_file()
    }

    /// Takes the environment's lease; see [`Lease::acquire`]. The fencing number is above every one in the journal,
    /// also when the lease file was lost.
    ///
    /// # Errors
    /// As [`Lease::acquire`], and that the journal cannot be read.
    pub async fn lease(&self, mut options: LeaseOptions) -> Result<Lease, StateError> {
        make_directory(&self.directory)?;
        if self.exists() && LeaseRecord::read(&self.directory)?.is_none() {
            match self.open_read_only() {
                Ok((_, state)) => options.fence_above = options.fence_above.max(state.fence()),
                Err(StateError::NoSuchEnvironment { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Lease::acquire(&self.directory, options).await?)
    }

    /// Opens the journal for writing under a lease.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open(
        &self,
        run: RunId,
        lease: &Lease,
    ) -> Result<(Journal, EnvironmentState), StateError> {
        Journal::open(
            &self.root,
            &self.name,
            OpenMode::Write {
                run,
                fence: lease.number(),
            },
        )
    }

    /// Opens the journal for reading; works while somebody else holds the lease.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_read_only(&self) -> Result<(Journal, EnvironmentState), StateError> {
        Journal::open(&self.root, &self.name, OpenMode::ReadOnly)
    }

    /// Moves a damaged journal aside, to be looked at; what exists is then found again by its ownership. Returns
    /// where it went.
    ///
    /// # Errors
    /// That it cannot be moved.
    pub fn set_journal_aside(&self, _lease: &Lease) -> Result<PathBuf, StateError> {
        let journal = journal_file(&self.directory);
        let aside = self
            .directory
            .join(format!("journal.damaged-{}.ndjson", RunId::new()));
        std::fs::rename(&journal, &aside)
            .map_err(|error| StateError::from_io("move aside", &journal, error))?;
        flush_directory(&self.directory)?;
        Ok(aside)
    }

    /// After a complete `down`: moves the directory to `ROOT/history/`, where its runs can still be read, and gives
    /// the lease back. The name is free then. Credentials do not go along: the way to the cluster is removed first.
    /// Returns where it went.
    ///
    /// # Errors
    /// That it cannot be moved, or its credentials not be removed.
    pub fn archive(&self, lease: Lease) -> Result<PathBuf, StateError> {
        let history = self.root.join("history");
        make_directory(&history)?;
        self.remove_kubeconfig()?;
        // A version 7 UUID sorts by time, so the history of one name reads in order.
        let place = history.join(format!("{}-{}", self.name, RunId::new()));
        std::fs::rename(&self.directory, &place)
            .map_err(|error| StateError::from_io("move to the history", &self.directory, error))?;
        flush_directory(&history)?;
        flush_directory(&self.root.join("environments"))?;
        lease.release_in(&place)?;
        Ok(place)
    }

    /// Removes the environment's own kubeconfig, and what a killed run may have left of writing it.
    fn remove_kubeconfig(&self) -> Result<(), StateError> {
        let failed = |error| StateError::from_io("remove the kubeconfig", &self.directory, error);
        for entry in std::fs::read_dir(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if is_kubeconfig(&entry.file_name()) {
                std::fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// `kubeconfig`, and the `.kubeconfig.PID` from which it is renamed.
fn is_kubeconfig(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        name == "kubeconfig"
            || name
                .strip_prefix(".kubeconfig.")
                .is_some_and(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// The environments of which something is recorded under `root`, by name. None at all is no error.
///
/// # Errors
/// That the directory cannot be read.
pub fn list_environments(root: &Path) -> Result<Vec<EnvironmentEntry>, StateError> {
    let directory = root.join("environments");
    let failed = |error| StateError::from_io("read", &directory, error);
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // An empty journal means that a first run was refused before it began.
        let recorded =
            std::fs::metadata(journal_file(&entry.path())).is_ok_and(|file| file.len() > 0);
        if check_name(&name).is_ok() && recorded {
            found.push(EnvironmentEntry {
                name,
                directory: entry.path(),
            });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The rules of a DNS label (RFC 1035), which is what a namespace, a label value and an AWS name all accept.
fn check_name(name: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() {
        Err("it is empty")
    } else if name.len() > 63 {
        Err("it is longer than 63 characters")
    } else if !name.bytes().all(allowed) {
        Err("only lower-case letters, digits and hyphens are allowed")
    } else if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        Err("it does not begin with a letter")
    } else if name.ends_with('-') {
        Err("it ends with a hyphen")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
