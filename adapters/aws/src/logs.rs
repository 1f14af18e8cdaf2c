//! CloudWatch log groups.

use async_trait::async_trait;
use aws_sdk_cloudwatchlogs::{
    config::Builder, operation::create_log_group::CreateLogGroupError,
    types::LogGroup as SdkLogGroup,
};
use jiff::Timestamp;
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::{
        cloud::{Deletion, Tags},
        logs::{LogApi, LogGroup},
    },
};

use crate::{
    call::{QuotasAreNotThrottling, absent, deletion},
    client::Aws,
    codes,
    errors::{error, translate, unclear},
};

#[async_trait]
impl LogApi for Aws {
    async fn find(&self, name: &str) -> Result<Option<LogGroup>, PortError> {
        let Some(group) = self.log_group(name).await? else {
            return Ok(None);
        };
        let arn = arn(&group)?;
        let tags = self
            .logs()
            .list_tags_for_resource()
            .resource_arn(&arn)
            .send()
            .await
            .map_err(translate);
        let Some(tags) = absent(tags)? else {
            return Ok(None);
        };
        Ok(Some(LogGroup {
            name: name.to_owned(),
            arn,
            retention_days: group
                .retention_in_days()
                .and_then(|days| u16::try_from(days).ok()),
            // In milliseconds since 1970 (CloudWatch Logs API, `LogGroup.creationTime`).
            created: group
                .creation_time()
                .and_then(|made| Timestamp::from_millisecond(made).ok()),
            tags: tags.tags.unwrap_or_default().into_iter().collect(),
        }))
    }

    async fn create(&self, name: &str, tags: &Tags) -> Result<(), PortError> {
        let config =
            Builder::new().retry_classifier(QuotasAreNotThrottling::<CreateLogGroupError>::new());
        let tags = tags.clone().into_iter().collect();
        self.logs()
            .create_log_group()
            .log_group_name(name)
            .set_tags(Some(tags))
            .customize()
            .config_override(config)
            .send()
            .await
            .map_err(translate)?;
        Ok(())
    }

    async fn retain(&self, name: &str, days: u16) -> Result<(), PortError> {
        self.logs()
            .put_retention_policy()
            .log_group_name(name)
            .retention_in_days(i32::from(days))
            .send()
            .await
            .map_err(translate)?;
        Ok(())
    }

    async fn retag(&self, name: &str, set: &Tags, remove: &[String]) -> Result<(), PortError> {
        if set.is_empty() && remove.is_empty() {
            return Ok(());
        }
        let group = self.log_group(name).await?.ok_or_else(|| {
            error(
                Kind::NotFound,
                codes::NOT_FOUND,
                format!("there is no log group {name}"),
            )
        })?;
        let arn = arn(&group)?;
        if !set.is_empty() {
            self.logs()
                .tag_resource()
                .resource_arn(&arn)
                .set_tags(Some(set.clone().into_iter().collect()))
                .send()
                .await
                .map_err(translate)?;
        }
        if !remove.is_empty() {
            self.logs()
                .untag_resource()
                .resource_arn(&arn)
                .set_tag_keys(Some(remove.to_vec()))
                .send()
                .await
                .map_err(translate)?;
        }
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<Deletion, PortError> {
        let answer = self
            .logs()
            .delete_log_group()
            .log_group_name(name)
            .send()
            .await
            .map_err(translate);
        deletion(answer)
    }
}

impl Aws {
    /// The service looks for beginnings of names: the whole name is the first of them by alphabet, so it is on the first page.
    async fn log_group(&self, name: &str) -> Result<Option<SdkLogGroup>, PortError> {
        let mut pages = self
            .logs()
            .describe_log_groups()
            .log_group_name_prefix(name)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(translate)?;
            let mut groups = page.log_groups.unwrap_or_default().into_iter();
            if let Some(found) = groups.find(|group| group.log_group_name() == Some(name)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// The ARN of the group itself; the older of the two that the service tells stands for its streams.
fn arn(group: &SdkLogGroup) -> Result<String, PortError> {
    let arn = group.log_group_arn().or_else(|| group.arn());
    let arn = arn.ok_or_else(|| unclear("DescribeLogGroups", "ARN"))?;
    Ok(arn.strip_suffix(":*").unwrap_or(arn).to_owned())
}
