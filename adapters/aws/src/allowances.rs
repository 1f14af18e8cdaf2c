//! What the caller may do, asked before it is done: IAM's `SimulatePrincipalPolicy`.
//!
//! It judges the policies and the permissions boundary of a user or role as they are, and errs in both directions where more
//! than these decides (IAM API reference: "results can differ from your live environment"). Users of OpenShift's installer
//! were refused by it although they had every permission, because their organization's policies have conditions
//! (openshift/installer#3490, openshift/enhancements PR 324). So only what the caller's own policies lack without any
//! condition counts as missing.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::types::{
    ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType,
};
use futures::future::try_join_all;
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::account::{Allowance, Allowances, Caller, Deed},
};

use crate::{client::Aws, errors::translate};

/// Results a page; more than there are deeds.
const PAGE: i32 = 1000;

/// What the caller may do, by action.
type ByAction = BTreeMap<String, Allowance>;

impl Aws {
    /// All at once for every resource first: that settles it for who is allowed them without bounds. The rest is asked again
    /// for the very resource, one call for each.
    pub(crate) async fn simulated(
        &self,
        caller: &Caller,
        deeds: &[Deed],
    ) -> Result<Allowances, PortError> {
        if !is_user_or_role(&caller.principal) {
            return Ok(Allowances::NotTold(format!(
                "{} is neither an IAM user nor a role",
                caller.principal
            )));
        }
        match self.asked(caller, deeds).await {
            Ok(told) => Ok(Allowances::Told(told)),
            Err(error) => match error.kind {
                Kind::Forbidden => Ok(Allowances::NotTold(
                    "the caller may not ask (iam:SimulatePrincipalPolicy)".to_owned(),
                )),
                // A role whose path could not be read, for one: who may do what is nobody's concern then.
                Kind::NotFound | Kind::Invalid | Kind::NotServed | Kind::Other => {
                    Ok(Allowances::NotTold(error.cause))
                }
                _ => Err(error),
            },
        }
    }

    async fn asked(&self, caller: &Caller, deeds: &[Deed]) -> Result<Vec<Allowance>, PortError> {
        let (global, regional): (Vec<&Deed>, Vec<&Deed>) =
            deeds.iter().partition(|deed| is_global(&deed.action));
        let everywhere = [global, regional]
            .map(|deeds| async move { self.simulate(caller, &actions(&deeds), None).await });
        let mut first = ByAction::new();
        for answers in try_join_all(everywhere).await? {
            first.extend(answers);
        }
        let mut bound: BTreeMap<&str, Vec<&Deed>> = BTreeMap::new();
        for deed in deeds {
            if first.get(&deed.action) != Some(&Allowance::Allowed)
                && let Some(resource) = &deed.resource
            {
                bound.entry(resource).or_default().push(deed);
            }
        }
        let again = bound.iter().map(|(resource, deeds)| async move {
            let answers = self
                .simulate(caller, &actions(deeds), Some(resource))
                .await?;
            Ok::<_, PortError>((*resource, answers))
        });
        let again: BTreeMap<&str, ByAction> = try_join_all(again).await?.into_iter().collect();
        let answer = |deed: &Deed| {
            let at = deed.resource.as_deref().and_then(|at| again.get(at));
            let found = at.and_then(|answers| answers.get(&deed.action));
            found.or(first.get(&deed.action)).cloned()
        };
        // An action without an answer: this IAM does not know it.
        let answers = deeds.iter().map(answer);
        Ok(answers
            .map(|found| found.unwrap_or(Allowance::Unclear))
            .collect())
    }

