//! Telling the API server whom to trust: the secret with the certificates, and `caBundle` in both configurations.

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::super::super::common::Follower;
use super::super::options::WebhookOptions;
use crate::pki::{Identity, Pki};

/// Write the secret, then keep the authority in both configurations, also when an upgrade of the release resets it.
pub(super) async fn keep(
    client: &Client,
    options: &WebhookOptions,
    authority: &Pki,
    identity: &Identity,
) {
    while let Err(error) = write_secret(client, options, authority, identity).await {
        tracing::debug!(%error, "the webhook's secret is written later");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let (sender, mut changes) = mpsc::unbounded_channel();
    let mut follower = Follower::new(client.clone(), sender);
    let mutating = ApiResource::erase::<MutatingWebhookConfiguration>(&());
    let validating = ApiResource::erase::<ValidatingWebhookConfiguration>(&());
    let _mutating = follower.follow(&mutating, "");
    let _validating = follower.follow(&validating, "");
    while let Some(change) = changes.recv().await {
        let name = change.object.metadata.name.as_deref().unwrap_or_default();
        let kind = if change.kind == mutating.kind {
            &mutating
        } else {
            &validating
        };
        let wanted = if change.kind == mutating.kind {
            &options.mutating
        } else {
            &options.validating
        };
        if change.deleted || name != wanted {
            continue;
        }
        let Some(patch) = missing(&change.object.data["webhooks"], authority.ca_pem()) else {
            continue;
        };
        let api: Api<DynamicObject> = Api::all_with(client.clone(), kind);
        if let Err(error) = api
            .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
        {
            // A change of the object, which is the usual reason, is told again.
            tracing::warn!(%error, name, "the webhook's authority could not be written");
        }
    }
}

/// The patch that puts the authority into every webhook; none where it is there.
fn missing(webhooks: &Value, authority: &str) -> Option<Value> {
    let bundle = serde_json::to_value(ByteString(authority.as_bytes().to_vec())).ok()?;
    let mut webhooks = webhooks.clone();
    let entries = webhooks.as_array_mut()?;
    if entries
        .iter()
        .all(|entry| entry["clientConfig"]["caBundle"] == bundle)
    {
        return None;
    }
    for entry in entries {
        entry["clientConfig"]["caBundle"] = bundle.clone();
    }
    Some(json!({"webhooks": webhooks}))
}

/// The keys of the secret are the real operator's (`pkg/common/constants.go`).
async fn write_secret(
    client: &Client,
    options: &WebhookOptions,
    authority: &Pki,
    identity: &Identity,
) -> Result<(), kube::Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &options.secret_namespace);
    let data = [
        ("ca-key.pem", authority.ca_key_pem()),
        ("ca-cert.pem", authority.ca_pem()),
        ("server-key.pem", &identity.key_pem),
        ("server-cert.pem", &identity.certificate_pem),
    ];
    let data = data.map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec())));
    let mut secret = Secret {
        data: Some(data.into()),
        ..Secret::default()
    };
    secret.metadata.name = Some(options.secret.clone());
    match secrets.create(&PostParams::default(), &secret).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let patch = json!({"data": secret.data});
            secrets
                .patch(
                    &options.secret,
                    &PatchParams::default(),
                    &Patch::Merge(&patch),
                )
                .await
                .map(drop)
        }
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_is_written_once_into_every_webhook() {
        let before = json!([{"name": "a", "clientConfig": {"service": {}}}, {"name": "b", "clientConfig": {}}]);
        let patch = missing(&before, "PEM").unwrap();
        assert_eq!(patch["webhooks"][0]["clientConfig"]["caBundle"], "UEVN");
        assert_eq!(patch["webhooks"][1]["clientConfig"]["caBundle"], "UEVN");
        assert_eq!(missing(&patch["webhooks"], "PEM"), None);
    }
}
