use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::clock::FixedClock;
use crate::environment::list_environments;
use crate::record::{Change, Outcome, RunKind};
use crate::state::LifePhase;
use crate::testing::*;

fn write(run: u64, fence: u64) -> OpenMode {
    OpenMode::Write {
        run: run_id(run),
        fence,
    }
}

fn one_up() -> Vec<Body> {
    vec![
        created(),
        started(RunKind::Up),
        intent("a/b", 1, json!(1)),
        applied("a/b", Change::Created),
        ready("a/b"),
        finished(Outcome::Succeeded),
    ]
}

#[tokio::test]
async fn records_are_numbered_stamped_and_read_back() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (journal, state) = Journal::open(root.path(), NAME, write(1, 5)).expect("made");
    assert_eq!(state.phase(), LifePhase::Absent);
    let at: jiff::Timestamp = "2026-05-06T07:08:09Z".parse().expect("a timestamp");
    let mut journal = journal.with_clock(Arc::new(FixedClock::at(at)));
    let records = journal.append(one_up()).await.expect("written");
    assert_eq!(
        records.iter().map(|record| record.seq).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6]
    );
    assert!(
        records
            .iter()
            .all(|record| (record.at, record.run, record.fence) == (at, run_id(1), 5))
    );

    // While the writer is open, anybody may read, and only read.
    let (mut reader, state) = Journal::open(root.path(), NAME, OpenMode::ReadOnly).expect("there");
    assert_eq!(&state, journal.state());
    assert_eq!(state.phase(), LifePhase::Up);
    assert_eq!(
        reader
            .append(vec![started(RunKind::Down)])
            .await
            .expect_err("refused")
            .code(),
        "STA010"
    );
    assert_eq!(journal.location(), reader.location());
}

#[tokio::test]
async fn an_illegal_batch_writes_nothing_at_all() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (mut journal, _) = Journal::open(root.path(), NAME, write(1, 1)).expect("made");
    journal
        .append(vec![created(), started(RunKind::Up)])
        .await
        .expect("written");
    let before = journal.state().clone();
    let file = PathBuf::from(journal.location());
    let bytes = std::fs::read(&file).expect("there");
    let batch = vec![
        intent("a/b", 1, json!(1)),
        applied("a/b", Change::Created),
        applied("c/d", Change::Created),
    ];
    let error = journal.append(batch).await.expect_err("no intent of c/d");
    assert!(
        matches!(error, StateError::IllegalHistory { seq: 5, .. }),
        "{error:?}"
    );
    assert_eq!(journal.state(), &before);
    assert_eq!(std::fs::read(&file).expect("there"), bytes);
    journal
        .append(vec![intent("c/d", 1, json!(1))])
        .await
        .expect("it goes on");
}

#[tokio::test]
async fn a_full_disk_leaves_state_and_store_in_step() {
    let store = MemoryStore::new();
    let (mut journal, _) = Journal::over(Box::new(store.clone()), NAME, write(1, 1))
        .await
        .expect("open");
    journal
        .append(vec![created(), started(RunKind::Up)])
        .await
        .expect("written");
    store.limit(0);
    let refused = journal
        .append(vec![intent("a/b", 1, json!(1))])
        .await
        .expect_err("full");
    assert_eq!(refused.code(), "STA006");
    assert_eq!(journal.state().step("a/b"), None);
    store.unlimited();
    let records = journal
        .append(vec![intent("a/b", 1, json!(1))])
        .await
        .expect("room again");
    assert_eq!(records[0].seq, 3);
    assert_eq!(store.records().len(), 3);
}

#[tokio::test]
async fn an_append_that_was_dropped_on_the_way_is_settled_by_the_next() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (mut journal, _) = Journal::open(root.path(), NAME, write(1, 1)).expect("made");
    tokio::select! {
        biased;
        // Polled once: the write is on its way on another thread, then the future is dropped.
        _ = journal.append(vec![created(), started(RunKind::Up)]) => {}
        () = std::future::ready(()) => {}
    }
    let records = journal
        .append(vec![intent("a/b", 1, json!(1))])
        .await
        .expect("settled first");
    assert_eq!(records[0].seq, 3);
    let (_, state) = Journal::open(root.path(), NAME, OpenMode::ReadOnly).expect("there");
    assert_eq!(&state, journal.state());
    assert_eq!(state.seq(), 3);
}

