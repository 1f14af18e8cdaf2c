//! Whether a group's nodes are there and ready, as the cluster itself says; and the early end when instances run and do
//! not join, which EKS notices only after twenty minutes (terraform-aws-eks#1910).

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;

use super::group::nodes_of;
use crate::{
    cloud::{Pace, cloud},
    context::StepContext,
    error::{PortErrorKind, StepError},
    ports::{
        cloud::Tags,
        compute::{InstanceState, Selector},
        node_groups::{NodeGroup, NodeGroupState},
        objects::{Kind, Selection},
    },
    step::Readiness,
};

/// How long instances may run before one of them joins. Usual are one to two minutes.
const JOINS_WITHIN: Duration = Duration::from_secs(600);
/// And at least so long: a node that joins is work of the cluster, which no pace makes faster.
const AT_LEAST: Duration = Duration::from_secs(60);
/// Label that EKS puts on every node of a group (EKS user guide, managed node groups).
const NODE_GROUP_LABEL: &str = "eks.amazonaws.com/nodegroup";

/// What one group's nodes do.
pub(super) struct Joining {
    patience: Duration,
    /// Since when instances run and none has joined.
    lonely_since: Mutex<Option<Instant>>,
}

impl Joining {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            patience: pace.scaled(JOINS_WITHIN).max(AT_LEAST),
            lonely_since: Mutex::new(None),
        }
    }

    /// Looks at the group's nodes.
    pub(super) async fn look(
        &self,
        cx: &StepContext,
        cluster: &str,
        group: &NodeGroup,
    ) -> Result<Readiness, StepError> {
        let words = match group.state {
            NodeGroupState::Active => "ACTIVE",
            NodeGroupState::Updating => "UPDATING",
            NodeGroupState::Degraded => "DEGRADED",
            _ => "CREATING",
        };
        let Some(nodes) = nodes(cx, &group.name).await? else {
            return Ok(Readiness::waiting(format!(
                "node group {words}, its nodes not known: the cluster was not entered"
            )));
        };
        let ready = nodes.iter().filter(|node| is_ready(node)).count();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (ready, wanted) = (count(ready), group.scaling.desired);
        if group.state == NodeGroupState::Active && ready >= wanted {
            let types = group.make.instance_types.join(", ");
            return Ok(Readiness::Ready(nodes_of(wanted, &types)));
        }
        if group.state == NodeGroupState::Creating
            && let Some(error) = self.lonely(cx, cluster, group, nodes.len()).await?
        {
            return Ok(Readiness::Failed(Box::new(error)));
        }
        Ok(Readiness::InProgress {
            waiting_for: format!("node group {words}, nodes ready {ready}/{wanted}"),
            count: Some((ready, wanted)),
        })
    }

    /// The error, when instances have run for long and none joined.
    async fn lonely(
        &self,
        cx: &StepContext,
        cluster: &str,
        group: &NodeGroup,
        joined: usize,
    ) -> Result<Option<StepError>, StepError> {
        let forget = || {
            *self
                .lonely_since
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = None;
        };
        if joined > 0 {
            forget();
            return Ok(None);
        }
        let of_group = Tags::from([
            ("eks:cluster-name".to_owned(), cluster.to_owned()),
            ("eks:nodegroup-name".to_owned(), group.name.clone()),
        ]);
        let instances = cloud(cx)?
            .compute
            .instances(&Selector::Tagged(of_group))
            .await;
        let instances = instances.map_err(|error| error.during("look for", "instances"))?;
        let running: Vec<String> = instances
            .iter()
            .filter(|instance| instance.state == InstanceState::Running)
            .map(|instance| format!("instance {} runs in {}", instance.id, instance.zone))
            .collect();
        if running.is_empty() {
            forget();
            return Ok(None);
        }
        let since = *self
            .lonely_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(Instant::now);
        if since.elapsed() < self.patience {
            return Ok(None);
        }
        Ok(Some(
            StepError::new(
                "NOD002",
                "make",
                format!("node group {}", group.name),
                format!("{} instances run, and none has joined the cluster", running.len()),
            )
            .with_evidence(running)
            .with_hint(
                "check that the nodes' subnets reach the API server and the internet; an instance's log says more: aws ec2 get-console-output",
            ),
        ))
    }
}

/// The nodes of a group as the cluster shows them; `None` where nobody has entered the cluster, so that nothing is known of them.
async fn nodes(
    cx: &StepContext,
    group: &str,
) -> Result<Option<Vec<std::sync::Arc<Value>>>, StepError> {
    let selection = Selection {
        kind: Kind::new("", "", "Node"),
        namespace: None,
        labels: None,
    };
    let all = match cx.ports.objects.list(&selection).await {
        Ok(all) => all,
        Err(error) if error.kind == PortErrorKind::Unreachable => return Ok(None),
        Err(error) => return Err(error.during("list", "nodes")),
    };
    let of_group = all
        .into_iter()
        .filter(|node| node["metadata"]["labels"][NODE_GROUP_LABEL] == group);
    Ok(Some(of_group.collect()))
}

fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
