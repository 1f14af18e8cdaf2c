//! The guard: waits for its child, its parent's death and a deadline, whichever comes first.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::clock::boot_time;

/// First argument that turns the program into a guard.
pub const GUARD_SUBCOMMAND: &str = "__guard";
/// Exit code of a guard whose arguments make no sense (a defect of the caller).
pub const USAGE_EXIT_CODE: u8 = 125;
/// Exit code of a guard that could not start its program.
pub const NOT_STARTED_EXIT_CODE: u8 = 127;
/// Exit code of a guard that ended its child at the deadline, as of `timeout(1)`.
pub const DEADLINE_EXIT_CODE: u8 = 124;

/// Length of a frame that moves the deadline: milliseconds of [`boot_time`], big-endian.
pub(crate) const DEADLINE_FRAME: usize = 8;

/// What moves the deadline to `deadline`.
pub(crate) fn deadline_frame(deadline: Duration) -> [u8; DEADLINE_FRAME] {
    u64::try_from(deadline.as_millis())
        .unwrap_or(u64::MAX)
        .to_be_bytes()
}

/// How often the deadline is compared with the boot-time clock, which no timer of the standard library follows.
const TICK: Duration = Duration::from_millis(500);

/// What the guard was told on its command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GuardPlan {
    pub(crate) stdin_bytes: Option<u64>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
}

impl GuardPlan {
    /// The command line that [`GuardPlan::parse`] reads back.
    pub(crate) fn to_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec![GUARD_SUBCOMMAND.into()];
        if let Some(bytes) = self.stdin_bytes {
            args.extend(["--stdin-bytes".into(), bytes.to_string().into()]);
        }
        if let Some(deadline) = self.deadline {
            args.extend([
                "--deadline-boot-ms".into(),
                deadline.as_millis().to_string().into(),
            ]);
        }
        args.extend([
            "--grace-ms".into(),
            self.grace.as_millis().to_string().into(),
            "--".into(),
        ]);
        args.push(self.program.clone());
        args.extend(self.arguments.iter().cloned());
        args
    }

    fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut args = args.into_iter();
        let (mut stdin_bytes, mut deadline, mut grace) = (None, None, Duration::from_secs(5));
        let program = loop {
            let arg = args.next().ok_or("no program given")?;
            let mut number = |name: &str| -> Result<u64, String> {
                let value = args
                    .next()
                    .ok_or_else(|| format!("{name} needs a number"))?;
                let value = value.to_str().and_then(|text| text.parse().ok());
                value.ok_or_else(|| format!("{name} needs a number"))
            };
            match arg.to_str() {
                Some("--stdin-bytes") => stdin_bytes = Some(number("--stdin-bytes")?),
                Some("--deadline-boot-ms") => {
                    deadline = Some(Duration::from_millis(number("--deadline-boot-ms")?))
                }
                Some("--grace-ms") => grace = Duration::from_millis(number("--grace-ms")?),
                Some("--") => break args.next().ok_or("no program given")?,
                _ => return Err(format!("unknown argument {}", arg.display())),
            }
        };
        Ok(Self {
            stdin_bytes,
            deadline,
            grace,
            program,
            arguments: args.collect(),
        })
    }
}

/// Why the child has to end, or has ended.
enum Event {
    /// The liveness pipe ended, or somebody asked the guard itself to end.
    End,
    /// The parent moved the deadline.
    Deadline(Duration),
    /// The child exited; it isn't reaped yet, so its process group's number is still its own.
    Exited,
}

