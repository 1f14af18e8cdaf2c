//! One managed node group. Sizes, labels, taints and the Kubernetes version change in place; anything else is another
//! group under another name: the new one comes up before the old one goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use pipectl_config::{
    Architecture, Capacity, Loaded, Network, NodeGroup as Config, TaintEffect as Effect,
};
use serde_json::{Value, json};

use super::{
    issues::{hint, lasting, only_launches},
    joining::Joining,
    lingering::Lingering,
};
use crate::{
    cloud::{
        Look, Pace, Resource, cloud, known, names, role, tags,
        update::{self, Update, not_begun},
    },
    cluster,
    context::StepContext,
    error::{PortError, Retry, StepError},
    network,
    ports::{
        cloud::{Issue, Tags},
        node_groups::{
            Image, Make, NodeGroup, NodeGroupChange, NodeGroupSpec, NodeGroupState, Scaling, Taint,
            TaintEffect,
        },
    },
    step::{Change, Difference, Readiness},
};

/// One group of the pipeline.
pub(super) struct GroupResource {
    loaded: Arc<Loaded>,
    group: Config,
    pace: Pace,
    joining: Joining,
    lingering: Lingering,
}

impl GroupResource {
    pub(super) fn new(loaded: &Arc<Loaded>, group: &Config, pace: Pace) -> Self {
        Self {
            loaded: loaded.clone(),
            group: group.clone(),
            pace,
            joining: Joining::new(pace),
            lingering: Lingering::new(pace),
        }
    }

    fn cluster(cx: &StepContext) -> Result<String, StepError> {
        known(cx, &cluster::steps::control_plane(), "name")
    }

    fn tags(&self, cx: &StepContext) -> Tags {
        let name = format!("pipectl-{}-{}", cx.environment.name, self.group.name);
        tags::wanted(cx, &name, &self.loaded.pipeline.spec.tags)
    }

    fn image(&self) -> Image {
        match self.group.architecture {
            Architecture::Amd64 => Image::Amd64,
            Architecture::Arm64 => Image::Arm64,
        }
    }

    fn disk_gib(&self) -> u32 {
        u32::try_from(self.group.disk_size.gibibytes_ceil()).unwrap_or(u32::MAX)
    }

    /// Digest of what cannot change, from the pipeline alone.
    fn digest(&self) -> String {
        make_digest(&self.group, &self.loaded.pipeline.spec.network)
    }

    fn scaling(&self) -> Scaling {
        let (min, max) = self.group.bounds();
        Scaling {
            min,
            // EKS wants room for at least one node.
            max: max.max(1),
            desired: self.group.size,
        }
    }

    fn taints(&self) -> BTreeSet<Taint> {
        let taints = self.group.taints.iter();
        taints
            .map(|taint| Taint {
                key: taint.key.clone(),
                value: taint.value.clone(),
                effect: match taint.effect {
                    Effect::NoSchedule => TaintEffect::NoSchedule,
                    Effect::PreferNoSchedule => TaintEffect::PreferNoSchedule,
                    Effect::NoExecute => TaintEffect::NoExecute,
                },
            })
            .collect()
    }

    /// Whether a group is of the make that is wanted now.
    fn is_of_make(&self, cx: &StepContext, live: &NodeGroup) -> bool {
        let network = &self.loaded.pipeline.spec.network;
        // Subnets that are not known yet say nothing.
        let same_subnets = network::node_subnets(cx, network).map_or(true, |wanted| {
            let is: BTreeSet<&String> = live.make.subnets.iter().collect();
            is == wanted.iter().collect()
        });
        same_subnets
            && live.make.instance_types == self.group.instance_types
            && live.make.image == self.image()
            && live.make.spot == (self.group.capacity == Capacity::Spot)
            && live.make.disk_gib == self.disk_gib()
    }

    async fn find(&self, cx: &StepContext, name: &str) -> Result<Option<NodeGroup>, StepError> {
        let found = cloud(cx)?.node_groups.find(&Self::cluster(cx)?, name).await;
        found.map_err(|error| error.during("look at", format!("node group {name}")))
    }

