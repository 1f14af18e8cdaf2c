//! Node groups of the environment that the pipeline does not want any more: removed from the file, replaced by one of
//! another make, or come to nothing. They go when every wanted group works, so that pods have somewhere to go.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use pipectl_config::Loaded;

use super::{POLL, STAGE};
use crate::{
    blocks::Row,
    cloud::{CloudOptions, Remnant, Unwanted, cloud, known, obsolete::Obsolete, tags, text},
    cluster,
    context::StepContext,
    error::{PortError, StepError},
    objects::ownership::Owner,
    ports::{cloud::Deletion, node_groups::NodeGroupState},
    step::{Need, Step, StepId},
};

/// The step that removes them.
pub(super) fn step(loaded: &Arc<Loaded>, options: &CloudOptions) -> Arc<dyn Step> {
    let spec = &loaded.pipeline.spec;
    let groups = spec.node_groups.iter();
    let wanted: Vec<StepId> = groups.map(|group| super::group(&group.name)).collect();
    let bound = options.pace.bound(spec.timeouts.node_groups.duration());
    let mut needs = vec![Need::ready(cluster::steps::control_plane())];
    needs.extend(wanted.iter().cloned().map(Need::ready));
    let title = "node groups not wanted any more";
    let row = Row::new(STAGE, super::obsolete().name(), title)
        .needs(needs)
        .ensured_within(bound)
        .ready_within(bound, 0);
    Obsolete::step(row, options.pace.poll(POLL), Groups { wanted })
}

struct Groups {
    wanted: Vec<StepId>,
}

#[async_trait]
impl Unwanted for Groups {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        let cluster = known(cx, &cluster::steps::control_plane(), "name")?;
        let groups = &cloud(cx)?.node_groups;
        let failed = |error: PortError| error.during("look for", "node groups");
        // What each wanted step made is the one group of it to keep.
        let keep: BTreeSet<String> = self
            .wanted
            .iter()
            .filter_map(|step| text(cx, step, "name"))
            .collect();
        // While a wanted group is not known yet, nothing can be told from it.
        if keep.len() < self.wanted.len() {
            return Ok(Vec::new());
        }
        let mut remaining = Vec::new();
        for name in groups.names(&cluster).await.map_err(failed)? {
            if keep.contains(&name) {
                continue;
            }
            let group = groups.find(&cluster, &name).await.map_err(failed)?;
            let ours =
                group.filter(|group| tags::owner(&group.tags, &cx.environment) == Owner::Ours);
            remaining.extend(ours.map(|group| {
                let words = format!("node group {name}");
                match group.state {
                    NodeGroupState::Deleting => Remnant::going(&name, words),
                    _ => Remnant::there(&name, words),
                }
            }));
        }
        Ok(remaining)
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        let cluster = known(cx, &cluster::steps::control_plane(), "name")?;
        Ok(cloud(cx)?.node_groups.delete(&cluster, &remnant.id).await)
    }

    fn gone(&self) -> String {
        "no surplus node groups".to_owned()
    }
}
