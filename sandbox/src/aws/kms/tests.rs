use serde_json::{Value, json};

use crate::aws::testing::Stage;

fn refused(stage: &mut Stage, action: &str, tree: &Value) -> String {
    let error = stage.call("kms", action, tree).expect_err(action);
    error.code_for(None).into_owned()
}

#[test]
fn a_key_waits_for_its_deletion_and_its_alias_goes_at_once() {
    let mut stage = Stage::new();
    let made = stage
        .call(
            "kms",
            "CreateKey",
            &json!({"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        )
        .unwrap();
    let id = made["KeyMetadata"]["KeyId"].clone();
    let alias = json!({"AliasName": "alias/pipectl/a", "TargetKeyId": id});
    stage.call("kms", "CreateAlias", &alias).unwrap();
    assert_eq!(
        refused(&mut stage, "CreateAlias", &alias),
        "AlreadyExistsException"
    );
    let shown = stage
        .call("kms", "DescribeKey", &json!({"KeyId": "alias/pipectl/a"}))
        .unwrap();
    assert_eq!(shown["KeyMetadata"]["KeyId"], id);
    let key = json!({"KeyId": id});
    assert_eq!(
        refused(
            &mut stage,
            "ScheduleKeyDeletion",
            &json!({"KeyId": id, "PendingWindowInDays": 6})
        ),
        "ValidationException"
    );
    let seven = json!({"KeyId": id, "PendingWindowInDays": 7});
    stage.call("kms", "ScheduleKeyDeletion", &seven).unwrap();
    assert_eq!(
        refused(&mut stage, "ScheduleKeyDeletion", &seven),
        "KMSInvalidStateException"
    );
    stage
        .call(
            "kms",
            "DeleteAlias",
            &json!({"AliasName": "alias/pipectl/a"}),
        )
        .unwrap();
    assert_eq!(
        refused(
            &mut stage,
            "DescribeKey",
            &json!({"KeyId": "alias/pipectl/a"})
        ),
        "NotFoundException"
    );
    let shown = stage.call("kms", "DescribeKey", &key).unwrap();
    assert_eq!(shown["KeyMetadata"]["KeyState"], "PendingDeletion");
    stage.pass(7 * 86_400);
    assert_eq!(
        refused(&mut stage, "DescribeKey", &key),
        "NotFoundException"
    );
}
