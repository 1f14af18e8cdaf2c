//! Runs that end badly, releases that were left halfway, releases of others.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use pipectl_adapters::Redactor;
use pipectl_stages::{
    error::PortErrorKind,
    ports::releases::{ReleaseApi, ReleaseSpec, ReleaseStatus},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Fake, leaves};
use crate::{
    api::{record, records},
    support::eventually,
};

async fn gone(pid: &str) {
    let file = PathBuf::from("/proc").join(pid.trim()).join("stat");
    eventually("the process is gone", || async {
        let state = fs::read_to_string(&file).unwrap_or_default();
        (state.is_empty() || state.contains(") Z ")).then_some(())
    })
    .await;
}

pub async fn ended_at_its_bound() {
    let fake = Fake::new().await;
    fake.behave("trap '' TERM; while :; do sleep 1; done");
    let mut spec = fake.spec();
    spec.timeout = Duration::from_secs(1);
    let error = fake.helm().install(&spec).await.expect_err("bounded");
    assert_eq!(
        (error.kind, error.code.as_str()),
        (PortErrorKind::Timeout, "HLM008"),
        "{error:?}"
    );
    gone(&fake.told("upgrade", "pid")[0]).await;
}

pub async fn cancelled() {
    let fake = Fake::new().await;
    fake.behave("while :; do sleep 1; done");
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    let helm = fake.with(|options| options.cancel = token);
    let spec = fake.spec();
    let (answer, ()) = tokio::join!(helm.install(&spec), async {
        eventually("helm runs", || async {
            fake.told("upgrade", "pid")
                .first()
                .filter(|pid| !pid.is_empty())
                .map(drop)
        })
        .await;
        cancel.cancel();
    });
    assert_eq!(answer.expect_err("cancelled").code, "HLM009");
    gone(&fake.told("upgrade", "pid")[0]).await;
    let runs = fake.order().len();
    assert_eq!(
        helm.install(&spec).await.expect_err("still cancelled").kind,
        PortErrorKind::Cancelled
    );
    assert_eq!(fake.order().len(), runs);
}

pub async fn lease_ran_out() {
    let fake = Fake::new().await;
    let helm = fake.with(|options| options.deadline = Some(Arc::new(pipectl_process::boot_time)));
    assert_eq!(
        helm.install(&fake.spec()).await.expect_err("no lease").kind,
        PortErrorKind::Cancelled
    );
    assert!(fake.order().is_empty());
}

pub async fn prolonged() {
    let fake = Fake::new().await;
    let left = leaves(&fake, &[record(1, "deployed", Some("env-1"))]);
    fake.behave(&format!("sleep 6; {left}"));
    // As under heartbeats: at any time, the lease counts for a little longer.
    let deadline = || pipectl_process::boot_time() + Duration::from_secs(4);
    let helm = fake.with(|options| options.deadline = Some(Arc::new(deadline)));
    let release = helm.install(&fake.spec()).await.expect("installed");
    assert_eq!(release.status, ReleaseStatus::Deployed);
}

pub async fn not_prolonged() {
    let fake = Fake::new().await;
    fake.behave("while :; do sleep 1; done");
    let first = std::sync::OnceLock::new();
    let deadline =
        move || *first.get_or_init(|| pipectl_process::boot_time() + Duration::from_secs(3));
    let helm = fake.with(|options| options.deadline = Some(Arc::new(deadline)));
    let error = helm.install(&fake.spec()).await.expect_err("ended");
    assert_eq!(
        (error.kind, error.code.as_str()),
        (PortErrorKind::Cancelled, "HLM009"),
        "{error:?}"
    );
    gone(&fake.told("upgrade", "pid")[0]).await;
}

pub async fn last_words() {
    let fake = Fake::new().await;
    fake.behave("echo 'a warning' >&2; echo 'Error: bad password hunter2hunter2 (aHVudGVyMmh1bnRlcjI=)' >&2; exit 1");
    let redactor = Redactor::default();
    redactor.register("db", "hunter2hunter2");
    let error = fake
        .with(|options| options.redactor = redactor)
        .install(&fake.spec())
        .await
        .expect_err("fails");
    assert_eq!(error.code, "HLM003");
    assert!(
        error.cause.contains("a warning") && error.cause.contains("bad password ‹secret db›"),
        "{error}"
    );
    assert!(
        !error.cause.contains("hunter2") && !error.cause.contains("aHVudGVy"),
        "{error}"
    );
    // Helm's record knows more than its exit code: somebody else is at work.
    let busy = leaves(&fake, &[record(3, "pending-upgrade", Some("env-1"))]);
    fake.behave(&format!("{busy} exit 1"));
    let error = fake.helm().install(&fake.spec()).await.expect_err("busy");
    assert_eq!(
        (error.kind, error.code.as_str()),
        (PortErrorKind::Conflict, "HLM006")
    );
}

