//! The KMS key that encrypts Kubernetes Secrets. Keys have no names and their creation takes no token: the alias is the
//! name, and a key made twice is found by its tags.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use pipectl_config::Loaded;
use serde_json::{Value, json};

use crate::{
    cloud::{
        Look, Resource,
        candidates::{Candidate, Choice, choose},
        cloud, names, tags,
    },
    context::StepContext,
    error::{PortError, StepError},
    ports::{
        cloud::Tags,
        keys::{Key, KeyState},
    },
    step::{Change, Difference, Readiness},
};

/// Days until a key goes that is deleted: the fewest that KMS takes.
pub(super) const WAITING_DAYS: u8 = 7;

/// The key of an environment.
pub(super) struct SecretsKey {
    pub(super) loaded: Arc<Loaded>,
}

impl SecretsKey {
    fn tags(&self, cx: &StepContext) -> Tags {
        let name = format!("pipectl-{}-secrets", cx.environment.name);
        tags::wanted(cx, &name, &self.loaded.pipeline.spec.tags)
    }

    async fn aliased(cx: &StepContext) -> Result<Option<Key>, StepError> {
        let alias = names::key_alias(&cx.environment);
        let found = cloud(cx)?.keys.behind(&alias).await;
        found.map_err(|error| error.during("look at", alias))
    }
}

#[async_trait]
impl Resource for SecretsKey {
    type Live = Key;

    async fn look(&self, cx: &StepContext) -> Result<Look<Key>, StepError> {
        let aliased = Self::aliased(cx).await?;
        if let Some(key) = &aliased
            && let Some(words) = tags::foreign(&key.tags, &cx.environment)
        {
            return Ok(Look::Foreign(format!(
                "{} leads to a key of somebody else's: {words}",
                names::key_alias(&cx.environment)
            )));
        }
        let usable = |key: &Key| matches!(key.state, KeyState::Enabled | KeyState::Disabled);
        let recorded = cx.recorded().and_then(|outputs| outputs["id"].as_str());
        // Where the recorded key is the one behind the alias, nothing was made twice since.
        if let Some(key) = &aliased
            && usable(key)
            && recorded == Some(key.id.as_str())
        {
            return Ok(Look::there(key.clone()));
        }
        let ours = tags::made_by(&cx.environment, &cx.step);
        let found = cloud(cx)?.keys.tagged(&ours).await;
        let mut found = found.map_err(|error| error.during("look for", "KMS keys"))?;
        if let Some(key) = &aliased
            && !found.iter().any(|other| other.id == key.id)
        {
            found.push(key.clone());
        }
        found.retain(usable);
        let candidates: Vec<Candidate> = found
            .iter()
            .map(|key| Candidate {
                id: key.id.clone(),
                made: key.tags.get(tags::MADE_TAG).cloned().unwrap_or_default(),
                used: aliased.as_ref().is_some_and(|aliased| aliased.id == key.id),
            })
            .collect();
        Ok(match choose(recorded, &candidates) {
            Choice::One { keep, extras } => found
                .into_iter()
                .find(|key| key.id == keep)
                .map_or_else(Look::absent, |live| Look::There { live, extras }),
            Choice::None | Choice::Ambiguous(_) => Look::absent(),
        })
    }

    async fn identity(&self, cx: &StepContext, _: u32) -> Result<Value, StepError> {
        Ok(json!({"alias": names::key_alias(&cx.environment)}))
    }

    async fn create(
        &self,
        cx: &StepContext,
        attempt: u32,
    ) -> Result<Result<Key, PortError>, StepError> {
        let description = format!(
            "Kubernetes Secrets of pipectl environment {}",
            cx.environment.name
        );
        let tags = tags::stamped(self.tags(cx), attempt);
        Ok(cloud(cx)?.keys.create(&description, &tags).await)
    }

    async fn differences(
        &self,
        cx: &StepContext,
        live: &Key,
    ) -> Result<Vec<Difference>, StepError> {
        let alias = names::key_alias(&cx.environment);
        let aliased = Self::aliased(cx).await?.map(|key| key.id);
        let mut differences = Vec::new();
        if aliased.as_deref() != Some(live.id.as_str()) {
            differences.push(Difference {
                resource: alias,
                field: Some("key".to_owned()),
                live: aliased,
                wanted: Some(live.id.clone()),
                change: Change::Updated,
            });
        }
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        let resource = format!("KMS key {}", live.id);
        differences.extend(tags::differences(&resource, &live.tags, &retag));
        Ok(differences)
    }

    async fn mend(&self, cx: &StepContext, live: Key) -> Result<Key, StepError> {
        let keys = &cloud(cx)?.keys;
        let alias = names::key_alias(&cx.environment);
        let failed = |error: PortError| {
            let retry = self.retry(cx, &error);
            error.during("set up", &alias).with_retry(retry)
        };
        let aliased = Self::aliased(cx).await?;
        if aliased.is_none_or(|key| key.id != live.id) {
            keys.alias(&alias, &live.id).await.map_err(failed)?;
        }
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        if !retag.is_empty() {
            let done = keys.retag(&live.id, &retag.set, &retag.remove).await;
            done.map_err(failed)?;
        }
        Ok(live)
    }

    async fn drop_extra(&self, cx: &StepContext, id: &str) -> Result<(), StepError> {
        let done = cloud(cx)?.keys.schedule_deletion(id, WAITING_DAYS).await;
        done.map_err(|error| error.during("schedule the deletion of", format!("KMS key {id}")))?;
        cx.progress(format!(
            "KMS key {id}, made twice, goes in {WAITING_DAYS} days"
        ));
        Ok(())
    }

    fn outputs(&self, _: &StepContext, live: &Key) -> Value {
        json!({"id": live.id, "arn": live.arn})
    }

    fn tag_keys(&self, cx: &StepContext) -> BTreeSet<String> {
        self.tags(cx).into_keys().collect()
    }

    fn summary(&self, live: &Key) -> String {
        format!("KMS key {}", live.id)
    }

    fn works(&self, live: &Key) -> Option<String> {
        // An observation without differences found the alias leading to it.
        (live.state == KeyState::Enabled).then(|| self.summary(live))
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        Ok(match Self::aliased(cx).await? {
            Some(key) if key.state == KeyState::Enabled => {
                Readiness::Ready(format!("KMS key {}", key.id))
            }
            Some(key) => Readiness::Failed(Box::new(
                StepError::new(
                    "EKS005",
                    "use",
                    format!("KMS key {}", key.id),
                    "it is disabled or waits for its deletion",
                )
                .with_hint("enable it in KMS; without it the cluster's Secrets cannot be read"),
            )),
            None => Readiness::waiting("the alias is not seen yet"),
        })
    }
}
