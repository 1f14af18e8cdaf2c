//! OIDC providers: what service accounts of a cluster assume roles by.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{add_tags, exists, invalid, no_such, paged, remove_tags, show_tags, tags};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;

/// A provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Provider {
    /// Without `https://`.
    url: String,
    created: Time,
    clients: BTreeSet<String>,
    thumbprints: Vec<String>,
    tags: BTreeMap<String, String>,
}

const NAMED: &[&str] = &["OpenIDConnectProviderArn"];

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateOpenIDConnectProvider",
        &["Url", "ClientIDList", "ThumbprintList", "Tags"],
        create,
    ),
    Action::read("GetOpenIDConnectProvider", NAMED, get),
    Action::read("ListOpenIDConnectProviders", &[], list),
    Action::write("DeleteOpenIDConnectProvider", NAMED, delete),
    Action::write(
        "AddClientIDToOpenIDConnectProvider",
        &["OpenIDConnectProviderArn", "ClientID"],
        add_client,
    ),
    Action::write(
        "RemoveClientIDFromOpenIDConnectProvider",
        &["OpenIDConnectProviderArn", "ClientID"],
        remove_client,
    ),
    Action::write(
        "UpdateOpenIDConnectProviderThumbprint",
        &["OpenIDConnectProviderArn", "ThumbprintList"],
        update_thumbprint,
    ),
    Action::write(
        "TagOpenIDConnectProvider",
        &["OpenIDConnectProviderArn", "Tags"],
        tag,
    ),
    Action::write(
        "UntagOpenIDConnectProvider",
        &["OpenIDConnectProviderArn", "TagKeys"],
        untag,
    ),
    Action::read(
        "ListOpenIDConnectProviderTags",
        &["OpenIDConnectProviderArn", "Marker", "MaxItems"],
        list_tags,
    ),
];

fn absent(arn: &str) -> ApiError {
    no_such(format!("OpenIDConnect Provider not found for arn {arn}"))
}

fn of<'a>(scene: &'a Scene<'_>, params: Params<'_>) -> Result<&'a Provider, ApiError> {
    let arn = params.need("OpenIDConnectProviderArn")?;
    scene
        .account
        .iam
        .providers
        .get(arn)
        .ok_or_else(|| absent(arn))
}

fn of_mut<'a>(scene: &'a mut Scene<'_>, params: Params<'_>) -> Result<&'a mut Provider, ApiError> {
    let arn = params.need("OpenIDConnectProviderArn")?;
    scene
        .account
        .iam
        .providers
        .get_mut(arn)
        .ok_or_else(|| absent(arn))
}

fn owned(texts: Vec<&str>) -> impl Iterator<Item = String> {
    texts.into_iter().map(str::to_owned)
}

fn create(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let url = params.need("Url")?;
    let Some(url) = url.strip_prefix("https://").filter(|url| !url.is_empty()) else {
        return Err(invalid("Invalid Open ID Connect Provider URL"));
    };
    let arn = scene
        .place
        .global_arn("iam", &format!("oidc-provider/{url}"));
    if scene.account.iam.providers.contains_key(&arn) {
        return Err(exists(format!(
            "Provider with url https://{url} already exists."
        )));
    }
    let mut own = BTreeMap::new();
    add_tags(&mut own, tags(params)?)?;
    let provider = Provider {
        url: url.to_owned(),
        created: scene.now,
        clients: owned(params.texts("ClientIDList")).collect(),
        thumbprints: owned(params.texts("ThumbprintList")).collect(),
        tags: own,
    };
    let shown = json!({"OpenIDConnectProviderArn": arn, "Tags": show_tags(&provider.tags)});
    scene.account.iam.providers.insert(arn, provider);
    Ok(shown)
}

fn get(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let provider = of(scene, params)?;
    Ok(json!({
        "Url": provider.url,
        "ClientIDList": provider.clients,
        "ThumbprintList": provider.thumbprints,
        "CreateDate": provider.created.iso(),
        "Tags": show_tags(&provider.tags),
    }))
}

fn list(scene: &mut Scene<'_>, _: Params<'_>) -> Result<Value, ApiError> {
    let all = scene.account.iam.providers.iter();
    let listed = all.filter(|(_, provider)| scene.listed(provider.created));
    let shown: Vec<Value> = listed.map(|(arn, _)| json!({ "Arn": arn })).collect();
    Ok(json!({ "OpenIDConnectProviderList": shown }))
}

/// Deleting one that is not there is no error (IAM API reference: the operation is idempotent).
fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let arn = params.need("OpenIDConnectProviderArn")?;
    scene.account.iam.providers.remove(arn);
    Ok(Value::Null)
}

fn add_client(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let client = params.need("ClientID")?;
    of_mut(scene, params)?.clients.insert(client.to_owned());
    Ok(Value::Null)
}

fn remove_client(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let client = params.need("ClientID")?;
    of_mut(scene, params)?.clients.remove(client);
    Ok(Value::Null)
}

fn update_thumbprint(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let thumbprints = owned(params.texts("ThumbprintList")).collect();
    of_mut(scene, params)?.thumbprints = thumbprints;
    Ok(Value::Null)
}

fn tag(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let more = tags(params)?;
    add_tags(&mut of_mut(scene, params)?.tags, more)?;
    Ok(Value::Null)
}

fn untag(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    remove_tags(&mut of_mut(scene, params)?.tags, params);
    Ok(Value::Null)
}

fn list_tags(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let list =
        |(key, value): (&String, &String)| (key.clone(), json!({"Key": key, "Value": value}));
    paged(
        params,
        "Tags",
        of(scene, params)?.tags.iter().map(list).collect(),
    )
}
