//! The program itself.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::table::{Problem, Table};

/// The program in the profile of this measurement.
pub const PIPECTL: &str = env!("CARGO_BIN_EXE_pipectl");

const STARTS: usize = 50;

/// Start-up: from the call to the end of `pipectl --version`.
///
/// # Errors
/// When it cannot be started.
pub fn measure(table: &mut Table) -> Result<(), Problem> {
    let home = tempfile::tempdir()?;
    let times = (0..STARTS).map(|_| Ok(run(home.path(), ["--version"])?.took));
    table.millis(
        "start-up of pipectl --version",
        "< 10",
        times.collect::<Result<_, Problem>>()?,
    );
    Ok(())
}

/// How one run of the program went.
pub struct Run {
    /// From the call to the end.
    pub took: Duration,
    /// The most memory that it held at once, in bytes, as the kernel counts it (`VmHWM`); zero where there is no such
    /// count, or the run was too short to ask.
    pub memory: u64,
    /// What it said.
    pub output: String,
}

/// Runs the program with its state below `home`; it must succeed.
///
/// # Errors
/// When it cannot be started, or fails.
pub fn run(
    home: &Path,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<Run, Problem> {
    let mut command = Command::new(PIPECTL);
    command
        .args(arguments)
        .current_dir(home)
        .env("XDG_STATE_HOME", home)
        .env_remove("KUBECONFIG")
        .env_remove("PIPECTL_ENV")
        .env_remove("PIPECTL_SANDBOX")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let began = Instant::now();
    let child = command.spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    // The kernel forgets the figure with the process, so it is asked for all along.
    let watch = std::thread::spawn(move || {
        let mut most = 0;
        while waiting.recv_timeout(Duration::from_millis(20)).is_err() {
            most = high_water(&status).unwrap_or(0).max(most);
        }
        most
    });
    let output = child.wait_with_output()?;
    let took = began.elapsed();
    let _ = done.send(());
    let memory = watch.join().map_err(|_| "the watch of the memory failed")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("pipectl ended with {}: {said}", output.status).into());
    }
    Ok(Run {
        took,
        memory,
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
    })
}

fn high_water(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
