//! What a run costs: calls to AWS, and time against the critical path.

use std::{sync::Arc, time::Duration};

use pipectl::engine::critical_path;

use crate::{
    account::{Account, Beginning},
    house::{House, Seen, pipeline},
    lifecycle::{is_empty, is_whole},
};

/// Calls that a run may make at most: figures as measured, with a fifth of room.
const UP: u64 = 330;
const NO_OP: u64 = 130;
const DOWN: u64 = 260;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_asks_aws_no_more_than_it_must() {
    // At the pace at which sandboxes run: polls count as they do there.
    let account = Account::begin(Beginning {
        scale: 300.0,
        ..Beginning::default()
    });
    let account = Arc::new(account.await);
    let mut house = House::new(account.clone(), "figures").await;
    let loaded = pipeline(&[]);
    let mut lines = Vec::new();
    let mut note = |what: &str, seen: &Seen, account: &Account| {
        let (calls, changes) = account.calls();
        let report = &seen.end.report;
        lines.push(format!(
            "{what}: {calls} calls, {changes} of them changes; {:.2} s",
            report.took.as_secs_f64()
        ));
        for part in &report.critical_path {
            lines.push(format!("    {part:?}"));
        }
        let mut counters = account.aws.counters();
        counters.sort_by_key(|count| std::cmp::Reverse(count.calls));
        for count in counters {
            lines.push(format!(
                "    {} {} {} ({} failed)",
                count.calls, count.service, count.action, count.failed
            ));
        }
        account.aws.reset_counters();
        calls
    };

    let seen = house.up(&loaded).await.well();
    is_whole(&account);
    let up = note("up", &seen, &account);
    let seen = house.up(&loaded).await.well();
    let no_op = note("no-op up", &seen, &account);
    let seen = house.down().await.well();
    let down = note("down", &seen, &account);
    is_empty(&account);
    if let Some(file) = std::env::var_os("PIPECTL_AWS_FIGURES") {
        std::fs::write(file, lines.join("\n")).unwrap();
    }
    assert!(up <= UP, "up made {up} calls");
    assert!(no_op <= NO_OP, "a no-op up made {no_op} calls");
    assert!(down <= DOWN, "down made {down} calls");
    let _ = (Duration::ZERO, critical_path::after(&[]));
}
