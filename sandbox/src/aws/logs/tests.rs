use serde_json::json;

use crate::aws::testing::Stage;

#[test]
fn a_group_is_there_once_and_keeps_what_it_is_told() {
    let mut stage = Stage::new();
    let named = json!({"logGroupName": "/aws/eks/c/cluster"});
    let new = json!({"logGroupName": "/aws/eks/c/cluster", "tags": {"a": "b"}});
    stage.call("logs", "CreateLogGroup", &new).unwrap();
    let error = stage.call("logs", "CreateLogGroup", &new).unwrap_err();
    assert_eq!(error.code_for(None), "ResourceAlreadyExistsException");
    let days = |days: i64| json!({"logGroupName": "/aws/eks/c/cluster", "retentionInDays": days});
    assert!(stage.call("logs", "PutRetentionPolicy", &days(8)).is_err());
    stage.call("logs", "PutRetentionPolicy", &days(7)).unwrap();
    let shown = stage
        .call(
            "logs",
            "DescribeLogGroups",
            &json!({"logGroupNamePrefix": "/aws/eks/"}),
        )
        .unwrap();
    let group = &shown["logGroups"][0];
    assert_eq!(group["retentionInDays"], 7);
    let arn = json!({"resourceArn": group["logGroupArn"]});
    let tags = stage.call("logs", "ListTagsForResource", &arn).unwrap();
    assert_eq!(tags, json!({"tags": {"a": "b"}}));
    stage.call("logs", "DeleteLogGroup", &named).unwrap();
    let error = stage.call("logs", "DeleteLogGroup", &named).unwrap_err();
    assert_eq!(error.code_for(None), "ResourceNotFoundException");
}
