//! What an account has to allow: the policy that users are given is enough for a whole life, and what is missing of it is found
//! before the first effect.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use pipectl::{
    engine::EventKind,
    session::inspect::{Inspection, Sight},
};
use pipectl_config::Loaded;
use pipectl_stages::account::permissions::{TABLE, needed};
use serde_json::{Value, json};

use crate::{
    account::Account,
    graph::standing,
    house::{House, Seen, pipeline},
};

/// The policy, as users copy it.
const POLICY: &str = include_str!("../../docs/reference/aws-permissions.json");

/// What the policy names besides the list of what is asked for: a call that needs no permission (STS: `GetCallerIdentity` is
/// allowed even where a policy denies it), what only an account's first use of a service needs, the right to ask, and that to read
/// values of secrets, which is found out by reading them before anything is made.
const BESIDES: &[&str] = &[
    "iam:CreateServiceLinkedRole",
    "iam:SimulatePrincipalPolicy",
    "secretsmanager:GetSecretValue",
    "sts:GetCallerIdentity",
];

/// Permissions that are no calls: of tags that a creation gives, of a role that is passed on, and of a grant that EKS makes with
/// the caller's rights.
const IMPLIED: &[&str] = &[
    "ec2:CreateTags",
    "eks:TagResource",
    "iam:PassRole",
    "iam:TagOpenIDConnectProvider",
    "iam:TagRole",
    "kms:CreateGrant",
    "kms:TagResource",
    "logs:TagResource",
    "ssm:AddTagsToResource",
];

fn policy() -> Value {
    serde_json::from_str(POLICY).unwrap()
}

fn actions(statement: &Value) -> Vec<String> {
    let names = match &statement["Action"] {
        Value::Array(many) => many.clone(),
        one => vec![one.clone()],
    };
    let text = |name: &Value| name.as_str().unwrap().to_owned();
    names.iter().map(text).collect()
}

fn allowed() -> BTreeSet<String> {
    let policy = policy();
    let statements = policy["Statement"].as_array().unwrap();
    let each = statements.iter().flat_map(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        actions(statement)
    });
    each.collect()
}

/// The policy without one action.
fn without(action: &str) -> String {
    let mut policy = policy();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        let mut kept = actions(statement);
        kept.retain(|name| name != action);
        statement["Action"] = kept.into();
    }
    policy.to_string()
}

/// The permission of a call: services are signed for under names of their own.
fn permission(service: &str, action: &str) -> String {
    let service = match service {
        "tagging" => "tag",
        other => other,
    };
    format!("{service}:{action}")
}

/// What was called since the counters were last reset.
fn called(account: &Account) -> BTreeSet<String> {
    let counters = account.aws.counters();
    let names = counters
        .iter()
        .map(|count| permission(&count.service, &count.action));
    names.collect()
}

/// What bringing a pipeline up needs.
fn for_up(loaded: &Loaded) -> BTreeSet<String> {
    let needed = TABLE.iter().filter(|one| needed(one, loaded));
    needed.map(|one| one.action.to_owned()).collect()
}

/// What the preflight remarked.
fn said(seen: &Seen) -> Vec<&str> {
    let remarks = seen.events.iter().filter_map(|event| match &event.kind {
        EventKind::StepProgress { step, message, .. } if step.as_str() == "account/preflight" => {
            Some(message.as_str())
        }
        _ => None,
    });
    remarks.collect()
}

/// Holds that nothing stands but the user whose key is used.
#[track_caller]
fn holds_nothing(account: &Account) {
    let left: Vec<_> = standing(&account.graph()).into_iter().collect();
    assert_eq!(left, [("iam/users".to_owned(), 1)]);
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_list_and_the_policy_say_the_same() {
    let mut listed: BTreeSet<String> = TABLE.iter().map(|one| one.action.to_owned()).collect();
    assert_eq!(listed.len(), TABLE.len(), "an action is listed twice");
    listed.extend(set(BESIDES));
    assert_eq!(listed, allowed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_is_enough_for_a_whole_life() {
    let account = Arc::new(Account::new().await);
    account.limit(POLICY);
    let mut house = House::new(account.clone(), "allowed").await;
    let loaded = pipeline(&[]);
    let seen = house.up(&loaded).await.well();
    assert!(said(&seen).is_empty(), "{:?}", said(&seen));

    // What is asked for before is what is called then, no more and no less.
    let mut wanted = for_up(&loaded);
    let made = called(&account);
    assert!(made.contains("iam:SimulatePrincipalPolicy"));
    let mut made: BTreeSet<String> = made.difference(&set(BESIDES)).cloned().collect();
    made.extend(set(IMPLIED));
    assert_eq!(made, wanted);

    // With the environment there, nothing is asked.
    account.aws.reset_counters();
    house.up(&loaded).await.well();
    assert!(!called(&account).contains("iam:SimulatePrincipalPolicy"));

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
    wanted.extend(called(&account));
    assert!(wanted.len() > 80, "a whole life: {wanted:#?}");
    let missing: Vec<_> = wanted.difference(&allowed()).cloned().collect();
    assert!(missing.is_empty(), "the policy does not allow {missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_permission_that_is_missing_is_named_before_the_first_effect() {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "lacking").await;
    let loaded = pipeline(&[]);
    let needed = for_up(&loaded);
    assert!(needed.len() > 60, "{needed:?}");
    for action in &needed {
        account.limit(&without(action));
        let seen = house.up(&loaded).await;
        let error = seen.error_of("account/preflight");
        assert_eq!(error.code, "ACC012", "{action}: {error}");
        assert!(
            error.cause.ends_with(&format!(" may not {action}")),
            "{error}"
        );
        assert_eq!(error.evidence.len(), 1, "{:?}", error.evidence);
        assert!(error.hint.is_some());
    }
    assert_eq!(account.changes(), []);
    holds_nothing(&account);

    // Several are named in one error.
    let nothing = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ["iam:SimulatePrincipalPolicy", "ec2:*"], "Resource": "*",
    }]});
    account.limit(&nothing.to_string());
    let error = house.up(&loaded).await.error_of("account/preflight");
    assert_eq!(error.code, "ACC012", "{error}");
    let others = needed.iter().filter(|action| !action.starts_with("ec2:"));
    assert_eq!(error.evidence.len(), others.count(), "{:?}", error.evidence);
    assert_eq!(account.changes(), []);
}

