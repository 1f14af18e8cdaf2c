//! Policies, and what several of them say together of one action on one resource.

use std::collections::BTreeSet;

use serde_json::Value;

use super::condition::{Context, holds};
use crate::aws::wire::error::ApiError;
use crate::aws::world::filters::like;

/// A policy that somebody holds.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// Its name, or its ARN where it is a managed one.
    pub(crate) id: String,
    /// Its text; none where AWS manages it and the text is not known here.
    pub(crate) document: Option<String>,
}

/// What policies say of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Something allows it, nothing denies it.
    Allowed,
    /// Something denies it.
    ExplicitDeny,
    /// Nothing allows it.
    ImplicitDeny,
}

impl Verdict {
    /// As `SimulatePrincipalPolicy` says it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::ExplicitDeny => "explicitDeny",
            Self::ImplicitDeny => "implicitDeny",
        }
    }
}

/// A verdict and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    /// Ids of the policies that decided.
    pub(crate) decided: BTreeSet<String>,
    /// Context keys that statements for this action and resource ask for and that the request does not have.
    pub(crate) missing: BTreeSet<String>,
}

/// What these policies say of an action on a resource. A resource of `*` is every resource, which only a statement for all of
/// them covers; none is one whose ARN the simulator does not know, and which every allowing statement covers.
///
/// # Errors
/// `NotSimulated` when the verdict hangs on something that is not known here.
pub(crate) fn judge(
    held: &[Held],
    action: &str,
    resource: Option<&str>,
    context: &Context,
) -> Result<Judgement, ApiError> {
    let mut missing = BTreeSet::new();
    let (mut allowing, mut denying) = (BTreeSet::new(), BTreeSet::new());
    let mut unknown = None;
    for policy in held {
        let Some(document) = &policy.document else {
            unknown = Some(&policy.id);
            continue;
        };
        for statement in statements(document) {
            let denies = statement["Effect"] == "Deny";
            let about = acts(&statement, action) && covers(&statement, resource, denies, context)?;
            if about && conditions(&statement, context, &mut missing)? {
                let side = if denies { &mut denying } else { &mut allowing };
                side.insert(policy.id.clone());
            }
        }
    }
    let (verdict, decided) = match (denying.is_empty(), allowing.is_empty(), unknown) {
        (false, ..) => (Verdict::ExplicitDeny, denying),
        (true, false, _) => (Verdict::Allowed, allowing),
        (true, true, None) => (Verdict::ImplicitDeny, BTreeSet::new()),
        (true, true, Some(id)) => {
            let what = format!("the text of the policy {id}, which {action} hangs on");
            return Err(ApiError::not_simulated(what));
        }
    };
    Ok(Judgement {
        verdict,
        decided,
        missing,
    })
}

/// The statements of a document. What IAM takes in is checked when it is put (`iam/document.rs`).
fn statements(document: &str) -> Vec<Value> {
    let tree: Value = serde_json::from_str(document).unwrap_or_default();
    one_or_many(&tree["Statement"])
        .into_iter()
        .cloned()
        .collect()
}

fn one_or_many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

fn texts(value: &Value) -> Vec<&str> {
    one_or_many(value)
        .into_iter()
        .filter_map(Value::as_str)
        .collect()
}

/// Whether a statement is about that action. Neither services nor actions know case (IAM: policy elements, Action).
fn acts(statement: &Value, action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    let any = |names: &Value| {
        let mut names = texts(names).into_iter();
        names.any(|name| like(&name.to_ascii_lowercase(), &action))
    };
    match statement.get("NotAction") {
        Some(names) => !any(names),
        None => any(&statement["Action"]),
    }
}

/// Whether a statement is about that resource. Of one that is not known, an allowing statement is, and a denying one is when
/// it is about all of them.
fn covers(
    statement: &Value,
    resource: Option<&str>,
    denies: bool,
    context: &Context,
) -> Result<bool, ApiError> {
    let (patterns, inverted) = match statement.get("NotResource") {
        Some(patterns) => (patterns, true),
        None => (&statement["Resource"], false),
    };
    let mut any = false;
    for pattern in texts(patterns) {
        // A variable without a value makes the pattern fit nothing.
        let Some(pattern) = context.filled(pattern)? else {
            continue;
        };
        any |= match resource {
            Some(resource) => like(&pattern, resource),
            None => pattern == "*" || denies == inverted,
        };
    }
    Ok(any != inverted)
}

/// Whether all of a statement's conditions hold.
fn conditions(
    statement: &Value,
    context: &Context,
    missing: &mut BTreeSet<String>,
) -> Result<bool, ApiError> {
    let Some(operators) = statement["Condition"].as_object() else {
        return Ok(true);
    };
    let mut all = true;
    for (operator, keys) in operators {
        for (key, wanted) in keys.as_object().into_iter().flatten() {
            let wanted: Vec<String> = one_or_many(wanted)
                .into_iter()
                .map(|value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
                .collect();
            all &= holds(operator, key, &wanted, context, missing)?;
        }
    }
    Ok(all)
}
