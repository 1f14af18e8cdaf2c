//! What can be found out before the first effect is found out before it: whose account and region this is, how long the
//! credentials last, what the caller may do, what is on offer, and whether the quotas leave room.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use pipectl_config::{Architecture, Loaded, Network};
use serde_json::{Value, json};

use super::{limits, peers, permissions, provider};
use crate::{
    addons::{self, addon::resolve},
    blocks::Row,
    cloud::{Pace, cloud, names, scope::own_pieces, tags, text},
    cluster,
    context::StepContext,
    error::{PortError, PortErrorKind, StepError},
    network,
    ports::{
        account::{Caller, InstanceType, Zone},
        clusters::Cluster,
        network::{Detail, PieceKind},
    },
    step::{Change, Difference, Need, Observation, Outcome, Readiness, Step, StepId, Timeouts},
};

/// Zones that take no EKS control plane (EKS user guide, network requirements for clusters).
const NO_CONTROL_PLANE: &[&str] = &["use1-az3", "usw1-az2", "cac1-az3"];
/// How long credentials must last for a first `up`: control plane and nodes, with some room.
const FIRST_UP: Duration = Duration::from_secs(1500);
/// And for one that finds its cluster there.
const LATER_UP: Duration = Duration::from_secs(120);

/// The step that looks.
pub(super) struct Preflight {
    row: Row,
    loaded: Arc<Loaded>,
    pace: Pace,
    /// What the observation right before an `ensure` found, so that it need not look again.
    seen: Mutex<Option<Found>>,
}

/// What the look found.
#[derive(Clone)]
struct Found {
    caller: Caller,
    zones: Vec<String>,
}