/// What only a VPC of one's own, a key or logs need is not asked for without them.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_pipeline_does_not_need_is_not_asked_for() {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "small").await;
    let small = pipeline(&[
        ("spec.cluster.encryptSecrets", "false"),
        ("spec.cluster.logging", "[]"),
        ("spec.network.nat", "none"),
    ]);
    let mut policy = policy();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        let mut kept = actions(statement);
        kept.retain(|name| {
            let unneeded = [
                "CreateKey",
                "CreateAlias",
                "CreateLogGroup",
                "AllocateAddress",
            ];
            !unneeded.iter().any(|one| name.ends_with(one))
        });
        statement["Action"] = kept.into();
    }
    account.limit(&policy.to_string());
    house.up(&small).await.well();
    house.down().await.well();
    holds_nothing(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_ask_goes_on_and_says_so() {
    let account = Arc::new(Account::new().await);
    account.limit(&without("iam:SimulatePrincipalPolicy"));
    let mut house = House::new(account.clone(), "silent").await;
    let seen = house.up(&pipeline(&[])).await.well();
    let [remark] = said(&seen)[..] else {
        panic!("{:?}", said(&seen));
    };
    assert!(remark.contains("iam:SimulatePrincipalPolicy"), "{remark}");
    house.down().await.well();
    holds_nothing(&account);
}

/// A condition on what only the real request says: the simulation errs, and nobody is refused for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_on_a_condition_is_said_and_not_refused() {
    let account = Arc::new(Account::new().await);
    let mut policy: Value = serde_json::from_str(&without("ec2:CreateVpc")).unwrap();
    policy["Statement"].as_array_mut().unwrap().push(json!({
        "Effect": "Allow", "Action": "ec2:CreateVpc", "Resource": "*",
        "Condition": {"StringEquals": {"aws:RequestTag/team": "data", "aws:RequestedRegion": "us-west-2"}},
    }));
    account.limit(&policy.to_string());
    let mut house = House::new(account.clone(), "conditional").await;
    let seen = house.up(&pipeline(&[])).await.well();
    let [remark] = said(&seen)[..] else {
        panic!("{:?}", said(&seen));
    };
    assert!(remark.ends_with(": ec2:CreateVpc"), "{remark}");
    house.down().await.well();

    // A condition that is known not to hold is no such matter.
    let last = policy["Statement"]
        .as_array_mut()
        .unwrap()
        .last_mut()
        .unwrap();
    last["Condition"] = json!({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}});
    account.limit(&policy.to_string());
    let error = house.up(&pipeline(&[])).await.error_of("account/preflight");
    assert_eq!(error.code, "ACC012", "{error}");
}

/// A plan of something new says what is missing; whoever only looks at what somebody else makes needs no right to make it.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_asks_only_where_nothing_was_begun() {
    let account = Arc::new(Account::new().await);
    account.limit(&without("ec2:CreateVpc"));
    let house = House::new(account.clone(), "looked-at").await;
    let mut steps = house.steps(&pipeline(&[]));
    steps.retain(|step| step.id().as_str() == "account/preflight");
    let begun = json!({"account": "111122223333", "region": "us-west-2"});
    let begun = BTreeMap::from([("account/preflight".to_owned(), begun)]);
    for (outputs, missing) in [(BTreeMap::new(), true), (begun, false)] {
        let inspection = Inspection {
            environment: house.environment.clone(),
            ports: account.ports(&house.cluster).await,
            outputs,
        };
        let seen = inspection.look(&steps).await;
        let Sight::Looked { differences, .. } = &seen[0].sight else {
            panic!("{seen:?}");
        };
        let found = differences.as_ref().err().map(|error| error.code.as_str());
        assert_eq!(found, missing.then_some("ACC012"), "{differences:?}");
    }
    assert_eq!(account.changes(), []);
}