/// Be a guard: start the program named in `args` (what follows [`GUARD_SUBCOMMAND`]) in a process group of its own, and
/// return its exit code (128 + N when it died of signal N) once it has ended. Blocks; starts no runtime before the child runs.
///
/// Ends the child's process group (SIGTERM, after the grace SIGKILL) when standard input ends, at the deadline, and when
/// the guard itself gets SIGTERM, SIGINT or SIGHUP. What the child left behind in its group is killed when it exits.
///
/// Standard input carries the child's own input first, as many bytes as the arguments say, and then frames of
/// eight bytes: each a new deadline, which takes the place of the one before until it has passed.
///
/// On Linux the child dies with its guard as well, should somebody kill that.
pub fn run_guard(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    #[cfg(target_os = "linux")]
    if let Some(code) = tied::become_program(&args) {
        return code;
    }
    let plan = match GuardPlan::parse(args) {
        Ok(plan) => plan,
        Err(reason) => {
            complain(&format!("guard: {reason}"));
            return ExitCode::from(USAGE_EXIT_CODE);
        }
    };
    let (sender, events) = mpsc::channel();
    watch_signals(sender.clone());
    let mut command = program(&plan);
    let child = command
        .stdin(if plan.stdin_bytes.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .process_group(0)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            complain(&format!("cannot start {}: {error}", plan.program.display()));
            return ExitCode::from(NOT_STARTED_EXIT_CODE);
        }
    };
    let group = Pid::from_child(&child);
    watch_parent(&mut child, plan.stdin_bytes.unwrap_or(0), sender.clone());
    watch_child(group, sender);

    let reached_deadline = wait(&events, group, &plan);
    // The child is dead but not reaped: its number cannot belong to another group yet.
    let _ = kill_process_group(group, Signal::KILL);
    match child.wait() {
        Ok(_) if reached_deadline => ExitCode::from(DEADLINE_EXIT_CODE),
        Ok(status) => ExitCode::from(code_of(status)),
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(target_os = "linux")]
fn program(plan: &GuardPlan) -> Command {
    tied::command(&plan.program, &plan.arguments)
}

#[cfg(not(target_os = "linux"))]
fn program(plan: &GuardPlan) -> Command {
    let mut command = Command::new(&plan.program);
    command.args(&plan.arguments);
    command
}

/// A child that the kernel kills when its guard dies. The wish must be made by the child itself, between fork and exec, which
/// is no place for safe code: so the guard starts itself once more, and that process makes the wish and becomes the program.
#[cfg(target_os = "linux")]
mod tied {
    use std::{
        ffi::{OsStr, OsString},
        os::unix::process::CommandExt,
        process::{Command, ExitCode},
    };

    use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

    use super::{GUARD_SUBCOMMAND, NOT_STARTED_EXIT_CODE, complain};

    const TIED: &str = "--tied-to";

    pub fn command(program: &OsStr, arguments: &[OsString]) -> Command {
        // Also when the file was replaced by a newer build meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command
            .args([GUARD_SUBCOMMAND, TIED])
            .arg(getpid().as_raw_nonzero().to_string())
            .arg(program)
            .args(arguments);
        command
    }

    /// Returns only when `args` are not meant for this, or the program could not be started.
    pub fn become_program(args: &[OsString]) -> Option<ExitCode> {
        let [tied, guard, program, arguments @ ..] = args else {
            return None;
        };
        if tied != TIED {
            return None;
        }
        let guard: Option<i32> = guard.to_str().and_then(|guard| guard.parse().ok());
        if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
            complain(&format!("guard: cannot tie a child to its guard: {error}"));
        }
        // The guard may have died before the wish was made.
        if getppid().map(Pid::as_raw_nonzero).map(i32::from) != guard {
            return Some(ExitCode::from(NOT_STARTED_EXIT_CODE));
        }
        let error = Command::new(program).args(arguments).exec();
        complain(&format!("cannot start {}: {error}", program.display()));
        Some(ExitCode::from(NOT_STARTED_EXIT_CODE))
    }
}

