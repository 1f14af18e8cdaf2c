//! Namespaces, and the Secrets that programs in them need.
//!
//! One step a namespace: trouble with one withholds only what goes into it. A namespace that exists without our labels
//! is used as it is, neither labelled nor deleted.

pub mod removal;

use std::sync::Arc;

use async_trait::async_trait;
use pipectl_config::{CreatedBy, Loaded, ManagedSecret, Namespace, is_system_namespace};
use serde_json::{Value, json};

use crate::{
    blocks::{ObjectsStep, Row, Wants, values},
    context::StepContext,
    environment,
    error::StepError,
    objects::OnForeign,
    step::{Need, Step, StepId},
};

/// The stage's name.
pub const STAGE: &str = "namespaces";

/// The step of a namespace.
#[must_use]
pub fn step_of(namespace: &str) -> StepId {
    StepId::new(STAGE, namespace)
}

/// The needs of what goes into these namespaces.
#[must_use]
pub fn there<'a>(namespaces: impl IntoIterator<Item = &'a str>) -> Vec<Need> {
    namespaces
        .into_iter()
        .map(|namespace| Need::applied(step_of(namespace)))
        .collect()
}

/// The step that makes the Secrets of the pipeline file.
#[must_use]
pub fn secrets() -> StepId {
    StepId::new(STAGE, "secrets")
}

/// The steps of the stage.
#[must_use]
pub fn steps(loaded: &Arc<Loaded>) -> Vec<Arc<dyn Step>> {
    let spec = &loaded.pipeline.spec;
    let bound = spec.timeouts.namespaces.duration();
    let mut steps: Vec<Arc<dyn Step>> = spec
        .namespaces
        .iter()
        .map(|namespace| {
            let title = format!("namespace {}", namespace.name);
            let row = Row::new(STAGE, &namespace.name, title)
                .needs([environment::settled()])
                .ready_within(bound, 1);
            ObjectsStep::step(row, One(namespace.clone()))
        })
        .collect();
    if !spec.secrets.is_empty() {
        let namespaces = spec.secrets.iter().map(|secret| secret.namespace.as_str());
        let row = Row::new(STAGE, "secrets", "secrets")
            .needs(there(namespaces))
            .ready_within(bound, 1);
        steps.push(ObjectsStep::step(row, Secrets(loaded.clone())));
    }
    steps
}

/// A namespace as an object.
#[must_use]
pub fn render(namespace: &Namespace) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace.name, "labels": namespace.labels},
    })
}

struct One(Namespace);

#[async_trait]
impl Wants for One {
    async fn objects(&self, _: &StepContext) -> Result<Vec<Value>, StepError> {
        Ok(vec![render(&self.0)])
    }

    fn on_foreign(&self) -> OnForeign {
        if self.0.created_by == CreatedBy::User || is_system_namespace(&self.0.name) {
            OnForeign::MustExist
        } else {
            OnForeign::UseAsItIs
        }
    }

    fn summary(&self, _: &[Value]) -> String {
        format!("namespace {}", self.0.name)
    }

    fn ready_words(&self, _: Vec<String>) -> String {
        self.0.name.clone()
    }
}

struct Secrets(Arc<Loaded>);

/// A Secret as an object, from values already resolved and encoded.
fn render_secret(secret: &ManagedSecret, data: Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret.name, "namespace": secret.namespace},
        "type": secret.secret_type,
        "data": data,
    })
}

#[async_trait]
impl Wants for Secrets {
    async fn objects(&self, cx: &StepContext) -> Result<Vec<Value>, StepError> {
        let mut objects = Vec::new();
        for secret in &self.0.pipeline.spec.secrets {
            let mut data = json!({});
            for (key, reference) in &secret.data {
                let value = values::resolve(cx, &self.0, reference).await?;
                data[key] = json!(values::base64(value.expose()));
            }
            objects.push(render_secret(secret, data));
        }
        Ok(objects)
    }

    fn summary(&self, objects: &[Value]) -> String {
        format!("{} secrets", objects.len())
    }
}
