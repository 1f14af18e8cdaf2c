//! Policy documents: what has to be in them, and whom a trust policy trusts.

use serde_json::Value;

use super::State;
use crate::aws::wire::error::ApiError;

fn malformed(message: impl Into<String>) -> ApiError {
    ApiError::new("MalformedPolicyDocument", message)
}

fn one_or_many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    one_or_many(value).into_iter().filter_map(Value::as_str)
}

fn statements(document: &str) -> Result<Vec<Value>, ApiError> {
    let tree: Value =
        serde_json::from_str(document).map_err(|_| malformed("Syntax errors in policy."))?;
    let statements = one_or_many(&tree["Statement"]);
    if !tree.is_object() || statements.is_empty() {
        return Err(malformed("Syntax errors in policy."));
    }
    for statement in &statements {
        let effect = statement["Effect"].as_str();
        let acts = statement.get("Action").or(statement.get("NotAction"));
        if !matches!(effect, Some("Allow" | "Deny")) || acts.is_none() {
            return Err(malformed("Syntax errors in policy."));
        }
    }
    Ok(statements.into_iter().cloned().collect())
}

/// Check a trust policy: each statement names principals, and those of this account exist.
pub(super) fn check_trust(iam: &State, account: &str, document: &str) -> Result<(), ApiError> {
    for statement in statements(document)? {
        let principal = statement
            .get("Principal")
            .ok_or_else(|| malformed("Missing required field Principal"))?;
        if statement.get("Resource").is_some() {
            return Err(malformed("Has prohibited field Resource"));
        }
        let ours = format!("arn:aws:iam::{account}:role/");
        for arn in texts(&principal["AWS"]) {
            if arn.starts_with(&ours) && iam.role_of(arn).is_none() {
                return Err(malformed(format!(
                    "Invalid principal in policy: \"AWS\":\"{arn}\""
                )));
            }
        }
    }
    Ok(())
}

/// Check a policy of permissions: each statement names resources and no principals.
pub(super) fn check_permissions(document: &str) -> Result<(), ApiError> {
    for statement in statements(document)? {
        if statement
            .get("Resource")
            .or(statement.get("NotResource"))
            .is_none()
        {
            return Err(malformed("Policy statement must contain resources."));
        }
        if statement.get("Principal").is_some() {
            return Err(malformed("Policy document should not specify a principal."));
        }
    }
    Ok(())
}

/// Whether a trust policy lets a service do that (`sts:AssumeRole`).
pub(crate) fn trusts(document: &str, service: &str, action: &str) -> bool {
    let Ok(statements) = statements(document) else {
        return false;
    };
    statements.iter().any(|statement| {
        statement["Effect"] == "Allow"
            && texts(&statement["Action"]).any(|one| [action, "sts:*", "*"].contains(&one))
            && texts(&statement["Principal"]["Service"]).any(|one| one == service)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trust_policy_trusts_whom_it_names() {
        let one = r#"{"Statement":{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},"Action":["sts:AssumeRole"]}}"#;
        assert!(trusts(one, "eks.amazonaws.com", "sts:AssumeRole"));
        assert!(!trusts(one, "ec2.amazonaws.com", "sts:AssumeRole"));
        assert!(!trusts("{", "eks.amazonaws.com", "sts:AssumeRole"));
        assert!(check_trust(&State::default(), "1", one).is_ok());
        assert!(check_permissions(one).is_err());
    }
}
