//! Pod identity associations: pods of a service account act as a role.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::create::MISMATCH;
use super::{bad_parameter, cluster_mut, cluster_of, in_use, not_found, paged, tags};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;
use crate::aws::world::tokens::{Replay, remember, replay};

/// An association.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Association {
    pub(crate) id: String,
    pub(crate) arn: String,
    namespace: String,
    service_account: String,
    role: String,
    created: Time,
    changed: Time,
    pub(crate) tags: Tags,
}

impl Association {
    /// One for a service account that has none yet; it is the caller's to keep it.
    pub(super) fn new(
        scene: &mut Scene<'_>,
        cluster: &str,
        namespace: &str,
        service_account: &str,
        role: &str,
        tags: Tags,
    ) -> Result<Self, ApiError> {
        let known = scene.region.eks.clusters.get(cluster);
        let mut all = known
            .into_iter()
            .flat_map(|cluster| cluster.identities.values());
        if all.any(|one| one.namespace == namespace && one.service_account == service_account) {
            return Err(in_use(format!(
                "Association already exists: {namespace}/{service_account}"
            ))
            .field("clusterName", cluster));
        }
        if scene.account.iam.role_of(role).is_none() {
            return Err(bad_parameter(format!(
                "Role provided in the request does not exist: {role}"
            )));
        }
        let id = format!("a-{}", scene.core.ids.letters(17).to_ascii_lowercase());
        Ok(Self {
            arn: scene
                .place
                .arn("eks", &format!("podidentityassociation/{cluster}/{id}")),
            id,
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
            role: role.to_owned(),
            created: scene.now,
            changed: scene.now,
            tags,
        })
    }

    fn show(&self, cluster: &str) -> Value {
        json!({
            "clusterName": cluster,
            "namespace": self.namespace,
            "serviceAccount": self.service_account,
            "roleArn": self.role,
            "associationArn": self.arn,
            "associationId": self.id,
            "createdAt": self.created.epoch(),
            "modifiedAt": self.changed.epoch(),
            "tags": self.tags.current(),
        })
    }
}

const NAMED: &[&str] = &["clusterName", "associationId"];
const ONE: &str = "/clusters/{clusterName}/pod-identity-associations/{associationId}";
const ALL: &str = "/clusters/{clusterName}/pod-identity-associations";

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreatePodIdentityAssociation",
        &[
            "clusterName",
            "namespace",
            "serviceAccount",
            "roleArn",
            "clientRequestToken",
            "tags",
        ],
        create,
    )
    .at("POST", ALL),
    Action::read("DescribePodIdentityAssociation", NAMED, describe).at("GET", ONE),
    Action::read(
        "ListPodIdentityAssociations",
        &[
            "clusterName",
            "namespace",
            "serviceAccount",
            "maxResults",
            "nextToken",
        ],
        list,
    )
    .at("GET", ALL),
    Action::write(
        "UpdatePodIdentityAssociation",
        &[
            "clusterName",
            "associationId",
            "roleArn",
            "clientRequestToken",
        ],
        update,
    )
    .at("POST", ONE),
    Action::write("DeletePodIdentityAssociation", NAMED, delete).at("DELETE", ONE),
];

fn of<'a>(scene: &'a Scene<'_>, params: Params<'_>) -> Result<&'a Association, ApiError> {
    let id = params.need("associationId")?;
    let found = cluster_of(scene, params, "clusterName")?.identities.get(id);
    found.ok_or_else(|| not_found(format!("No association found for ID: {id}")))
}

fn create(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let first = replay(scene, params, "clientRequestToken", MISMATCH)?;
    let name = cluster_of(scene, params, "clusterName")?.name.clone();
    if let Replay::Again(id) = &first
        && let Some(one) = cluster_of(scene, params, "clusterName")?.identities.get(id)
    {
        return Ok(json!({ "association": one.show(&name) }));
    }
    let (namespace, account) = (params.need("namespace")?, params.need("serviceAccount")?);
    let tags = Tags::new(tags(params)?);
    let one = Association::new(
        scene,
        &name,
        namespace,
        account,
        params.need("roleArn")?,
        tags,
    )?;
    let shown = json!({ "association": one.show(&name) });
    remember(scene, first, &one.id);
    cluster_mut(scene, params, "clusterName")?
        .identities
        .insert(one.id.clone(), one);
    Ok(shown)
}

fn describe(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("clusterName")?;
    Ok(json!({ "association": of(scene, params)?.show(name) }))
}

fn list(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let cluster = cluster_of(scene, params, "clusterName")?;
    let (namespace, account) = (params.text("namespace"), params.text("serviceAccount"));
    let mine = cluster.identities.values().filter(|one| {
        namespace.is_none_or(|wanted| wanted == one.namespace)
            && account.is_none_or(|wanted| wanted == one.service_account)
    });
    // A list tells neither role nor tags.
    let shown = mine.map(|one| {
        let summary = json!({
            "clusterName": cluster.name,
            "namespace": one.namespace,
            "serviceAccount": one.service_account,
            "associationArn": one.arn,
            "associationId": one.id,
        });
        (one.id.clone(), summary)
    });
    paged(params, "associations", shown.collect())
}

fn update(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = of(scene, params)?.id.clone();
    let role = params.text("roleArn").map(str::to_owned);
    if let Some(role) = &role
        && scene.account.iam.role_of(role).is_none()
    {
        return Err(bad_parameter(format!(
            "Role provided in the request does not exist: {role}"
        )));
    }
    let now = scene.now;
    let cluster = cluster_mut(scene, params, "clusterName")?;
    let name = cluster.name.clone();
    let shown = cluster.identities.get_mut(&id).map(|one| {
        if let Some(role) = role {
            one.role = role;
        }
        one.changed = now;
        one.show(&name)
    });
    Ok(json!({ "association": shown }))
}

fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let one = of(scene, params)?;
    let (id, shown) = (one.id.clone(), one.show(params.need("clusterName")?));
    cluster_mut(scene, params, "clusterName")?
        .identities
        .remove(&id);
    Ok(json!({ "association": shown }))
}
