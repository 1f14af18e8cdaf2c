//! Add-ons of the environment that the pipeline does not want any more.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use pipectl_config::Loaded;

use super::{POLL, STAGE};
use crate::{
    blocks::Row,
    cloud::{CloudOptions, Remnant, Unwanted, cloud, known, obsolete::Obsolete, tags},
    cluster,
    context::StepContext,
    error::{PortError, StepError},
    objects::ownership::Owner,
    ports::{addons::AddonState, cloud::Deletion},
    step::{Need, Step},
};

/// The step that removes them.
pub(super) fn step(loaded: &Arc<Loaded>, options: &CloudOptions) -> Arc<dyn Step> {
    let spec = &loaded.pipeline.spec;
    let names = spec
        .addons
        .iter()
        .map(|addon| addon.name.as_str().to_owned());
    let bound = options.pace.bound(spec.timeouts.cluster.duration());
    let row = Row::new(
        STAGE,
        super::obsolete().name(),
        "add-ons not wanted any more",
    )
    .needs([Need::ready(cluster::steps::control_plane())])
    .ensured_within(bound)
    .ready_within(bound, 0);
    let wanted = names.collect();
    Obsolete::step(row, options.pace.poll(POLL), Addons { wanted })
}

struct Addons {
    wanted: BTreeSet<String>,
}

#[async_trait]
impl Unwanted for Addons {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        let cluster = known(cx, &cluster::steps::control_plane(), "name")?;
        let addons = &cloud(cx)?.addons;
        let failed = |error: PortError| error.during("look for", "add-ons");
        let mut remaining = Vec::new();
        for name in addons.names(&cluster).await.map_err(failed)? {
            if self.wanted.contains(&name) {
                continue;
            }
            let addon = addons.find(&cluster, &name).await.map_err(failed)?;
            let ours =
                addon.filter(|addon| tags::owner(&addon.tags, &cx.environment) == Owner::Ours);
            remaining.extend(ours.map(|addon| {
                let words = format!("add-on {name}");
                match addon.state {
                    AddonState::Deleting => Remnant::going(&name, words),
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
        Ok(cloud(cx)?.addons.delete(&cluster, &remnant.id).await)
    }

    fn gone(&self) -> String {
        "no add-on too many".to_owned()
    }
}
