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
use crate::pki::{Identity, Pki, PkiError};

/// Keep the authority in both configurations, also when an upgrade of the release resets it.
pub(super) async fn keep(client: &Client, options: &WebhookOptions, authority: &str) {
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
        let Some(patch) = missing(&change.object.data["webhooks"], authority) else {
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

/// What the webhook is served with.
pub(super) struct Certificates {
    /// The authority's certificate, PEM.
    pub(super) authority: String,
    /// The server's.
    pub(super) identity: Identity,
}

/// The certificates in the release's secret, as long as they are whole; else new ones, written there. A restart of the
/// operator must not leave the API server with an authority that nobody has any more.
///
/// # Errors
/// When none can be made; the API server is asked until it answers.
pub(super) async fn certificates(
    client: &Client,
    options: &WebhookOptions,
) -> Result<Certificates, PkiError> {
    loop {
        let known = match read(client, options).await {
            Ok(known) => known,
            Err(error) => {
                tracing::debug!(%error, "the webhook's secret is read later");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                continue;
            }
        };
        if let Some(certificates) = known {
            return Ok(certificates);
        }
        // An authority of its own, as the real one has: its key lies where people of the cluster can read it.
        let authority = Pki::generate("spark-operator")?;
        let identity = authority.service(&options.service_namespace, &options.service)?;
        if let Err(error) = write(client, options, &authority, &identity).await {
            tracing::debug!(%error, "the webhook's secret is written later");
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }
}

async fn read(
    client: &Client,
    options: &WebhookOptions,
) -> Result<Option<Certificates>, kube::Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &options.secret_namespace);
    let secret = secrets.get_opt(&options.secret).await?;
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    let text = |key: &str| {
        let bytes = data.get(key).map(|bytes| bytes.0.clone())?;
        String::from_utf8(bytes)
            .ok()
            .filter(|text| !text.is_empty())
    };
    let (Some(authority), Some(certificate_pem), Some(key_pem)) =
        (text(CA_CERT), text(SERVER_CERT), text(SERVER_KEY))
    else {
        return Ok(None);
    };
    let identity = Identity {
        certificate_pem,
        key_pem,
    };
    Ok(Some(Certificates {
        authority,
        identity,
    }))
}

/// Keys of the secret, as in the real operator's (`pkg/common/constants.go`).
const CA_KEY: &str = "ca-key.pem";
const CA_CERT: &str = "ca-cert.pem";
const SERVER_KEY: &str = "server-key.pem";
const SERVER_CERT: &str = "server-cert.pem";

async fn write(
    client: &Client,
    options: &WebhookOptions,
    authority: &Pki,
    identity: &Identity,
) -> Result<(), kube::Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &options.secret_namespace);
    let data = [
        (CA_KEY, authority.ca_key_pem()),
        (CA_CERT, authority.ca_pem()),
        (SERVER_KEY, &identity.key_pem),
        (SERVER_CERT, &identity.certificate_pem),
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
