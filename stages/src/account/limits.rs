//! Whether the account's quotas leave room for what is still to be made.

use std::collections::BTreeMap;

use pipectl_config::{Capacity, Loaded, Network, NodeGroup};

use super::preflight::has_vpc;
use crate::{
    cloud::{cloud, names, scope::own_pieces},
    context::StepContext,
    error::StepError,
    network::{self, nat_zones},
    nodes::{self, group::make_digest},
    ports::{
        account::{InstanceType, Quota, QuotaUse},
        clusters::Cluster,
        families::Families,
        network::{Piece, PieceKind},
    },
};

/// What an environment needs of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    quota: Quota,
    count: u32,
}

/// Refuses to begin what a quota will not let end: of an environment whose `cluster` stands only what a change adds to it, and
/// where that is nothing, nothing is asked.
///
/// # Errors
/// `ACC008` for every quota that leaves no room, all in one error.
pub(super) async fn check(
    cx: &StepContext,
    loaded: &Loaded,
    types: &[InstanceType],
    cluster: Option<&Cluster>,
) -> Result<(), StepError> {
    let wanted = match cluster {
        None => wanted(cx, loaded, types).await?,
        Some(cluster) => added(cx, loaded, types, cluster).await?,
    };
    if wanted.is_empty() {
        return Ok(());
    }
    let which: Vec<Quota> = wanted.iter().map(|wanted| wanted.quota).collect();
    let uses = cloud(cx)?.account.quotas(&which).await;
    let uses = uses.map_err(|error| error.during("look at", "the account's quotas"))?;
    let short = shortages(&wanted, &uses);
    let Some((first, _)) = short.first() else {
        return Ok(());
    };
    let evidence: Vec<String> = short.iter().map(|(_, words)| words.clone()).collect();
    Err(StepError::new(
        "ACC008",
        "make",
        format!("environment {}", cx.environment.name),
        evidence.join("; "),
    )
    .with_evidence(evidence)
    .with_hint(format!(
        "nothing was changed: free some, or have the quota raised: aws service-quotas request-service-quota-increase --service-code {} --quota-code {}",
        first.service(),
        first.code()
    )))
}

/// What is still to be made, counted by quota.
async fn wanted(
    cx: &StepContext,
    loaded: &Loaded,
    types: &[InstanceType],
) -> Result<Vec<Wanted>, StepError> {
    let spec = &loaded.pipeline.spec;
    let mut wanted = vec![Wanted {
        quota: Quota::Clusters,
        count: 1,
    }];
    if spec.network.existing_vpc.is_none() {
        if !has_vpc(cx).await? {
            for quota in [Quota::Vpcs, Quota::InternetGateways] {
                wanted.push(Wanted { quota, count: 1 });
            }
        }
        wanted.extend(ways_out(cx, &spec.network).await?);
    }
    for group in &spec.node_groups {
        wanted.extend(cpus(group, group.size, types));
    }
    Ok(summed(wanted))
}

/// What a change adds to an environment that stands. What is recorded is taken as it is recorded; only of what is not is
/// the account asked.
async fn added(
    cx: &StepContext,
    loaded: &Loaded,
    types: &[InstanceType],
    cluster: &Cluster,
) -> Result<Vec<Wanted>, StepError> {
    let network = &loaded.pipeline.spec.network;
    let mut wanted = Vec::new();
    let known = |zone| cx.output_of(network::steps::nat_gateway(zone).as_str());
    let new = (0..nat_zones(network)).any(|zone| known(zone).is_none());
    if network.existing_vpc.is_none() && new {
        wanted.extend(ways_out(cx, network).await?);
    }
    for group in &loaded.pipeline.spec.node_groups {
        let nodes = group
            .size
            .saturating_sub(nodes_of(cx, network, group, cluster).await?);
        wanted.extend(cpus(group, nodes, types));
    }
    Ok(summed(wanted))
}

/// How many nodes a group of this make was given last. A group of another make comes up beside the old one.
async fn nodes_of(
    cx: &StepContext,
    network: &Network,
    group: &NodeGroup,
    cluster: &Cluster,
) -> Result<u32, StepError> {
    let name = names::node_group(&group.name, &make_digest(group, network), 1);
    let recorded = cx.output_of(nodes::group(&group.name).as_str());
    if let Some(recorded) = recorded
        && let Some(made) = recorded["name"].as_str()
        && made.starts_with(&name)
    {
        let size = recorded["size"].as_u64();
        return Ok(size.and_then(|size| u32::try_from(size).ok()).unwrap_or(0));
    }
    let found = cloud(cx)?.node_groups.find(&cluster.name, &name).await;
    let found = found.map_err(|error| error.during("look at", format!("node group {name}")))?;
    Ok(found.map_or(0, |found| found.scaling.desired))
}

