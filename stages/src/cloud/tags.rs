//! Whose a resource is. Ownership stands in its tags, set in the call that makes it, so that a removal needs no memory.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    context::{Environment, StepContext},
    objects::ownership::{
        ENVIRONMENT_LABEL, ENVIRONMENT_UID_LABEL, Owner, STEP_ANNOTATION as STEP_TAG,
    },
    ports::cloud::Tags,
    step::{Change, Difference, StepId},
};

/// Tag with the number of the attempt that made a resource.
pub const ATTEMPT_TAG: &str = "pipectl.dev/attempt";
/// Tag with the time at which a resource was asked for (RFC 3339): EC2 keeps none for VPCs, subnets, gateways, groups.
pub const MADE_TAG: &str = "pipectl.dev/made";
/// The tag that consoles show as the name.
pub const NAME_TAG: &str = "Name";

/// The tags that a step's resource must have: whose it is, which step's, its name, and the pipeline's own.
#[must_use]
pub fn wanted(cx: &StepContext, name: &str, pipeline: &Tags) -> Tags {
    let mut tags = pipeline.clone();
    let own = [
        (ENVIRONMENT_LABEL, cx.environment.name.as_str()),
        (ENVIRONMENT_UID_LABEL, cx.environment.uid.as_str()),
        (STEP_TAG, cx.step.as_str()),
        (NAME_TAG, name),
    ];
    for (key, value) in own {
        tags.insert(key.to_owned(), value.to_owned());
    }
    tags
}

/// The same tags with the number of the attempt. What is made under a client token gets no more than this: a call that
/// is repeated with its token must say what the first one said (EC2 developer guide, ensuring idempotency).
#[must_use]
pub fn numbered(mut tags: Tags, attempt: u32) -> Tags {
    tags.insert(ATTEMPT_TAG.to_owned(), attempt.to_string());
    tags
}

/// The same tags with the number of the attempt and the time, for what is made without a client token.
#[must_use]
pub fn stamped(tags: Tags, attempt: u32) -> Tags {
    let mut tags = numbered(tags, attempt);
    let made = Timestamp::now();
    tags.insert(MADE_TAG.to_owned(), made.to_string());
    tags
}

/// Tags of volumes that the CSI driver makes: whose they are, and the pipeline's own.
#[must_use]
pub fn of_volumes(environment: &Environment, pipeline: &Tags) -> Tags {
    let mut tags = pipeline.clone();
    tags.insert(ENVIRONMENT_LABEL.to_owned(), environment.name.clone());
    tags.insert(ENVIRONMENT_UID_LABEL.to_owned(), environment.uid.clone());
    tags
}

/// When a resource was asked for, where its tags say it.
#[must_use]
pub fn made_at(tags: &Tags) -> Option<Timestamp> {
    tags.get(MADE_TAG)?.parse().ok()
}

/// Selects everything of an environment.
#[must_use]
pub fn owned_by(environment: &Environment) -> Tags {
    Tags::from([(ENVIRONMENT_UID_LABEL.to_owned(), environment.uid.clone())])
}

/// Selects what one step made in an environment.
#[must_use]
pub fn made_by(environment: &Environment, step: &StepId) -> Tags {
    let mut tags = owned_by(environment);
    tags.insert(STEP_TAG.to_owned(), step.to_string());
    tags
}

/// Whose a resource is, seen from `environment`.
#[must_use]
pub fn owner(tags: &Tags, environment: &Environment) -> Owner {
    match tags.get(ENVIRONMENT_UID_LABEL) {
        Some(uid) if *uid == environment.uid => Owner::Ours,
        Some(uid) => Owner::Other {
            name: tags
                .get(ENVIRONMENT_LABEL)
                .map_or("?", String::as_str)
                .to_owned(),
            uid: uid.clone(),
        },
        None => Owner::Unmarked,
    }
}

