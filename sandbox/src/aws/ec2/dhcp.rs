//! DHCP options: the default set, which every VPC here has.

use serde_json::{Value, json};

use super::resource::answer;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;

/// The identifier of a region's default set. Other sets are not simulated.
pub(crate) const ID: &str = "dopt-0c0ffee0000000001";

pub(crate) const ACTIONS: &[Action] = &[Action::read(
    "DescribeDhcpOptions",
    &["DhcpOptionsId", "Filter", "MaxResults", "NextToken"],
    describe_dhcp_options,
)];

fn describe_dhcp_options(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let ids = params.texts("DhcpOptionsId");
    if let Some(other) = ids.iter().find(|id| **id != ID) {
        let message = format!("The dhcpOption ID '{other}' does not exist");
        return Err(ApiError::new("InvalidDhcpOptionID.NotFound", message));
    }
    let region = &scene.place.region;
    // us-east-1 is older than the scheme of the others.
    let domain = match region.as_str() {
        "us-east-1" => "ec2.internal".to_owned(),
        region => format!("{region}.compute.internal"),
    };
    let shown = json!({
        "dhcpOptionsId": ID,
        "ownerId": scene.place.account,
        "dhcpConfigurationSet": [
            {"key": "domain-name", "valueSet": [{"value": domain}]},
            {"key": "domain-name-servers", "valueSet": [{"value": "AmazonProvidedDNS"}]},
        ],
    });
    let tags = Tags::default();
    let found = vec![(ID.to_owned(), &tags, shown)];
    let fields = [
        ("dhcp-options-id", "dhcpOptionsId"),
        ("owner-id", "ownerId"),
    ];
    answer(
        scene,
        params,
        found,
        &fields,
        "dhcpOptionsSet",
        ids.is_empty(),
    )
}
