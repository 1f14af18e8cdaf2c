use serde_json::{Value, json};

use crate::aws::testing::Stage;

const ONE: &str = "11111111-1111-4111-8111-111111111111";
const TWO: &str = "22222222-2222-4222-8222-222222222222";
const THREE: &str = "33333333-3333-4333-8333-333333333333";

fn call(stage: &mut Stage, action: &str, tree: Value) -> Value {
    stage.call("secretsmanager", action, &tree).expect(action)
}

fn refused(stage: &mut Stage, action: &str, tree: Value) -> String {
    let error = stage
        .call("secretsmanager", action, &tree)
        .expect_err(action);
    error
        .code_for(Some("InvalidParameterException"))
        .into_owned()
}

fn made(stage: &mut Stage, name: &str, value: &str) -> String {
    let new = json!({"Name": name, "SecretString": value, "ClientRequestToken": ONE,
        "Tags": [{"Key": "team", "Value": "data"}]});
    let made = call(stage, "CreateSecret", new);
    made["ARN"].as_str().unwrap().to_owned()
}

fn value(stage: &mut Stage, id: &str) -> Value {
    call(stage, "GetSecretValue", json!({ "SecretId": id }))["SecretString"].clone()
}

#[test]
fn a_secret_is_found_by_name_arn_and_the_beginning_of_its_arn() {
    let mut stage = Stage::new();
    let arn = made(&mut stage, "team/db", "one");
    let start = "arn:aws:secretsmanager:us-west-2:111122223333:secret:team/db-";
    let end = arn.strip_prefix(start).expect(&arn);
    assert_eq!(end.len(), 6);
    let partial = arn[..arn.len() - 7].to_owned();
    for id in ["team/db", arn.as_str(), partial.as_str()] {
        assert_eq!(value(&mut stage, id), "one", "{id}");
    }
    // One whose name ends like an ARN is taken for another's.
    let arn = made(&mut stage, "team-a1b2c3", "two");
    let partial = json!({"SecretId": &arn[..arn.len() - 7]});
    assert_eq!(
        refused(&mut stage, "GetSecretValue", partial),
        "ResourceNotFoundException"
    );
    assert_eq!(value(&mut stage, "team-a1b2c3"), "two");
}

#[test]
fn the_token_is_the_version_and_versions_do_not_change() {
    let mut stage = Stage::new();
    let new = |value: &str| json!({"Name": "a", "SecretString": value, "ClientRequestToken": ONE});
    let first = call(&mut stage, "CreateSecret", new("one"));
    assert_eq!(first["VersionId"], ONE);
    assert_eq!(call(&mut stage, "CreateSecret", new("one")), first);
    assert_eq!(
        refused(&mut stage, "CreateSecret", new("other")),
        "ResourceExistsException"
    );
    let put = |value: &str, token: &str| json!({"SecretId": "a", "SecretString": value, "ClientRequestToken": token});
    let second = call(&mut stage, "PutSecretValue", put("two", TWO));
    assert_eq!(second["VersionStages"], json!(["AWSCURRENT"]));
    assert_eq!(call(&mut stage, "PutSecretValue", put("two", TWO)), second);
    assert_eq!(
        refused(&mut stage, "PutSecretValue", put("other", TWO)),
        "ResourceExistsException"
    );
    assert_eq!(value(&mut stage, "a"), "two");
    let shown = call(&mut stage, "DescribeSecret", json!({"SecretId": "a"}));
    assert_eq!(
        shown["VersionIdsToStages"],
        json!({ONE: ["AWSPREVIOUS"], TWO: ["AWSCURRENT"]})
    );
    let previous = json!({"SecretId": "a", "VersionStage": "AWSPREVIOUS"});
    let previous = call(&mut stage, "GetSecretValue", previous);
    assert_eq!(previous["SecretString"], "one");

    // A version under a label of its own does not become the current one.
    let pending = json!({"SecretId": "a", "SecretString": "three", "ClientRequestToken": THREE, "VersionStages": ["AWSPENDING"]});
    call(&mut stage, "PutSecretValue", pending);
    assert_eq!(value(&mut stage, "a"), "two");
    let mixed = json!({"SecretId": "a", "VersionId": THREE, "VersionStage": "AWSCURRENT"});
    assert_eq!(
        refused(&mut stage, "GetSecretValue", mixed),
        "InvalidRequestException"
    );
    let unknown = json!({"SecretId": "a", "VersionStage": "NONE"});
    assert_eq!(
        refused(&mut stage, "GetSecretValue", unknown),
        "ResourceNotFoundException"
    );
    // UpdateSecret with a value makes a version, without one none.
    let described = json!({"SecretId": "a", "Description": "mine"});
    assert!(call(&mut stage, "UpdateSecret", described)["VersionId"].is_null());
    let updated =
        json!({"SecretId": "a", "SecretString": "four", "ClientRequestToken": format!("{ONE}-4")});
    call(&mut stage, "UpdateSecret", updated);
    assert_eq!(value(&mut stage, "a"), "four");
}