impl Preflight {
    pub(super) fn step(row: Row, loaded: &Arc<Loaded>, pace: Pace) -> Arc<dyn Step> {
        Arc::new(Self {
            row,
            loaded: loaded.clone(),
            pace,
            seen: Mutex::new(None),
        })
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Option<Found>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look(&self, cx: &StepContext) -> Result<Found, StepError> {
        let cloud = cloud(cx)?;
        let failed = |error: PortError| error.during("look at", "the AWS account");
        let caller = cloud.account.caller().await.map_err(failed)?;
        self.place(cx, &caller)?;
        self.same_cluster(cx).await?;

        let name = names::cluster(&self.loaded, &cx.environment);
        let spec = &self.loaded.pipeline.spec;
        let types: BTreeSet<String> = spec
            .node_groups
            .iter()
            .flat_map(|group| group.instance_types.iter().cloned())
            .collect();
        let types: Vec<String> = types.into_iter().collect();
        let own_vpc = spec.network.existing_vpc.is_none();
        let zones = async {
            if own_vpc {
                cloud.account.zones().await
            } else {
                Ok(Vec::new())
            }
        };
        let (cluster, offered, zones) = futures::join!(
            cloud.clusters.find(&name),
            cloud.account.instance_types(&types),
            zones
        );
        // Who may not even look is told of everything that is missing at once.
        let hidden = matches!(&cluster, Err(error) if error.kind == PortErrorKind::Forbidden);
        let ours = match &cluster {
            Ok(found) => self.whose(cx, &name, found.as_ref())?,
            Err(_) => false,
        };
        // With the cluster there, changing it needs less than making it. Whoever only looks at what somebody makes needs nothing.
        let only_looks = cx.run.is_empty() && cx.recorded().is_some();
        if !ours && !only_looks && (cluster.is_ok() || hidden) {
            permissions::check(cx, &self.loaded, &caller).await?;
        }
        let cluster = cluster.map_err(failed)?;
        let stands = cluster.as_ref().filter(|_| ours);
        if let Some(cluster) = stands {
            cluster::refused(&self.loaded, self.pace, cx, cluster)?;
        }
        self.lifetime(&caller, ours)?;
        let offered = offered.map_err(failed)?;
        self.instance_types(&offered)?;
        let zones = match &spec.network.existing_vpc {
            Some(vpc) => {
                let brought = network::existing::check(cloud, vpc).await?;
                if let Some(cluster) = stands {
                    network::existing::takes_along(cloud, vpc, &brought, cluster).await?;
                }
                Vec::new()
            }
            None => {
                network::existing::is_not_left(cx, stands).await?;
                peers::check(cloud, &spec.network).await?;
                self.zones(cx, &zones.map_err(failed)?, &offered).await?
            }
        };
        let versions = self.versions(cx, stands);
        let limits = limits::check(cx, &self.loaded, &offered, stands);
        futures::try_join!(versions, limits)?;
        Ok(Found { caller, zones })
    }

    /// Account and region are those of the file, and those of the first `up`.
    fn place(&self, cx: &StepContext, caller: &Caller) -> Result<(), StepError> {
        let recorded = |key: &str| {
            let outputs = cx.recorded()?;
            outputs[key].as_str().map(str::to_owned)
        };
        let given = provider(&self.loaded);
        let account = given.and_then(|eks| eks.account.clone());
        if let Some(wanted) = account.or_else(|| recorded("account"))
            && wanted != caller.account
        {
            return Err(StepError::new(
                "ACC001",
                "use",
                format!("account {}", caller.account),
                format!("the environment lives in account {wanted}; the credentials are of {}", caller.arn),
            )
            .with_hint("nothing was changed: use credentials of that account (profile, roleArn), or another --env"));
        }
        let region = recorded("region").or_else(|| given.map(|eks| eks.region.clone()));
        if let Some(wanted) = region
            && wanted != caller.region
        {
            return Err(StepError::new(
                "ACC002",
                "use",
                format!("region {}", caller.region),
                format!("the environment lives in {wanted}"),
            )
            .with_hint("nothing was changed: put the region back, or choose another --env"));
        }
        Ok(())
    }

    /// The cluster's name is that of the first `up`: another name would be another cluster beside the one that runs.
    async fn same_cluster(&self, cx: &StepContext) -> Result<(), StepError> {
        let wanted = names::cluster(&self.loaded, &cx.environment);
        let recorded = text(cx, &cluster::steps::control_plane(), "name");
        let standing = match recorded.or_else(|| text(cx, &super::anchor(), "cluster")) {
            Some(name) => Some(name),
            None => {
                let anchor = match cloud(cx)?.anchors.find(&cx.environment.name).await {
                    // Who may not even look is told of everything that is missing at once.
                    Err(error) if error.kind == PortErrorKind::Forbidden => None,
                    anchor => {
                        anchor.map_err(|error| error.during("read", "the environment's anchor"))?
                    }
                };
                let ours = anchor.filter(|anchor| anchor.uid == cx.environment.uid);
                ours.map(|anchor| anchor.cluster)
            }
        };
        match standing {
            Some(name) if name != wanted => Err(StepError::new(
                "ACC013",
                "change",
                format!("the name of EKS cluster {name}"),
                format!("the pipeline file says {wanted}, and EKS cannot rename a cluster"),
            )
            .with_hint(format!(
                "nothing was changed: set spec.cluster.name to {name}, or take the environment down and bring it up anew: pipectl down, pipectl up"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the cluster is there and ours; one of that name of somebody else's is refused before anything is made.
    fn whose(
        &self,
        cx: &StepContext,
        name: &str,
        cluster: Option<&Cluster>,
    ) -> Result<bool, StepError> {
        let Some(cluster) = cluster else {
            return Ok(false);
        };
        match tags::foreign(&cluster.tags, &cx.environment) {
            None => Ok(true),
            Some(words) => Err(StepError::new(
                "ACC009",
                "use",
                format!("EKS cluster {name}"),
                words,
            )
            .with_hint("set spec.cluster.name to another name, or choose another --env")),
        }
    }

    fn lifetime(&self, caller: &Caller, cluster_is_there: bool) -> Result<(), StepError> {
        let Some(expires) = caller.expires else {
            return Ok(());
        };
        let needed = self
            .pace
            .scaled(if cluster_is_there { LATER_UP } else { FIRST_UP });
        let left = expires.duration_since(Timestamp::now());
        let left = Duration::try_from(left).unwrap_or(Duration::ZERO);
        if left >= needed {
            return Ok(());
        }
        Err(StepError::new(
            "ACC003",
            "use",
            format!("the credentials of {}", caller.arn),
            format!(
                "they end in {} min, and this takes about {} min",
                left.as_secs() / 60,
                needed.as_secs().div_ceil(60)
            ),
        )
        .with_hint(
            "renew them (aws sso login, or a longer session), or use a role that is assumed anew: spec.provider.eks.roleArn",
        ))
    }

    fn instance_types(&self, offered: &[InstanceType]) -> Result<(), StepError> {
        for group in &self.loaded.pipeline.spec.node_groups {
            let architecture = match group.architecture {
                Architecture::Amd64 => "amd64",
                Architecture::Arm64 => "arm64",
            };
            for name in &group.instance_types {
                let what = format!("instance type {name} of node group {}", group.name);
                let Some(found) = offered.iter().find(|offer| offer.name == *name) else {
                    return Err(StepError::new(
                        "ACC005",
                        "use",
                        what,
                        "the region does not offer it",
                    )
                    .with_hint(
                        "see what it offers: aws ec2 describe-instance-type-offerings; m6i.large is offered nearly everywhere",
                    ));
                };
                if !found.architectures.iter().any(|own| own == architecture) {
                    return Err(StepError::new(
                        "ACC006",
                        "use",
                        what,
                        format!(
                            "it is {}, and the group is declared as {architecture}",
                            found.architectures.join(", ")
                        ),
                    )
                    .with_hint("set the group's architecture, or other instance types"));
                }
            }
        }
        Ok(())
    }

    /// The zones of the environment: those it has subnets in already, else those that the file names, else the first
    /// that offer all instance types.
    async fn zones(
        &self,
        cx: &StepContext,
        zones: &[Zone],
        offered: &[InstanceType],
    ) -> Result<Vec<String>, StepError> {
        let network = &self.loaded.pipeline.spec.network;
        let offers_all = |zone: &str| {
            let groups = self.loaded.pipeline.spec.node_groups.iter();
            groups.clone().all(|group| {
                offered.iter().any(|offer| {
                    group.instance_types.contains(&offer.name)
                        && offer.zones.iter().any(|own| own == zone)
                })
            })
        };
        let fits = |zone: &&Zone| zone.available && !NO_CONTROL_PLANE.contains(&zone.id.as_str());
        for name in &network.zones {
            let why = match zones.iter().find(|zone| zone.name == *name) {
                None => "the region has none of that name",
                Some(zone) if !zone.available => "it takes no new resources now",
                Some(zone) if !fits(&zone) => "EKS puts no control plane into it",
                Some(_) if !offers_all(name) => {
                    "it does not offer the instance types of every node group"
                }
                Some(_) => continue,
            };
            let names: Vec<&str> = zones
                .iter()
                .filter(fits)
                .map(|zone| zone.name.as_str())
                .collect();
            return Err(StepError::new("ACC004", "use", format!("zone {name}"), why)
                .with_hint(format!("the region's zones are {}", names.join(", "))));
        }
        let standing = self.standing_zones(cx).await?;
        if let Some(standing) = &standing {
            let recorded = !crate::cloud::texts(cx, &cx.step, "zones").is_empty();
            same_zones(standing, recorded, network)?;
        }
        if !network.zones.is_empty() {
            return Ok(network.zones.clone());
        }
        let count = network::zones(network);
        if let Some(mut standing) = standing {
            let rest = zones.iter().filter(fits).map(|zone| zone.name.clone());
            for zone in rest {
                if standing.len() < count && !standing.contains(&zone) {
                    standing.push(zone);
                }
            }
            if standing.len() >= count {
                return Ok(standing);
            }
        }
        let mut names: Vec<String> = zones
            .iter()
            .filter(fits)
            .filter(|zone| offers_all(&zone.name))
            .map(|zone| zone.name.clone())
            .collect();
        names.sort();
        names.truncate(count);
        if names.len() < count {
            return Err(StepError::new(
                "ACC004",
                "find",
                format!("{count} zones"),
                format!(
                    "only {} of the region's zones offer the instance types of every node group",
                    names.len()
                ),
            )
            .with_hint(
                "name fewer zones (spec.network.zoneCount, at least 2), or further instance types",
            ));
        }
        Ok(names)
    }

    /// The zones that were chosen before, in their order. With the record lost, the subnets that are there say it.
    async fn standing_zones(&self, cx: &StepContext) -> Result<Option<Vec<String>>, StepError> {
        let recorded = crate::cloud::texts(cx, &cx.step, "zones");
        if !recorded.is_empty() {
            return Ok(Some(recorded));
        }
        let mut numbered: Vec<(String, String)> = Vec::new();
        for subnet in own_pieces(cx, PieceKind::Subnet).await? {
            let step = tags::step_of(&subnet.tags).unwrap_or_default();
            if let (Some(number), Detail::Subnet { zone, .. }) =
                (step.strip_prefix("network/private-subnet-"), &subnet.detail)
            {
                numbered.push((number.to_owned(), zone.clone()));
            }
        }
        numbered.sort();
        // Only an unbroken row from the first says which number is which zone.
        let unbroken = numbered
            .iter()
            .enumerate()
            .all(|(place, (number, _))| *number == (place + 1).to_string());
        Ok((unbroken && !numbered.is_empty())
            .then(|| numbered.into_iter().map(|(_, zone)| zone).collect()))
    }

    /// The versions that the file names are on offer. What stands in them already was, and is not asked about again.
    async fn versions(&self, cx: &StepContext, stands: Option<&Cluster>) -> Result<(), StepError> {
        let cloud = cloud(cx)?;
        let failed = |error: PortError| error.during("look for", "versions on offer");
        let spec = &self.loaded.pipeline.spec;
        let wanted = spec.cluster.kubernetes_version.to_string();
        let moves = stands.is_none_or(|cluster| cluster.version != wanted);
        let offered = match moves {
            true => cloud.clusters.versions().await.map_err(failed)?,
            false => Vec::new(),
        };
        if moves && !offered.iter().any(|offer| offer.version == wanted) {
            let names: Vec<&str> = offered.iter().map(|offer| offer.version.as_str()).collect();
            return Err(StepError::new(
                "ACC007",
                "use",
                format!("Kubernetes {wanted}"),
                "EKS does not offer it",
            )
            .with_hint(format!(
                "set spec.cluster.kubernetesVersion to one of {}",
                names.join(", ")
            )));
        }
        let unseen = spec.addons.iter().filter(|addon| {
            let recorded = text(cx, &addons::addon(addon.name), "version");
            addon.version.is_some() && (moves || addon.version != recorded)
        });
        for addon in unseen {
            let versions = cloud.addons.versions(addon.name.as_str(), &wanted).await;
            resolve(addon, &wanted, &versions.map_err(failed)?, None)?;
        }
        Ok(())
    }
}

/// Refuses other zones than those chosen before: the subnets' ranges follow from their number, and neither they nor the
/// control plane move. Fewer may stand after a run that was cut off.
fn same_zones(standing: &[String], complete: bool, network: &Network) -> Result<(), StepError> {
    let count = network::zones(network);
    let as_many = if complete {
        standing.len() == count
    } else {
        standing.len() <= count
    };
    if as_many && (network.zones.is_empty() || network.zones.starts_with(standing)) {
        return Ok(());
    }
    let words = match network.zones.as_slice() {
        [] => network.zone_count.to_string(),
        named => named.join(", "),
    };
    Err(StepError::new(
        "NET001",
        "change",
        "the zones of the environment",
        format!(
            "it stands in {}, the pipeline file says {words}, and subnets do not move",
            standing.join(", ")
        ),
    )
    .with_hint(
        "nothing was changed: put spec.network.zones or zoneCount back, or take the environment down and bring it up anew",
    ))
}

fn facts(found: &Found) -> Value {
    json!({
        "account": found.caller.account,
        "region": found.caller.region,
        "partition": found.caller.partition,
        "principal": found.caller.principal,
        "zones": found.zones,
    })
}

#[async_trait]
impl Step for Preflight {
    fn id(&self) -> &StepId {
        &self.row.id
    }

    fn title(&self) -> String {
        self.row.title.clone()
    }

    fn needs(&self) -> Vec<Need> {
        self.row.needs.clone()
    }

    fn timeouts(&self) -> Timeouts {
        self.row.timeouts
    }

    async fn observe(&self, cx: &StepContext) -> Result<Observation, StepError> {
        self.seen().take();
        let found = self.look(cx).await?;
        let now = facts(&found);
        *self.seen() = Some(found.clone());
        // Another caller of the same account may go on with the environment; the rest cannot differ here.
        let same = cx
            .recorded()
            .is_none_or(|recorded| recorded["principal"] == now["principal"]);
        if same {
            return Ok(Observation::Present);
        }
        Ok(Observation::Partial(vec![Difference {
            resource: "caller".to_owned(),
            field: Some("principal".to_owned()),
            live: cx
                .recorded()
                .and_then(|recorded| recorded["principal"].as_str().map(str::to_owned)),
            wanted: Some(found.caller.principal),
            change: Change::Updated,
        }]))
    }

    async fn ensure(&self, cx: &StepContext, observed: &Observation) -> Result<Outcome, StepError> {
        let just_seen = self.seen().take();
        let found = match just_seen {
            Some(found) => found,
            None => self.look(cx).await?,
        };
        let change = if let Observation::Partial(_) = observed {
            cx.intent(json!({"caller": found.caller.principal})).await?;
            Change::Updated
        } else {
            Change::Unchanged
        };
        let summary = format!("account {}, {}", found.caller.account, found.caller.region);
        Ok(Outcome {
            change,
            outputs: facts(&found),
            summary,
        })
    }

    async fn standing_outputs(&self, cx: &StepContext) -> Result<Option<Value>, StepError> {
        let just_seen = self.seen().take();
        let found = match just_seen {
            Some(found) => found,
            None => self.look(cx).await?,
        };
        Ok(Some(facts(&found)))
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        let said = |key: &str| {
            let text = cx.recorded().and_then(|recorded| recorded[key].as_str());
            text.unwrap_or_default().to_owned()
        };
        Ok(Readiness::Ready(format!(
            "account {}, {}",
            said("account"),
            said("region")
        )))
    }
}

/// Whether any of the environment's own VPCs is there already, so that none will be made.
pub(super) async fn has_vpc(cx: &StepContext) -> Result<bool, StepError> {
    Ok(!own_pieces(cx, PieceKind::Vpc).await?.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn zones_neither_move_nor_change_their_number() {
        let three = zones(&["a", "b", "c"]);
        let mut network = Network::default();
        assert!(same_zones(&three, true, &network).is_ok());
        network.zone_count = 2;
        let refused = same_zones(&three, true, &network).unwrap_err();
        assert_eq!(refused.code, "NET001");
        assert!(refused.cause.contains("a, b, c"), "{refused}");
        assert!(
            same_zones(&zones(&["a"]), false, &network).is_ok(),
            "a run was cut off"
        );
        assert!(same_zones(&zones(&["a"]), true, &network).is_err());
        network.zones = zones(&["a", "b", "c"]);
        assert!(same_zones(&three, true, &network).is_ok());
        network.zones = zones(&["a", "c", "b"]);
        assert!(same_zones(&three, true, &network).is_err());
    }

    #[test]
    fn credentials_must_last_as_long_as_the_run_takes() {
        let blueprint = pipectl_config::Blueprint::get("streaming").unwrap();
        let loaded = blueprint.load(&pipectl_config::LoadOptions::default());
        let preflight = Preflight {
            row: Row::new("account", "preflight", "account"),
            loaded: Arc::new(loaded.unwrap()),
            pace: Pace::default(),
            seen: Mutex::new(None),
        };
        let lasting = |minutes: Option<i64>| Caller {
            account: "111122223333".to_owned(),
            arn: "arn:aws:sts::111122223333:assumed-role/ci/run".to_owned(),
            principal: "arn:aws:iam::111122223333:role/ci".to_owned(),
            partition: "aws".to_owned(),
            region: "us-west-2".to_owned(),
            expires: minutes
                .map(|minutes| Timestamp::now() + jiff::SignedDuration::from_mins(minutes)),
        };
        assert!(
            preflight.lifetime(&lasting(None), false).is_ok(),
            "they renew themselves"
        );
        assert!(preflight.lifetime(&lasting(Some(60)), false).is_ok());
        let short = preflight.lifetime(&lasting(Some(10)), false).unwrap_err();
        assert_eq!(short.code, "ACC003");
        assert!(short.hint.is_some());
        assert!(
            preflight.lifetime(&lasting(Some(10)), true).is_ok(),
            "the cluster is there"
        );
        assert!(preflight.lifetime(&lasting(Some(-1)), true).is_err());
    }
}
