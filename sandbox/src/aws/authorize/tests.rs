use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::condition::Context;
use super::policy::{Held, Verdict, judge};

fn held(statements: &Value) -> Vec<Held> {
    vec![Held {
        id: "p".to_owned(),
        document: Some(json!({"Version": "2012-10-17", "Statement": statements}).to_string()),
    }]
}

fn allow(action: &str, resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": action, "Resource": resource})
}

fn verdict(statements: &Value, action: &str, resource: &str) -> Verdict {
    let context = Context::of_request();
    let judged = judge(&held(statements), action, Some(resource), &context);
    judged.unwrap().verdict
}

/// What a statement with this condition says, the request having these values.
fn with(condition: &Value, values: &[(&str, &[&str])]) -> Result<Verdict, String> {
    let mut context = Context::of_request();
    for (key, texts) in values {
        context.set(key, texts.iter().map(|text| (*text).to_owned()).collect());
    }
    let mut statement = allow("ec2:CreateVpc", "*");
    statement["Condition"] = condition.clone();
    let judged = judge(&held(&statement), "ec2:CreateVpc", Some("*"), &context);
    judged.map(|one| one.verdict).map_err(|error| error.message)
}

const VPC: &str = "arn:aws:ec2:us-west-2:111122223333:vpc/vpc-1";

#[test]
fn nothing_is_allowed_unless_something_says_so_and_a_deny_wins() {
    assert_eq!(
        verdict(&json!([]), "ec2:CreateVpc", VPC),
        Verdict::ImplicitDeny
    );
    let one = allow("ec2:CreateVpc", "*");
    assert_eq!(verdict(&one, "ec2:CreateVpc", VPC), Verdict::Allowed);
    assert_eq!(verdict(&one, "ec2:DeleteVpc", VPC), Verdict::ImplicitDeny);
    let both = json!([one, {"Effect": "Deny", "Action": "ec2:*Vpc", "Resource": VPC}]);
    assert_eq!(verdict(&both, "ec2:CreateVpc", VPC), Verdict::ExplicitDeny);
    assert_eq!(verdict(&both, "ec2:CreateVpc", "x"), Verdict::Allowed);
}

#[test]
fn actions_have_wildcards_and_no_case() {
    for (pattern, fits) in [
        ("*", true),
        ("ec2:*", true),
        ("EC2:createvpc", true),
        ("ec2:Create???", true),
        ("ec2:Create??", false),
        ("eks:*", false),
    ] {
        let wanted = if fits {
            Verdict::Allowed
        } else {
            Verdict::ImplicitDeny
        };
        assert_eq!(
            verdict(&allow(pattern, "*"), "ec2:CreateVpc", VPC),
            wanted,
            "{pattern}"
        );
    }
    let others = json!({"Effect": "Allow", "NotAction": ["iam:*", "ec2:Delete*"], "Resource": "*"});
    assert_eq!(verdict(&others, "ec2:CreateVpc", VPC), Verdict::Allowed);
    assert_eq!(
        verdict(&others, "ec2:DeleteVpc", VPC),
        Verdict::ImplicitDeny
    );
}

