//! Tags of everything that EKS has, by ARN.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Cluster, State, tags, texts};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;

fn of_cluster(cluster: &Cluster) -> Vec<(&str, &Tags)> {
    let mut all = vec![(cluster.arn.as_str(), &cluster.tags)];
    all.extend(
        cluster
            .nodegroups
            .values()
            .map(|one| (one.arn.as_str(), &one.tags)),
    );
    all.extend(
        cluster
            .addons
            .values()
            .map(|one| (one.arn.as_str(), &one.tags)),
    );
    all.extend(
        cluster
            .entries
            .values()
            .map(|one| (one.arn.as_str(), &one.tags)),
    );
    all.extend(
        cluster
            .identities
            .values()
            .map(|one| (one.arn.as_str(), &one.tags)),
    );
    all
}

impl State {
    /// Everything that can have tags, by ARN.
    pub(crate) fn tagged(&self) -> Vec<(&str, &Tags)> {
        self.clusters.values().flat_map(of_cluster).collect()
    }

    /// The tags of a resource, to change them.
    pub(crate) fn tags_of(&mut self, arn: &str) -> Option<&mut Tags> {
        self.clusters.values_mut().find_map(|cluster| {
            if cluster.arn == arn {
                return Some(&mut cluster.tags);
            }
            let groups = cluster
                .nodegroups
                .values_mut()
                .map(|one| (&one.arn, &mut one.tags));
            let addons = cluster
                .addons
                .values_mut()
                .map(|one| (&one.arn, &mut one.tags));
            let entries = cluster
                .entries
                .values_mut()
                .map(|one| (&one.arn, &mut one.tags));
            let identities = cluster
                .identities
                .values_mut()
                .map(|one| (&one.arn, &mut one.tags));
            let mut all = groups.chain(addons).chain(entries).chain(identities);
            all.find(|(of, _)| of.as_str() == arn).map(|(_, tags)| tags)
        })
    }
}

const PATH: &str = "/tags/{resourceArn}";

pub(crate) const ACTIONS: &[Action] = &[
    Action::write("TagResource", &["resourceArn", "tags"], tag).at("POST", PATH),
    Action::write("UntagResource", &["resourceArn", "tagKeys"], untag).at("DELETE", PATH),
    Action::read("ListTagsForResource", &["resourceArn"], list).at("GET", PATH),
];

fn of<'a>(scene: &'a mut Scene<'_>, params: Params<'_>) -> Result<&'a mut Tags, ApiError> {
    let arn = params.need("resourceArn")?;
    let found = scene.region.eks.tags_of(arn);
    found.ok_or_else(|| {
        let message = format!("Requested resource was not found: {arn}");
        ApiError::new("NotFoundException", message).status(StatusCode::NOT_FOUND)
    })
}

fn tag(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (more, now) = (tags(params)?, scene.now);
    let of = of(scene, params)?;
    of.add(now, &more)
        .map_err(|error| ApiError::new("BadRequestException", error.message))?;
    Ok(json!({}))
}

fn untag(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let now = scene.now;
    let of = of(scene, params)?;
    for key in texts(params, "tagKeys") {
        of.remove(now, key, None);
    }
    Ok(json!({}))
}

fn list(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    Ok(json!({ "tags": of(scene, params)?.current() }))
}