    /// How many nodes are wanted. Where there is a range, an autoscaler may have moved the number, and only a new size in
    /// the pipeline moves it back.
    fn desired(&self, cx: &StepContext, live: &NodeGroup) -> u32 {
        let wanted = self.scaling();
        let recorded = cx.recorded().and_then(|outputs| outputs["size"].as_u64());
        let moved = recorded.is_some_and(|size| size != u64::from(wanted.desired));
        if wanted.min == wanted.max || moved || recorded.is_none() {
            wanted.desired
        } else {
            live.scaling.desired.clamp(wanted.min, wanted.max)
        }
    }

    fn change(&self, cx: &StepContext, live: &NodeGroup) -> Option<NodeGroupChange> {
        let scaling = Scaling {
            desired: self.desired(cx, live),
            ..self.scaling()
        };
        let labels: BTreeMap<String, String> = self
            .group
            .labels
            .iter()
            .filter(|(key, value)| live.labels.get(*key) != Some(value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let remove_labels: Vec<String> = live
            .labels
            .keys()
            .filter(|key| !self.group.labels.contains_key(*key))
            .cloned()
            .collect();
        let (wanted, now) = (self.taints(), live.taints.iter().cloned().collect());
        let taints: Vec<Taint> = wanted.difference(&now).cloned().collect();
        // A taint with another value is updated, not removed (EKS API, `UpdateTaintsPayload`).
        let same_place =
            |left: &Taint, right: &Taint| left.key == right.key && left.effect == right.effect;
        let remove_taints: Vec<Taint> = now
            .difference(&wanted)
            .filter(|old| !taints.iter().any(|new| same_place(old, new)))
            .cloned()
            .collect();
        let nothing = scaling == live.scaling
            && labels.is_empty()
            && remove_labels.is_empty()
            && taints.is_empty()
            && remove_taints.is_empty();
        (!nothing).then_some(NodeGroupChange::Config {
            scaling,
            labels,
            remove_labels,
            taints,
            remove_taints,
        })
    }

    /// The version to roll to, where the nodes are behind the control plane.
    fn behind(&self, live: &NodeGroup) -> Option<String> {
        let wanted = self.loaded.pipeline.spec.cluster.kubernetes_version;
        let is = live.version.as_ref()?;
        (*is != wanted.to_string()).then(|| wanted.to_string())
    }

    async fn carry_out(
        &self,
        cx: &StepContext,
        live: &NodeGroup,
        change: &NodeGroupChange,
        salt: &str,
    ) -> Result<(), StepError> {
        let groups = &cloud(cx)?.node_groups;
        let (cluster, what) = (Self::cluster(cx)?, format!("node group {}", live.name));
        let token = names::change_token(&cx.environment, &cx.step, &cx.run, salt);
        let begun = groups.change(&cluster, &live.name, change, &token).await;
        let id = begun.map_err(|error| not_begun(error, &what))?;
        let update = Update {
            what: &what,
            doing: "the change",
            says: &format!("{what} UPDATING"),
            code: "NOD003",
            hint,
            pause: self.pace.poll(super::POLL),
        };
        update
            .carried_out(cx, || groups.update(&cluster, &live.name, &id))
            .await
    }

    fn failed(&self, live: &NodeGroup, issues: &[&Issue]) -> Readiness {
        let cause = match issues {
            [] => "EKS gave it up and does not say why".to_owned(),
            [first, ..] => format!("{}: {}", first.code, first.message),
        };
        let error = StepError::new(
            "NOD001",
            "make",
            format!("node group {}", self.group.name),
            cause,
        )
        .with_evidence(issues.iter().map(ToString::to_string).collect())
        .with_hint(hint(issues.first().map(|issue| issue.code.as_str())))
        .with_retry(Retry::AfterChange);
        let mut error = error;
        error.left_behind.push(format!("node group {}", live.name));
        Readiness::Failed(Box::new(error))
    }
}

/// Digest of what a group is made of and cannot change, the side of the network that it stands on among it.
#[must_use]
pub fn make_digest(group: &Config, network: &Network) -> String {
    let brought = network.existing_vpc.as_ref();
    let subnets: Option<BTreeSet<&String>> =
        brought.map(|vpc| vpc.private_subnets.iter().collect());
    let make = json!({
        "public": network::nodes_are_public(network),
        "subnets": subnets,
        "types": group.instance_types,
        "architecture": group.architecture,
        "capacity": group.capacity,
        "disk": group.disk_size.gibibytes_ceil(),
    });
    names::hex(&make.to_string())
}

#[async_trait]
impl Resource for GroupResource {
    type Live = NodeGroup;

    async fn look(&self, cx: &StepContext) -> Result<Look<NodeGroup>, StepError> {
        let look = self.seek(cx).await?;
        self.lingering.came_upon(match &look {
            Look::There { live, .. } => Some(live),
            Look::Absent { .. } | Look::Foreign(_) => None,
        });
        Ok(look)
    }

    async fn identity(&self, cx: &StepContext, attempt: u32) -> Result<Value, StepError> {
        let spec = self.spec(cx, attempt)?;
        Ok(json!({"cluster": spec.cluster, "nodeGroup": spec.name, "token": spec.token}))
    }

    async fn create(
        &self,
        cx: &StepContext,
        attempt: u32,
    ) -> Result<Result<NodeGroup, PortError>, StepError> {
        let spec = self.spec(cx, attempt)?;
        Ok(cloud(cx)?.node_groups.create(&spec).await)
    }

    fn is_dead(&self, live: &NodeGroup) -> bool {
        live.state == NodeGroupState::CreateFailed
    }

    fn retry(&self, cx: &StepContext, error: &PortError) -> Retry {
        role::retry_while_young(cx, &super::role(), error)
    }

    async fn differences(
        &self,
        cx: &StepContext,
        live: &NodeGroup,
    ) -> Result<Vec<Difference>, StepError> {
        let resource = format!("node group {}", live.name);
        let mut differences = Vec::new();
        let mut differs = |field: &str, is: String, wanted: String| {
            if is != wanted {
                differences.push(Difference {
                    resource: resource.clone(),
                    field: Some(field.to_owned()),
                    live: Some(is),
                    wanted: Some(wanted),
                    change: Change::Updated,
                });
            }
        };
        let (now, wanted) = (live.scaling, self.scaling());
        differs(
            "size",
            now.desired.to_string(),
            self.desired(cx, live).to_string(),
        );
        differs("minSize", now.min.to_string(), wanted.min.to_string());
        differs("maxSize", now.max.to_string(), wanted.max.to_string());
        differs("labels", words(&live.labels), words(&self.group.labels));
        let taints = |taints: BTreeSet<Taint>| match taints.is_empty() {
            true => "none".to_owned(),
            false => json!(taints).to_string(),
        };
        let live_taints: BTreeSet<Taint> = live.taints.iter().cloned().collect();
        differs("taints", taints(live_taints), taints(self.taints()));
        if let Some(version) = self.behind(live) {
            let now = live.version.clone();
            differs("version", now.unwrap_or_else(|| "none".to_owned()), version);
        }
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        differences.extend(tags::differences(&resource, &live.tags, &retag));
        Ok(differences)
    }

    async fn mend(&self, cx: &StepContext, live: NodeGroup) -> Result<NodeGroup, StepError> {
        let what = format!("node group {}", live.name);
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        if !retag.is_empty() {
            let clusters = &cloud(cx)?.clusters;
            let done = clusters.retag(&live.arn, &retag.set, &retag.remove).await;
            done.map_err(|error| error.during("tag", &what))?;
        }
        let changes =
            |live: &NodeGroup| self.change(cx, live).is_some() || self.behind(live).is_some();
        if !changes(&live) {
            return Ok(self.find(cx, &live.name).await?.unwrap_or(live));
        }
        let mut live = self.settled(cx, live).await?;
        if let Some(change) = self.change(cx, &live) {
            let salt = json!(change).to_string();
            self.carry_out(cx, &live, &change, &salt).await?;
            live = match self.find(cx, &live.name).await? {
                Some(found) => self.settled(cx, found).await?,
                None => return Ok(live),
            };
        }
        if let Some(version) = self.behind(&live) {
            let change = NodeGroupChange::Version(version.clone());
            self.carry_out(cx, &live, &change, &version).await?;
        }
        let found = self.find(cx, &live.name).await?;
        Ok(found.unwrap_or(live))
    }

    fn outputs(&self, _: &StepContext, live: &NodeGroup) -> Value {
        json!({"name": live.name, "arn": live.arn, "size": self.group.size})
    }

    fn tag_keys(&self, cx: &StepContext) -> BTreeSet<String> {
        self.tags(cx).into_keys().collect()
    }

    fn summary(&self, live: &NodeGroup) -> String {
        let types = live.make.instance_types.join(", ");
        nodes_of(live.scaling.desired, &types)
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        let Look::There { live, .. } = self.look(cx).await? else {
            // Failed groups are passed over by the look: the recorded one tells why.
            let recorded = cx.recorded().and_then(|outputs| outputs["name"].as_str());
            return Ok(match recorded {
                Some(name) => match self.find(cx, name).await? {
                    Some(group) => self.failed(&group, &group.issues.iter().collect::<Vec<_>>()),
                    None => Readiness::waiting("the group is not seen yet"),
                },
                None => Readiness::waiting("the group is not seen yet"),
            });
        };
        match live.state {
            NodeGroupState::Updating => self.joining.look(cx, &Self::cluster(cx)?, &live).await,
            NodeGroupState::Creating | NodeGroupState::Degraded | NodeGroupState::Active => {
                self.coming(cx, &live, &lasting(&live.issues)).await
            }
            NodeGroupState::CreateFailed
            | NodeGroupState::DeleteFailed
            | NodeGroupState::Deleting => {
                Ok(self.failed(&live, &live.issues.iter().collect::<Vec<_>>()))
            }
        }
    }
}

impl GroupResource {
    /// The group once it takes changes. One that comes to nothing is not waited for: its issues say so.
    async fn settled(&self, cx: &StepContext, live: NodeGroup) -> Result<NodeGroup, StepError> {
        let name = live.name.clone();
        let busy = |group: &NodeGroup| {
            matches!(
                group.state,
                NodeGroupState::Creating | NodeGroupState::Updating
            ) && lasting(&group.issues).is_empty()
        };
        let pause = self.pace.poll(super::POLL);
        let what = format!("node group {name}");
        update::settled(cx, &what, pause, live, busy, || self.find(cx, &name)).await
    }

    /// The group of the wanted make, by its record, else by its name.
    async fn seek(&self, cx: &StepContext) -> Result<Look<NodeGroup>, StepError> {
        let recorded = cx.recorded().and_then(|outputs| outputs["name"].as_str());
        let alive = |group: &NodeGroup| {
            !matches!(
                group.state,
                NodeGroupState::CreateFailed | NodeGroupState::Deleting
            )
        };
        let mut replaces = None;
        if let Some(name) = recorded
            && let Some(group) = self.find(cx, name).await?
            && alive(&group)
        {
            if self.is_of_make(cx, &group) {
                return Ok(Look::named(cx, group.clone(), &group.tags));
            }
            replaces = Some(group.name);
        }
        // Attempts count up by name: a group that came to nothing keeps its name until it is deleted.
        let digest = self.digest();
        let mut attempt = 1;
        while let Some(group) = self
            .find(cx, &names::node_group(&self.group.name, &digest, attempt))
            .await?
        {
            if alive(&group) {
                return Ok(Look::named(cx, group.clone(), &group.tags));
            }
            attempt += 1;
        }
        Ok(Look::Absent { attempt, replaces })
    }

    /// Whether a group comes up, under these issues that do not pass by themselves.
    async fn coming(
        &self,
        cx: &StepContext,
        live: &NodeGroup,
        lasting: &[&Issue],
    ) -> Result<Readiness, StepError> {
        let fresh: Vec<&Issue> = lasting
            .iter()
            .filter(|issue| !self.lingering.stood(issue))
            .copied()
            .collect();
        // A larger size counts as carried out before its instances could be launched: an active group may be short, too.
        if live.state != NodeGroupState::Active && !fresh.is_empty() {
            return Ok(self.failed(live, &fresh));
        }
        let cluster = Self::cluster(cx)?;
        let looked = self.joining.look(cx, &cluster, live).await?;
        let Readiness::InProgress { waiting_for, count } = looked else {
            return Ok(looked);
        };
        let Some(first) = lasting.first() else {
            return Ok(Readiness::InProgress { waiting_for, count });
        };
        if !fresh.is_empty() {
            return Ok(self.failed(live, &fresh));
        }
        let (ready, wanted) = count.unwrap_or_default();
        let degraded = live.state == NodeGroupState::Degraded;
        // Of a group that is made smaller EKS goes on to say that launches failed (containers-roadmap#2326).
        if degraded && ready >= wanted && only_launches(lasting) {
            return Ok(Readiness::Ready(self.summary(live)));
        }
        if !self.lingering.moves(cx, &cluster, live, ready).await? {
            return Ok(self.failed(live, lasting));
        }
        let waiting_for = format!("{waiting_for}; EKS still reports {} of before", first.code);
        Ok(Readiness::InProgress { waiting_for, count })
    }

    /// The group as it is asked for.
    ///
    /// Its token may differ from the one of the run before: nothing is made twice, as a cluster has one group of a name.
    fn spec(&self, cx: &StepContext, attempt: u32) -> Result<NodeGroupSpec, StepError> {
        let network = &self.loaded.pipeline.spec.network;
        let mut spec = NodeGroupSpec {
            cluster: Self::cluster(cx)?,
            name: names::node_group(&self.group.name, &self.digest(), attempt),
            make: Make {
                instance_types: self.group.instance_types.clone(),
                image: self.image(),
                spot: self.group.capacity == Capacity::Spot,
                disk_gib: self.disk_gib(),
                subnets: network::node_subnets(cx, network)?,
                role: known(cx, &super::role(), "arn")?,
            },
            scaling: self.scaling(),
            labels: self.group.labels.clone(),
            taints: self.taints().into_iter().collect(),
            tags: tags::numbered(self.tags(cx), attempt),
            token: String::new(),
        };
        spec.token = names::token(&cx.environment, &cx.step, attempt, &spec);
        Ok(spec)
    }
}

/// So many nodes of these types, in words.
pub(super) fn nodes_of(count: u32, types: &str) -> String {
    match count {
        1 => format!("1 node of {types}"),
        count => format!("{count} nodes of {types}"),
    }
}

/// Labels, in words for a plan.
fn words(labels: &BTreeMap<String, String>) -> String {
    if labels.is_empty() {
        return "none".to_owned();
    }
    let pairs: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(", ")
}

#[cfg(test)]
mod tests {
    use pipectl_config::{ExistingVpc, NatMode};

    use super::*;

    #[test]
    fn no_labels_and_single_nodes_have_words() {
        assert_eq!(words(&BTreeMap::new()), "none");
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        assert_eq!(words(&labels), "a=b");
        assert_eq!(nodes_of(1, "m6i.large"), "1 node of m6i.large");
        assert_eq!(nodes_of(2, "m6i.large"), "2 nodes of m6i.large");
    }

    #[test]
    fn other_subnets_are_another_make() {
        let (group, own) = (Config::standard(), Network::default());
        let public = Network {
            nat: NatMode::None,
            ..own.clone()
        };
        let brought = |subnets: &[&str]| Network {
            existing_vpc: Some(ExistingVpc {
                id: "vpc-0a".to_owned(),
                private_subnets: subnets.iter().map(|id| (*id).to_owned()).collect(),
                public_subnets: Vec::new(),
            }),
            ..own.clone()
        };
        let digest = |network: &Network| make_digest(&group, network);
        assert_ne!(
            digest(&own),
            digest(&public),
            "nodes move to the other side"
        );
        assert_ne!(digest(&brought(&["a", "b"])), digest(&brought(&["a", "c"])));
        assert_eq!(digest(&brought(&["a", "b"])), digest(&brought(&["b", "a"])));
        let per_zone = Network {
            nat: NatMode::PerZone,
            ..own.clone()
        };
        assert_eq!(digest(&own), digest(&per_zone), "they stay where they are");
    }
}
