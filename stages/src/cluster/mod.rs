//! The EKS control plane, with the role, key and log group that it needs, and the way into it.
//!
//! Sandboxes and existing clusters are there already; a pipeline on Amazon EKS gets its steps here.

mod access;
mod balancers;
mod changes;
mod control_plane;
pub mod entrance;
mod key;
pub(crate) mod log_group;
mod oidc;
pub(crate) mod own_keys;
pub mod removal;
pub mod steps;

use std::sync::Arc;

use pipectl_config::Loaded;
use serde_json::{Value, json};

use self::{
    access::CallersEntry, control_plane::ControlPlane, entrance::Entrance, key::SecretsKey,
    log_group::ControlPlaneLogs, oidc::Provider,
};
use crate::{
    account,
    blocks::Row,
    cloud::{CloudOptions, CloudStep, NOT_KNOWN, Pace, known, role::RoleResource, text},
    context::StepContext,
    error::StepError,
    network,
    ports::clusters::Cluster,
    step::{Need, Step, StepId},
};

/// The stage's name.
pub const STAGE: &str = "cluster";

/// Seconds between two looks at a control plane.
const POLL: u64 = 10;
/// Seconds between two looks at what is there at once.
const QUICK_POLL: u64 = 3;

/// What EKS needs to encrypt Secrets with a key of ours (EKS user guide, envelope encryption).
fn encryption_policy(cx: &StepContext) -> Result<Option<Value>, StepError> {
    Ok(Some(for_key(&known(cx, &steps::key(), "arn")?)))
}

/// The same where the file asks for no encryption: a cluster whose Secrets are encrypted stays so, and reads none of them
/// without its key.
fn policy_of_encrypted(cx: &StepContext) -> Result<Option<Value>, StepError> {
    Ok(text(cx, &steps::control_plane(), "key").map(|key| for_key(&key)))
}

fn for_key(key: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey"],
            "Resource": key,
        }],
    })
}

/// Refuses a file that asks of the standing control plane what it cannot become, before anything else is changed for it.
/// Asks nobody.
///
/// # Errors
/// As the control plane's own step: `EKS003`, `EKS004`.
pub(crate) fn refused(
    loaded: &Arc<Loaded>,
    pace: Pace,
    cx: &StepContext,
    live: &Cluster,
) -> Result<(), StepError> {
    let plane = ControlPlane {
        loaded: loaded.clone(),
        pace,
    };
    match changes::wanted(&plane, cx, live) {
        // What is not made yet (a key, a subnet) refuses nothing.
        Err(error) if error.code != NOT_KNOWN => Err(error),
        _ => Ok(()),
    }
}

/// The steps of the stage.
#[must_use]
pub fn steps(loaded: &Arc<Loaded>, options: &CloudOptions) -> Vec<Arc<dyn Step>> {
    let spec = &loaded.pipeline.spec;
    let pace = options.pace;
    let bound = pace.bound(spec.timeouts.cluster.duration());
    let row = |step: &StepId, title: &str, expected: u64, needs: Vec<Need>| {
        let mut row = Row::new(step.stage(), step.name(), title).needs(needs);
        row.timeouts.ready = bound;
        row.timeouts.expected = pace.expected(expected);
        row
    };
    let quick = pace.poll(QUICK_POLL);
    let anchored = || vec![Need::ready(account::anchor())];
    let mut table: Vec<Arc<dyn Step>> = Vec::new();
    let mut plane_needs = network::for_control_plane(&spec.network);
    let mut role_needs = anchored();
    if spec.cluster.encrypt_secrets {
        let key = SecretsKey {
            loaded: loaded.clone(),
        };
        let key_row = row(&steps::key(), "key of Kubernetes Secrets", 1, anchored());
        table.push(CloudStep::step(key_row, quick, key));
        plane_needs.push(Need::ready(steps::key()));
        role_needs.push(Need::applied(steps::key()));
    }
    if !spec.cluster.logging.is_empty() {
        let logs = ControlPlaneLogs {
            loaded: loaded.clone(),
        };
        let log_row = row(&steps::log_group(), "control-plane logs", 1, anchored());
        table.push(CloudStep::step(log_row, quick, logs));
        // EKS would make the group itself, without retention.
        plane_needs.push(Need::applied(steps::log_group()));
    }
    let role = RoleResource {
        loaded: loaded.clone(),
        purpose: "cluster",
        description: "Control plane of an EKS cluster made by pipectl",
        service: "eks.amazonaws.com",
        tags_sessions: true,
        policies: &["AmazonEKSClusterPolicy"],
        own: Some(match spec.cluster.encrypt_secrets {
            true => ("encryption", encryption_policy),
            false => ("encryption", policy_of_encrypted),
        }),
    };
    let role_row = row(&steps::role(), "role of the control plane", 1, role_needs);
    table.push(CloudStep::step(role_row, quick, role));
    plane_needs.push(Need::ready(steps::role()));

    // 8 m 33 s to 10 m 06 s are reported; at most 9 minutes on average (terraform-aws-eks PR 3218,
    // eks-workshop PR 1101).
    let plane_row =
        row(&steps::control_plane(), "control plane", 540, plane_needs).ensured_within(bound);
    let plane = ControlPlane {
        loaded: loaded.clone(),
        pace,
    };
    table.push(CloudStep::step(plane_row, pace.poll(POLL), plane));

    let active = || vec![Need::ready(steps::control_plane())];
    let access_row = row(&steps::access(), "access entry of the caller", 1, active());
    table.push(CloudStep::step(access_row, quick, CallersEntry));
    let entrance_needs = vec![Need::ready(steps::access())];
    let entrance_row = row(
        &steps::entrance(),
        "way into the cluster",
        2,
        entrance_needs,
    );
    table.push(Entrance::step(entrance_row, quick));
    let oidc_row = row(&steps::oidc_provider(), "OIDC provider", 1, active());
    let provider = Provider {
        loaded: loaded.clone(),
    };
    table.push(CloudStep::step(oidc_row, quick, provider));
    table
}
