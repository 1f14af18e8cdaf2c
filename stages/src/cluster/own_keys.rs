//! The KMS keys of an environment, on the way down and in the inventory.
//!
//! A key is known by its alias, by its recorded id, or by its tags. KMS has no search by tags: only walking through all
//! keys of the account, with a call for each, finds one that was made and lost before it got its alias, and one that waits
//! for its deletion without a record. So that is done where such a key can be, and once.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::Mutex;

use super::steps;
use crate::{
    cloud::{cloud, lost::Lost, names, tags, text},
    context::StepContext,
    error::{PortError, StepError},
    objects::ownership::Owner,
    ports::keys::{Key, KeyState},
    step::StepId,
};

/// Finds them, look after look.
#[derive(Default)]
pub(crate) struct OwnKeys {
    /// What the walk found, once it was done.
    walked: Mutex<Option<BTreeSet<String>>>,
}

/// What one look found.
pub(crate) struct Found {
    /// The environment's keys by id, those waiting for their deletion among them.
    pub(crate) keys: BTreeMap<String, Key>,
    /// Whether the environment's alias leads to one of them.
    pub(crate) aliased: bool,
    /// Known by alias or record, and without the environment's tags now.
    pub(crate) lost: Vec<Lost>,
}

impl OwnKeys {
    /// Looks for them.
    pub(crate) async fn look(&self, cx: &StepContext) -> Result<Found, StepError> {
        let cloud = cloud(cx)?;
        let failed = |error: PortError| error.during("look for", "KMS keys");
        let ours = |key: &Key| tags::is_still_ours(&key.tags, &cx.environment);
        let alias = names::key_alias(&cx.environment);
        let behind = cloud.keys.behind(&alias).await.map_err(failed)?;
        let (behind, mut strange): (Vec<Key>, Vec<Key>) = behind.into_iter().partition(ours);
        let aliased = !behind.is_empty();
        let mut keys: BTreeMap<String, Key> = behind
            .into_iter()
            .map(|key| (key.id.clone(), key))
            .collect();

        let recorded = text(cx, &steps::key(), "id");
        let mut ids: BTreeSet<String> = recorded.iter().cloned().collect();
        let tagged = cloud.tagged.all(&tags::owned_by(&cx.environment)).await;
        let walks = may_have_lost_one(cx) || tagged.is_err();
        let tagged = tagged.unwrap_or_default();
        ids.extend(tagged.iter().filter_map(|resource| key_of(&resource.arn)));
        if walks {
            let mut walked = self.walked.lock().await;
            match walked.as_ref() {
                Some(known) => ids.extend(known.iter().cloned()),
                None => {
                    let found = cloud.keys.tagged(&tags::owned_by(&cx.environment)).await;
                    let found = found.map_err(failed)?;
                    *walked = Some(found.iter().map(|key| key.id.clone()).collect());
                    keys.extend(found.into_iter().map(|key| (key.id.clone(), key)));
                }
            }
        }
        ids.retain(|id| !keys.contains_key(id));
        for id in ids {
            let key = cloud.keys.find(&id).await.map_err(failed)?;
            match key {
                Some(key) if ours(&key) => {
                    keys.insert(id, key);
                }
                Some(key) if !strange.iter().any(|other| other.id == key.id) => strange.push(key),
                Some(_) | None => {}
            }
        }
        // The alias has the environment's name in it, and not its UID: behind it may be the key of another one of that name.
        let lost = strange.iter().filter(|key| {
            let unmarked = tags::owner(&key.tags, &cx.environment) == Owner::Unmarked;
            let known = unmarked || recorded.as_ref() == Some(&key.id);
            known && !matches!(key.state, KeyState::PendingDeletion(_))
        });
        let lost = lost.map(|key| Lost::key(&cx.environment, &key.id, &key.tags));
        Ok(Found {
            aliased,
            lost: lost.collect(),
            keys,
        })
    }
}

/// Whether there may be a key that neither record nor alias tells of. A control plane is made after its key, so a record
/// that has the one and not the other is of an environment that never had a key.
fn may_have_lost_one(cx: &StepContext) -> bool {
    let recorded = |step: StepId| cx.output_of(step.as_str()).is_some();
    recorded(steps::key()) || !recorded(steps::control_plane())
}

/// The id of a key, from its ARN (`arn:aws:kms:REGION:ACCOUNT:key/ID`).
fn key_of(arn: &str) -> Option<String> {
    let mut parts = arn.splitn(6, ':').skip(2);
    (parts.next() == Some("kms")).then_some(())?;
    let id = parts.nth(2)?.strip_prefix("key/")?;
    Some(id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_by_their_arns() {
        let id = "0d5e1f5c-1c5b-4a8e-9a67-0c1d2e3f4a5b";
        let arn = format!("arn:aws:kms:us-west-2:111122223333:key/{id}");
        assert_eq!(key_of(&arn), Some(id.to_owned()));
        assert_eq!(key_of("arn:aws:ec2:us-west-2:111122223333:vpc/vpc-1"), None);
        assert_eq!(key_of("arn:aws:kms:us-west-2:111122223333:alias/a"), None);
    }
}
