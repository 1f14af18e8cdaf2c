use super::*;
use crate::record::{Outcome, RunKind};
use crate::testing::*;

async fn up(environment: &Environment, run: RunId, lease: &Lease) -> Journal {
    let (mut journal, _) = environment.open(run, lease).expect("open");
    journal
        .append(vec![
            created(),
            started(RunKind::Up),
            finished(Outcome::Succeeded),
        ])
        .await
        .expect("written");
    journal
}

#[tokio::test]
async fn a_finished_environment_goes_to_the_history_and_its_name_is_free() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let environment = Environment::new(root.path(), NAME).expect("a name");
    assert!(!environment.exists());
    let lease = environment
        .lease(LeaseOptions::default())
        .await
        .expect("free");
    let journal = up(&environment, run_id(1), &lease).await;
    let text = std::fs::read(journal.location()).expect("there");
    drop(journal);
    for credentials in ["kubeconfig", ".kubeconfig.4711"] {
        std::fs::write(environment.directory().join(credentials), "token").expect("written");
    }
    let place = environment.archive(lease).expect("moved");
    assert!(place.starts_with(root.path().join("history")));
    assert_eq!(
        std::fs::read(journal_file(&place)).expect("it can still be read"),
        text
    );
    let kept = std::fs::read_dir(&place).expect("readable");
    let kept = kept.map(|entry| entry.expect("readable").file_name());
    let credentials: Vec<_> = kept
        .filter(|name| name.to_string_lossy().contains("kubeconfig"))
        .collect();
    assert!(credentials.is_empty(), "{credentials:?}");
    assert!(!environment.exists());
    assert_eq!(list_environments(root.path()).expect("listed"), []);
    let record = LeaseRecord::read(&place).expect("readable").expect("there");
    assert_eq!(record.at_work(), None);

    let lease = environment
        .lease(LeaseOptions::default())
        .await
        .expect("free again");
    up(&environment, run_id(2), &lease).await;
    environment
        .archive(lease)
        .expect("a second time beside the first");
}

#[tokio::test]
async fn the_fencing_number_rises_also_when_the_lease_file_was_lost() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let environment = Environment::new(root.path(), NAME).expect("a name");
    for run in 1..=3 {
        let lease = environment
            .lease(LeaseOptions::default())
            .await
            .expect("free");
        let (mut journal, _) = environment.open(run_id(run), &lease).expect("open");
        let mut bodies = vec![started(RunKind::Up)];
        if run == 1 {
            bodies.insert(0, created());
        }
        journal.append(bodies).await.expect("written");
        lease.release().expect("released");
        std::fs::remove_file(environment.directory().join("lease.json")).expect("lost");
    }
    let (_, state) = environment.open_read_only().expect("there");
    assert_eq!(state.fence(), 3);
}

#[tokio::test]
async fn a_damaged_journal_can_be_set_aside() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let environment = Environment::new(root.path(), NAME).expect("a name");
    let lease = environment
        .lease(LeaseOptions::default())
        .await
        .expect("free");
    let mut journal = up(&environment, run_id(1), &lease).await;
    // A second batch shows that the first had been durable.
    journal
        .write_as(run_id(2), lease.number())
        .expect("the same lease");
    journal
        .append(vec![started(RunKind::Down)])
        .await
        .expect("written");
    let path = journal_file(environment.directory());
    let mut bytes = std::fs::read(&path).expect("there");
    bytes[20] ^= 1;
    std::fs::write(&path, &bytes).expect("damaged");

    assert_eq!(
        environment
            .open(run_id(3), &lease)
            .expect_err("damaged")
            .code(),
        "STA003"
    );
    let aside = environment.set_journal_aside(&lease).expect("moved");
    assert_eq!(std::fs::read(aside).expect("kept"), bytes);
    up(&environment, run_id(4), &lease).await;
}

#[test]
fn the_root_follows_the_xdg_specification() {
    let with = |state: Option<&'static str>, home: Option<&'static str>| {
        root_from(move |name| match name {
            "XDG_STATE_HOME" => state.map(OsString::from),
            "HOME" => home.map(OsString::from),
            _ => None,
        })
    };
    let path = |text: &str| Some(PathBuf::from(text));
    assert_eq!(with(Some("/s"), Some("/h")), path("/s/pipectl"));
    assert_eq!(with(None, Some("/h")), path("/h/.local/state/pipectl"));
    assert_eq!(
        with(Some("relative"), Some("/h")),
        path("/h/.local/state/pipectl")
    );
    assert_eq!(with(None, None), None);
}
