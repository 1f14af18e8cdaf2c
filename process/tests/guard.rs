//! Guarded children end with their parents, whatever happens to those.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use pipectl_process::{DEADLINE_EXIT_CODE, GuardedCommand, SpawnError, boot_time};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

fn guard() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_pipectl-guard"))
}

fn shell(script: &str) -> GuardedCommand {
    GuardedCommand::new(&guard(), "sh")
        .args(["-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
}

/// Waits until `found` gives something; a bound for a broken machine, not a measurement.
async fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(value) = found() {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never happened: {what}")
}

/// The process ids that a script wrote into a file, one a line, once there are `count`.
async fn pids(file: &Path, count: usize) -> Vec<Pid> {
    eventually("process ids in the file", || {
        let text = std::fs::read_to_string(file).ok()?;
        let pids: Vec<Pid> = text
            .lines()
            .filter_map(|line| line.parse().ok().and_then(Pid::from_raw))
            .collect();
        (pids.len() == count && text.ends_with('\n')).then_some(pids)
    })
    .await
}

async fn all_gone(pids: &[Pid]) {
    for pid in pids {
        // A zombie whose parent died with it may linger until init reaps it: it counts as gone.
        eventually("the process is gone", || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
                .unwrap_or_default();
            (test_kill_process(*pid).is_err() || state.contains(") Z ")).then_some(())
        })
        .await;
    }
}

/// Writes its own and a grandchild's process id into the file, and never ends; SIGTERM does nothing to either.
fn stubborn(file: &Path) -> String {
    format!(
        "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo $$ > {0}; echo $! >> {0}; wait",
        file.display()
    )
}

#[tokio::test]
async fn output_and_exit_code_come_through() {
    let child = shell("cat; echo oops >&2; exit 7")
        .stdin_bytes(b"hello".to_vec())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(7), &b"hello"[..])
    );
    assert_eq!(output.stderr, b"oops\n");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_killed_guard_takes_its_child_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("echo $$ > {}; exec sleep 600", file.display());
    let mut child = shell(&script).spawn().unwrap();
    let children = pids(&file, 1).await;
    let guard = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    kill_process(guard, Signal::KILL).unwrap();
    let _ = child.wait().await;
    all_gone(&children).await;
}

#[tokio::test]
async fn a_signal_becomes_128_and_its_number() {
    let output = shell("kill -9 $$")
        .spawn()
        .unwrap()
        .wait_with_output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(137));
}

#[tokio::test]
async fn input_larger_than_a_pipe_arrives_whole() {
    let output = shell("wc -c")
        .stdin_bytes(vec![b'x'; 1 << 20])
        .spawn()
        .unwrap()
        .wait_with_output()
        .await
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1048576");
}

#[tokio::test]
async fn a_cleared_environment_holds_only_what_was_set() {
    let command = GuardedCommand::new(&guard(), "/usr/bin/env")
        .env("ONLY", "this")
        .env_clear();
    let output = command
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .await
        .unwrap();
    assert_eq!(output.stdout, b"ONLY=this\n");
}

#[tokio::test]
async fn a_missing_program_is_an_error_of_its_own() {
    let error = GuardedCommand::new(&guard(), "no-such-program-here")
        .spawn()
        .unwrap_err();
    assert!(
        matches!(error, SpawnError::ProgramNotFound { .. }),
        "{error:?}"
    );
    let error = GuardedCommand::new(&guard(), "/etc/passwd")
        .spawn()
        .unwrap_err();
    assert!(
        matches!(error, SpawnError::ProgramNotFound { .. }),
        "not executable: {error:?}"
    );
}

#[tokio::test]
async fn the_deadline_ends_the_child() {
    let deadline = boot_time() + Duration::from_millis(200);
    let output = shell("while :; do sleep 1; done")
        .deadline(deadline)
        .spawn()
        .unwrap()
        .wait_with_output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(i32::from(DEADLINE_EXIT_CODE)));
}

#[tokio::test]
async fn a_deadline_can_be_moved_as_long_as_it_has_not_passed() {
    let directory = tempfile::tempdir().unwrap();
    let go_on = directory.path().join("go-on");
    let first = boot_time() + Duration::from_secs(3);
    let script = format!(
        "cat; until test -e {}; do sleep 0.1; done; echo done",
        go_on.display()
    );
    let child = shell(&script)
        .stdin_bytes(b"input ".to_vec())
        .deadline(first)
        .spawn()
        .unwrap();
    child.prolong(first + Duration::from_secs(60));
    child.prolong(first + Duration::from_secs(120));
    // Longer than the guard takes to look at its clock.
    eventually("the first deadline has passed", || {
        (boot_time() > first + Duration::from_secs(2)).then_some(())
    })
    .await;
    std::fs::write(&go_on, "").unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"input done\n");
}

#[tokio::test]
async fn a_deadline_that_is_moved_into_the_past_ends_the_child() {
    let child = shell("while :; do sleep 1; done").spawn().unwrap();
    child.prolong(boot_time());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(i32::from(DEADLINE_EXIT_CODE)));
}

#[tokio::test]
async fn termination_is_polite_first() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pids");
    let script = format!(
        "trap 'exit 3' TERM; echo $$ > {}; while :; do sleep 0.1; done",
        file.display()
    );
    let mut child = shell(&script).spawn().unwrap();
    pids(&file, 1).await;
    assert_eq!(child.terminate().await.unwrap().code(), Some(3));
}

#[tokio::test]
async fn termination_takes_the_whole_group_by_force() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pids");
    let mut child = shell(&stubborn(&file))
        .grace(Duration::from_millis(300))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pids = pids(&file, 2).await;
    assert_eq!(child.terminate().await.unwrap().code(), Some(137));
    all_gone(&pids).await;
}

#[tokio::test]
async fn what_a_child_leaves_behind_in_its_group_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pids");
    let script = format!("sleep 1000 >/dev/null 2>&1 & echo $! > {}", file.display());
    assert!(
        shell(&script)
            .spawn()
            .unwrap()
            .wait_with_output()
            .await
            .unwrap()
            .status
            .success()
    );
    all_gone(&pids(&file, 1).await).await;
}

#[tokio::test]
async fn a_dropped_child_ends() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pids");
    let child = shell(&stubborn(&file))
        .grace(Duration::from_millis(300))
        .spawn()
        .unwrap();
    let pids = pids(&file, 2).await;
    drop(child);
    all_gone(&pids).await;
}

#[tokio::test]
async fn a_killed_parent_takes_its_children_along() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pids");
    let script = format!("echo $$ > {}; while :; do sleep 1; done", file.display());
    let mut parent = std::process::Command::new(guard())
        .args(["sh", "-c", &script])
        .spawn()
        .unwrap();
    let pids = pids(&file, 1).await;
    parent.kill().unwrap();
    parent.wait().unwrap();
    all_gone(&pids).await;
}

#[tokio::test]
async fn a_signal_to_the_guard_ends_the_child() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pids");
    let script = format!("echo $$ > {}; while :; do sleep 1; done", file.display());
    let mut child = shell(&script).spawn().unwrap();
    let pids = pids(&file, 1).await;
    let guard = child
        .id()
        .and_then(|id| Pid::from_raw(id.cast_signed()))
        .unwrap();
    kill_process(guard, Signal::TERM).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(143));
    all_gone(&pids).await;
}
