//! The operator's controller: one at work as long as a pod of its Deployment is ready.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use pipectl_kinds::spark::{
    ApplicationState, ApplicationStateType, SparkApplicationSpec, SparkApplicationStatus,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::common::{Change, Follower, resource};
use super::application::{self, Application};
use super::events::{Events, Note};
use super::labels::{APP_NAME, EXECUTOR, LAUNCHED, ROLE, SUBMISSION};
use super::options::ControllerOptions;
use super::state::{
    DriverExpected, expires, follow_driver, follow_executors, invalidates, reset, retry_due,
    seconds, should_retry,
};
use super::{names, submit, web_ui};

/// Namespace and name.
type Key = (String, String);

/// Work until dropped.
pub(super) async fn run(client: Client, options: ControllerOptions) {
    let (sender, mut changes) = mpsc::unbounded_channel();
    let mut follower = Follower::new(client.clone(), sender);
    let _applications = follower.follow(&application::resource(), "");
    let _pods = follower.follow(&resource("Pod"), &format!("{LAUNCHED}=true"));
    let mut controller = Controller {
        events: Events::new(client.clone()),
        client,
        options,
        seen: HashMap::new(),
        due: HashMap::new(),
    };
    loop {
        let next = controller.due.values().map(|due| due.at).min();
        tokio::select! {
            change = changes.recv() => {
                let Some(change) = change else { return };
                controller.note(change).await;
            }
            () = sleep_until(next) => controller.work().await,
        }
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// When an application is looked at again, and how often that failed before.
#[derive(Clone, Copy)]
struct Due {
    at: Instant,
    failures: u32,
}

struct Controller {
    client: Client,
    options: ControllerOptions,
    events: Events,
    /// Specs as last seen, with the identity of their object: what changed while nobody looked is not noticed.
    seen: HashMap<Key, (String, SparkApplicationSpec)>,
    due: HashMap<Key, Due>,
}

impl Controller {
    /// Take notice of a change.
    async fn note(&mut self, change: Change) {
        let namespace = change.object.metadata.namespace.clone().unwrap_or_default();
        if !self.watches(&namespace).await {
            return;
        }
        if change.kind == "Pod" {
            let labels = change.object.metadata.labels.unwrap_or_default();
            if let Some(name) = labels.get(APP_NAME) {
                self.enqueue((namespace, name.clone()), Duration::ZERO);
            }
            return;
        }
        let key = (
            namespace,
            change.object.metadata.name.clone().unwrap_or_default(),
        );
        if change.deleted {
            self.seen.remove(&key);
            self.due.remove(&key);
            return;
        }
        let Some(application) = Application::read(change.object) else {
            return;
        };
        let now = (application.uid().to_owned(), application.spec.clone());
        let before = self.seen.insert(key.clone(), now.clone());
        let changed = before.is_some_and(|(uid, spec)| uid == now.0 && invalidates(&spec, &now.1));
        if changed && let Err(error) = self.invalidate(&key).await {
            tracing::warn!(%error, name = key.1, "a changed application could not be marked");
        }
        self.enqueue(key, Duration::ZERO);
    }

    async fn watches(&self, namespace: &str) -> bool {
        if self.options.namespaces.contains(namespace) {
            return true;
        }
        let Some(selector) = &self.options.namespace_selector else {
            return false;
        };
        let parameters = ListParams::default()
            .labels(selector)
            .fields(&format!("metadata.name={namespace}"));
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces
            .list_metadata(&parameters)
            .await
            .is_ok_and(|found| !found.items.is_empty())
    }

    fn enqueue(&mut self, key: Key, after: Duration) {
        let at = Instant::now() + after;
        let due = self.due.entry(key).or_insert(Due { at, failures: 0 });
        due.at = due.at.min(at);
    }

    /// Look at what is due.
    async fn work(&mut self) {
        let now = Instant::now();
        let ready: Vec<Key> = self
            .due
            .iter()
            .filter(|(_, due)| due.at <= now)
            .map(|(key, _)| key.clone())
            .collect();
        for key in ready {
            let failures = self.due.remove(&key).map_or(0, |due| due.failures);
            match self.reconcile(&key).await {
                Ok(None) => {}
                Ok(Some(after)) => self.enqueue(key, after),
                Err(error) => {
                    tracing::debug!(%error, name = key.1, "an application is looked at again later");
                    let after = Duration::from_millis(200) * 2_u32.pow(failures.min(7));
                    self.due.insert(
                        key,
                        Due {
                            at: Instant::now() + after,
                            failures: failures + 1,
                        },
                    );
                }
            }
        }
    }

    fn api(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &application::resource())
    }

    async fn read(&self, (namespace, name): &Key) -> Result<Option<Application>, kube::Error> {
        Ok(self
            .api(namespace)
            .get_opt(name)
            .await?
            .and_then(Application::read))
    }

    async fn invalidate(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(application) = self.read(key).await? else {
            return Ok(());
        };
        let mut status = application.status.clone();
        set_state(&mut status, ApplicationStateType::Invalidating);
        self.write(&application, status).await
    }

    /// One look at an application; says when the next one is due, if not after a change.
    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, kube::Error> {
        let Some(application) = self.read(key).await? else {
            return Ok(None);
        };
        if application.object.metadata.deletion_timestamp.is_some() {
            self.delete_run(&application).await?;
            return Ok(None);
        }
        let outcome = self.step(&application).await?;
        let written = Application {
            status: outcome.status.clone(),
            ..application.clone()
        };
        self.write(&application, outcome.status).await?;
        self.events.publish(&written, outcome.notes).await;
        Ok(outcome.again)
    }

    async fn step(&self, application: &Application) -> Result<Outcome, kube::Error> {
        use ApplicationStateType as State;
        let mut status = application.status.clone();
        let state = status.state();
        let suspend = application.spec.suspend == Some(true);
        if suspend && !state.is_final() && !matches!(state, State::Suspended | State::Suspending) {
            set_state(&mut status, State::Suspending);
            return Ok(Outcome::status(status));
        }
        match state {
            State::New | State::Resuming => Ok(self.submit(application, status).await),
            State::Submitted | State::Running | State::Unknown => {
                self.follow(application, status).await
            }
            State::SubmissionFailed => self.after_failed_submission(application, status).await,
            State::PendingRerun => {
                if self.run_is_gone(application).await? {
                    let mut outcome = self.submit(application, status).await;
                    let message =
                        format!("SparkApplication {} is pending rerun", application.name());
                    outcome
                        .notes
                        .insert(0, Note::warning("SparkApplicationPendingRerun", message));
                    return Ok(outcome);
                }
                // Its pod's deletion is what to wait for.
                Ok(Outcome {
                    again: Some(Duration::from_millis(500)),
                    ..Outcome::status(status)
                })
            }
            State::Invalidating => {
                self.delete_run(application).await?;
                reset(&mut status);
                set_state(&mut status, State::PendingRerun);
                Ok(Outcome::status(status))
            }
            State::Succeeding | State::Failing => self.after_run(application, status).await,
            State::Completed | State::Failed => self.finished(application, status).await,
            State::Suspending => {
                self.delete_run(application).await?;
                set_state(&mut status, State::Suspended);
                reset(&mut status);
                Ok(Outcome::status(status))
            }
            State::Suspended => {
                if !suspend && self.run_is_gone(application).await? {
                    set_state(&mut status, State::Resuming);
                }
                Ok(Outcome::status(status))
            }
        }
    }

    async fn submit(
        &self,
        application: &Application,
        mut status: SparkApplicationStatus,
    ) -> Outcome {
        let id = uuid::Uuid::new_v4().to_string();
        status.submission_id = Some(id.clone());
        status.driver_info.pod_name =
            Some(names::driver_pod(application.name(), &application.spec));
        status.last_submission_attempt_time = Some(seconds(Timestamp::now()));
        status.submission_attempts += 1;
        let name = application.name();
        let note = match submit::submit(&self.client, application, &id).await {
            Ok(()) => {
                status.execution_attempts += 1;
                set_state(&mut status, ApplicationStateType::Submitted);
                let message = format!("SparkApplication {name} was submitted successfully");
                Note::normal("SparkApplicationSubmitted", message)
            }
            Err(reason) => {
                let note = Note::warning(
                    "SparkApplicationSubmissionFailed",
                    format!("failed to submit SparkApplication {name}: {reason}"),
                );
                status.application_state = Some(ApplicationState {
                    state: ApplicationStateType::SubmissionFailed,
                    error_message: Some(reason),
                });
                note
            }
        };
        Outcome {
            notes: vec![note],
            ..Outcome::status(status)
        }
    }

    async fn follow(
        &self,
        application: &Application,
        mut status: SparkApplicationStatus,
    ) -> Result<Outcome, kube::Error> {
        let submitted = status.state() == ApplicationStateType::Submitted;
        let driver = self.driver(application).await?;
        let grace = self.options.driver_grace;
        let mut notes = match follow_driver(&mut status, driver.as_ref(), grace, Timestamp::now()) {
            Ok(notes) => notes,
            Err(DriverExpected(wait)) => {
                return Ok(Outcome {
                    again: Some(wait),
                    ..Outcome::status(application.status.clone())
                });
            }
        };
        notes.extend(follow_executors(
            &mut status,
            &self.executors(application).await?,
        ));
        if submitted && self.options.ui_service {
            let service = self.web_ui(application).await?;
            status.driver_info.web_ui_service_name = service.metadata.name.clone();
            let value = serde_json::to_value(&service).unwrap_or_default();
            let port = web_ui::port(&value);
            let address = service
                .spec
                .and_then(|spec| spec.cluster_ip)
                .unwrap_or_default();
            status.driver_info.web_ui_address = port.map(|port| format!("{address}:{port}"));
            status.driver_info.web_ui_port = port;
        }
        Ok(Outcome {
            notes,
            ..Outcome::status(status)
        })
    }

    async fn after_failed_submission(
        &self,
        application: &Application,
        mut status: SparkApplicationStatus,
    ) -> Result<Outcome, kube::Error> {
        let now = Timestamp::now();
        if !should_retry(&application.spec, &status) {
            let message = status
                .application_state
                .as_ref()
                .and_then(|state| state.error_message.clone());
            set_state(&mut status, ApplicationStateType::Failed);
            status.termination_time = Some(seconds(now));
            let text = format!(
                "SparkApplication {} failed: {}",
                application.name(),
                message.as_deref().unwrap_or("")
            );
            if let Some(state) = &mut status.application_state {
                state.error_message = message;
            }
            return Ok(Outcome {
                notes: vec![Note::warning("SparkApplicationFailed", text)],
                ..Outcome::status(status)
            });
        }
        match retry_due(&application.spec, &status, now) {
            Some(wait) if wait.is_zero() => {
                if self.run_is_gone(application).await? {
                    return Ok(self.submit(application, status).await);
                }
                self.delete_run(application).await?;
                Ok(Outcome {
                    again: Some(Duration::from_millis(500)),
                    ..Outcome::status(status)
                })
            }
            again => Ok(Outcome {
                again,
                ..Outcome::status(status)
            }),
        }
    }

    async fn after_run(
        &self,
        application: &Application,
        mut status: SparkApplicationStatus,
    ) -> Result<Outcome, kube::Error> {
        let failing = status.state() == ApplicationStateType::Failing;
        if !should_retry(&application.spec, &status) {
            let end = if failing {
                ApplicationStateType::Failed
            } else {
                ApplicationStateType::Completed
            };
            if let Some(state) = &mut status.application_state {
                state.state = end;
            }
            return Ok(Outcome::status(status));
        }
        if failing {
            match retry_due(&application.spec, &status, Timestamp::now()) {
                Some(wait) if wait.is_zero() => {}
                again => {
                    return Ok(Outcome {
                        again,
                        ..Outcome::status(status)
                    });
                }
            }
        }
        self.delete_run(application).await?;
        reset(&mut status);
        set_state(&mut status, ApplicationStateType::PendingRerun);
        Ok(Outcome::status(status))
    }

    async fn finished(
        &self,
        application: &Application,
        mut status: SparkApplicationStatus,
    ) -> Result<Outcome, kube::Error> {
        let left = expires(&application.spec, &status, Timestamp::now());
        if left == Some(Duration::ZERO) {
            let api = self.api(application.namespace());
            gone(
                api.delete(application.name(), &DeleteParams::default())
                    .await
                    .map(drop),
            )?;
            return Ok(Outcome::status(application.status.clone()));
        }
        let notes = follow_executors(&mut status, &self.executors(application).await?);
        Ok(Outcome {
            notes,
            again: left,
            ..Outcome::status(status)
        })
    }

    async fn driver(&self, application: &Application) -> Result<Option<Pod>, kube::Error> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), application.namespace());
        match &application.status.driver_info.pod_name {
            Some(name) => pods.get_opt(name).await,
            None => Ok(None),
        }
    }

    async fn executors(&self, application: &Application) -> Result<Vec<Pod>, kube::Error> {
        let mut selector = format!("{APP_NAME}={},{ROLE}={EXECUTOR}", application.name());
        if let Some(id) = &application.status.submission_id {
            selector.push_str(&format!(",{SUBMISSION}={id}"));
        }
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), application.namespace());
        Ok(pods
            .list(&ListParams::default().labels(&selector))
            .await?
            .items)
    }

    async fn web_ui(&self, application: &Application) -> Result<Service, kube::Error> {
        let services: Api<Service> = Api::namespaced(self.client.clone(), application.namespace());
        if let Some(service) = services
            .get_opt(&names::ui_service(application.name()))
            .await?
        {
            return Ok(service);
        }
        let service = serde_json::from_value(web_ui::service(application))
            .map_err(kube::Error::SerdeError)?;
        services.create(&PostParams::default(), &service).await
    }

    /// Deletes what a run left: the driver's pod, whose owned objects follow it, and the web UI's service.
    async fn delete_run(&self, application: &Application) -> Result<(), kube::Error> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), application.namespace());
        gone(
            pods.delete(&driver_name(application), &DeleteParams::default())
                .await
                .map(drop),
        )?;
        let Some(name) = &application.status.driver_info.web_ui_service_name else {
            return Ok(());
        };
        let services: Api<Service> = Api::namespaced(self.client.clone(), application.namespace());
        gone(
            services
                .delete(name, &DeleteParams::default().grace_period(0))
                .await
                .map(drop),
        )
    }

    async fn run_is_gone(&self, application: &Application) -> Result<bool, kube::Error> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), application.namespace());
        if pods.get_opt(&driver_name(application)).await?.is_some() {
            return Ok(false);
        }
        let Some(name) = &application.status.driver_info.web_ui_service_name else {
            return Ok(true);
        };
        let services: Api<Service> = Api::namespaced(self.client.clone(), application.namespace());
        Ok(services.get_opt(name).await?.is_none())
    }

    /// Writes the status where it differs.
    async fn write(
        &self,
        application: &Application,
        status: SparkApplicationStatus,
    ) -> Result<(), kube::Error> {
        if status == application.status {
            return Ok(());
        }
        let mut object = application.object.clone();
        object.data["status"] = serde_json::to_value(status).map_err(kube::Error::SerdeError)?;
        gone(
            self.api(application.namespace())
                .replace_status(application.name(), &PostParams::default(), &object)
                .await
                .map(drop),
        )
    }
}

/// What one look at an application results in.
struct Outcome {
    status: SparkApplicationStatus,
    notes: Vec<Note>,
    again: Option<Duration>,
}

impl Outcome {
    fn status(status: SparkApplicationStatus) -> Self {
        Self {
            status,
            notes: Vec::new(),
            again: None,
        }
    }
}

fn driver_name(application: &Application) -> String {
    let known = application.status.driver_info.pod_name.clone();
    known.unwrap_or_else(|| names::driver_pod(application.name(), &application.spec))
}

fn set_state(status: &mut SparkApplicationStatus, state: ApplicationStateType) {
    status.application_state = Some(ApplicationState {
        state,
        error_message: None,
    });
}

/// What is gone needs nothing more.
fn gone(result: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other,
    }
}
