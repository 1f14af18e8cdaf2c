//! Spark applications: what they need (service account, role, code, secrets), then the application itself.
//!
//! The operator's semantics are its own: an unchanged application never runs again, a failed one is not resubmitted
//! (spark-operator#187, #2618). So pipectl deletes and recreates: when the specification or the code changed, and once a
//! run when the last attempt failed.

pub mod removal;
pub mod render;
mod run;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use pipectl_config::{Loaded, RestartPolicyType, SparkApplication};
use serde_json::{Value, json};

use crate::{
    blocks::{ObjectsStep, Row, Wants, values},
    context::StepContext,
    environment,
    error::StepError,
    kafka,
    objects::OnForeign,
    ports::objects::Kind,
    spark_operator,
    step::{Need, Step, StepId},
    workloads::{manifests::Manifests, needs_of},
};

/// The stage's name.
pub const STAGE: &str = "spark";

/// The step of an application.
#[must_use]
pub fn application(name: &str) -> StepId {
    StepId::new(STAGE, name)
}

/// The step of what an application needs.
#[must_use]
pub fn support(name: &str) -> StepId {
    StepId::new(STAGE, &format!("{name}/support"))
}

/// The steps of the stage.
#[must_use]
pub fn steps(loaded: &Arc<Loaded>) -> Vec<Arc<dyn Step>> {
    let spec = &loaded.pipeline.spec;
    let bound = spec.timeouts.spark_applications.duration();
    let mut accounts = BTreeSet::new();
    let mut steps = Vec::new();
    for app in &spec.spark_applications {
        let objects = loaded.application_objects(&app.namespace, &app.name);
        let needs = needs_of(loaded, &app.namespace, objects);
        let own = accounts.insert((app.namespace.clone(), app.driver.service_account.clone()));
        let support_row = Row::new(
            STAGE,
            &format!("{}/support", app.name),
            format!("service account, code and settings of {}", app.name),
        )
        .needs(needs)
        .ready_within(bound, 1);
        steps.push(ObjectsStep::step(
            support_row,
            Support {
                loaded: loaded.clone(),
                app: app.clone(),
                manifests: Manifests::new(loaded, &app.namespace, objects),
                account: own,
            },
        ));

        let row = Row::new(STAGE, &app.name, format!("Spark application {}", app.name))
            .needs(needs_of_application(loaded, app))
            .ready_within(bound, 60);
        steps.push(Arc::new(run::Run::new(row, loaded, app)));
    }
    steps
}

fn needs_of_application(loaded: &Loaded, app: &SparkApplication) -> Vec<Need> {
    let spec = &loaded.pipeline.spec;
    let mut needs = vec![Need::applied(support(&app.name))];
    // An application that is submitted before the webhook answers loses its volumes, silently.
    needs.push(match &spec.spark_operator {
        Some(_) => Need::ready(spark_operator::operator()),
        None => environment::settled(),
    });
    // One that is restarted whenever it ends may start beside Kafka; any other would use up its tries.
    if app.restart_policy.policy != RestartPolicyType::Always
        && let Some(kafka) = &spec.kafka
    {
        needs.push(kafka::usable(kafka));
    }
    needs
}

struct Support {
    loaded: Arc<Loaded>,
    app: SparkApplication,
    manifests: Manifests,
    /// Whether the service account is this step's to make: applications of a namespace may share one.
    account: bool,
}

#[async_trait]
impl Wants for Support {
    async fn objects(&self, cx: &StepContext) -> Result<Vec<Value>, StepError> {
        let given = self.manifests.objects(cx).await?;
        let mut objects = render::support(&self.loaded, &self.app, given, self.account);
        let secrets = render::env_secrets(&self.app);
        if !secrets.is_empty() {
            let mut data = json!({});
            for (name, reference) in secrets {
                let value = values::resolve(cx, &self.loaded, reference).await?;
                data[name] = json!(values::base64(value.expose()));
            }
            objects.push(render::env_secret(&self.app, data));
        }
        Ok(objects)
    }

    fn on_foreign(&self) -> OnForeign {
        // A service account that a chart or a person made serves as well.
        OnForeign::UseAsItIs
    }

    fn summary(&self, objects: &[Value]) -> String {
        format!("{} objects for {}", objects.len(), self.app.name)
    }
}

/// The kind of Spark applications, in the version that discovery prefers.
#[must_use]
pub fn kind() -> Kind {
    Kind::new(pipectl_kinds::spark::GROUP, "", "SparkApplication")
}

/// What the pure rendering of everything needs of this stage.
#[must_use]
pub(crate) fn rendered(loaded: &Arc<Loaded>, scopes: &dyn Fn(&Kind) -> Option<bool>) -> Vec<Value> {
    let mut objects = Vec::new();
    for app in &loaded.pipeline.spec.spark_applications {
        let given = loaded.application_objects(&app.namespace, &app.name);
        let given = Manifests::new(loaded, &app.namespace, given).render(scopes);
        objects.extend(render::support(loaded, app, given, true));
        objects.push(render::application(loaded, app));
    }
    objects
}
