//! What a run costs: calls to AWS, and time against what AWS itself takes.
//!
//! `PIPECTL_AWS_FIGURES=FILE` writes them down, at the pace of `PIPECTL_AWS_SCALE`.

use std::{fmt::Write as _, sync::Arc};

use pipectl::engine::EventKind;

use crate::{
    account::{Account, Beginning},
    house::{House, Seen, pipeline},
    lifecycle::{is_empty, is_whole},
};

/// Calls that a run may make at most besides its polls: figures as measured (141, 47, 215), with about a fifth of room.
const UP: u64 = 180;
const NO_OP: u64 = 60;
const DOWN: u64 = 270;

/// What is asked for as long as something lasts: how often depends on the machine.
const POLLS: &[&str] = &[
    "DescribeAddon",
    "DescribeCluster",
    "DescribeInstances",
    "DescribeNatGateways",
    "DescribeNodegroup",
    "DescribeVpcEndpoints",
    // With each look at the clusters.
    "GetResources",
    "ListNodegroups",
];

/// What AWS takes for the longest chain of an `up`, in seconds of its own: control plane, instances launched, running and joined,
/// and their group called active (the simulator's latency table). Add-ons that wait for nodes are there before that.
const UP_ON_AWS: f64 = 540.0 + 60.0 + 13.0 + 90.0 + 60.0;

struct Notes {
    account: Arc<Account>,
    text: String,
}

impl Notes {
    /// Notes a run's figures; answers how many calls it made besides its polls.
    fn note(&mut self, what: &str, seen: &Seen) -> u64 {
        let (calls, changes) = self.account.calls();
        let report = &seen.end.report;
        let took = report.took.as_secs_f64();
        let _ = writeln!(
            self.text,
            "{what}: {calls} calls, {changes} of them changes; {took:.2} s, {:.0} s of AWS's time",
            took * self.account.scale
        );
        for part in &report.critical_path {
            let _ = writeln!(self.text, "    {} ms {}", part.took_ms, part.step);
        }
        for event in &seen.events {
            if let EventKind::Retrying { step, error, .. } = &event.kind {
                let _ = writeln!(
                    self.text,
                    "    {} ms {step} again: {error}",
                    event.elapsed_ms
                );
            }
        }
        for timing in &report.timings {
            let _ = writeln!(
                self.text,
                "    {} from {} applied {:?} ready {:?}",
                timing.step, timing.started_ms, timing.applied_ms, timing.ready_ms
            );
        }
        let mut counters = self.account.aws.counters();
        counters.sort_by_key(|count| std::cmp::Reverse(count.calls));
        for count in counters {
            let _ = writeln!(
                self.text,
                "    {} {} {} ({} failed)",
                count.calls, count.service, count.action, count.failed
            );
        }
        let counters = self.account.aws.counters();
        let polls = counters
            .iter()
            .filter(|count| POLLS.contains(&count.action.as_str()));
        let polls: u64 = polls.map(|count| count.calls).sum();
        let _ = writeln!(self.text, "    {} besides polls", calls - polls);
        self.account.aws.reset_counters();
        calls - polls
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_asks_aws_no_more_than_it_must() {
    let given = std::env::var("PIPECTL_AWS_SCALE").ok();
    let scale = given.as_ref().map_or(300.0, |scale| scale.parse().unwrap());
    let beginning = Beginning {
        scale,
        ..Beginning::default()
    };
    let account = Arc::new(Account::begin(beginning).await);
    let mut house = House::new(account.clone(), "figures").await;
    let loaded = pipeline(&[]);
    let mut notes = Notes {
        account: account.clone(),
        text: String::new(),
    };

    let seen = house.up(&loaded).await.well();
    is_whole(&account);
    let up = notes.note("up", &seen);
    let ratio = seen.end.report.took.as_secs_f64() * scale / UP_ON_AWS;
    let _ = writeln!(notes.text, "    {ratio:.3} times what AWS takes");
    let seen = house.up(&loaded).await.well();
    let no_op = notes.note("no-op up", &seen);
    let seen = house.down().await.well();
    let down = notes.note("down", &seen);
    is_empty(&account);
    if let Some(file) = std::env::var_os("PIPECTL_AWS_FIGURES") {
        std::fs::write(file, &notes.text).unwrap();
    }
    if given.is_some() {
        return;
    }
    assert!(up <= UP, "up made {up} calls");
    assert!(no_op <= NO_OP, "a no-op up made {no_op} calls");
    assert!(down <= DOWN, "down made {down} calls");
}
