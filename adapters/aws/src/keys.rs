//! KMS keys.

use async_trait::async_trait;
use aws_sdk_kms::{
    config::Builder,
    operation::{create_alias::CreateAliasError, create_key::CreateKeyError},
    types::{KeyMetadata, KeyState as SdkKeyState, Tag},
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::{
        cloud::{Deletion, Tags},
        keys::{Key, KeyApi, KeyState},
    },
};

use crate::{
    call::{NeverTwice, QuotasAreNotThrottling, absent, all, deletion},
    client::Aws,
    codes, convert,
    errors::{error, translate, unclear},
};

/// Keys that are looked at side by side; KMS allows some ten such reads a second.
const SIDE_BY_SIDE: usize = 5;

#[async_trait]
impl KeyApi for Aws {
    async fn find(&self, id: &str) -> Result<Option<Key>, PortError> {
        let answer = self
            .kms()
            .describe_key()
            .key_id(id)
            .send()
            .await
            .map_err(translate);
        let Some(metadata) = absent(answer)?.and_then(|answer| answer.key_metadata) else {
            return Ok(None);
        };
        let Some(tags) = absent(self.key_tags(metadata.key_id()).await)? else {
            return Ok(None);
        };
        key(&metadata, tags).map(Some)
    }

    async fn behind(&self, alias: &str) -> Result<Option<Key>, PortError> {
        // Wherever a key's id goes, KMS takes an alias, too.
        KeyApi::find(self, alias).await
    }

    /// Key by key, because the tagging service lags behind and forgets keys that wait for their deletion. Of a key whose own policy
    /// shuts us out, this account's pipectl is not the maker.
    async fn tagged(&self, tags: &Tags) -> Result<Vec<Key>, PortError> {
        let listed = all!(self.kms().list_keys())?;
        let mut found: Vec<Key> = stream::iter(listed)
            .map(|entry| async move {
                let Some(id) = entry.key_id() else {
                    return Ok(None);
                };
                let own = match absent(self.key_tags(id).await) {
                    Ok(Some(own)) => own,
                    Ok(None) => return Ok(None),
                    Err(refused) if refused.kind == Kind::Forbidden => return Ok(None),
                    Err(failed) => return Err(failed),
                };
                let fits = tags
                    .iter()
                    .all(|(name, value)| own.get(name) == Some(value));
                if !fits {
                    return Ok(None);
                }
                KeyApi::find(self, id).await
            })
            .buffer_unordered(SIDE_BY_SIDE)
            .try_filter_map(|key| async move { Ok(key) })
            .try_collect()
            .await?;
        found.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(found)
    }

    async fn create(&self, description: &str, tags: &Tags) -> Result<Key, PortError> {
        // There is no client token: a key of which nobody knows would wait a week for its deletion.
        let config = Builder::new()
            .retry_classifier(QuotasAreNotThrottling::<CreateKeyError>::new())
            .retry_classifier(NeverTwice);
        let answer = self
            .kms()
            .create_key()
            .description(description)
            .set_tags(Some(sdk_tags(tags)?))
            .customize()
            .config_override(config)
            .send()
            .await
            .map_err(translate)?;
        let metadata = answer
            .key_metadata
            .ok_or_else(|| unclear("CreateKey", "key"))?;
        key(&metadata, tags.clone())
    }

    async fn alias(&self, alias: &str, key: &str) -> Result<(), PortError> {
        let config =
            Builder::new().retry_classifier(QuotasAreNotThrottling::<CreateAliasError>::new());
        let made = self
            .kms()
            .create_alias()
            .alias_name(alias)
            .target_key_id(key)
            .customize()
            .config_override(config)
            .send()
            .await
            .map_err(translate);
        match made {
            Ok(_) => Ok(()),
            Err(exists) if exists.kind == Kind::AlreadyExists => {
                self.kms()
                    .update_alias()
                    .alias_name(alias)
                    .target_key_id(key)
                    .send()
                    .await
                    .map_err(translate)?;
                Ok(())
            }
            Err(failed) => Err(failed),
        }
    }

    async fn unalias(&self, alias: &str) -> Result<Deletion, PortError> {
        let answer = self
            .kms()
            .delete_alias()
            .alias_name(alias)
            .send()
            .await
            .map_err(translate);
        deletion(answer)
    }

    async fn schedule_deletion(&self, key: &str, days: u8) -> Result<Option<Timestamp>, PortError> {
        let answer = self
            .kms()
            .schedule_key_deletion()
            .key_id(key)
            .pending_window_in_days(i32::from(days))
            .send()
            .await;
        match answer {
            Ok(scheduled) => Ok(scheduled.deletion_date().and_then(convert::timestamp)),
            // What waits already is in a state that takes no schedule; anything else in such a state is an error.
            Err(failed) if failed.code() == Some("KMSInvalidStateException") => {
                match KeyApi::find(self, key).await? {
                    Some(Key {
                        state: KeyState::PendingDeletion(date),
                        ..
                    }) => Ok(date),
                    _ => Err(translate(failed)),
                }
            }
            Err(failed) => Err(translate(failed)),
        }
    }

    async fn retag(&self, key: &str, set: &Tags, remove: &[String]) -> Result<(), PortError> {
        if !set.is_empty() {
            self.kms()
                .tag_resource()
                .key_id(key)
                .set_tags(Some(sdk_tags(set)?))
                .send()
                .await
                .map_err(translate)?;
        }
        if !remove.is_empty() {
            self.kms()
                .untag_resource()
                .key_id(key)
                .set_tag_keys(Some(remove.to_vec()))
                .send()
                .await
                .map_err(translate)?;
        }
        Ok(())
    }
}

impl Aws {
    async fn key_tags(&self, id: &str) -> Result<Tags, PortError> {
        let tags = all!(self.kms().list_resource_tags().key_id(id))?;
        Ok(convert::tags(
            tags.iter()
                .map(|tag| (Some(tag.tag_key()), Some(tag.tag_value()))),
        ))
    }
}

fn sdk_tags(tags: &Tags) -> Result<Vec<Tag>, PortError> {
    tags.iter()
        .map(|(key, value)| Tag::builder().tag_key(key).tag_value(value).build())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| error(Kind::Invalid, codes::INVALID, source.to_string()))
}

fn key(metadata: &KeyMetadata, tags: Tags) -> Result<Key, PortError> {
    let state = match metadata.key_state() {
        Some(SdkKeyState::Enabled) => KeyState::Enabled,
        Some(SdkKeyState::Disabled) => KeyState::Disabled,
        Some(SdkKeyState::PendingDeletion) => {
            KeyState::PendingDeletion(metadata.deletion_date().and_then(convert::timestamp))
        }
        _ => KeyState::Other,
    };
    Ok(Key {
        id: metadata.key_id().to_owned(),
        arn: metadata
            .arn()
            .ok_or_else(|| unclear("DescribeKey", "ARN"))?
            .to_owned(),
        state,
        created: metadata.creation_date().and_then(convert::timestamp),
        tags,
    })
}
