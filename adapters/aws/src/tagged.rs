//! The Resource Groups Tagging API.

use async_trait::async_trait;
use aws_sdk_resourcegroupstagging::types::TagFilter;
use pipectl_stages::{
    error::PortError,
    ports::{
        cloud::Tags,
        tagged::{TaggedApi, TaggedResource},
    },
};

use crate::{call::all, client::Aws, convert};

#[async_trait]
impl TaggedApi for Aws {
    async fn all(&self, tags: &Tags) -> Result<Vec<TaggedResource>, PortError> {
        let filters = tags
            .iter()
            .map(|(key, value)| TagFilter::builder().key(key).values(value).build())
            .collect();
        let found = all!(
            self.tagging()
                .get_resources()
                .set_tag_filters(Some(filters))
        )?;
        let mut resources: Vec<TaggedResource> = found
            .iter()
            .filter_map(|one| {
                let pairs = one.tags().iter();
                Some(TaggedResource {
                    arn: one.resource_arn()?.to_owned(),
                    tags: convert::tags(pairs.map(|tag| (Some(tag.key()), Some(tag.value())))),
                })
            })
            .collect();
        resources.sort();
        Ok(resources)
    }
}
