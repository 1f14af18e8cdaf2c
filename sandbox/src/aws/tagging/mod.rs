//! Resource Groups Tagging: every resource by its tags.

use crate::aws::service::{Protocol, Service};

pub(crate) const SERVICE: Service = Service {
    name: "tagging",
    protocol: Protocol::Json {
        target: "ResourceGroupsTaggingAPI_20170126",
        version: "1.1",
    },
    invalid: Some("InvalidParameterException"),
    actions: &[],
};
