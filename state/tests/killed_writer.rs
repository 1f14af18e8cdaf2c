//! A writer is killed in the middle of writing; what it had confirmed is there, and another goes on.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pipectl_state::{
    Body, Change, Environment, LeaseOptions, LeaseRecord, LeaseWait, Liveness, Outcome, Pins,
    PlanSummary, RunId, RunKind, StepStatus,
};
use serde_json::json;

/// Set for the child: the state directory that it writes to.
const ROOT: &str = "PIPECTL_TEST_KILLED_WRITER_ROOT";
const NAME: &str = "streaming";
/// How many records the child confirms before it is killed.
const CONFIRMED: u64 = 40;

#[tokio::test]
async fn a_killed_writer_loses_nothing_that_it_confirmed() {
    if let Some(root) = std::env::var_os(ROOT) {
        write_until_killed(Path::new(&root)).await;
        return;
    }
    let root = tempfile::tempdir().expect("a temporary directory");
    let mut child = Command::new(std::env::current_exe().expect("this test's own program"))
        .args([
            "--exact",
            "a_killed_writer_loses_nothing_that_it_confirmed",
            "--nocapture",
        ])
        .env(ROOT, root.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    // Kept open until the end: a child that nobody listens to ends by itself.
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut confirmed = 0;
    for line in output.by_ref().lines() {
        let line = line.expect("text");
        if let Some(number) = line.strip_prefix("confirmed ") {
            confirmed = number.parse().expect("a number");
        }
        if confirmed >= CONFIRMED {
            break;
        }
    }
    assert!(
        confirmed >= CONFIRMED,
        "the child ended by itself after {confirmed}"
    );

    let environment = Environment::new(root.path(), NAME).expect("a name");
    // While the child writes: reading works, changing does not.
    let (_, seen) = environment.open_read_only().expect("readable");
    assert!(seen.seq() >= confirmed);
    let held = environment
        .lease(LeaseOptions::default())
        .await
        .expect_err("the child has it");
    assert_eq!(held.code(), "STA020", "{held:?}");

    child.kill().expect("SIGKILL");
    child.wait().expect("it is gone");
    drop(output);
    let left = LeaseRecord::read(environment.directory())
        .expect("readable")
        .expect("there");
    assert_eq!(left.at_work(), Some(Liveness::Dead));

    // Nobody waits for a heartbeat that cannot come.
    let waits = Arc::new(AtomicU64::new(0));
    let counted = waits.clone();
    let options = LeaseOptions {
        on_wait: Some(Arc::new(move |_: &LeaseWait| {
            counted.fetch_add(1, Ordering::SeqCst);
        })),
        ..LeaseOptions::default()
    };
    let lease = environment
        .lease(options)
        .await
        .expect("its holder is dead");
    assert_eq!(waits.load(Ordering::SeqCst), 0);
    assert_eq!(lease.number(), left.fence + 1);
    let run = RunId::new();
    let (mut journal, state) = environment.open(run, &lease).expect("it opens");
    assert!(state.seq() >= confirmed, "{} of {confirmed}", state.seq());
    assert!(
        state.open_run().is_some(),
        "nobody wrote down the run's end"
    );
    assert!(
        state
            .step("a/b")
            .is_some_and(|step| step.status == StepStatus::Intended && step.may_exist())
    );

    let attempt = state.attempt_for("a/b", &json!({"name": "a"}));
    assert_eq!(attempt, 1);
    let bodies = vec![
        started(),
        Body::StepApplied {
            step: "a/b".into(),
            change: Change::Adopted,
            outputs: json!(null),
            digest: "d".into(),
            millis: 1,
        },
    ];
    journal.append(bodies).await.expect("it goes on");
    assert_eq!(journal.state().runs[0].outcome, Some(Outcome::Interrupted));
    lease.release().expect("released");
}

fn started() -> Body {
    Body::RunStarted {
        kind: RunKind::Up,
        pipeline_digest: "d".into(),
        pipeline: None,
        plan: PlanSummary::default(),
        invoked_by: Default::default(),
        pipectl_version: "0.1.0".into(),
    }
}

/// The child: takes the lease and records the same intent again and again, in batches of several sizes.
async fn write_until_killed(root: &Path) {
    let environment = Environment::new(root, NAME).expect("a name");
    let lease = environment
        .lease(LeaseOptions::default())
        .await
        .expect("free");
    let (mut journal, _) = environment.open(RunId::new(), &lease).expect("made");
    let created = Body::EnvironmentCreated {
        uid: uuid::Uuid::new_v4(),
        name: NAME.into(),
        pipectl_version: "0.1.0".into(),
        pins: Pins::new(),
    };
    journal
        .append(vec![created, started()])
        .await
        .expect("written");
    let mut out = std::io::stdout();
    for count in (1..=7).cycle() {
        let intent = Body::StepIntent {
            step: "a/b".into(),
            attempt: 1,
            identity: json!({"name": "a"}),
        };
        journal.append(vec![intent; count]).await.expect("written");
        // When the parent is gone nobody reads; then this ends too.
        if writeln!(out, "confirmed {}", journal.state().seq())
            .and_then(|()| out.flush())
            .is_err()
        {
            return;
        }
    }
}