    async fn simulate(
        &self,
        caller: &Caller,
        actions: &BTreeSet<String>,
        resource: Option<&str>,
    ) -> Result<ByAction, PortError> {
        let Some(first) = actions.first() else {
            return Ok(ByAction::new());
        };
        let region = if is_global(first) {
            global_region(&caller.partition)
        } else {
            &caller.region
        };
        let requested = ContextEntry::builder()
            .context_key_name("aws:RequestedRegion")
            .context_key_type(ContextKeyTypeEnum::String)
            .context_key_values(region)
            .build();
        let results = self
            .iam()
            .simulate_principal_policy()
            .policy_source_arn(&caller.principal)
            .set_action_names(Some(actions.iter().cloned().collect()))
            .set_resource_arns(resource.map(|arn| vec![arn.to_owned()]))
            .context_entries(requested)
            .max_items(PAGE)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .map_err(translate)?;
        let answer = |result: &EvaluationResult| {
            let asked = actions
                .iter()
                .find(|action| action.eq_ignore_ascii_case(result.eval_action_name()))?;
            Some((asked.clone(), allowance(result)))
        };
        Ok(results.iter().filter_map(answer).collect())
    }
}

fn actions(deeds: &[&Deed]) -> BTreeSet<String> {
    deeds.iter().map(|deed| deed.action.clone()).collect()
}

/// Whether an ARN is one whose policies IAM can simulate. The root user has none; a federated user is none of IAM's.
fn is_user_or_role(arn: &str) -> bool {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    let service = arn.split(':').nth(2).unwrap_or_default();
    service == "iam" && (resource.starts_with("user/") || resource.starts_with("role/"))
}

/// IAM has one endpoint a partition, so `aws:RequestedRegion` is that one's, wherever the call comes from (IAM user guide: AWS
/// global condition context keys).
fn is_global(action: &str) -> bool {
    action.starts_with("iam:")
}

fn global_region(partition: &str) -> &'static str {
    match partition {
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        _ => "us-east-1",
    }
}

fn allowance(result: &EvaluationResult) -> Allowance {
    if *result.eval_decision() == PolicyEvaluationDecisionType::Allowed {
        return Allowance::Allowed;
    }
    let by_organization = result
        .organizations_decision_detail()
        .is_some_and(|detail| !detail.allowed_by_organizations());
    let conditional = !result.missing_context_values().is_empty()
        || result
            .resource_specific_results()
            .iter()
            .any(|one| !one.missing_context_values().is_empty());
    if by_organization || conditional {
        Allowance::Unclear
    } else {
        Allowance::Missing
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_iam::types::OrganizationsDecisionDetail;

    use super::*;

    fn result(
        decision: PolicyEvaluationDecisionType,
    ) -> aws_sdk_iam::types::builders::EvaluationResultBuilder {
        EvaluationResult::builder()
            .eval_action_name("ec2:CreateVpc")
            .eval_decision(decision)
    }

    #[test]
    fn only_what_the_callers_own_policies_lack_without_any_condition_is_missing() {
        use PolicyEvaluationDecisionType::{Allowed, ExplicitDeny, ImplicitDeny};
        let organization = |allows: bool| {
            OrganizationsDecisionDetail::builder()
                .allowed_by_organizations(allows)
                .build()
        };
        for (result, wanted) in [
            (result(Allowed), Allowance::Allowed),
            (result(ImplicitDeny), Allowance::Missing),
            (result(ExplicitDeny), Allowance::Missing),
            (
                result(ImplicitDeny).organizations_decision_detail(organization(true)),
                Allowance::Missing,
            ),
            (
                result(ImplicitDeny).organizations_decision_detail(organization(false)),
                Allowance::Unclear,
            ),
            (
                result(ExplicitDeny).missing_context_values("aws:SourceIp"),
                Allowance::Unclear,
            ),
        ] {
            let result = result.build().unwrap();
            assert_eq!(allowance(&result), wanted, "{result:?}");
        }
    }

    #[test]
    fn users_and_roles_have_policies_to_ask_about() {
        for (arn, has) in [
            ("arn:aws:iam::111122223333:user/a/b", true),
            ("arn:aws-cn:iam::111122223333:role/deploy", true),
            ("arn:aws:iam::111122223333:root", false),
            ("arn:aws:sts::111122223333:federated-user/ann", false),
            ("arn:aws:sts::111122223333:assumed-role/deploy/ci", false),
        ] {
            assert_eq!(is_user_or_role(arn), has, "{arn}");
        }
    }
}
