//! Builds the programs with Go, once per version, into the user's cache directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use pipectl_process::{GuardedCommand, SpawnError};

use super::manifest::{self, Manifest};
use super::{GO_FLAGS, Program, Programs, pinned_hash};
use crate::error::SandboxError;
use crate::files::{self, Lock};

/// The oldest Go that the pinned modules build with.
const OLDEST_GO: &str = "1.26";
/// How long to wait for another process that builds the same; a whole build takes 6 minutes on 2 cores.
const BUILD_PATIENCE: Duration = Duration::from_secs(45 * 60);
/// How long one program may build; the largest takes 3 minutes on 2 cores.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Progress of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallEvent {
    /// The program that this is about; `None` while waiting for another process.
    pub tool: Option<Program>,
    /// What happens to it.
    pub phase: InstallPhase,
    /// Time since this program's build (or the wait) began.
    pub elapsed: Duration,
}

/// What happens to a program during an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallPhase {
    /// Another process builds the same; we wait for it.
    WaitingForAnother,
    /// It is there already.
    Present,
    /// Its modules are downloaded where needed, and it is built.
    Building,
    /// It is built.
    Built,
}

/// Where the programs of this version are built.
pub(super) fn directory() -> Result<PathBuf, SandboxError> {
    Ok(files::cache_home()?.join("sandbox-bin").join(pinned_hash()))
}

/// All programs, built where they aren't there yet. `guard` is the pipectl executable.
///
/// # Errors
/// When Go is missing or too old, a build fails, or `PIPECTL_SANDBOX_BIN` names a directory without the programs.
pub async fn install(
    guard: &Path,
    progress: &(dyn Fn(InstallEvent) + Send + Sync),
) -> Result<Programs, SandboxError> {
    if let Some(programs) = Programs::installed()? {
        for program in Program::ALL {
            progress(InstallEvent {
                tool: Some(program),
                phase: InstallPhase::Present,
                elapsed: Duration::ZERO,
            });
        }
        return Ok(programs);
    }
    let directory = directory()?;
    files::private_directory(&directory)?;
    let began = Instant::now();
    let waiting = || {
        progress(InstallEvent {
            tool: None,
            phase: InstallPhase::WaitingForAnother,
            elapsed: began.elapsed(),
        });
    };
    let _lock = Lock::take(&directory.join("build.lock"), BUILD_PATIENCE, waiting).await?;

    let mut go = None;
    for program in Program::ALL {
        let began = Instant::now();
        let say = |phase| {
            progress(InstallEvent {
                tool: Some(program),
                phase,
                elapsed: began.elapsed(),
            })
        };
        if manifest::is_current(&directory, program) {
            say(InstallPhase::Present);
            continue;
        }
        let version = match &go {
            Some(version) => version,
            None => go.insert(go_version(guard).await?),
        };
        say(InstallPhase::Building);
        build(guard, &directory, program).await?;
        Manifest::record(&directory, program, version)?;
        say(InstallPhase::Built);
    }
    Ok(Programs { directory })
}

async fn go_version(guard: &Path) -> Result<String, SandboxError> {
    let command = GuardedCommand::new(guard, "go")
        .args(["env", "GOVERSION"])
        .env("GOTOOLCHAIN", "local");
    let child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(go_not_started)?;
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
    let output = output
        .map_err(|_| SandboxError::NotReady {
            what: "go env".to_owned(),
            waited: Duration::from_secs(60),
        })?
        .map_err(|source| SandboxError::Spawn {
            what: "go".to_owned(),
            source,
        })?;
    let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && is_new_enough(&found) {
        Ok(found)
    } else {
        Err(SandboxError::GoTooOld {
            found,
            needed: OLDEST_GO,
        })
    }
}

fn go_not_started(error: SpawnError) -> SandboxError {
    match error {
        SpawnError::ProgramNotFound { .. } => SandboxError::GoMissing,
        SpawnError::Guard { source, .. } => SandboxError::Spawn {
            what: "go".to_owned(),
            source,
        },
    }
}

/// `go1.26.8`, `go1.27rc1`, `devel go1.27-abc` and the like against [`OLDEST_GO`].
fn is_new_enough(version: &str) -> bool {
    let numbers = |text: &str| -> Option<(u32, u32)> {
        let mut parts = text.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor: String = parts
            .next()?
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        Some((major, minor.parse().ok()?))
    };
    let found = version
        .split_whitespace()
        .find_map(|word| numbers(word.strip_prefix("go")?));
    found.is_some() && found >= numbers(OLDEST_GO)
}

async fn build(guard: &Path, directory: &Path, program: Program) -> Result<(), SandboxError> {
    let module = program.module();
    let work = directory.join("build").join(module.name);
    fs::create_dir_all(&work).map_err(SandboxError::io("create", &work))?;
    for (name, content) in [("go.mod", module.go_mod), ("go.sum", module.go_sum)] {
        fs::write(work.join(name), content).map_err(SandboxError::io("write", work.join(name)))?;
    }
    let built = work.join(program.file_name());
    let log = directory.join("build").join(format!("{program}.log"));
    let output = File::create(&log).map_err(SandboxError::io("create", &log))?;
    let copy = output.try_clone().map_err(SandboxError::io("open", &log))?;
    let mut child = GuardedCommand::new(guard, "go")
        .args(["build", "-ldflags", module.linker_flags, "-o"])
        .arg(&built)
        .arg(program.package())
        .current_dir(&work)
        // The Go that is here and no other: a download in its stead would be unpinned.
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", GO_FLAGS)
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0")
        .env_remove("GOOS")
        .env_remove("GOARCH")
        .deadline(pipectl_process::boot_time() + BUILD_LIMIT)
        .stdout(output)
        .stderr(copy)
        .spawn()
        .map_err(go_not_started)?;
    let status = child.wait().await.map_err(|source| SandboxError::Spawn {
        what: "go build".to_owned(),
        source,
    })?;
    if !status.success() {
        let tail = files::tail(&log);
        return Err(SandboxError::BuildFailed {
            program,
            exit_code: status.code(),
            log,
            tail,
        });
    }
    let target = directory.join(program.file_name());
    fs::rename(&built, &target).map_err(SandboxError::io("write", &target))
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn go_versions_are_compared_as_numbers() {
        for good in [
            "go1.26",
            "go1.26.8",
            "go1.27rc1",
            "go2.0",
            "devel go1.27-d1f2e3a Fri",
            "go1.26.8 X:arenas",
        ] {
            assert!(is_new_enough(good), "{good}");
        }
        for bad in ["", "go1.9", "go1.25.11", "go1.3", "1.26.1", "gccgo"] {
            assert!(!is_new_enough(bad), "{bad}");
        }
    }
}
