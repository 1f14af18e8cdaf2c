//! NAT gateways, the ways to them and their addresses that the pipeline does not want any more: with another NAT mode the
//! routes lead elsewhere, and what they led to before would only cost money.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use pipectl_config::{Loaded, Network};

use super::{
    POLL, STAGE, nat_zones, nodes_are_public,
    pieces::{ANYWHERE, way_out},
    steps, zones,
};
use crate::{
    blocks::Row,
    cloud::{CloudOptions, Remnant, Unwanted, cloud, obsolete::Obsolete, scope::own_pieces, tags},
    context::StepContext,
    error::{PortError, StepError},
    nodes,
    ports::{
        cloud::Deletion,
        network::{Arrangement, Detail, Piece, PieceKind, PieceState, RouteTarget},
    },
    step::{Need, Step, StepId},
};

/// The step that removes them.
pub(super) fn step(network: &Network, options: &CloudOptions, loaded: &Loaded) -> Arc<dyn Step> {
    let wanted = (0..nat_zones(network))
        .flat_map(|zone| [steps::nat_gateway(zone), steps::nat_address(zone)])
        .collect();
    // Only when nothing leads to them any more, and, where nodes move to the public side, when they have moved.
    let routes = (0..zones(network)).map(|zone| Need::ready(steps::private_routes(zone)));
    let mut needs: Vec<Need> = routes.collect();
    if nodes_are_public(network) {
        needs.push(Need::ready(nodes::obsolete()));
    }
    let period = loaded.pipeline.spec.timeouts.network.duration();
    let bound = options.pace.bound(period);
    let title = "NAT gateways not wanted any more";
    let row = Row::new(STAGE, steps::obsolete().name(), title)
        .needs(needs)
        .ensured_within(bound)
        .ready_within(bound, 0);
    Obsolete::step(row, options.pace.poll(POLL), NatGateways { wanted })
}

struct NatGateways {
    wanted: BTreeSet<StepId>,
}

impl NatGateways {
    /// Routes of private subnets to NAT gateways, where none is wanted.
    async fn ways(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        if !self.wanted.is_empty() {
            return Ok(Vec::new());
        }
        let tables = own_pieces(cx, PieceKind::RouteTable).await?;
        let leads_out = |table: &&Piece| {
            way_out(table).is_some_and(|route| matches!(route.target, RouteTarget::NatGateway(_)))
        };
        let ways = tables.iter().filter(leads_out);
        Ok(ways
            .map(|table| Remnant::there(&table.id, format!("way out in route table {}", table.id)))
            .collect())
    }
}

#[async_trait]
impl Unwanted for NatGateways {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        let mut remaining = self.ways(cx).await?;
        for kind in [PieceKind::NatGateway, PieceKind::Address] {
            for piece in own_pieces(cx, kind).await? {
                let step = tags::step_of(&piece.tags).map(StepId::from);
                let wanted = step.is_none_or(|step| self.wanted.contains(&step));
                // One that failed costs nothing and goes by itself.
                let over = matches!(piece.state, PieceState::Deleted | PieceState::Failed { .. });
                if wanted || over {
                    continue;
                }
                let words = format!("{} {}", kind.words(), piece.id);
                // An address goes after its gateway.
                let in_use = matches!(
                    piece.detail,
                    Detail::Address {
                        association: Some(_),
                        ..
                    }
                );
                remaining.push(if in_use || piece.state == PieceState::Deleting {
                    Remnant::going(&piece.id, words)
                } else {
                    Remnant::there(&piece.id, words)
                });
            }
        }
        Ok(remaining)
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        let network = &cloud(cx)?.network;
        if remnant.id.starts_with("rtb-") {
            let unrouted = Arrangement::Unrouted {
                table: remnant.id.clone(),
                destination: ANYWHERE.to_owned(),
            };
            return Ok(network
                .arrange(&unrouted)
                .await
                .map(|()| Deletion::Accepted));
        }
        let kind = if remnant.id.starts_with("nat-") {
            PieceKind::NatGateway
        } else {
            PieceKind::Address
        };
        Ok(network.delete(kind, &remnant.id).await)
    }

    fn gone(&self) -> String {
        "no surplus NAT gateways".to_owned()
    }
}
