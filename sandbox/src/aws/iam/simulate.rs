//! What somebody may do, asked of IAM itself: `SimulatePrincipalPolicy`, over the rules that also bind callers.
//!
//! The account has no organization and no permissions boundaries, so neither is spoken of in the answers.

use serde_json::{Value, json};

use super::{invalid, no_such, paged};
use crate::aws::authorize::{Context, Held, Judgement, Rights, Verdict, judge};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;

pub(crate) const ACTIONS: &[Action] = &[Action::read(
    "SimulatePrincipalPolicy",
    &[
        "PolicySourceArn",
        "ActionNames",
        "ResourceArns",
        "ContextEntries",
        "MaxItems",
        "Marker",
    ],
    simulate,
)];

fn bad_input(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidInput", message)
}

/// The policies of a user or a role; sessions, federated users and the root user have none that could be simulated.
fn rights(scene: &Scene<'_>, arn: &str) -> Result<Rights, ApiError> {
    let place = scene.place;
    let entity = |kind: &str| arn.starts_with(&place.global_arn("iam", &format!("{kind}/")));
    if !entity("user") && !entity("role") {
        return Err(bad_input(format!(
            "Invalid Entity Arn: {arn} does not clearly define entity type and name."
        )));
    }
    Rights::of(scene, arn).ok_or_else(|| no_such(format!("{arn} cannot be found.")))
}

fn context(params: Params<'_>) -> Result<Context, ApiError> {
    let mut context = Context::given();
    for entry in params.sections("ContextEntries") {
        let values = entry.texts("ContextKeyValues").into_iter();
        context.set(
            entry.need("ContextKeyName")?,
            values.map(str::to_owned).collect(),
        );
    }
    Ok(context)
}

fn simulate(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let rights = rights(scene, params.need("PolicySourceArn")?)?;
    let held = match &rights {
        Rights::Administrator => None,
        Rights::Policies(held) => Some(held.as_slice()),
    };
    let context = context(params)?;
    let actions = params.texts("ActionNames");
    if actions.is_empty() {
        return Err(ApiError::missing("ActionNames"));
    }
    let mut results = Vec::new();
    for (number, action) in actions.into_iter().enumerate() {
        let named = action.split_once(':').is_some_and(|(service, name)| {
            !service.is_empty() && !name.is_empty() && !name.contains(':')
        });
        if !named || action.len() > 128 {
            return Err(invalid(format!("Invalid action name: {action}")));
        }
        let result = one(held, action, &params.texts("ResourceArns"), &context)?;
        results.push((format!("{number:06}"), result));
    }
    paged(params, "EvaluationResults", results)
}

/// The result for one action: over all resources the strictest decision, beside each resource's own (IAM API reference:
/// EvaluationResult).
fn one(
    held: Option<&[Held]>,
    action: &str,
    resources: &[&str],
    context: &Context,
) -> Result<Value, ApiError> {
    let judged = |resource: &str| match held {
        Some(held) => judge(held, action, Some(resource), context),
        None => Ok(Judgement {
            verdict: Verdict::Allowed,
            decided: ["arn:aws:iam::aws:policy/AdministratorAccess".to_owned()].into(),
            missing: Default::default(),
        }),
    };
    let matched = |judgement: &Judgement| -> Value {
        let ids = judgement.decided.iter();
        ids.map(|id| json!({"SourcePolicyId": id, "SourcePolicyType": "IAM Policy"}))
            .collect()
    };
    if resources.is_empty() {
        let whole = judged("*")?;
        return Ok(json!({
            "EvalActionName": action,
            "EvalResourceName": "*",
            "EvalDecision": whole.verdict.word(),
            "MatchedStatements": matched(&whole),
            "MissingContextValues": whole.missing,
        }));
    }
    let mut all = Vec::new();
    for resource in resources {
        all.push((*resource, judged(resource)?));
    }
    let has = |verdict| all.iter().find(|(_, one)| one.verdict == verdict);
    let strictest = has(Verdict::ExplicitDeny)
        .or_else(|| has(Verdict::ImplicitDeny))
        .or(all.first());
    let Some((_, strictest)) = strictest else {
        return Err(ApiError::missing("ResourceArns"));
    };
    let missing: std::collections::BTreeSet<&String> =
        all.iter().flat_map(|(_, one)| &one.missing).collect();
    let each = all.iter().map(|(resource, one)| {
        json!({
            "EvalResourceName": resource,
            "EvalResourceDecision": one.verdict.word(),
            "MatchedStatements": matched(one),
            "MissingContextValues": one.missing,
        })
    });
    Ok(json!({
        "EvalActionName": action,
        "EvalResourceName": "*",
        "EvalDecision": strictest.verdict.word(),
        "MatchedStatements": matched(strictest),
        "MissingContextValues": missing,
        "ResourceSpecificResults": each.collect::<Vec<_>>(),
    }))
}
