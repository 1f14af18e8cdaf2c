//! Events of the operator, with its reasons (`pkg/common/event.go`).

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use super::application::{Application, resource};

/// An event about an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) warning: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// The pod that it is about as well; keeps events about different pods apart.
    pub(super) pod: Option<String>,
}

impl Note {
    pub(super) fn normal(reason: &'static str, message: String) -> Self {
        Self {
            warning: false,
            reason,
            message,
            pod: None,
        }
    }

    pub(super) fn warning(reason: &'static str, message: String) -> Self {
        Self {
            warning: true,
            reason,
            message,
            pod: None,
        }
    }

    /// The event is about this pod as well.
    pub(super) fn of_pod(self, name: &str) -> Self {
        Self {
            pod: Some(name.to_owned()),
            ..self
        }
    }
}

/// Writes events as the operator's controller.
pub(super) struct Events(Recorder);

impl Events {
    pub(super) fn new(client: Client) -> Self {
        let reporter = Reporter {
            controller: "spark-application-controller".to_owned(),
            instance: None,
        };
        Self(Recorder::new(client, reporter))
    }

    /// Writes the events; one that is lost is no failure.
    pub(super) async fn publish(&self, application: &Application, notes: Vec<Note>) {
        for note in notes {
            // An event takes a kilobyte; the whole output of a failed submission stands in the status.
            let message: String = note.message.chars().take(1000).collect();
            let event = Event {
                type_: if note.warning {
                    EventType::Warning
                } else {
                    EventType::Normal
                },
                reason: note.reason.to_owned(),
                note: Some(message),
                action: note.reason.to_owned(),
                secondary: note
                    .pod
                    .map(|name| pod_reference(application.namespace(), name)),
            };
            let reference = kube::Resource::object_ref(&application.object, &resource());
            if let Err(error) = self.0.publish(&event, &reference).await {
                tracing::debug!(%error, "an event was lost");
            }
        }
    }
}

fn pod_reference(namespace: &str, name: String) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name),
        ..ObjectReference::default()
    }
}
