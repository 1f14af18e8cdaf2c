use serde_json::{Value, json};

use crate::aws::testing::Stage;

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

fn call(stage: &mut Stage, action: &str, tree: Value) -> Value {
    stage.call("iam", action, &tree).unwrap()
}

fn refused(stage: &mut Stage, action: &str, tree: Value) -> String {
    let error = stage.call("iam", action, &tree).expect_err(action);
    error.code_for(Some("ValidationError")).into_owned()
}

fn role(stage: &mut Stage, name: &str, path: &str) -> Value {
    let tree = json!({
        "RoleName": name, "Path": path, "AssumeRolePolicyDocument": TRUST, "Tags": [{"Key": "a", "Value": "b"}],
    });
    call(stage, "CreateRole", tree)["Role"].clone()
}

#[test]
fn a_role_goes_only_when_nothing_hangs_on_it() {
    let mut stage = Stage::new();
    let made = role(&mut stage, "r", "/pipectl/");
    assert_eq!(made["Arn"], "arn:aws:iam::111122223333:role/pipectl/r");
    let named = json!({"RoleName": "r"});
    let policy =
        json!({"RoleName": "r", "PolicyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"});
    call(&mut stage, "AttachRolePolicy", policy.clone());
    assert_eq!(
        refused(&mut stage, "DeleteRole", named.clone()),
        "DeleteConflict"
    );
    call(&mut stage, "DetachRolePolicy", policy.clone());
    assert_eq!(
        refused(&mut stage, "DetachRolePolicy", policy),
        "NoSuchEntity"
    );
    let document = r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
    call(
        &mut stage,
        "PutRolePolicy",
        json!({"RoleName": "r", "PolicyName": "p", "PolicyDocument": document}),
    );
    assert_eq!(
        refused(&mut stage, "DeleteRole", named.clone()),
        "DeleteConflict"
    );
    call(
        &mut stage,
        "DeleteRolePolicy",
        json!({"RoleName": "r", "PolicyName": "p"}),
    );
    call(
        &mut stage,
        "CreateInstanceProfile",
        json!({"InstanceProfileName": "i"}),
    );
    let both = json!({"RoleName": "r", "InstanceProfileName": "i"});
    call(&mut stage, "AddRoleToInstanceProfile", both.clone());
    assert_eq!(
        refused(&mut stage, "AddRoleToInstanceProfile", both.clone()),
        "LimitExceeded"
    );
    assert_eq!(
        refused(&mut stage, "DeleteRole", named.clone()),
        "DeleteConflict"
    );
    assert_eq!(
        refused(
            &mut stage,
            "DeleteInstanceProfile",
            json!({"InstanceProfileName": "i"})
        ),
        "DeleteConflict"
    );
    call(&mut stage, "RemoveRoleFromInstanceProfile", both);
    call(
        &mut stage,
        "DeleteInstanceProfile",
        json!({"InstanceProfileName": "i"}),
    );
    call(&mut stage, "DeleteRole", named.clone());
    assert_eq!(refused(&mut stage, "GetRole", named), "NoSuchEntity");
    assert_eq!(stage.world.inspect(), json!({}));
}

#[test]
fn lists_of_roles_have_a_path_and_pages_and_no_tags() {
    let mut stage = Stage::new();
    role(&mut stage, "one", "/pipectl/a/");
    role(&mut stage, "two", "/pipectl/a/");
    role(&mut stage, "three", "/other/");
    let page = call(
        &mut stage,
        "ListRoles",
        json!({"PathPrefix": "/pipectl/", "MaxItems": 1}),
    );
    assert_eq!(page["Roles"][0]["RoleName"], "one");
    assert_eq!(page["Roles"][0]["Tags"], Value::Null);
    assert_eq!(page["IsTruncated"], true);
    let next = json!({"PathPrefix": "/pipectl/", "Marker": page["Marker"]});
    let rest = call(&mut stage, "ListRoles", next);
    assert_eq!(rest["Roles"].as_array().unwrap().len(), 1);
    assert_eq!(rest["IsTruncated"], false);
    let whole = call(&mut stage, "GetRole", json!({"RoleName": "one"}));
    assert_eq!(whole["Role"]["Tags"], json!([{"Key": "a", "Value": "b"}]));
}

#[test]
fn names_are_taken_whatever_their_path_and_documents_are_checked() {
    let mut stage = Stage::new();
    role(&mut stage, "one", "/");
    let again = json!({"RoleName": "ONE", "Path": "/x/", "AssumeRolePolicyDocument": TRUST});
    assert_eq!(
        refused(&mut stage, "CreateRole", again),
        "EntityAlreadyExists"
    );
    let bad = json!({"RoleName": "two", "AssumeRolePolicyDocument": "{"});
    assert_eq!(
        refused(&mut stage, "CreateRole", bad),
        "MalformedPolicyDocument"
    );
    let bad = json!({"RoleName": "a b", "AssumeRolePolicyDocument": TRUST});
    assert_eq!(refused(&mut stage, "CreateRole", bad), "ValidationError");
    let unknown = json!({"RoleName": "one", "PolicyArn": "arn:aws:iam::111122223333:policy/none"});
    assert_eq!(
        refused(&mut stage, "AttachRolePolicy", unknown),
        "NoSuchEntity"
    );
}

#[test]
fn a_policy_in_use_stays() {
    let mut stage = Stage::new();
    role(&mut stage, "r", "/");
    let document = r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
    let made = call(
        &mut stage,
        "CreatePolicy",
        json!({"PolicyName": "p", "PolicyDocument": document}),
    );
    let arn = made["Policy"]["Arn"].clone();
    call(
        &mut stage,
        "AttachRolePolicy",
        json!({"RoleName": "r", "PolicyArn": arn}),
    );
    assert_eq!(
        refused(&mut stage, "DeletePolicy", json!({"PolicyArn": arn})),
        "DeleteConflict"
    );
    let entities = call(
        &mut stage,
        "ListEntitiesForPolicy",
        json!({"PolicyArn": arn}),
    );
    assert_eq!(entities["PolicyRoles"][0]["RoleName"], "r");
    call(
        &mut stage,
        "DetachRolePolicy",
        json!({"RoleName": "r", "PolicyArn": arn}),
    );
    call(&mut stage, "DeletePolicy", json!({"PolicyArn": arn}));
}

#[test]
fn an_oidc_provider_is_known_by_its_issuer() {
    let mut stage = Stage::new();
    let new = json!({"Url": "https://oidc.example/id/1", "ClientIDList": ["sts.amazonaws.com"]});
    let made = call(&mut stage, "CreateOpenIDConnectProvider", new.clone());
    let arn = json!({"OpenIDConnectProviderArn": made["OpenIDConnectProviderArn"]});
    assert_eq!(
        refused(&mut stage, "CreateOpenIDConnectProvider", new),
        "EntityAlreadyExists"
    );
    let shown = call(&mut stage, "GetOpenIDConnectProvider", arn.clone());
    assert_eq!(shown["Url"], "oidc.example/id/1");
    call(&mut stage, "DeleteOpenIDConnectProvider", arn.clone());
    call(&mut stage, "DeleteOpenIDConnectProvider", arn.clone());
    assert_eq!(
        refused(&mut stage, "GetOpenIDConnectProvider", arn),
        "NoSuchEntity"
    );
}
