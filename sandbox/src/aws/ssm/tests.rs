use serde_json::{Value, json};

use crate::aws::testing::Stage;

fn refused(stage: &mut Stage, action: &str, tree: &Value) -> String {
    let error = stage.call("ssm", action, tree).expect_err(action);
    error.code_for(None).into_owned()
}

#[test]
fn exactly_one_creates_a_parameter() {
    let mut stage = Stage::new();
    let new = json!({"Name": "/pipectl/environments/a", "Value": "1", "Type": "String", "Tags": [{"Key": "k", "Value": "v"}]});
    stage.call("ssm", "PutParameter", &new).unwrap();
    assert_eq!(
        refused(&mut stage, "PutParameter", &new),
        "ParameterAlreadyExists"
    );
    let again = json!({"Name": "/pipectl/environments/a", "Value": "2", "Overwrite": true});
    assert_eq!(
        stage.call("ssm", "PutParameter", &again).unwrap()["Version"],
        2
    );
    let page = json!({"Path": "/pipectl", "Recursive": true});
    let found = stage.call("ssm", "GetParametersByPath", &page).unwrap();
    assert_eq!(found["Parameters"][0]["Value"], "2");
    let flat = stage
        .call("ssm", "GetParametersByPath", &json!({"Path": "/pipectl"}))
        .unwrap();
    assert_eq!(flat["Parameters"], json!([]));
    let resource = json!({"ResourceType": "Parameter", "ResourceId": "/pipectl/environments/a"});
    let tags = stage.call("ssm", "ListTagsForResource", &resource).unwrap();
    assert_eq!(tags["TagList"], json!([{"Key": "k", "Value": "v"}]));
    let named = json!({"Name": "/pipectl/environments/a"});
    stage.call("ssm", "DeleteParameter", &named).unwrap();
    assert_eq!(
        refused(&mut stage, "DeleteParameter", &named),
        "ParameterNotFound"
    );
    assert_eq!(
        refused(
            &mut stage,
            "PutParameter",
            &json!({"Name": "/aws/x", "Value": "1", "Type": "String"})
        ),
        "ValidationException"
    );
}
