//! VPCs that the environment's own is to be connected with: AWS peers none whose ranges overlap, and finds out only then.

use pipectl_config::Network;

use crate::{
    error::StepError,
    network::layout::overlap,
    ports::{
        cloud::Cloud,
        network::{Detail, Lookup, Piece, PieceKind},
    },
};

/// Refuses an address range that has addresses in common with a peer's. Peers that are given as ranges were checked with
/// the file; those given by id are looked up.
///
/// # Errors
/// `ACC011` for an overlap, or a peer that is not in the account and region.
pub(super) async fn check(cloud: &Cloud, network: &Network) -> Result<(), StepError> {
    let ids: Vec<String> = network
        .peers
        .iter()
        .filter(|peer| peer.starts_with("vpc-"))
        .cloned()
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let found = cloud
        .network
        .find(PieceKind::Vpc, &Lookup::Ids(ids.clone()))
        .await
        .map_err(|error| error.during("look at", "the VPCs of spec.network.peers"))?;
    ids.iter()
        .try_for_each(|id| apart(&network.cidr, id, &found))
}

fn apart(own: &str, peer: &str, found: &[Piece]) -> Result<(), StepError> {
    let refused = |cause: String, hint: &str| {
        Err(StepError::new("ACC011", "use", format!("VPC {peer} as a peer"), cause).with_hint(hint))
    };
    let Some(Piece {
        detail: Detail::Vpc { cidr, further, .. },
        ..
    }) = found.iter().find(|piece| piece.id == peer)
    else {
        return refused(
            "there is none of that id in this account and region".to_owned(),
            "correct spec.network.peers; VPCs of others are given as address ranges",
        );
    };
    let mut taken = std::iter::once(cidr).chain(further);
    if let Some(range) = taken.find(|range| overlap(own, range)) {
        return refused(
            format!("its range {range} and the new VPC's {own} have addresses in common"),
            "set spec.network.cidr to a range apart from it",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{cloud::Tags, network::PieceState};

    fn vpc(id: &str, cidr: &str, further: &[&str]) -> Piece {
        Piece {
            id: id.to_owned(),
            state: PieceState::Available,
            tags: Tags::new(),
            created: None,
            detail: Detail::Vpc {
                cidr: cidr.to_owned(),
                further: further.iter().map(|range| (*range).to_owned()).collect(),
                default: false,
                dns_support: true,
                dns_hostnames: true,
            },
        }
    }

    #[test]
    fn a_peer_has_to_be_there_and_apart() {
        let found = [
            vpc("vpc-1", "10.1.0.0/16", &["100.64.0.0/16"]),
            vpc("vpc-2", "10.0.128.0/20", &[]),
            vpc("vpc-4", "10.1.0.0/16", &["100.64.0.0/16", "10.0.64.0/18"]),
        ];
        assert!(apart("10.0.0.0/16", "vpc-1", &found).is_ok());
        let error = apart("10.0.0.0/16", "vpc-2", &found).unwrap_err();
        assert_eq!(error.code, "ACC011");
        assert!(error.cause.contains("10.0.128.0/20"), "{}", error.cause);
        assert!(apart("10.0.0.0/16", "vpc-3", &found).is_err());
        let error = apart("10.0.0.0/16", "vpc-4", &found).unwrap_err();
        assert!(error.cause.contains("10.0.64.0/18"), "a range added later");
    }
}
