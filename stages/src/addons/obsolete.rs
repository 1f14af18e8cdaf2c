//! Add-ons of the environment that the pipeline does not want any more, with what was made for them: the EBS CSI driver's
//! pod identity association and role.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use pipectl_config::{AddonName, Loaded};

use super::{EBS_PURPOSE, POLL, STAGE, pod_identity};
use crate::{
    account,
    blocks::Row,
    cloud::{CloudOptions, Remnant, Unwanted, cloud, known, names, obsolete::Obsolete, tags},
    cluster,
    context::StepContext,
    error::{PortError, StepError},
    objects::ownership::Owner,
    ports::{
        addons::AddonState,
        cloud::{Deletion, Tags},
    },
    step::{Need, Step},
};

/// What a remnant is stands before its name.
const ADDON: &str = "addon/";
const ASSOCIATION: &str = "association/";
const ROLE: &str = "role/";

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
    let addons = Addons {
        wanted: names.collect(),
        ebs: super::has_ebs(loaded),
    };
    Obsolete::step(row, options.pace.poll(POLL), addons)
}

struct Addons {
    wanted: BTreeSet<String>,
    /// Whether the EBS CSI driver is wanted, with its role.
    ebs: bool,
}

impl Addons {
    /// What the driver acted with, where it is ours. Each goes after what uses it: the driver works to its end, and no
    /// association names a role that is not there.
    async fn of_the_driver(
        cx: &StepContext,
        cluster: &str,
        driver_is_there: bool,
    ) -> Result<Vec<Remnant>, StepError> {
        let cloud = cloud(cx)?;
        let mut remaining = Vec::new();
        let association = pod_identity::association(cx, cluster).await?;
        let ours = |tags: &Tags| tags::owner(tags, &cx.environment) == Owner::Ours;
        if let Some(association) = association.filter(|found| ours(&found.tags)) {
            let words = format!("pod identity association {}", association.id);
            let id = format!("{ASSOCIATION}{}", association.id);
            remaining.push(Remnant {
                id,
                words,
                going: driver_is_there,
            });
        }
        let region = known(cx, &account::preflight(), "region")?;
        let name = names::role(&region, &cx.environment, EBS_PURPOSE);
        let role = cloud.identity.role(&name).await;
        let role = role.map_err(|error| error.during("look at", format!("role {name}")))?;
        if let Some(role) = role.filter(|found| ours(&found.tags)) {
            let going = driver_is_there || !remaining.is_empty();
            remaining.push(Remnant {
                id: format!("{ROLE}{}", role.name),
                words: format!("role {}", role.name),
                going,
            });
        }
        Ok(remaining)
    }
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
                Remnant {
                    id: format!("{ADDON}{name}"),
                    words,
                    going: addon.state == AddonState::Deleting,
                }
            }));
        }
        if !self.ebs {
            let driver = format!("{ADDON}{}", AddonName::AwsEbsCsiDriver.as_str());
            let is_there = remaining.iter().any(|remnant| remnant.id == driver);
            remaining.extend(Self::of_the_driver(cx, &cluster, is_there).await?);
        }
        Ok(remaining)
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        let cluster = known(cx, &cluster::steps::control_plane(), "name")?;
        let cloud = cloud(cx)?;
        let id = remnant.id.as_str();
        Ok(if let Some(name) = id.strip_prefix(ROLE) {
            cloud.identity.delete_role(name).await
        } else if let Some(association) = id.strip_prefix(ASSOCIATION) {
            cloud.access.dissociate(&cluster, association).await
        } else {
            let name = id.strip_prefix(ADDON).unwrap_or(id);
            cloud.addons.delete(&cluster, name).await
        })
    }

    fn gone(&self) -> String {
        "no surplus add-ons".to_owned()
    }
}