#[tokio::test]
async fn an_old_lease_cannot_write() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (mut old, _) = Journal::open(root.path(), NAME, write(1, 1)).expect("made");
    old.append(vec![created(), started(RunKind::Up)])
        .await
        .expect("written");
    let (mut new, _) = Journal::open(root.path(), NAME, write(2, 2)).expect("open");
    new.append(vec![started(RunKind::Up)])
        .await
        .expect("it takes over");
    assert_eq!(
        old.append(vec![intent("a/b", 1, json!(1))])
            .await
            .expect_err("fenced")
            .code(),
        "STA009"
    );
    let refused = Journal::open(root.path(), NAME, write(3, 1)).expect_err("fenced");
    assert_eq!(refused.code(), "STA009");
    assert_eq!(new.state().runs[0].outcome, Some(Outcome::Interrupted));
}

#[tokio::test]
async fn secrets_are_kept_out_of_the_file() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let redactor = Redactor::new();
    let (journal, _) = Journal::open(root.path(), NAME, write(1, 1)).expect("made");
    let mut journal = journal.with_redactor(redactor.clone());
    redactor.register("db", "hunter2-hunter2");
    journal
        .append(vec![
            created(),
            started(RunKind::Up),
            intent("a/b", 1, json!(1)),
        ])
        .await
        .expect("written");
    let told = Body::StepApplied {
        step: "a/b".into(),
        change: Change::Created,
        outputs: json!({"url": "db://u:hunter2-hunter2@h", "list": ["hunter2-hunter2"]}),
        digest: "d".into(),
        millis: 1,
    };
    journal.append(vec![told]).await.expect("written");
    let named = intent("c/d", 1, json!("hunter2-hunter2"));
    assert_eq!(
        journal
            .append(vec![named])
            .await
            .expect_err("refused")
            .code(),
        "STA012"
    );
    let text = std::fs::read_to_string(journal.location()).expect("there");
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("‹secret db›"), "{text}");
}

#[tokio::test]
async fn a_long_journal_begins_anew_and_the_state_stays() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (mut journal, _) = Journal::open(root.path(), NAME, write(1, 1)).expect("made");
    journal.append(one_up()).await.expect("written");
    assert!(!journal.rotate_beyond(1 << 20).await.expect("nothing to do"));
    let (mut journal, before) = Journal::open(root.path(), NAME, write(2, 2)).expect("open");
    assert!(journal.rotate_beyond(100).await.expect("rotated"));
    assert_eq!(journal.state().steps, before.steps);
    assert_eq!(journal.state().runs, before.runs);
    journal
        .append(vec![started(RunKind::Up)])
        .await
        .expect("it goes on");
    let (_, state) = Journal::open(root.path(), NAME, OpenMode::ReadOnly).expect("there");
    assert_eq!(&state, journal.state());
    assert_eq!(state.seq(), 8);
}

#[test]
fn what_is_not_there_and_what_has_no_name_are_told_apart() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let open = |name: &str| {
        Journal::open(root.path(), name, OpenMode::ReadOnly)
            .expect_err("nothing there")
            .code()
    };
    assert_eq!(open(NAME), "STA001");
    for bad in [
        "",
        "Upper",
        "../x",
        "a/b",
        "-a",
        "a-",
        "1a",
        "a.b",
        &"x".repeat(64),
    ] {
        assert_eq!(open(bad), "STA002", "{bad:?}");
    }
    assert!(
        !root.path().join("environments").exists(),
        "reading makes nothing"
    );
    assert_eq!(list_environments(root.path()).expect("none"), []);
}

#[tokio::test]
async fn environments_are_listed_once_something_is_recorded() {
    let root = tempfile::tempdir().expect("a temporary directory");
    for name in ["zeta", NAME] {
        let (mut journal, _) = Journal::open(root.path(), name, write(1, 1)).expect("made");
        assert_eq!(
            list_environments(root.path())
                .expect("listed")
                .iter()
                .filter(|entry| entry.name == name)
                .count(),
            0
        );
        let Body::EnvironmentCreated {
            uid,
            pipectl_version,
            pins,
            ..
        } = created()
        else {
            unreachable!()
        };
        journal
            .append(vec![Body::EnvironmentCreated {
                uid,
                name: name.into(),
                pipectl_version,
                pins,
            }])
            .await
            .expect("written");
    }
    std::fs::create_dir(root.path().join("environments/Not-A-Name")).expect("made");
    let names: Vec<String> = list_environments(root.path())
        .expect("listed")
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    assert_eq!(names, [NAME, "zeta"]);
}

#[tokio::test]
async fn an_in_memory_journal_obeys_the_same_law() {
    let mut journal = Journal::in_memory(NAME);
    journal.append(one_up()).await.expect("legal");
    assert!(journal.append(vec![ready("a/b")]).await.is_err());
    journal.write_as(RunId::new(), 2).expect("a later lease");
    journal
        .append(vec![started(RunKind::Down)])
        .await
        .expect("legal");
    assert_eq!(journal.state().phase(), LifePhase::GoingDown);
}
