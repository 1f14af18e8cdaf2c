//! What nobody can make here, and clients look for all the same, for instance when they search a VPC for what is left in it: there
//! is none. Asked for by identifier, it is not simulated.

use serde_json::{Map, Value, json};

use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;

const LISTED: &[&str] = &["Filter", "MaxResults", "NextToken"];

/// Actions and the list in their replies.
const LISTS: [(&str, &str); 8] = [
    ("DescribeVpcPeeringConnections", "vpcPeeringConnectionSet"),
    ("DescribeVpnGateways", "vpnGatewaySet"),
    ("DescribeVpnConnections", "vpnConnectionSet"),
    (
        "DescribeEgressOnlyInternetGateways",
        "egressOnlyInternetGatewaySet",
    ),
    (
        "DescribeTransitGatewayAttachments",
        "transitGatewayAttachments",
    ),
    ("DescribeCarrierGateways", "carrierGatewaySet"),
    ("DescribeFlowLogs", "flowLogSet"),
    ("DescribeKeyPairs", "keySet"),
];

pub(crate) const ACTIONS: &[Action] = &[
    none(0),
    none(1),
    none(2),
    none(3),
    none(4),
    none(5),
    none(6),
    none(7),
];

const fn none(index: usize) -> Action {
    Action::read(LISTS[index].0, LISTED, describe)
}

fn describe(scene: &mut Scene<'_>, _: Params<'_>) -> Result<Value, ApiError> {
    let lists = LISTS.iter();
    let mine = lists.filter(|(action, _)| *action == scene.invocation.action);
    let empty = mine.map(|(_, list)| ((*list).to_owned(), json!([])));
    Ok(Value::Object(empty.collect::<Map<_, _>>()))
}
