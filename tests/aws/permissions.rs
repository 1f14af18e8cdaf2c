//! What an account has to allow: every call of an environment's whole life is in the policy that users are given.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use crate::{
    account::Account,
    house::{House, pipeline},
};

/// The policy, as users copy it.
const POLICY: &str = include_str!("../../docs/reference/aws-permissions.json");

/// Calls that need no permission (STS: `GetCallerIdentity` is allowed even where a policy denies it), named in the policy for
/// the reader.
const ALWAYS: &str = "sts:GetCallerIdentity";

fn allowed() -> BTreeSet<String> {
    let policy: Value = serde_json::from_str(POLICY).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let actions = statements.iter().flat_map(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        match &statement["Action"] {
            Value::Array(many) => many.iter().map(action).collect::<Vec<_>>(),
            one => vec![action(one)],
        }
    });
    actions.collect()
}

fn action(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The permission of a call: services are signed for under names of their own.
fn permission(service: &str, action: &str) -> String {
    let service = match service {
        "tagging" => "tag",
        other => other,
    };
    format!("{service}:{action}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_allows_every_call_of_a_whole_life() {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "allowed").await;
    house.up(&pipeline(&[])).await.well();
    let changed = pipeline(&[
        ("spec.tags", "{team: other}"),
        (
            "spec.nodeGroups",
            "[{name: default, size: 3, labels: {a: b}}]",
        ),
        ("spec.cluster.logging", "[api]"),
        ("spec.cluster.endpointAccess", "private"),
        ("spec.network.nat", "per-zone"),
    ]);
    house.up(&changed).await.well();
    house.down().await.well();

    let allowed = allowed();
    assert!(allowed.contains(ALWAYS));
    let called: BTreeSet<String> = account
        .aws
        .counters()
        .iter()
        .map(|count| permission(&count.service, &count.action))
        .collect();
    let missing: Vec<_> = called.difference(&allowed).collect();
    assert!(missing.is_empty(), "the policy does not allow {missing:?}");
    assert!(called.len() > 80, "a whole life: {called:#?}");
}