#[test]
fn a_secret_without_a_value_and_a_binary_one() {
    let mut stage = Stage::new();
    let empty = json!({"Name": "empty", "ClientRequestToken": ONE});
    assert!(call(&mut stage, "CreateSecret", empty)["VersionId"].is_null());
    let asked = json!({"SecretId": "empty"});
    assert_eq!(
        refused(&mut stage, "GetSecretValue", asked),
        "ResourceNotFoundException"
    );
    let bytes = json!({"Name": "bytes", "SecretBinary": "AAEC", "ClientRequestToken": ONE});
    call(&mut stage, "CreateSecret", bytes);
    let shown = call(&mut stage, "GetSecretValue", json!({"SecretId": "bytes"}));
    assert_eq!(shown["SecretBinary"], "AAEC");
    assert!(shown["SecretString"].is_null());
}

#[test]
fn names_tokens_and_values_have_rules() {
    let mut stage = Stage::new();
    let named = |name: &str| json!({"Name": name, "ClientRequestToken": ONE, "SecretString": "x"});
    for (tree, wanted) in [
        (named("with blank"), "ValidationException"),
        (named("q?"), "ValidationException"),
        (named("rds!db"), "NotSimulated"),
        (named(""), "InvalidParameterException"),
        (named(&"x".repeat(513)), "InvalidParameterException"),
        (json!({"Name": "a"}), "InvalidRequestException"),
        (
            json!({"Name": "a", "ClientRequestToken": "short"}),
            "InvalidParameterException",
        ),
        (
            json!({"Name": "a", "ClientRequestToken": ONE, "SecretString": "x", "SecretBinary": "eA=="}),
            "InvalidParameterException",
        ),
        (
            json!({"Name": "a", "ClientRequestToken": ONE, "SecretString": "x".repeat(65_537)}),
            "InvalidParameterException",
        ),
        (
            json!({"Name": "a", "ClientRequestToken": ONE, "Tags": [{"Key": "aws:x", "Value": ""}]}),
            "InvalidParameterException",
        ),
        (
            json!({"Name": "a", "ClientRequestToken": ONE, "KmsKeyId": "alias/none"}),
            "EncryptionFailure",
        ),
    ] {
        let shown = tree.to_string();
        let found = refused(&mut stage, "CreateSecret", tree);
        assert_eq!(found, wanted, "{}", &shown[..shown.len().min(90)]);
    }
    assert_eq!(
        refused(
            &mut stage,
            "GetSecretValue",
            json!({"SecretId": "with blank"})
        ),
        "ValidationException"
    );
    call(&mut stage, "CreateSecret", named("Fine/_+=.@-9"));
    let nothing = json!({"SecretId": "Fine/_+=.@-9", "ClientRequestToken": TWO});
    assert_eq!(
        refused(&mut stage, "PutSecretValue", nothing),
        "InvalidRequestException"
    );
}