pub async fn repaired() {
    let ours = Some("env-1");
    let cases: [(Vec<Value>, &[&str], &str); 6] = [
        (
            vec![record(1, "pending-install", ours)],
            &["uninstall", "upgrade"],
            "",
        ),
        (
            vec![
                record(4, "superseded", ours),
                record(5, "deployed", ours),
                record(6, "pending-upgrade", ours),
            ],
            &["rollback", "upgrade"],
            "rollback\noperator\n5\n",
        ),
        (
            vec![
                record(9, "superseded", ours),
                record(10, "pending-rollback", ours),
            ],
            &["rollback", "upgrade"],
            "rollback\noperator\n9\n",
        ),
        (
            vec![record(2, "uninstalling", ours)],
            &["uninstall", "upgrade"],
            "",
        ),
        (vec![record(1, "failed", ours)], &["upgrade"], ""),
        (vec![record(1, "uninstalled", None)], &["upgrade"], ""),
    ];
    for (left_behind, order, told) in cases {
        let fake = Fake::new().await;
        let after = leaves(&fake, &[record(11, "deployed", ours)]);
        fake.behave(&format!("if [ \"$1\" = upgrade ]; then {after} fi"));
        records(fake.directory.path(), &left_behind);
        let release = fake.helm().install(&fake.spec()).await.expect("installed");
        assert_eq!(release.status, ReleaseStatus::Deployed);
        assert_eq!(fake.order(), order, "{left_behind:?}");
        if !told.is_empty() {
            let argv = &fake.told("rollback", "argv")[0];
            assert!(
                argv.starts_with(told) && argv.contains("--kube-context\nfake"),
                "{argv}"
            );
        }
    }
}

pub async fn left_alone() {
    for owner in [None, Some("env-2")] {
        let fake = Fake::new().await;
        records(
            fake.directory.path(),
            &[record(1, "pending-install", owner)],
        );
        let error = fake
            .helm()
            .install(&fake.spec())
            .await
            .expect_err("foreign");
        assert_eq!(
            (error.kind, error.code.as_str()),
            (PortErrorKind::Foreign, "HLM005")
        );
        assert!(fake.order().is_empty());
    }
    let fake = Fake::new().await;
    for (name, digest) in [
        ("--kubeconfig", "d"),
        ("operator", "a,b=c"),
        ("Operator", "d"),
    ] {
        let spec = ReleaseSpec {
            name: name.to_owned(),
            digest: digest.to_owned(),
            ..fake.spec()
        };
        assert_eq!(
            fake.helm().install(&spec).await.expect_err("refused").code,
            "HLM007"
        );
    }
    assert!(fake.order().is_empty());
}

pub async fn uninstalled() {
    let fake = Fake::new().await;
    let helm = fake.helm();
    let bound = Duration::from_secs(30);
    assert_eq!(helm.uninstall("ops", "operator", bound).await, Ok(false));
    assert!(fake.order().is_empty());
    let mine = record(2, "deployed", Some("env-1"));
    records(
        fake.directory.path(),
        &[record(1, "superseded", Some("env-1")), mine.clone()],
    );
    let found = helm
        .find("ops", "operator")
        .await
        .expect("readable")
        .expect("there");
    assert_eq!((found.revision, found.digest.as_deref()), (2, Some("d1")));
    assert_eq!(helm.owned("env-1").await.expect("readable"), [found]);
    assert!(helm.owned("env-2").await.expect("readable").is_empty());
    assert_eq!(helm.find("ops", "other").await, Ok(None));
    assert_eq!(helm.uninstall("ops", "operator", bound).await, Ok(true));
    // Helm fails although the release is gone: somebody else was quicker.
    records(fake.directory.path(), std::slice::from_ref(&mine));
    fake.behave(&format!(
        "{} echo 'Error: x' >&2; exit 1",
        leaves(&fake, &[])
    ));
    assert_eq!(helm.uninstall("ops", "operator", bound).await, Ok(true));
    records(fake.directory.path(), &[mine]);
    fake.behave("echo 'Error: hook failed' >&2; exit 1");
    assert_eq!(
        helm.uninstall("ops", "operator", bound)
            .await
            .expect_err("fails")
            .code,
        "HLM003"
    );
}
