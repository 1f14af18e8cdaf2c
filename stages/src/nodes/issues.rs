//! What EKS says is wrong with a node group (EKS API, `Issue.code`), and what a person can do about it.

use crate::ports::cloud::Issue;

/// Issues that may pass by themselves; with any other a group that is being made does not succeed any more, though EKS
/// tries on for twenty minutes.
const PASSING: &[&str] = &[
    "ClusterUnreachable",
    "IamThrottling",
    "InternalFailure",
    "PodEvictionFailure",
    "Unknown",
    "UnknownError",
];

/// Issues about launches that did not succeed. They say nothing of nodes that are there.
const OF_LAUNCHES: &[&str] = &[
    "AsgInstanceLaunchFailures",
    "InstanceLimitExceeded",
    "InsufficientFreeAddresses",
];

/// The issues that do not pass by themselves.
pub(super) fn lasting(issues: &[Issue]) -> Vec<&Issue> {
    let all = issues.iter();
    all.filter(|issue| !PASSING.contains(&issue.code.as_str()))
        .collect()
}

/// Whether issues only say that launches failed once.
pub(super) fn only_launches(issues: &[&Issue]) -> bool {
    let mut codes = issues.iter().map(|issue| issue.code.as_str());
    codes.all(|code| OF_LAUNCHES.contains(&code))
}

/// What a person can do about an issue.
pub(super) fn hint(code: Option<&str>) -> &'static str {
    match code {
        Some("AsgInstanceLaunchFailures") => {
            "name further instance types or zones, or take on-demand instead of spot instances; then run pipectl up"
        }
        Some("InstanceLimitExceeded" | "LimitExceeded") => {
            "raise the quota that it names in Service Quotas, then run pipectl up"
        }
        Some("InsufficientFreeAddresses") => {
            "the subnets have no free addresses: take a larger spec.network.cidr, or remove what uses them"
        }
        Some("NodeCreationFailure") => {
            "the instances run and do not join: check that their subnets have a way to the internet, and see an instance's system log"
        }
        Some("AccessDenied" | "IamNodeRoleNotFound") => {
            "the nodes' role was changed or is missing: run pipectl up, which puts it right"
        }
        _ => "mend what it names, then run pipectl up: it makes another group in its place",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_group_is_not_held_back_by_launches_that_failed_once() {
        let issue = |code: &str| Issue {
            code: code.to_owned(),
            message: String::new(),
            resources: Vec::new(),
        };
        let all = [
            issue("AsgInstanceLaunchFailures"),
            issue("ClusterUnreachable"),
        ];
        assert!(only_launches(&lasting(&all)));
        let (launch, access) = (issue("AsgInstanceLaunchFailures"), issue("AccessDenied"));
        assert!(!only_launches(&[&launch, &access]));
    }
}
