//! The simulated AWS as clients that were not written here see it: boto3 and the AWS CLI, unchanged.
//!
//! Each test starts a simulator of its own in this process and runs a script of `tests/clients/` against it.

#[path = "support/python.rs"]
mod python;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use pipectl_sandbox::aws::{Aws, AwsSettings, Consistency, Wait, serve};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Ten minutes of AWS's time pass in one second.
const SCALE: f64 = 600.0;

struct Simulator {
    aws: Aws,
    ends: CancellationToken,
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.ends.cancel();
    }
}

/// What most scripts get.
fn settings() -> AwsSettings {
    // Nothing waits for an hour only to see that it is no longer shown.
    let soon = |wait| (wait, Duration::from_secs(300));
    AwsSettings {
        time_scale: SCALE,
        latencies: [Wait::NatGatewayForgotten, Wait::InstanceForgotten]
            .map(soon)
            .into_iter()
            .collect(),
        ..AwsSettings::default()
    }
}

/// Runs a script against a simulator of its own; what is left in the graph. None where there is no Python.
async fn run(script: &str, settings: AwsSettings) -> Option<Simulator> {
    run_with(script, &[], settings).await
}

async fn run_with(script: &str, arguments: &[&str], settings: AwsSettings) -> Option<Simulator> {
    let clients = python::Clients::ready()?;
    let scale = settings.time_scale;
    let ends = CancellationToken::new();
    let aws = serve(settings, ends.clone()).await.unwrap();
    let simulator = Simulator { aws, ends };
    let (own, other) = (
        simulator.aws.credentials(),
        simulator.aws.credentials_of("444455556666"),
    );
    let variables: BTreeMap<&str, String> = BTreeMap::from([
        ("AWS_ENDPOINT_URL", simulator.aws.endpoint().to_owned()),
        ("AWS_ACCESS_KEY_ID", own.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", own.secret_access_key),
        ("AWS_DEFAULT_REGION", "us-west-2".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("OTHER_ACCESS_KEY_ID", other.access_key_id),
        ("OTHER_SECRET_ACCESS_KEY", other.secret_access_key),
        ("PIPECTL_TEST_TIME_SCALE", scale.to_string()),
    ]);
    let variables = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), OsString::from(value)))
        .collect();
    let home = tempfile::tempdir().unwrap();
    clients
        .script(script, arguments, variables, home.path())
        .await;
    Some(simulator)
}

/// The graph without what is empty, and without keys: they wait for their deletion for days.
fn pruned(value: Value) -> Option<Value> {
    let kept = match value {
        Value::Object(map) => {
            let named = map.into_iter().filter(|(name, _)| name != "kms");
            let kept = named.filter_map(|(name, value)| Some((name, pruned(value)?)));
            Value::Object(kept.collect())
        }
        other => other,
    };
    let empty = kept.is_null() || kept == json!({}) || kept == json!([]);
    (!empty).then_some(kept)
}

/// What is left in the graph once nothing changes any more: terminated instances and deleted NAT gateways are shown for a while.
async fn left(simulator: &Simulator) -> Value {
    for _ in 0..200 {
        if pruned(simulator.aws.inspect()).is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    pruned(simulator.aws.inspect()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_orders_of_a_teardown_are_refused_and_the_right_one_leaves_nothing() {
    if let Some(simulator) = run("teardown.py", settings()).await {
        assert_eq!(left(&simulator).await, Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lifecycles_pass_under_the_eyes_of_waiters() {
    run("lifecycles.py", settings()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_have_versions_a_window_and_no_value_in_audits() {
    run("secretsmanager.py", settings()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_races_for_a_name_wins_alone() {
    run("races.py", settings()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_pages_filters_retries_and_signatures_are_those_of_aws() {
    run("protocol.py", settings()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_regions_are_apart_quotas_are_reached_and_lists_are_late() {
    let consistency = Consistency {
        by_filter: Duration::from_secs(600),
        ..Consistency::default()
    };
    let late = AwsSettings {
        consistency,
        ..settings()
    };
    run("places.py", late).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_roles_may_do_what_their_policies_allow() {
    if let Some(simulator) = run("permissions.py", settings()).await {
        assert_eq!(left(&simulator).await, Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_of_aws_works_unchanged() {
    if let Some(simulator) = run("cli.py", settings()).await {
        assert_eq!(left(&simulator).await, Value::Null);
    }
}

/// A directory with Terraform's AWS provider, as `terraform init -plugin-dir` takes it. The provider is large and its own pauses
/// do not scale: minutes, so it is asked for.
const PLUGINS: &str = "PIPECTL_TEST_TERRAFORM_PLUGINS";

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "a skipped test has to be heard")]
async fn terraform_works_unchanged() {
    let Ok(plugins) = std::env::var(PLUGINS) else {
        eprintln!("SKIPPED: {PLUGINS} names no directory with Terraform's AWS provider");
        return;
    };
    run_with("terraform.py", &[&plugins], settings()).await;
}
