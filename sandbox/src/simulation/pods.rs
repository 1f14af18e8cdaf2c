//! What the sandbox's nodes do with pods: the life that a kubelet gives them, without containers.
//!
//! Statuses follow the Kubernetes documentation ("Pod Lifecycle") and what a kubelet writes; times follow
//! [`super::images`]; failures follow [`super::switches`].

use super::images::{DEFAULT_START, PROBE_SHORTEST, probe_expression, start_expression};
use super::stage::Stage;
use super::switches::{COMPLETE_AFTER, FAIL, MISSING_TAG, STOP_AFTER};

/// Milliseconds until a deleted pod is gone, where its grace period and its annotation allow it.
const STOP: u32 = 500;
/// Milliseconds until init containers have ended.
const INIT: u32 = 300;
/// Milliseconds between a container's start and its failure.
const CRASH: u32 = 1000;
/// Milliseconds between the start of a Job's pod and its end.
const JOB: u32 = 1000;

/// Condition of a pod, read by jq.
fn condition(kind: &str) -> String {
    format!(r#".status.conditions[]? | select(.type == "{kind}") | .status"#)
}

/// jq: the failure asked for, the empty text for none.
fn failure() -> String {
    format!(
        r#".metadata.annotations["{FAIL}"] // (if ([.spec.containers[].image, .spec.initContainers[]?.image] | any(endswith(":{MISSING_TAG}"))) then "image-pull" else "" end)"#
    )
}

/// jq: whether every container runs.
const RUNNING: &str =
    "[.status.containerStatuses[]?.state.running] | length > 0 and all(. != null) | tostring";

/// jq: how the containers' readiness starts, `true` or `probe`.
const PROBED: &str =
    r#"if any(.spec.containers[]; .readinessProbe != null) then "probe" else "at once" end"#;

/// The pod's stages.
pub(super) fn stages() -> Vec<Stage> {
    let mut stages = vec![accept(), init()];
    stages.extend(image_pull());
    stages.extend(start());
    stages.push(ready());
    stages.extend(failures());
    stages.extend([restart(), complete(), delete()]);
    stages
}

fn stage(name: &'static str) -> Stage {
    Stage::new("Pod", name)
}

/// A stage for pods that nobody deletes, in this phase.
fn living(name: &'static str, phase: &str) -> Stage {
    stage(name)
        .absent(".metadata.deletionTimestamp")
        .when(".status.phase", &[phase])
}

/// The node takes the pod: containers wait.
fn accept() -> Stage {
    living("pod-accept", "Pending")
        .absent(".status.startTime")
        .when(failure(), &["", "image-pull", "crash", "oom", "unready"])
        .after(50)
        .event_template("Normal", "Pulling", r#"{{ printf "Pulling image %q" (index .spec.containers 0).image | Quote }}"#)
        .status(format!(
            r#"
{NOW}
{{{{ $init := .spec.initContainers }}}}
startTime: {{{{ now | date "2006-01-02T15:04:05Z07:00" | Quote }}}}
hostIP: {{{{ NodeIPWith .spec.nodeName | Quote }}}}
hostIPs:
- ip: {{{{ NodeIPWith .spec.nodeName | Quote }}}}
phase: Pending
conditions:
- type: PodReadyToStartContainers
  status: "False"
  lastProbeTime: null
  lastTransitionTime: {{{{ $now | Quote }}}}
- type: Initialized
  lastProbeTime: null
  lastTransitionTime: {{{{ $now | Quote }}}}
{{{{ if $init }}}}
  status: "False"
  reason: ContainersNotInitialized
  message: 'containers with incomplete status: [{{{{ range $i, $c := $init }}}}{{{{ if $i }}}} {{{{ end }}}}{{{{ $c.name }}}}{{{{ end }}}}]'
{{{{ else }}}}
  status: "True"
{{{{ end }}}}
{NOT_READY}
{{{{ if $init }}}}
initContainerStatuses:
{{{{ range $init }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: ""
  ready: false
  started: false
  restartCount: 0
  state:
    waiting:
      reason: PodInitializing
{{{{ end }}}}
{{{{ end }}}}
containerStatuses:
{{{{ range .spec.containers }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: ""
  ready: false
  started: false
  restartCount: 0
  state:
    waiting:
      reason: {{{{ if $init }}}}PodInitializing{{{{ else }}}}ContainerCreating{{{{ end }}}}
{{{{ end }}}}
"#
        ))
}

/// Init containers end with success; those with `restartPolicy: Always` (sidecars) run on.
fn init() -> Stage {
    living("pod-init", "Pending")
        .exists(".status.startTime")
        .exists(".spec.initContainers[0]?.name")
        .when(condition("Initialized"), &["False"])
        .when(failure(), &["", "crash", "oom", "unready"])
        .after(INIT)
        .status(format!(
            r#"
{NOW}
{{{{ $uid := .metadata.uid }}}}
conditions:
- type: Initialized
  status: "True"
  reason: null
  message: null
  lastProbeTime: null
  lastTransitionTime: {{{{ $now | Quote }}}}
initContainerStatuses:
{{{{ range .spec.initContainers }}}}
- name: {{{{ .name | Quote }}}}
  {CONTAINER_IDS}
  ready: true
  restartCount: 0
{{{{ if eq (or .restartPolicy "") "Always" }}}}
  started: true
  state:
    running:
      startedAt: {{{{ $now | Quote }}}}
{{{{ else }}}}
  started: false
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{{{ $now | Quote }}}}
      finishedAt: {{{{ $now | Quote }}}}
      containerID: {{{{ printf "containerd://%s" (printf "%s/%s" $uid .name | sha256sum) | Quote }}}}
{{{{ end }}}}
{{{{ end }}}}
"#
        ))
}

/// The image cannot be pulled.
fn image_pull() -> [Stage; 2] {
    let reason = ".status.containerStatuses[0]?.state.waiting.reason";
    let waiting = |reason: &str, message: &str| {
        format!(
            r#"
containerStatuses:
{{{{ range .spec.containers }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: ""
  ready: false
  started: false
  restartCount: 0
  state:
    waiting:
      reason: {reason}
      message: {{{{ {message} | Quote }}}}
{{{{ end }}}}
"#
        )
    };
    let pull_error = r#"(printf "failed to pull and unpack image %q: failed to resolve reference %q: %s: not found" .image .image .image)"#;
    let first_error = r#"{{ $c := index .spec.containers 0 }}{{ printf "Failed to pull image %q: failed to pull and unpack image %q: failed to resolve reference %q: %s: not found" $c.image $c.image $c.image $c.image | Quote }}"#;
    [
        living("pod-image-pull-error", "Pending")
            .when(failure(), &["image-pull"])
            .when(reason, &["ContainerCreating", "PodInitializing"])
            .after(500)
            .event_template("Warning", "Failed", first_error)
            .status(waiting("ErrImagePull", pull_error)),
        living("pod-image-pull-back-off", "Pending")
            .when(failure(), &["image-pull"])
            .when(reason, &["ErrImagePull"])
            .after(1000)
            .event_template(
                "Normal",
                "BackOff",
                r#"{{ printf "Back-off pulling image %q" (index .spec.containers 0).image | Quote }}"#,
            )
            .status(waiting(
                "ImagePullBackOff",
                &format!(r#"(printf "Back-off pulling image %q: ErrImagePull: %s" .image {pull_error})"#),
            )),
    ]
}

/// Containers start: ready at once without a readiness probe, else ready later; or never.
fn start() -> [Stage; 3] {
    let starting = |name, ready: bool| {
        let stage = living(name, "Pending")
            .exists(".status.startTime")
            .when(condition("Initialized"), &["True"])
            .after_expression(start_expression(), DEFAULT_START);
        let stage = stage.event("Normal", "Started", "Container started");
        stage.status(format!(
            r#"
{NOW}
{{{{ $uid := .metadata.uid }}}}
{{{{ $ip := or .status.podIP (PodIPWith .spec.nodeName (or .spec.hostNetwork false) $uid .metadata.name .metadata.namespace) }}}}
podIP: {{{{ $ip | Quote }}}}
podIPs:
- ip: {{{{ $ip | Quote }}}}
phase: Running
conditions:
- type: PodReadyToStartContainers
  status: "True"
  lastProbeTime: null
  lastTransitionTime: {{{{ $now | Quote }}}}
{}
containerStatuses:
{{{{ range .spec.containers }}}}
- name: {{{{ .name | Quote }}}}
  {CONTAINER_IDS}
  ready: {ready}
  started: true
  restartCount: 0
  state:
    running:
      startedAt: {{{{ $now | Quote }}}}
{{{{ end }}}}
"#,
            if ready { READY } else { NOT_READY }
        ))
    };
    [
        starting("pod-start", true)
            .when(PROBED, &["at once"])
            .when(failure(), &["", "crash", "oom"]),
        starting("pod-start-probed", false)
            .when(PROBED, &["probe"])
            .when(failure(), &["", "crash", "oom"]),
        starting("pod-start-unready", false)
            .when(failure(), &["unready"])
            .event(
                "Warning",
                "Unhealthy",
                "Readiness probe failed: the sandbox was asked to keep this pod unready",
            ),
    ]
}

/// A readiness probe succeeds.
fn ready() -> Stage {
    living("pod-ready", "Running")
        .when(RUNNING, &["true"])
        .when(condition("Ready"), &["False"])
        .when(failure(), &[""])
        .after_expression(probe_expression(), PROBE_SHORTEST)
        .status(format!(
            r#"
{NOW}
conditions:
{READY}
containerStatuses:
{{{{ range .status.containerStatuses }}}}
{{{{ $status := set . "ready" true }}}}
- {{{{ YAML $status 1 | trim }}}}
{{{{ end }}}}
"#
        ))
}

/// Containers end with an error: the pod fails where nothing restarts it, else it waits for its restart.
fn failures() -> Vec<Stage> {
    let failing = |name, policies: &[&str], switch: &str| {
        living(name, "Running")
            .when(failure(), &[switch])
            .when(RUNNING, &["true"])
            .when(".spec.restartPolicy", policies)
            .after(CRASH)
    };
    let ended = |code: u32, reason: &str, indent: &str| {
        format!(
            "{indent}terminated:\n{indent}  exitCode: {code}\n{indent}  reason: {reason}\n\
             {indent}  startedAt: {{{{ .state.running.startedAt | Quote }}}}\n\
             {indent}  finishedAt: {{{{ $now | Quote }}}}\n{indent}  containerID: {{{{ .containerID | Quote }}}}"
        )
    };
    let failed = |code: u32, reason: &str| {
        format!(
            r#"
{NOW}
phase: Failed
conditions:
{}
containerStatuses:
{{{{ range .status.containerStatuses }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: {{{{ .imageID | Quote }}}}
  containerID: {{{{ .containerID | Quote }}}}
  ready: false
  started: false
  restartCount: {{{{ .restartCount }}}}
  state:
{}
{{{{ end }}}}
"#,
            ended_conditions("PodFailed"),
            ended(code, reason, "    ")
        )
    };
    let backing_off = |code: u32, reason: &str| {
        format!(
            r#"
{NOW}
{{{{ $pod := printf "%s_%s(%s)" .metadata.name .metadata.namespace .metadata.uid }}}}
conditions:
{NOT_READY}
containerStatuses:
{{{{ range .status.containerStatuses }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: {{{{ .imageID | Quote }}}}
  containerID: {{{{ .containerID | Quote }}}}
  ready: false
  started: false
  restartCount: {{{{ .restartCount }}}}
  state:
    waiting:
      reason: CrashLoopBackOff
      message: {{{{ printf "back-off restarting failed container=%s pod=%s" .name $pod | Quote }}}}
  lastState:
{}
{{{{ end }}}}
"#,
            ended(code, reason, "    ")
        )
    };
    let message = r#"{{ printf "Back-off restarting failed container %s in pod %s_%s(%s)" (index .spec.containers 0).name .metadata.name .metadata.namespace .metadata.uid | Quote }}"#;
    let restarting = ["Always", "OnFailure"];
    vec![
        failing("pod-crash", &["Never"], "crash").status(failed(1, "Error")),
        failing("pod-oom", &["Never"], "oom").status(failed(137, "OOMKilled")),
        failing("pod-crash-loop", &restarting, "crash")
            .event_template("Warning", "BackOff", message)
            .status(backing_off(1, "Error")),
        failing("pod-oom-loop", &restarting, "oom")
            .event_template("Warning", "BackOff", message)
            .status(backing_off(137, "OOMKilled")),
    ]
}

/// A container in back-off starts again: after 2, 4, 8, ... seconds, at most a minute (a kubelet: 10 s to 5 min).
fn restart() -> Stage {
    living("pod-restart", "Running")
        .when(".status.containerStatuses[0]?.state.waiting.reason", &["CrashLoopBackOff"])
        .after_expression(
            r#"(.status.containerStatuses[0].restartCount // 0) as $n | if $n > 4 then "60s" else ([2, 4, 8, 16, 32][$n] | tostring) + "s" end"#,
            2000,
        )
        .status(format!(
            r#"
{NOW}
containerStatuses:
{{{{ range .status.containerStatuses }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: {{{{ .imageID | Quote }}}}
  containerID: {{{{ printf "containerd://%s" (printf "%s/%d" .containerID (add1 .restartCount) | sha256sum) | Quote }}}}
  ready: false
  started: true
  restartCount: {{{{ add1 .restartCount }}}}
  state:
    running:
      startedAt: {{{{ $now | Quote }}}}
  lastState:
    {{{{ YAML .lastState 2 | trim }}}}
{{{{ end }}}}
"#
        ))
}

/// Pods of Jobs, and pods that were told to, end with success.
fn complete() -> Stage {
    living("pod-complete", "Running")
        .when(RUNNING, &["true"])
        .when(".spec.restartPolicy", &["Never", "OnFailure"])
        .when(failure(), &[""])
        .when(condition("Ready"), &["True"])
        .when(
            format!(
                r#"(.metadata.annotations["{COMPLETE_AFTER}"] != null or any(.metadata.ownerReferences[]?; .kind == "Job")) | tostring"#
            ),
            &["true"],
        )
        .after_expression(format!(r#".metadata.annotations["{COMPLETE_AFTER}"]"#), JOB)
        .status(format!(
            r#"
{NOW}
phase: Succeeded
conditions:
- type: Initialized
  status: "True"
  reason: PodCompleted
  lastProbeTime: null
  lastTransitionTime: {{{{ $now | Quote }}}}
{}
containerStatuses:
{{{{ range .status.containerStatuses }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: {{{{ .imageID | Quote }}}}
  containerID: {{{{ .containerID | Quote }}}}
  ready: false
  started: false
  restartCount: {{{{ .restartCount }}}}
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{{{ .state.running.startedAt | Quote }}}}
      finishedAt: {{{{ $now | Quote }}}}
      containerID: {{{{ .containerID | Quote }}}}
{{{{ end }}}}
"#,
            ended_conditions("PodCompleted")
        ))
}

/// Containers stop and the node confirms the deletion, at the end of the grace period at the latest. With finalizers
/// the object stays until they are gone, confirmed once.
fn delete() -> Stage {
    stage("pod-delete")
        .exists(".metadata.deletionTimestamp")
        .when(
            r#"if .metadata.finalizers == null or .metadata.deletionGracePeriodSeconds != 0 then "open" else "confirmed" end"#,
            &["open"],
        )
        .after_expression(
            format!(
                r#"(.metadata.deletionGracePeriodSeconds // 30) as $grace | if $grace == 0 then "0s" else (.metadata.annotations["{STOP_AFTER}"] // "{STOP}ms") end"#
            ),
            STOP,
        )
        .delete()
}

fn ended_conditions(reason: &str) -> String {
    ["Ready", "ContainersReady"]
        .map(|kind| {
            format!(
                "- type: {kind}\n  status: \"False\"\n  reason: {reason}\n  message: null\n  lastProbeTime: null\n  \
                 lastTransitionTime: {{{{ $now | Quote }}}}"
            )
        })
        .join("\n")
}

const NOW: &str = r#"{{ $now := now | date "2006-01-02T15:04:05Z07:00" }}"#;

const CONTAINER_IDS: &str = r#"image: {{ .image | Quote }}
  imageID: {{ printf "%s@sha256:%s" (regexReplaceAll "[@:][^/]*$" .image "") (sha256sum .image) | Quote }}
  containerID: {{ printf "containerd://%s" (printf "%s/%s" $uid .name | sha256sum) | Quote }}"#;

const READY: &str = r#"- type: Ready
  status: "True"
  reason: null
  message: null
  lastProbeTime: null
  lastTransitionTime: {{ $now | Quote }}
- type: ContainersReady
  status: "True"
  reason: null
  message: null
  lastProbeTime: null
  lastTransitionTime: {{ $now | Quote }}"#;

const NOT_READY: &str = r#"- type: Ready
  status: "False"
  reason: ContainersNotReady
  message: 'containers with unready status: [{{ range $i, $c := $.spec.containers }}{{ if $i }} {{ end }}{{ $c.name }}{{ end }}]'
  lastProbeTime: null
  lastTransitionTime: {{ $now | Quote }}
- type: ContainersReady
  status: "False"
  reason: ContainersNotReady
  message: 'containers with unready status: [{{ range $i, $c := $.spec.containers }}{{ if $i }} {{ end }}{{ $c.name }}{{ end }}]'
  lastProbeTime: null
  lastTransitionTime: {{ $now | Quote }}"#;
