//! What the environment made or recorded, and what does not say so any more: somebody took its tags off. It is not removed,
//! since nothing but its tags says whose it is now, and it is not passed over, since it stands.

use super::tags;
use crate::{
    context::{Environment, StepContext},
    error::StepError,
    objects::ownership::{ENVIRONMENT_UID_LABEL, Owner},
    ports::{cloud::Tags, network::Piece},
};

/// Something that lost its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// What it is, e.g. `subnet`.
    pub kind: &'static str,
    /// Its id or name.
    pub id: String,
    /// What is wrong with it, in words.
    pub why: String,
    /// The command that says again that it is this environment's; none where it says that it is another one's.
    pub put_back: Option<String>,
}

impl Lost {
    fn new(
        environment: &Environment,
        (kind, id): (&'static str, &str),
        its_tags: &Tags,
        put_back: impl FnOnce(&str, &str) -> String,
    ) -> Self {
        let (key, uid) = (ENVIRONMENT_UID_LABEL, &environment.uid);
        let (why, put_back) = match tags::owner(its_tags, environment) {
            other @ Owner::Other { .. } => (
                format!(
                    "this environment made it, and by its tags {}",
                    other.words()
                ),
                None,
            ),
            Owner::Ours | Owner::Unmarked => (
                format!("this environment made it, and its tags, {key} among them, are gone"),
                Some(put_back(key, uid)),
            ),
        };
        Self {
            kind,
            id: id.to_owned(),
            why,
            put_back,
        }
    }

    /// A piece of the network.
    pub(crate) fn piece(environment: &Environment, piece: &Piece) -> Self {
        let what = (piece.kind().words(), piece.id.as_str());
        Self::new(environment, what, &piece.tags, |key, uid| {
            let id = &piece.id;
            format!("aws ec2 create-tags --resources {id} --tags Key={key},Value={uid}")
        })
    }

    /// A role.
    pub(crate) fn role(environment: &Environment, name: &str, its_tags: &Tags) -> Self {
        Self::new(environment, ("role", name), its_tags, |key, uid| {
            format!("aws iam tag-role --role-name {name} --tags Key={key},Value={uid}")
        })
    }

    /// An OIDC provider.
    pub(crate) fn oidc_provider(environment: &Environment, arn: &str, its_tags: &Tags) -> Self {
        let issuer = arn.split_once('/').map_or(arn, |(_, issuer)| issuer);
        Self::new(
            environment,
            ("OIDC provider", issuer),
            its_tags,
            |key, uid| {
                format!(
                    "aws iam tag-open-id-connect-provider --open-id-connect-provider-arn {arn} --tags Key={key},Value={uid}"
                )
            },
        )
    }

    /// A key.
    pub(crate) fn key(environment: &Environment, id: &str, its_tags: &Tags) -> Self {
        Self::new(environment, ("KMS key", id), its_tags, |key, uid| {
            format!("aws kms tag-resource --key-id {id} --tags TagKey={key},TagValue={uid}")
        })
    }

    /// A cluster.
    pub(crate) fn cluster(
        environment: &Environment,
        name: &str,
        arn: &str,
        its_tags: &Tags,
    ) -> Self {
        Self::new(environment, ("EKS cluster", name), its_tags, |key, uid| {
            format!("aws eks tag-resource --resource-arn {arn} --tags {key}={uid}")
        })
    }

    /// Why it is not removed.
    pub(crate) fn error(&self) -> StepError {
        let by_hand = "remove it by hand, and run pipectl down again";
        let hint = match &self.put_back {
            Some(command) => format!(
                "if it is still this environment's, say so and run pipectl down again: {command}; else {by_hand}"
            ),
            None => by_hand.to_owned(),
        };
        let what = format!("{} {}", self.kind, self.id);
        StepError::new("DWN005", "delete", what, &self.why).with_hint(hint)
    }
}

/// Whether a step recorded this value under that key of its outputs.
pub(crate) fn is_recorded(cx: &StepContext, key: &str, value: &str) -> bool {
    cx.outputs.values().any(|outputs| outputs[key] == value)
}

/// The error of the first of what lost its tags, once all that is still ours is gone.
pub(crate) fn none_left(lost: &[Lost]) -> Result<(), StepError> {
    lost.first().map_or(Ok(()), |lost| Err(lost.error()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::ownership::ENVIRONMENT_LABEL;

    #[test]
    fn what_carries_another_environments_uid_is_not_to_be_tagged_anew() {
        let environment = Environment {
            name: "demo".to_owned(),
            uid: "u-1".to_owned(),
        };
        let bare = Lost::role(&environment, "r", &Tags::new()).error();
        assert_eq!(bare.code, "DWN005");
        assert!(bare.hint.unwrap().contains("tag-role --role-name r"));
        let others = Tags::from([
            (ENVIRONMENT_LABEL.to_owned(), "demo".to_owned()),
            (ENVIRONMENT_UID_LABEL.to_owned(), "u-2".to_owned()),
        ]);
        let others = Lost::role(&environment, "r", &others);
        assert_eq!(others.put_back, None);
        assert!(others.why.contains("u-2"), "{}", others.why);
    }
}