/// The NAT gateways that are still to be made, with their addresses.
async fn ways_out(cx: &StepContext, network: &Network) -> Result<[Wanted; 2], StepError> {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let alive = |pieces: Vec<Piece>| count(pieces.iter().filter(|piece| piece.is_alive()).count());
    let gateways = count(nat_zones(network));
    let addresses = alive(own_pieces(cx, PieceKind::Address).await?);
    let natted = alive(own_pieces(cx, PieceKind::NatGateway).await?);
    Ok([
        Wanted {
            quota: Quota::Addresses,
            count: gateways.saturating_sub(addresses),
        },
        Wanted {
            quota: Quota::NatGatewaysPerZone,
            count: u32::from(natted < gateways),
        },
    ])
}

/// The vCPUs of so many nodes of a group; `None` where it is not known which quota counts them.
fn cpus(group: &NodeGroup, nodes: u32, types: &[InstanceType]) -> Option<Wanted> {
    // The first type is the one that is tried first.
    let first = group.instance_types.first()?;
    let offer = types.iter().find(|offer| offer.name == *first)?;
    let spot = group.capacity == Capacity::Spot;
    let families = Families::of(first, spot)?;
    Some(Wanted {
        quota: if spot {
            Quota::SpotCpus(families)
        } else {
            Quota::OnDemandCpus(families)
        },
        count: nodes.saturating_mul(offer.cpus),
    })
}

/// Each quota once, without those of which nothing is wanted.
fn summed(all: Vec<Wanted>) -> Vec<Wanted> {
    let mut sums: BTreeMap<Quota, u32> = BTreeMap::new();
    for Wanted { quota, count } in all {
        let sum = sums.entry(quota).or_default();
        *sum = sum.saturating_add(count);
    }
    let sums = sums.into_iter().filter(|(_, count)| *count > 0);
    sums.map(|(quota, count)| Wanted { quota, count }).collect()
}

/// The quotas that leave too little room, in words.
fn shortages(wanted: &[Wanted], uses: &[QuotaUse]) -> Vec<(Quota, String)> {
    let mut short = Vec::new();
    for Wanted { quota, count } in wanted {
        let Some(found) = uses.iter().find(|found| found.quota == *quota) else {
            continue;
        };
        if found.used.saturating_add(*count) > found.limit {
            let words = format!(
                "{} of {} {} are in use, and {count} more are needed ({})",
                found.used,
                found.limit,
                quota.what(),
                quota.code()
            );
            short.push((*quota, words));
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_counted_by_the_quota_of_their_family() {
        let offers: Vec<InstanceType> = ["m6i.large", "g5.xlarge", "hpc6a.48xlarge"]
            .map(|name| InstanceType {
                name: name.to_owned(),
                architectures: Vec::new(),
                cpus: 4,
                memory_mib: 0,
                zones: Vec::new(),
            })
            .into();
        let of = |name: &str, capacity: Capacity| {
            let group = NodeGroup {
                instance_types: vec![name.to_owned()],
                capacity,
                ..NodeGroup::standard()
            };
            cpus(&group, 3, &offers)
        };
        let twelve = |quota| Some(Wanted { quota, count: 12 });
        assert_eq!(
            of("m6i.large", Capacity::OnDemand),
            twelve(Quota::OnDemandCpus(Families::Standard))
        );
        assert_eq!(
            of("g5.xlarge", Capacity::OnDemand),
            twelve(Quota::OnDemandCpus(Families::Graphics))
        );
        assert_eq!(
            of("g5.xlarge", Capacity::Spot),
            twelve(Quota::SpotCpus(Families::Graphics))
        );
        assert_eq!(of("hpc6a.48xlarge", Capacity::OnDemand), None);
    }

    #[test]
    fn a_quota_that_is_just_enough_is_enough() {
        let wanted = [Wanted {
            quota: Quota::Addresses,
            count: 1,
        }];
        let used = |used| {
            [QuotaUse {
                quota: Quota::Addresses,
                limit: 5,
                used,
            }]
        };
        assert!(shortages(&wanted, &used(4)).is_empty());
        let short = shortages(&wanted, &used(5));
        assert!(
            short[0].1.contains("5 of 5 Elastic IP addresses"),
            "{short:?}"
        );
        assert!(short[0].1.contains("L-0263D0A3"), "{short:?}");
        assert!(
            shortages(&wanted, &[]).is_empty(),
            "what is not known is not refused"
        );
    }
}
