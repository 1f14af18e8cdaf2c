//! Secrets: certificate authorities and certificates, with keys made when they are first needed.
//!
//! Secrets are made once and then left alone, as the real operator leaves valid certificates. Certificates are real
//! ones; the PKCS 12 store is not (nothing in the sandbox reads it).

use kube::core::ApiResource;
use rand::Rng;
use rand::distr::Alphanumeric;
use serde_json::{Map, Value, json};

use super::cluster::Cluster;
use super::labels::{self, Component};
use crate::pki::{Pki, PkiError};
use crate::standins::common::{WriteError, Writer, resource};

/// One secret that a cluster needs.
pub(super) struct Wanted {
    /// Its name.
    pub name: String,
    component: Component,
    /// The authority that it belongs to, or that signs it.
    authority: &'static str,
    annotations: Value,
    content: Content,
}

enum Content {
    /// An authority: certificate and key in two secrets.
    AuthorityKey,
    AuthorityCertificate,
    /// A certificate for these names, in fields that start with this text.
    Certificate {
        field: String,
        names: Vec<String>,
    },
}

/// A failure to make a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A certificate could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The secret could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The secrets of the cluster.
pub(super) fn wanted(cluster: &Cluster<'_>) -> Vec<Wanted> {
    let mut secrets = Vec::new();
    for (authority, own) in [
        ("cluster-ca", &cluster.spec.cluster_ca),
        ("clients-ca", &cluster.spec.clients_ca),
    ] {
        let generated = own
            .as_ref()
            .and_then(|own| own.generate_certificate_authority)
            != Some(false);
        if !generated {
            continue;
        }
        secrets.push(Wanted {
            name: cluster.named(authority),
            component: Component::Authority,
            authority,
            annotations: json!({"strimzi.io/ca-key-generation": "0"}),
            content: Content::AuthorityKey,
        });
        secrets.push(Wanted {
            name: cluster.named(&format!("{authority}-cert")),
            component: Component::Authority,
            authority,
            annotations: json!({"strimzi.io/ca-cert-generation": "0"}),
            content: Content::AuthorityCertificate,
        });
    }
    let of_cluster_authority = json!({"strimzi.io/cluster-ca-cert-generation": "0"});
    let certificate =
        |name: String, component, annotations: &Value, field: &str, names: Vec<String>| Wanted {
            name,
            component,
            authority: "cluster-ca",
            annotations: annotations.clone(),
            content: Content::Certificate {
                field: field.to_owned(),
                names,
            },
        };
    secrets.push(certificate(
        cluster.named("cluster-operator-certs"),
        Component::Operator,
        &of_cluster_authority,
        "cluster-operator",
        vec!["cluster-operator".to_owned()],
    ));
    let of_both = json!({
        "strimzi.io/clients-ca-cert-generation": "0",
        "strimzi.io/cluster-ca-cert-generation": "0",
    });
    for node in cluster.nodes() {
        let pod = cluster.pod_name(node);
        let names = vec![
            format!(
                "{pod}.{}.{}.svc",
                cluster.named("kafka-brokers"),
                cluster.namespace
            ),
            format!(
                "{}.{}.svc",
                cluster.named("kafka-bootstrap"),
                cluster.namespace
            ),
            format!(
                "{}.{}.svc.cluster.local",
                cluster.named("kafka-bootstrap"),
                cluster.namespace
            ),
        ];
        secrets.push(certificate(
            pod.clone(),
            Component::Kafka,
            &of_both,
            &pod,
            names,
        ));
    }
    if let Some(operators) = &cluster.spec.entity_operator {
        for (declared, name) in [
            (operators.topic_operator.is_some(), "entity-topic-operator"),
            (operators.user_operator.is_some(), "entity-user-operator"),
        ] {
            if declared {
                secrets.push(certificate(
                    cluster.named(&format!("{name}-certs")),
                    Component::EntityOperator,
                    &of_cluster_authority,
                    "entity-operator",
                    vec![name.to_owned()],
                ));
            }
        }
    }
    secrets
}

/// Makes the secrets that are missing; `secret` gives the data of one that is there.
pub(super) async fn ensure(
    cluster: &Cluster<'_>,
    writer: &Writer,
    secret: impl Fn(&str) -> Option<Map<String, Value>>,
) -> Result<(), SecretError> {
    let missing: Vec<Wanted> = wanted(cluster)
        .into_iter()
        .filter(|wanted| secret(&wanted.name).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let kind: ApiResource = resource("Secret");
    let mut authorities: Vec<(&str, Pki)> = Vec::new();
    for name in ["cluster-ca", "clients-ca"] {
        authorities.push((name, authority(cluster, name, &secret)?));
    }
    for wanted in missing {
        let own = authorities
            .iter()
            .find(|(known, _)| *known == wanted.authority);
        let Some((_, pki)) = own else { continue };
        let data = match &wanted.content {
            Content::AuthorityKey => json!({"ca.key": pki.ca_key_pem()}),
            Content::AuthorityCertificate => {
                let password: String = rand::rng()
                    .sample_iter(Alphanumeric)
                    .take(12)
                    .map(char::from)
                    .collect();
                json!({"ca.crt": pki.ca_pem(), "ca.p12": "stand-in: no key store", "ca.password": password})
            }
            Content::Certificate { field, names } => {
                let all: Vec<&str> = names.iter().map(String::as_str).collect();
                let identity = pki.server(field, &all)?;
                json!({format!("{field}.crt"): identity.certificate_pem, format!("{field}.key"): identity.key_pem})
            }
        };
        let object = object(cluster, &wanted, data);
        writer.create(&kind, &object).await?;
    }
    Ok(())
}

/// The secret with this content.
pub(super) fn object(cluster: &Cluster<'_>, wanted: &Wanted, data: Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": wanted.name,
            "namespace": cluster.namespace,
            "labels": labels::of(cluster, wanted.component),
            "annotations": wanted.annotations,
            "ownerReferences": owners(cluster, wanted),
        },
        "type": "Opaque",
        "stringData": data,
    })
}

/// Authorities can be made to outlive the cluster.
fn owners(cluster: &Cluster<'_>, wanted: &Wanted) -> Value {
    let settings = if wanted.authority == "clients-ca" {
        &cluster.spec.clients_ca
    } else {
        &cluster.spec.cluster_ca
    };
    let owned = settings
        .as_ref()
        .and_then(|settings| settings.generate_secret_owner_reference)
        != Some(false);
    if wanted.component == Component::Authority && !owned {
        json!([])
    } else {
        json!([cluster.owner()])
    }
}

/// The authority in the cluster's secrets, or a new one.
fn authority(
    cluster: &Cluster<'_>,
    name: &str,
    secret: impl Fn(&str) -> Option<Map<String, Value>>,
) -> Result<Pki, PkiError> {
    let text = |secret: &Map<String, Value>, field: &str| -> Option<String> {
        let data: k8s_openapi::ByteString =
            serde_json::from_value(secret.get(field)?.clone()).ok()?;
        String::from_utf8(data.0).ok()
    };
    let subject = format!("{} {name}", cluster.name);
    let key = secret(&cluster.named(name)).and_then(|data| text(&data, "ca.key"));
    let certificate =
        secret(&cluster.named(&format!("{name}-cert"))).and_then(|data| text(&data, "ca.crt"));
    match (key, certificate) {
        (Some(key), Some(certificate)) => Pki::load(&subject, &certificate, &key),
        _ => Pki::generate(&subject),
    }
}
