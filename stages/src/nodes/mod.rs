//! Managed node groups: their role, the groups side by side, and groups that the pipeline does not want any more.

pub mod group;
mod issues;
mod joining;
mod lingering;
mod obsolete;
pub mod removal;

use std::sync::Arc;

use pipectl_config::{AddonName, Loaded};

use crate::{
    account, addons,
    blocks::Row,
    cloud::{CloudOptions, CloudStep, role::RoleResource},
    cluster, network,
    step::{Need, Step, StepId},
};

/// The stage's name.
pub const STAGE: &str = "nodes";

/// Seconds between two looks at a node group.
const POLL: u64 = 10;

/// The nodes' role.
#[must_use]
pub fn role() -> StepId {
    StepId::new(STAGE, "role")
}

/// A node group, by its name in the pipeline.
#[must_use]
pub fn group(name: &str) -> StepId {
    StepId::new(STAGE, &format!("group-{name}"))
}

/// The steps of the node groups.
#[must_use]
pub fn groups(loaded: &Loaded) -> Vec<StepId> {
    let groups = loaded.pipeline.spec.node_groups.iter();
    groups.map(|wanted| group(&wanted.name)).collect()
}

/// The step that removes groups nobody wants any more.
#[must_use]
pub fn obsolete() -> StepId {
    StepId::new(STAGE, "obsolete")
}

/// The steps of the stage.
#[must_use]
pub fn steps(loaded: &Arc<Loaded>, options: &CloudOptions) -> Vec<Arc<dyn Step>> {
    let spec = &loaded.pipeline.spec;
    let pace = options.pace;
    let bound = pace.bound(spec.timeouts.node_groups.duration());
    let role_resource = RoleResource {
        loaded: loaded.clone(),
        purpose: "node",
        description: "Nodes of an EKS cluster made by pipectl",
        service: "ec2.amazonaws.com",
        tags_sessions: false,
        policies: &[
            "AmazonEKSWorkerNodePolicy",
            "AmazonEC2ContainerRegistryReadOnly",
            "AmazonEKS_CNI_Policy",
        ],
        own: None,
    };
    let role_row = Row::new(STAGE, "role", "role of the nodes")
        .needs([Need::ready(account::anchor())])
        .ready_within(bound, 0);
    let mut table = vec![CloudStep::step(role_row, pace.poll(3), role_resource)];

    // Not the way in: only the look at the joined nodes goes through it, and that waits by itself.
    let mut needs = vec![
        Need::ready(cluster::steps::control_plane()),
        Need::ready(role()),
    ];
    needs.extend(network::for_nodes(&spec.network));
    // A node without them does not become ready, and its group fails after twenty minutes.
    let before_nodes = [AddonName::VpcCni, AddonName::KubeProxy];
    let wanted = spec.addons.iter().map(|addon| addon.name);
    needs.extend(
        wanted
            .filter(|name| before_nodes.contains(name))
            .map(|name| Need::applied(addons::addon(name))),
    );
    for wanted in &spec.node_groups {
        let step = group(&wanted.name);
        let mut row = Row::new(STAGE, step.name(), format!("node group {}", wanted.name))
            .needs(needs.clone())
            .ensured_within(bound);
        row.timeouts.ready = bound;
        // 3 m 40 s, nodes ready 46 s later (eksctl#40).
        row.timeouts.expected = pace.expected(266);
        let resource = group::GroupResource::new(loaded, wanted, pace);
        table.push(CloudStep::step(row, pace.poll(POLL), resource));
    }
    table.push(obsolete::step(loaded, options));
    table
}