#[test]
fn a_deleted_secret_gives_nothing_until_it_is_restored_or_gone() {
    let mut stage = Stage::new();
    made(&mut stage, "a", "one");
    let named = json!({"SecretId": "a"});
    for window in [6, 31] {
        let wrong = json!({"SecretId": "a", "RecoveryWindowInDays": window});
        assert_eq!(
            refused(&mut stage, "DeleteSecret", wrong),
            "InvalidParameterException"
        );
    }
    let both =
        json!({"SecretId": "a", "RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": true});
    assert_eq!(
        refused(&mut stage, "DeleteSecret", both),
        "InvalidParameterException"
    );
    let week = json!({"SecretId": "a", "RecoveryWindowInDays": 7});
    call(&mut stage, "DeleteSecret", week.clone());
    let create = json!({"Name": "a", "SecretString": "one", "ClientRequestToken": ONE});
    for (action, tree) in [
        ("GetSecretValue", named.clone()),
        ("DeleteSecret", named.clone()),
        ("CreateSecret", create.clone()),
        (
            "TagResource",
            json!({"SecretId": "a", "Tags": [{"Key": "k", "Value": "v"}]}),
        ),
        (
            "PutSecretValue",
            json!({"SecretId": "a", "SecretString": "x", "ClientRequestToken": TWO}),
        ),
    ] {
        assert_eq!(
            refused(&mut stage, action, tree),
            "InvalidRequestException",
            "{action}"
        );
    }
    let shown = call(&mut stage, "DescribeSecret", named.clone());
    assert!(shown["DeletedDate"].is_number());
    let listed = call(&mut stage, "ListSecrets", json!({}));
    assert_eq!(listed["SecretList"], json!([]));
    let listed = call(
        &mut stage,
        "ListSecrets",
        json!({"IncludePlannedDeletion": true}),
    );
    assert_eq!(listed["SecretList"][0]["Name"], "a");

    // Restored, it stays beyond the date; deleted again, it goes.
    call(&mut stage, "RestoreSecret", named.clone());
    stage.pass(8 * 86_400);
    assert_eq!(value(&mut stage, "a"), "one");
    call(&mut stage, "DeleteSecret", week);
    stage.pass(6 * 86_400);
    call(&mut stage, "DescribeSecret", named.clone());
    stage.pass(2 * 86_400);
    assert_eq!(
        refused(&mut stage, "DescribeSecret", named.clone()),
        "ResourceNotFoundException"
    );
    // By force it is gone at once, as often as one likes; its successor has another ARN.
    let first = made(&mut stage, "a", "one");
    let force = json!({"SecretId": "a", "ForceDeleteWithoutRecovery": true});
    assert_eq!(
        call(&mut stage, "DeleteSecret", force.clone())["ARN"],
        first.as_str()
    );
    call(&mut stage, "DeleteSecret", force);
    assert_ne!(made(&mut stage, "a", "one"), first);
}

#[test]
fn a_value_under_a_key_that_cannot_be_used_is_not_given() {
    let mut stage = Stage::new();
    let key = stage.call("kms", "CreateKey", &json!({})).unwrap();
    let key = key["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    let new = json!({"Name": "a", "SecretString": "x", "ClientRequestToken": ONE, "KmsKeyId": key});
    call(&mut stage, "CreateSecret", new);
    assert_eq!(value(&mut stage, "a"), "x");
    stage
        .call("kms", "DisableKey", &json!({ "KeyId": key }))
        .unwrap();
    let named = json!({"SecretId": "a"});
    assert_eq!(
        refused(&mut stage, "GetSecretValue", named),
        "DecryptionFailure"
    );
}

#[test]
fn lists_come_in_pages_and_by_filter_and_tags_in_the_tagging_api() {
    let mut stage = Stage::new();
    for name in ["app/one", "app/two", "Other"] {
        made(&mut stage, name, "x");
        stage.pass(1);
    }
    let names = |reply: &Value| -> Vec<String> {
        let list = reply["SecretList"].as_array().unwrap().iter();
        list.map(|one| one["Name"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = call(
        &mut stage,
        "ListSecrets",
        json!({"MaxResults": 2, "SortOrder": "asc"}),
    );
    assert_eq!(names(&first), ["app/one", "app/two"]);
    let next = json!({"MaxResults": 2, "SortOrder": "asc", "NextToken": first["NextToken"]});
    let second = call(&mut stage, "ListSecrets", next);
    assert_eq!(names(&second), ["Other"]);
    assert!(second["NextToken"].is_null());
    for (filter, wanted) in [
        (json!({"Key": "name", "Values": ["app/"]}), 2),
        (json!({"Key": "name", "Values": ["APP"]}), 0),
        (json!({"Key": "name", "Values": ["!app/"]}), 1),
        (json!({"Key": "tag-key", "Values": ["te"]}), 3),
        (json!({"Key": "tag-value", "Values": ["x"]}), 0),
    ] {
        let found = call(&mut stage, "ListSecrets", json!({ "Filters": [filter] }));
        assert_eq!(names(&found).len(), wanted, "{filter}");
    }
    assert_eq!(
        refused(&mut stage, "ListSecrets", json!({"NextToken": "x"})),
        "InvalidNextTokenException"
    );
    call(
        &mut stage,
        "UntagResource",
        json!({"SecretId": "Other", "TagKeys": ["team"]}),
    );
    let asked = json!({"TagFilters": [{"Key": "team", "Values": ["data"]}], "ResourceTypeFilters": ["secretsmanager:secret"]});
    let found = stage.call("tagging", "GetResources", &asked).unwrap();
    assert_eq!(found["ResourceTagMappingList"].as_array().unwrap().len(), 2);
}

#[test]
fn an_audit_sees_that_there_is_a_value_and_not_which() {
    let mut stage = Stage::new();
    made(&mut stage, "a", "very-hidden");
    let graph = stage.world.inspect().to_string();
    assert!(
        graph.contains("team") && graph.contains("(not shown)"),
        "{graph}"
    );
    assert!(!graph.contains("very-hidden"));
}
