//! EKS add-ons with resolved versions, the EBS CSI driver's role, and the default storage class.
//!
//! Add-ons are installed as soon as the control plane works, before there are nodes: the network plugin must be there for
//! nodes to become ready, and the others wait for nodes by themselves.

pub mod addon;
mod obsolete;
mod pod_identity;
mod storage_class;

use std::sync::Arc;

use pipectl_config::{AddonName, Loaded};

use self::{addon::AddonResource, pod_identity::EbsIdentity};
use crate::{
    account,
    blocks::Row,
    cloud::{CloudOptions, CloudStep, role::RoleResource},
    cluster, environment,
    step::{Need, Step, StepId},
};

/// The stage's name.
pub const STAGE: &str = "addons";

/// What the EBS CSI driver's role is called by.
const EBS_PURPOSE: &str = "ebs-csi";

/// Seconds between two looks at an add-on.
const POLL: u64 = 10;

/// An add-on.
#[must_use]
pub fn addon(name: AddonName) -> StepId {
    StepId::new(STAGE, name.as_str())
}

/// The EBS CSI driver's role.
#[must_use]
pub fn ebs_role() -> StepId {
    StepId::new(STAGE, "ebs-role")
}

/// The EBS CSI driver's pod identity association.
#[must_use]
pub fn ebs_identity() -> StepId {
    StepId::new(STAGE, "ebs-identity")
}

/// The default storage class.
#[must_use]
pub fn storage_class() -> StepId {
    StepId::new(STAGE, "storage-class")
}

/// The step that removes add-ons nobody wants any more.
#[must_use]
pub fn obsolete() -> StepId {
    StepId::new(STAGE, "obsolete")
}

/// Whether the pipeline's volumes are EBS's.
fn has_ebs(loaded: &Loaded) -> bool {
    let addons = &loaded.pipeline.spec.addons;
    addons
        .iter()
        .any(|addon| addon.name == AddonName::AwsEbsCsiDriver)
}

/// Seconds until an add-on works, nodes apart: what Terraform's AWS provider reports for `aws_eks_addon` (`creation
/// complete after ...`); add-ons that are deployments wait for nodes besides.
fn expected(name: AddonName) -> u64 {
    match name {
        AddonName::VpcCni | AddonName::KubeProxy | AddonName::EksPodIdentityAgent => 25,
        AddonName::Coredns | AddonName::AwsEbsCsiDriver | AddonName::MetricsServer => 300,
    }
}

/// The steps of the stage that need nothing but the account.
#[must_use]
pub fn steps(loaded: &Arc<Loaded>, options: &CloudOptions) -> Vec<Arc<dyn Step>> {
    let spec = &loaded.pipeline.spec;
    let pace = options.pace;
    // An add-on's pods wait for nodes, so its bound holds their time too.
    let bound = pace.bound(spec.timeouts.cluster.duration() + spec.timeouts.node_groups.duration());
    let row = |step: &StepId, title: String, seconds: u64, needs: Vec<Need>| {
        let mut row = Row::new(step.stage(), step.name(), title)
            .needs(needs)
            .ensured_within(bound);
        row.timeouts.ready = bound;
        row.timeouts.expected = pace.expected(seconds);
        row
    };
    let active = || Need::ready(cluster::steps::control_plane());
    let mut table = Vec::new();
    if has_ebs(loaded) {
        let role = RoleResource {
            loaded: loaded.clone(),
            purpose: EBS_PURPOSE,
            description: "EBS CSI driver of an EKS cluster made by pipectl",
            service: "pods.eks.amazonaws.com",
            tags_sessions: true,
            policies: &["service-role/AmazonEBSCSIDriverPolicy"],
            own: None,
        };
        let anchored = vec![Need::ready(account::anchor())];
        let role_row = row(
            &ebs_role(),
            "role of the EBS CSI driver".to_owned(),
            1,
            anchored,
        );
        table.push(CloudStep::step(role_row, pace.poll(3), role));
        let needs = vec![active(), Need::ready(ebs_role())];
        let title = "pod identity of the EBS CSI driver".to_owned();
        let identity_row = row(&ebs_identity(), title, 1, needs);
        let identity = EbsIdentity {
            loaded: loaded.clone(),
        };
        table.push(CloudStep::step(identity_row, pace.poll(3), identity));
    }
    for wanted in &spec.addons {
        let mut needs = vec![active()];
        if wanted.name == AddonName::AwsEbsCsiDriver {
            // Pods get their role when they start.
            needs.push(Need::applied(ebs_identity()));
        }
        let title = format!("add-on {}", wanted.name.as_str());
        let row = row(&addon(wanted.name), title, expected(wanted.name), needs);
        let resource = AddonResource {
            loaded: loaded.clone(),
            addon: wanted.clone(),
            pace,
        };
        table.push(CloudStep::step(row, pace.poll(POLL), resource));
    }
    table.push(obsolete::step(loaded, options));
    table
}

/// The steps of the stage that need the cluster itself.
#[must_use]
pub fn steps_inside(loaded: &Arc<Loaded>) -> Vec<Arc<dyn Step>> {
    if !has_ebs(loaded) {
        return Vec::new();
    }
    vec![storage_class::step(vec![environment::settled()])]
}
