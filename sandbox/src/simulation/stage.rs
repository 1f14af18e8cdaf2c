//! KWOK's Stage, as far as it is used here (`kwok.x-k8s.io/v1alpha1`, KWOK 0.8).

use serde_json::{Value, json};

/// One stage: when it applies to an object, after which delay, and what it changes then.
///
/// Its parts are KWOK's own languages: conditions and delays are jq, changes are Go templates over the object.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    name: &'static str,
    kind: &'static str,
    conditions: Vec<Value>,
    delay: Value,
    steps: Vec<Value>,
}

impl Stage {
    /// A stage that applies to every object of a kind at once, and does nothing.
    pub(super) fn new(kind: &'static str, name: &'static str) -> Self {
        Self {
            name,
            kind,
            conditions: Vec::new(),
            delay: json!({"durationMilliseconds": 0}),
            steps: Vec::new(),
        }
    }

    /// Only objects where the jq expression yields one of the values.
    pub(super) fn when(mut self, expression: impl Into<String>, values: &[&str]) -> Self {
        self.conditions
            .push(json!({"jq": {"key": expression.into(), "operator": "In", "values": values}}));
        self
    }

    /// Only objects where the jq expression yields something.
    pub(super) fn exists(mut self, expression: &str) -> Self {
        self.conditions
            .push(json!({"jq": {"key": expression, "operator": "Exists"}}));
        self
    }

    /// Only objects where the jq expression yields nothing.
    pub(super) fn absent(mut self, expression: &str) -> Self {
        self.conditions
            .push(json!({"jq": {"key": expression, "operator": "DoesNotExist"}}));
        self
    }

    /// Wait so many milliseconds.
    pub(super) fn after(mut self, milliseconds: u32) -> Self {
        self.delay = json!({"durationMilliseconds": milliseconds});
        self
    }

    /// Wait as long as the jq expression says; `milliseconds` where it says nothing usable.
    pub(super) fn after_expression(
        mut self,
        expression: impl Into<String>,
        milliseconds: u32,
    ) -> Self {
        self.delay = json!({"durationMilliseconds": milliseconds, "durationFrom": {"jq": {"expression": expression.into()}}});
        self
    }

    /// Write to the object's status what the template says.
    pub(super) fn status(mut self, template: impl Into<String>) -> Self {
        self.steps.push(json!({"patch": {"subresource": "status", "root": "status", "template": template.into()}}));
        self
    }

    /// Write to the object's metadata what the template says.
    pub(super) fn metadata(mut self, template: impl Into<String>) -> Self {
        self.steps
            .push(json!({"patch": {"root": "metadata", "template": template.into()}}));
        self
    }

    /// Emit an event with a fixed message.
    pub(super) fn event(mut self, kind: &str, reason: &str, message: &str) -> Self {
        self.steps
            .push(json!({"event": {"type": kind, "reason": reason, "message": message}}));
        self
    }

    /// Emit an event whose message is a template.
    pub(super) fn event_template(mut self, kind: &str, reason: &str, message: &str) -> Self {
        // The recorder knows fixed messages only, so the event is written as an object. Its name carries the reason: a
        // repetition updates it, as the kubelet's aggregation does.
        let template = format!(
            r#"
{{{{ $now := Now }}}}
apiVersion: v1
kind: Event
metadata:
  name: {{{{ printf "%s.%s" .metadata.name (printf "%s%s" .metadata.uid "{reason}{kind}" | sha256sum | trunc 16) | Quote }}}}
  namespace: {{{{ .metadata.namespace | Quote }}}}
type: {kind}
reason: {reason}
message: {message}
count: 1
firstTimestamp: {{{{ now | date "2006-01-02T15:04:05Z07:00" | Quote }}}}
lastTimestamp: {{{{ now | date "2006-01-02T15:04:05Z07:00" | Quote }}}}
source:
  component: kubelet
  host: {{{{ .spec.nodeName | Quote }}}}
reportingComponent: kubelet
reportingInstance: {{{{ .spec.nodeName | Quote }}}}
involvedObject:
  apiVersion: v1
  kind: Pod
  name: {{{{ .metadata.name | Quote }}}}
  namespace: {{{{ .metadata.namespace | Quote }}}}
  uid: {{{{ .metadata.uid | Quote }}}}
"#
        );
        self.steps.push(json!({"apply": {"template": template}}));
        self
    }

    /// Delete the object.
    pub(super) fn delete(mut self) -> Self {
        self.steps.push(json!({"delete": true}));
        self
    }

    /// The stage as KWOK reads it.
    pub(super) fn to_value(&self) -> Value {
        json!({
            "apiVersion": "kwok.x-k8s.io/v1alpha1",
            "kind": "Stage",
            "metadata": {"name": self.name},
            "spec": {
                "resourceRef": {"apiGroup": "v1", "kind": self.kind},
                "selector": {"matchExpressions": self.conditions},
                "delay": self.delay,
                "steps": self.steps,
            }
        })
    }
}
