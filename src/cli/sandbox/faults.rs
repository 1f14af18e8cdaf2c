//! `pipectl sandbox faults`: one fault plan for both endpoints.

use std::path::Path;

use pipectl_sandbox::{AwsFaultRule, FaultRule, Sandbox};
use serde::Serialize;
use serde_json::Value;

use super::{super::args::DataFormat, Output, read};
use crate::{exit::Exit, failure::Failure};

/// Sets or clears the faults, where that is asked for, and shows those there are.
pub(super) async fn run(
    sandbox: &Sandbox,
    set: Option<&Path>,
    clear: bool,
    output: Output,
) -> Result<Exit, Failure> {
    if let Some(file) = set {
        let (kubernetes, aws) = read_faults(file)?;
        sandbox.set_faults(&kubernetes).await?;
        sandbox.set_aws_faults(&aws).await?;
    } else if clear {
        sandbox.set_faults(&[]).await?;
        sandbox.set_aws_faults(&[]).await?;
    }
    let kubernetes = sandbox.faults().await?.into_iter().map(Rule::Kubernetes);
    let aws = sandbox.aws_faults().await?.into_iter().map(Rule::Aws);
    let rules: Vec<Rule> = kubernetes.chain(aws).collect();
    output.data(DataFormat::Yaml, &rules);
    Ok(Exit::Ok)
}

/// A rule of a fault plan, for the one or the other endpoint.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Rule {
    Kubernetes(FaultRule),
    Aws(AwsFaultRule),
}

/// Conditions that only a call of AWS can meet, and effects that only it can suffer.
const OF_AWS: (&[&str], &[&str]) = (
    &[
        "service",
        "action",
        "zone",
        "instance_type",
        "percent",
        "seed",
    ],
    &[
        "throttle",
        "internal",
        "error",
        "stale",
        "expireCredentials",
        "capacity",
        "failToJoin",
    ],
);

fn read_faults(file: &Path) -> Result<(Vec<FaultRule>, Vec<AwsFaultRule>), Failure> {
    let text = read(file)?;
    parse_faults(&text).map_err(|error| {
        Failure::problem(Exit::BadInput, "CLI012", "read", format!("the fault plan {}", file.display()), error)
            .hint("a fault plan is a list of rules, for Kubernetes e.g. [{verb: apply, resource: kafkas, count: 1, effect: {type: status, code: 500}}], for AWS e.g. [{action: CreateNatGateway, count: 1, effect: {type: throttle}}]")
    })
}

/// The rules for both endpoints, told apart by what only AWS's have.
fn parse_faults(text: &str) -> Result<(Vec<FaultRule>, Vec<AwsFaultRule>), String> {
    let rules: Vec<Value> = serde_norway::from_str(text).map_err(|error| error.to_string())?;
    let (mut kubernetes, mut aws) = (Vec::new(), Vec::new());
    for (number, rule) in rules.into_iter().enumerate() {
        let (conditions, effects) = OF_AWS;
        let suffers = rule["effect"]["type"].as_str().unwrap_or_default();
        let of_aws =
            conditions.iter().any(|key| rule.get(key).is_some()) || effects.contains(&suffers);
        let wrong = |error: serde_json::Error| format!("rule {}: {error}", number + 1);
        if of_aws {
            aws.push(serde_json::from_value(rule).map_err(wrong)?);
        } else {
            kubernetes.push(serde_json::from_value(rule).map_err(wrong)?);
        }
    }
    Ok((kubernetes, aws))
}

#[cfg(test)]
mod tests {
    use super::parse_faults;

    #[test]
    fn one_plan_holds_faults_of_kubernetes_and_of_aws() {
        let (kubernetes, aws) = parse_faults(
            "[{verb: apply, count: 1, effect: {type: status, code: 500}}, {action: CreateNatGateway, effect: {type: throttle}}, {effect: {type: capacity}}, {effect: {type: reset}}]",
        )
        .unwrap();
        assert_eq!(kubernetes.len(), 2);
        assert_eq!(aws.len(), 2);
        let wrong = parse_faults("[{action: CreateVpc, verb: apply}]").unwrap_err();
        assert!(wrong.starts_with("rule 1: unknown field `verb`"), "{wrong}");
    }
}
