//! Whether the account's quotas leave room for what is still to be made.

use pipectl_config::{Capacity, Loaded};

use super::preflight::has_vpc;
use crate::{
    cloud::{cloud, scope::own_pieces},
    context::StepContext,
    error::StepError,
    network::nat_zones,
    ports::{
        account::{InstanceType, Quota, QuotaUse},
        network::{Piece, PieceKind},
    },
};

/// What an environment needs of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    quota: Quota,
    count: u32,
}

/// Refuses to begin what a quota will not let end.
///
/// # Errors
/// `ACC008` for every quota that leaves no room, all in one error.
pub(super) async fn check(
    cx: &StepContext,
    loaded: &Loaded,
    types: &[InstanceType],
) -> Result<(), StepError> {
    let wanted = wanted(cx, loaded, types).await?;
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
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
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
        let alive =
            |pieces: Vec<Piece>| count(pieces.iter().filter(|piece| piece.is_alive()).count());
        let gateways = count(nat_zones(&spec.network));
        let addresses = alive(own_pieces(cx, PieceKind::Address).await?);
        let natted = alive(own_pieces(cx, PieceKind::NatGateway).await?);
        wanted.push(Wanted {
            quota: Quota::Addresses,
            count: gateways.saturating_sub(addresses),
        });
        wanted.push(Wanted {
            quota: Quota::NatGatewaysPerZone,
            count: u32::from(natted < gateways),
        });
    }
    for (capacity, quota) in [
        (Capacity::OnDemand, Quota::OnDemandCpus),
        (Capacity::Spot, Quota::SpotCpus),
    ] {
        let cpus = spec
            .node_groups
            .iter()
            .filter(|group| group.capacity == capacity)
            .map(|group| {
                // The first type is the one that is tried first.
                let first = types
                    .iter()
                    .find(|offer| group.instance_types.first() == Some(&offer.name));
                group
                    .size
                    .saturating_mul(first.map_or(0, |offer| offer.cpus))
            })
            .sum();
        wanted.push(Wanted { quota, count: cpus });
    }
    wanted.retain(|wanted| wanted.count > 0);
    Ok(wanted)
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