/// Returns once the child is dead; tells whether it was the deadline that ended it.
fn wait(events: &Receiver<Event>, group: Pid, plan: &GuardPlan) -> bool {
    let mut ending: Option<Instant> = None;
    let mut killed = false;
    let mut reached_deadline = false;
    let mut deadline = plan.deadline;
    loop {
        let passed = deadline.is_some_and(|deadline| boot_time() >= deadline);
        if passed && ending.is_none() {
            reached_deadline = true;
            ending = Some(ask_to_end(group));
        }
        if let Some(since) = ending
            && !killed
            && since.elapsed() >= plan.grace
        {
            killed = true;
            let _ = kill_process_group(group, Signal::KILL);
        }
        let until_kill = ending
            .filter(|_| !killed)
            .map(|since| plan.grace.saturating_sub(since.elapsed()));
        let until_deadline = deadline
            .filter(|_| ending.is_none())
            .map(|deadline| deadline.saturating_sub(boot_time()));
        let pause = [until_kill, until_deadline]
            .into_iter()
            .flatten()
            .fold(TICK, Duration::min);
        match events.recv_timeout(pause) {
            Ok(Event::Exited) => return reached_deadline,
            Ok(Event::End) if ending.is_none() => ending = Some(ask_to_end(group)),
            // One that has passed has ended the child: what comes after it moves nothing.
            Ok(Event::Deadline(moved)) => deadline = Some(moved),
            Ok(Event::End) | Err(RecvTimeoutError::Timeout) => {}
            // The watcher of the child never goes away without saying so.
            Err(RecvTimeoutError::Disconnected) => return reached_deadline,
        }
    }
}

fn ask_to_end(group: Pid) -> Instant {
    let _ = kill_process_group(group, Signal::TERM);
    // A stopped process gets its SIGTERM only once it goes on.
    let _ = kill_process_group(group, Signal::CONT);
    Instant::now()
}

/// Forwards the first `bytes` of standard input to the child, then reports new deadlines and the end of the pipe.
fn watch_parent(child: &mut Child, bytes: u64, sender: Sender<Event>) {
    let child_stdin = child.stdin.take();
    thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut payload = Vec::new();
        let whole = (&mut stdin).take(bytes).read_to_end(&mut payload).is_ok()
            && payload.len() as u64 == bytes;
        if whole && let Some(mut child_stdin) = child_stdin {
            // A thread of its own: a child that doesn't read must not keep the guard from seeing its parent die.
            thread::spawn(move || {
                // A child that closes its input early has its reasons; its exit code tells.
                let _ = child_stdin.write_all(&payload);
            });
        }
        let mut frame = [0_u8; DEADLINE_FRAME];
        while whole && stdin.read_exact(&mut frame).is_ok() {
            let moved = Duration::from_millis(u64::from_be_bytes(frame));
            if sender.send(Event::Deadline(moved)).is_err() {
                return;
            }
        }
        let _ = sender.send(Event::End);
    });
}

fn watch_child(child: Pid, sender: Sender<Event>) {
    thread::spawn(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(child), options) {}
        let _ = sender.send(Event::Exited);
    });
}

fn watch_signals(sender: Sender<Event>) {
    use tokio::signal::unix::{SignalKind, signal};
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        // Without a runtime the guard still has its pipe and its deadline.
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = (
                signal(SignalKind::terminate()),
                signal(SignalKind::interrupt()),
                signal(SignalKind::hangup()),
            ) else {
                return;
            };
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    _ = hangup.recv() => {}
                }
                if sender.send(Event::End).is_err() {
                    return;
                }
            }
        });
    });
}

fn code_of(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

fn complain(text: &str) {
    // Nobody may be left to read it.
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_its_command_line() {
        let plan = GuardPlan {
            stdin_bytes: Some(12),
            deadline: Some(Duration::from_millis(98_765)),
            grace: Duration::from_millis(250),
            program: "/bin/echo".into(),
            arguments: vec!["--".into(), "--grace-ms".into(), "".into()],
        };
        let args = plan.to_args();
        assert_eq!(args[0], GUARD_SUBCOMMAND);
        assert_eq!(GuardPlan::parse(args.into_iter().skip(1)), Ok(plan));
    }

    #[test]
    fn nonsense_is_refused() {
        for args in [
            &["--grace-ms"][..],
            &["--grace-ms", "x", "--", "true"],
            &["true"],
            &["--"],
            &[],
        ] {
            assert!(
                GuardPlan::parse(args.iter().map(OsString::from)).is_err(),
                "{args:?}"
            );
        }
    }
}