#[test]
fn resources_have_wildcards_and_can_be_left_out() {
    for (pattern, fits) in [
        ("*", true),
        ("arn:aws:ec2:*:*:vpc/*", true),
        ("arn:*:ec2:us-west-2:111122223333:*", true),
        ("arn:aws:ec2:*:*:subnet/*", false),
        (&VPC.to_uppercase(), false),
    ] {
        let wanted = if fits {
            Verdict::Allowed
        } else {
            Verdict::ImplicitDeny
        };
        assert_eq!(
            verdict(&allow("ec2:*", pattern), "ec2:DeleteVpc", VPC),
            wanted,
            "{pattern}"
        );
    }
    let others = json!({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:iam::*"});
    assert_eq!(verdict(&others, "ec2:DeleteVpc", VPC), Verdict::Allowed);
    assert_eq!(
        verdict(&others, "iam:GetRole", "arn:aws:iam::1:role/r"),
        Verdict::ImplicitDeny
    );
    // Everything is covered by a statement for everything alone.
    assert_eq!(
        verdict(&allow("*", "arn:aws:ec2:*"), "ec2:DescribeVpcs", "*"),
        Verdict::ImplicitDeny
    );
}

#[test]
fn a_resource_that_is_not_known_is_taken_for_one_that_may_be_used() {
    let judged = |statements: Value| {
        let context = Context::of_request();
        judge(&held(&statements), "ec2:RunInstances", None, &context)
            .unwrap()
            .verdict
    };
    let some = "arn:aws:ec2:*:*:instance/*";
    let deny = |key: &str, pattern: &str| json!([allow("*", "*"), {"Effect": "Deny", "Action": "*", key: pattern}]);
    assert_eq!(judged(allow("ec2:*", some)), Verdict::Allowed);
    assert_eq!(
        judged(json!({"Effect": "Allow", "Action": "*", "NotResource": some})),
        Verdict::Allowed
    );
    assert_eq!(judged(deny("Resource", some)), Verdict::Allowed);
    assert_eq!(judged(deny("NotResource", some)), Verdict::Allowed);
    assert_eq!(judged(deny("Resource", "*")), Verdict::ExplicitDeny);
}

#[test]
fn conditions_hold_as_documented() {
    let tag = "aws:RequestTag/team";
    let data: &[(&str, &[&str])] = &[("aws:requesttag/Team", &["data"])];
    for (operator, wanted, there, absent) in [
        ("StringEquals", "data", true, false),
        ("StringEquals", "Data", false, false),
        ("StringEqualsIgnoreCase", "Data", true, false),
        ("StringEqualsIfExists", "web", false, true),
        ("StringNotEquals", "data", false, true),
        ("StringNotEquals", "web", true, true),
        ("StringLike", "d*a", true, false),
        ("StringNotLike", "d*", false, true),
        ("Null", "false", true, false),
        ("Null", "true", false, true),
        ("ForAllValues:StringEquals", "data", true, true),
        ("ForAnyValue:StringEquals", "data", true, false),
        ("ForAnyValue:StringEquals", "web", false, false),
    ] {
        let condition = json!({operator: {tag: [wanted]}});
        let says = |holds| {
            if holds {
                Verdict::Allowed
            } else {
                Verdict::ImplicitDeny
            }
        };
        assert_eq!(
            with(&condition, data),
            Ok(says(there)),
            "{condition} with the tag"
        );
        assert_eq!(
            with(&condition, &[]),
            Ok(says(absent)),
            "{condition} without"
        );
    }
    let role = json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/ci-*"}});
    let by = |arn: &str| with(&role, &[("aws:PrincipalArn", &[arn])]);
    assert_eq!(
        by("arn:aws:iam::111122223333:role/ci-7"),
        Ok(Verdict::Allowed)
    );
    assert_eq!(
        by("arn:aws:iam::111122223333:role/dev"),
        Ok(Verdict::ImplicitDeny)
    );
    // A star does not reach over a colon of the first five.
    assert_eq!(by("arn:aws:iam:x:y:z:role/ci-7"), Ok(Verdict::ImplicitDeny));
    // Several keys and operators all have to hold.
    let two = json!({"StringEquals": {tag: "data"}, "Null": {"aws:RequestTag/owner": "true"}});
    assert_eq!(with(&two, data), Ok(Verdict::Allowed));
}

#[test]
fn keys_with_several_values_need_a_set_operator() {
    let keys: &[(&str, &[&str])] = &[("aws:TagKeys", &["a", "b"])];
    for (operator, wanted, holds) in [
        ("ForAllValues:StringEquals", json!(["a", "b", "c"]), true),
        ("ForAllValues:StringEquals", json!(["a"]), false),
        ("ForAnyValue:StringEquals", json!(["a"]), true),
        ("StringEquals", json!(["a"]), false),
    ] {
        let says = if holds {
            Verdict::Allowed
        } else {
            Verdict::ImplicitDeny
        };
        let condition = json!({operator: {"aws:TagKeys": wanted}});
        assert_eq!(with(&condition, keys), Ok(says), "{condition}");
    }
}

#[test]
fn what_is_not_known_is_said_and_not_guessed() {
    for condition in [
        json!({"IpAddress": {"aws:RequestTag/a": "10.0.0.0/8"}}),
        json!({"NumericLessThan": {"aws:RequestTag/a": "3"}}),
        json!({"StringEquals": {"aws:SourceVpc": "vpc-1"}}),
        json!({"StringEquals": {"aws:RequestTag/a": "${aws:username, 'x'}"}}),
    ] {
        let refused = with(&condition, &[]).unwrap_err();
        assert!(refused.contains("not simulated"), "{condition}: {refused}");
    }
    // Only where it could decide: another action's conditions are nobody's concern.
    let mut other = allow("s3:*", "*");
    other["Condition"] = json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}});
    let both = json!([other, allow("ec2:*", "*")]);
    assert_eq!(verdict(&both, "ec2:CreateVpc", VPC), Verdict::Allowed);
    // And a policy of AWS's without a known text, where nothing else allows it.
    let mut policies = held(&allow("ec2:*", "*"));
    policies.push(Held {
        id: "arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned(),
        document: None,
    });
    let context = Context::of_request();
    let judged = |action: &str| judge(&policies, action, Some("*"), &context);
    assert_eq!(judged("ec2:CreateVpc").unwrap().verdict, Verdict::Allowed);
    assert!(judged("eks:ListClusters").is_err());
}

#[test]
fn variables_stand_for_values_of_the_context() {
    let statement = allow("iam:*AccessKey*", "arn:aws:iam::*:user/${aws:username}");
    let mut context = Context::of_request();
    let on = |name: &str, context: &Context| {
        let arn = format!("arn:aws:iam::111122223333:user/{name}");
        let judged = judge(&held(&statement), "iam:ListAccessKeys", Some(&arn), context);
        judged.unwrap().verdict
    };
    assert_eq!(on("ann", &context), Verdict::ImplicitDeny);
    context.set("aws:username", vec!["ann".to_owned()]);
    assert_eq!(on("ann", &context), Verdict::Allowed);
    assert_eq!(on("bob", &context), Verdict::ImplicitDeny);
}

#[test]
fn a_simulation_tells_what_it_was_not_given() {
    let mut statement = allow("ec2:CreateVpc", "*");
    statement["Condition"] =
        json!({"StringEquals": {"aws:RequestedRegion": "us-west-2", "aws:SourceVpc": "v"}});
    let mut context = Context::given();
    context.set("aws:RequestedRegion", vec!["us-west-2".to_owned()]);
    let judged = judge(&held(&statement), "ec2:CreateVpc", Some("*"), &context).unwrap();
    assert_eq!(judged.verdict, Verdict::ImplicitDeny);
    assert_eq!(judged.missing, BTreeSet::from(["aws:SourceVpc".to_owned()]));
}
