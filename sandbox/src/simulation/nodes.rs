//! How the sandbox's nodes come to life and stay alive. Which nodes there are is not decided here.

use super::stage::Stage;

/// The node's stages: it becomes ready half a second after it appeared, with the annotation by which a kubelet leaves
/// attaching volumes to the controller, and repeats its status every five minutes as a
/// kubelet does when nothing changes (`nodeStatusReportFrequency`); in between KWOK renews its lease.
pub(super) fn stages() -> Vec<Stage> {
    let ready = r#".status.conditions[]? | select(.type == "Ready") | .status"#;
    vec![
        Stage::new("Node", "node-initialize")
            .absent(".metadata.deletionTimestamp")
            .when(
                format!(r#"[{ready}] | if any(. == "True") then "ready" else "new" end"#),
                &["new"],
            )
            .after(500)
            .metadata(
                r#"annotations: {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}"#,
            )
            .event("Normal", "NodeReady", "Node is ready (simulated)")
            .status(format!(
                r#"
{{{{ $now := now | date "2006-01-02T15:04:05Z07:00" }}}}
conditions:
{CONDITIONS}
{{{{ with NodePort }}}}
daemonEndpoints:
  kubeletEndpoint:
    Port: {{{{ . }}}}
{{{{ end }}}}
"#
            )),
        Stage::new("Node", "node-heartbeat")
            .absent(".metadata.deletionTimestamp")
            .when(ready, &["True"])
            .after(300_000)
            .status(
                r#"
{{ $now := now | date "2006-01-02T15:04:05Z07:00" }}
conditions:
{{ range .status.conditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ .lastTransitionTime | Quote }}
{{ end }}
"#,
            ),
    ]
}

const CONDITIONS: &str = r"{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
{{ end }}";
