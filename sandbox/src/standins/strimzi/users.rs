//! The user operator: credentials of users, in secrets that go with them.

use pipectl_kinds::strimzi::common::Condition;
use pipectl_kinds::strimzi::kafka::KafkaSpec;
use pipectl_kinds::strimzi::user::{KafkaUserSpec, KafkaUserStatus, UserAuthenticationType};
use rand::Rng;
use rand::distr::Alphanumeric;
use serde_json::json;

use super::operator::{Entities, Failure, Key};
use super::topics::entity_operator_runs;
use crate::pki::Pki;
use crate::standins::common::object::label;
use crate::standins::common::{is_going, owner_reference, resource};

/// Brings the users of a cluster to what their resources ask for.
pub(super) async fn reconcile(entities: &Entities, key: &Key) -> Result<(), Failure> {
    let Some(watched) = entity_operator_runs(entities, key, "user-operator") else {
        return Ok(());
    };
    let (namespace, cluster) = key;
    let prefix = entities
        .stores
        .get(&entities.kinds.kafka, namespace, cluster)
        .and_then(|kafka| serde_json::from_value::<KafkaSpec>(kafka.data["spec"].clone()).ok())
        .and_then(|spec| spec.entity_operator?.user_operator?.secret_prefix)
        .unwrap_or_default();
    for user in entities.stores.within("KafkaUser", &watched) {
        if label(&user, "strimzi.io/cluster") != Some(cluster) || is_going(&user) {
            continue;
        }
        let Ok(spec) = serde_json::from_value::<KafkaUserSpec>(user.data["spec"].clone()) else {
            continue;
        };
        let name = user.metadata.name.clone().unwrap_or_default();
        let method = spec
            .authentication
            .as_ref()
            .map(|authentication| authentication.kind);
        let secret_name = format!("{prefix}{name}");
        let has_secret = !matches!(method, None | Some(UserAuthenticationType::TlsExternal));
        let kind = resource("Secret");
        if has_secret && entities.stores.get(&kind, &watched, &secret_name).is_none() {
            let password: String = rand::rng()
                .sample_iter(Alphanumeric)
                .take(32)
                .map(char::from)
                .collect();
            let content = if method == Some(UserAuthenticationType::ScramSha512) {
                let jaas = format!(
                    "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"{name}\" \
                     password=\"{password}\";"
                );
                json!({"password": password, "sasl.jaas.config": jaas})
            } else {
                let pki = Pki::generate(&format!("{cluster} clients-ca"))?;
                let identity = pki.client(&name, &[])?;
                json!({
                    "ca.crt": pki.ca_pem(),
                    "user.crt": identity.certificate_pem,
                    "user.key": identity.key_pem,
                    "user.p12": "stand-in: no key store",
                    "user.password": password,
                })
            };
            let uid = user.metadata.uid.clone().unwrap_or_default();
            let owner = owner_reference(
                &entities.kinds.user.api_version,
                "KafkaUser",
                &name,
                &uid,
                false,
                false,
            );
            let secret = json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": secret_name,
                    "namespace": watched,
                    "labels": {
                        "app.kubernetes.io/instance": name,
                        "app.kubernetes.io/managed-by": "strimzi-user-operator",
                        "app.kubernetes.io/name": "strimzi-user-operator",
                        "app.kubernetes.io/part-of": format!("strimzi-{name}"),
                        "strimzi.io/cluster": cluster,
                        "strimzi.io/kind": "KafkaUser",
                    },
                    "ownerReferences": [owner],
                },
                "type": "Opaque",
                "stringData": content,
            });
            entities.user_writer.create(&kind, &secret).await?;
        }
        let username = if method == Some(UserAuthenticationType::ScramSha512) || method.is_none() {
            name
        } else {
            format!("CN={name}")
        };
        let status = KafkaUserStatus {
            conditions: vec![Condition::new("Ready", true)],
            observed_generation: user.metadata.generation,
            username: Some(username),
            secret: has_secret.then_some(secret_name),
        };
        entities
            .user_writer
            .set_status(&entities.kinds.user, &user, json!(status))
            .await?;
    }
    Ok(())
}