/// Whether what stands under an id that we recorded, or under a name that only this environment uses, is still this
/// environment's. A tag that somebody took off does not make it somebody else's as long as another one names the environment
/// and none names another UID: of one name there is one environment in an account and region, which the anchor sees to.
#[must_use]
pub fn is_still_ours(tags: &Tags, environment: &Environment) -> bool {
    match owner(tags, environment) {
        Owner::Ours => true,
        Owner::Unmarked => tags.get(ENVIRONMENT_LABEL) == Some(&environment.name),
        Owner::Other { .. } => false,
    }
}

/// Whose a resource is that stands under a name of ours, in words for an error; `None` when it is ours.
#[must_use]
pub fn foreign(tags: &Tags, environment: &Environment) -> Option<String> {
    if is_still_ours(tags, environment) {
        return None;
    }
    match (owner(tags, environment), tags.get(ENVIRONMENT_LABEL)) {
        (other @ Owner::Other { .. }, _) => Some(other.words()),
        (_, Some(name)) => Some(format!("by its tag it belongs to environment {name}")),
        (_, None) => Some("it exists already and carries no tag of pipectl's".to_owned()),
    }
}

/// The step that made a resource.
#[must_use]
pub fn step_of(tags: &Tags) -> Option<&str> {
    tags.get(STEP_TAG).map(String::as_str)
}

/// The number of the attempt that made a resource; 1 when it does not say.
#[must_use]
pub fn attempt_of(tags: &Tags) -> u32 {
    let said = tags.get(ATTEMPT_TAG).and_then(|number| number.parse().ok());
    said.unwrap_or(1)
}

/// What is to be done to a resource's tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retag {
    /// To be set.
    pub set: Tags,
    /// Keys to be removed.
    pub remove: Vec<String>,
}

impl Retag {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }
}

/// What makes `live` tags the `wanted` ones. A key is removed only when we set it (`set_before`): others tag things too.
#[must_use]
pub fn retag(live: &Tags, wanted: &Tags, set_before: &BTreeSet<String>) -> Retag {
    let set = wanted
        .iter()
        .filter(|(key, value)| live.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let remove = set_before
        .iter()
        .filter(|key| live.contains_key(*key) && !wanted.contains_key(*key))
        .cloned()
        .collect();
    Retag { set, remove }
}

/// The differences that a [`Retag`] mends, for a plan.
#[must_use]
pub fn differences(resource: &str, live: &Tags, retag: &Retag) -> Vec<Difference> {
    let set = retag
        .set
        .iter()
        .map(|(key, value)| (key, Some(value.clone())));
    let removed = retag.remove.iter().map(|key| (key, None));
    set.chain(removed)
        .map(|(key, wanted)| Difference {
            resource: resource.to_owned(),
            field: Some(format!("tags.{key}")),
            live: live.get(key).cloned(),
            wanted,
            change: Change::Updated,
        })
        .collect()
}

/// The keys of tags that this step set last, as its outputs say.
#[must_use]
pub fn set_before(cx: &StepContext) -> BTreeSet<String> {
    let keys = cx.recorded().and_then(|outputs| outputs["tags"].as_array());
    keys.into_iter()
        .flatten()
        .filter_map(|key| key.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn tags_of_others_stay_and_our_own_old_ones_go() {
        let live = tags(&[("team", "a"), ("old", "x"), ("theirs", "y")]);
        let wanted = tags(&[("team", "b"), ("cost", "1")]);
        let before = BTreeSet::from(["team".to_owned(), "old".to_owned()]);
        let retag = retag(&live, &wanted, &before);
        assert_eq!(retag.set, tags(&[("team", "b"), ("cost", "1")]));
        assert_eq!(retag.remove, ["old"]);
        assert_eq!(differences("VPC v", &live, &retag).len(), 3);
    }

    #[test]
    fn the_uid_decides_whose_a_resource_is() {
        let environment = Environment {
            name: "demo".to_owned(),
            uid: "u1".to_owned(),
        };
        assert_eq!(owner(&owned_by(&environment), &environment), Owner::Ours);
        assert!(foreign(&tags(&[("Name", "demo")]), &environment).is_some());
        let twin = tags(&[(ENVIRONMENT_LABEL, "demo"), (ENVIRONMENT_UID_LABEL, "u2")]);
        assert!(foreign(&twin, &environment).is_some_and(|words| words.contains("u2")));
    }
}
