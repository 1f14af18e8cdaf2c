//! The states of an application, as the operator's controller goes through them (`controller.go`, `util`): pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use pipectl_kinds::spark::{
    ApplicationState, ApplicationStateType, DriverInfo, RestartPolicyType, SparkApplicationSpec,
    SparkApplicationStatus,
};

use super::events::Note;
use super::labels::{APP_SELECTOR, DRIVER_CONTAINER, EXECUTOR_CONTAINER};

/// What the driver's pod says about the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DriverState {
    Pending,
    Running,
    Completed,
    Failed,
    Unknown,
}

impl DriverState {
    fn application_state(self) -> ApplicationStateType {
        match self {
            Self::Pending => ApplicationStateType::Submitted,
            Self::Running => ApplicationStateType::Running,
            Self::Completed => ApplicationStateType::Succeeding,
            Self::Failed => ApplicationStateType::Failing,
            Self::Unknown => ApplicationStateType::Unknown,
        }
    }
}

fn terminated<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStateTerminated> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses
        .iter()
        .find(|status| status.name == container)?
        .state
        .as_ref()?
        .terminated
        .as_ref()
}

fn phase(pod: &Pod) -> &str {
    pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .unwrap_or("Pending")
}

/// The driver's state: its container's end counts before the pod's.
pub(super) fn driver_state(pod: &Pod) -> DriverState {
    let exit = terminated(pod, DRIVER_CONTAINER).map(|state| state.exit_code);
    match (phase(pod), exit) {
        ("Pending", _) => DriverState::Pending,
        ("Running", None) => DriverState::Running,
        ("Running" | "Failed", Some(0)) | ("Succeeded", _) => DriverState::Completed,
        ("Running", Some(_)) | ("Failed", _) => DriverState::Failed,
        _ => DriverState::Unknown,
    }
}

/// State of an executor in the application's status, by the phase of its pod.
pub(super) fn executor_state(pod: &Pod) -> &'static str {
    match phase(pod) {
        "Pending" => "PENDING",
        "Running" => "RUNNING",
        "Succeeded" => "COMPLETED",
        "Failed" => "FAILED",
        _ => "UNKNOWN",
    }
}

fn policy(spec: &SparkApplicationSpec) -> RestartPolicyType {
    spec.restart_policy
        .as_ref()
        .and_then(|policy| policy.policy)
        .unwrap_or_default()
}

/// Whether the application is tried again from its present state.
pub(super) fn should_retry(spec: &SparkApplicationSpec, status: &SparkApplicationStatus) -> bool {
    let restart = spec.restart_policy.clone().unwrap_or_default();
    let limited = |attempts: i32, retries: Option<i32>| match policy(spec) {
        RestartPolicyType::Always => true,
        RestartPolicyType::OnFailure => retries.is_some_and(|retries| attempts <= retries),
        RestartPolicyType::Never => false,
    };
    match status.state() {
        ApplicationStateType::Succeeding => policy(spec) == RestartPolicyType::Always,
        ApplicationStateType::Failing => {
            limited(status.execution_attempts, restart.on_failure_retries)
        }
        ApplicationStateType::SubmissionFailed => limited(
            status.submission_attempts,
            restart.on_submission_failure_retries,
        ),
        _ => false,
    }
}

/// How long until the next try: the interval times the submissions so far, from the last submission on. Zero when due;
/// none where the spec has no interval (the webhook defaults it to 5 s, so: an application admitted without it).
pub(super) fn retry_due(
    spec: &SparkApplicationSpec,
    status: &SparkApplicationStatus,
    now: Timestamp,
) -> Option<Duration> {
    let restart = spec.restart_policy.clone().unwrap_or_default();
    let interval = match status.state() {
        ApplicationStateType::SubmissionFailed => restart.on_submission_failure_retry_interval,
        ApplicationStateType::Failing => restart.on_failure_retry_interval,
        _ => None,
    }?;
    let attempts = u64::try_from(status.submission_attempts)
        .ok()
        .filter(|attempts| *attempts > 0)?;
    let wait = Duration::from_secs(u64::try_from(interval).ok()?.saturating_mul(attempts));
    Some(wait.saturating_sub(since(status.last_submission_attempt_time.as_deref(), now)?))
}

/// Time since a moment in RFC 3339.
pub(super) fn since(moment: Option<&str>, now: Timestamp) -> Option<Duration> {
    let moment: Timestamp = moment?.parse().ok()?;
    Duration::try_from(now.duration_since(moment))
        .ok()
        .or(Some(Duration::ZERO))
}

/// Time until a finished application is deleted; zero when it is due, none where it stays.
pub(super) fn expires(
    spec: &SparkApplicationSpec,
    status: &SparkApplicationStatus,
    now: Timestamp,
) -> Option<Duration> {
    let ttl = Duration::from_secs(u64::try_from(spec.time_to_live_seconds?).ok()?);
    Some(ttl.saturating_sub(since(status.termination_time.as_deref(), now)?))
}

/// What cannot be decided yet because the driver's pod may still appear; to be looked at again after this time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DriverExpected(pub(super) Duration);

/// Brings the status in line with the driver's pod.
///
/// # Errors
/// While a pod that was just submitted is not there yet.
pub(super) fn follow_driver(
    status: &mut SparkApplicationStatus,
    pod: Option<&Pod>,
    grace: Duration,
    now: Timestamp,
) -> Result<Vec<Note>, DriverExpected> {
    let Some(pod) = pod else {
        let age = since(status.last_submission_attempt_time.as_deref(), now).unwrap_or(grace);
        if status.state() == ApplicationStateType::Submitted && age < grace {
            return Err(DriverExpected(grace - age));
        }
        status.application_state = Some(ApplicationState {
            state: ApplicationStateType::Failing,
            error_message: Some("driver pod not found".to_owned()),
        });
        status.termination_time = Some(seconds(now));
        return Ok(Vec::new());
    };
    let labels = pod.metadata.labels.as_ref();
    status.spark_application_id = labels.and_then(|labels| labels.get(APP_SELECTOR)).cloned();
    let driver = driver_state(pod);
    let mut state = status.application_state.clone().unwrap_or_default();
    if matches!(driver, DriverState::Completed | DriverState::Failed) {
        status.termination_time.get_or_insert_with(|| seconds(now));
    }
    if driver == DriverState::Failed {
        state.error_message = match terminated(pod, DRIVER_CONTAINER) {
            None => Some("driver container status missing".to_owned()),
            Some(end) if end.exit_code != 0 => Some(format!(
                "driver container failed with ExitCode: {}, Reason: {}",
                end.exit_code,
                end.reason.as_deref().unwrap_or_default()
            )),
            Some(_) => state.error_message,
        };
    }
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let mut notes = Vec::new();
    if state.state != driver.application_state() {
        state.state = driver.application_state();
        notes.push(driver_note(driver, name).of_pod(name));
    }
    status.application_state = Some(state);
    Ok(notes)
}

fn driver_note(state: DriverState, name: &str) -> Note {
    match state {
        DriverState::Pending => {
            Note::normal("SparkDriverPending", format!("Driver {name} is pending"))
        }
        DriverState::Running => {
            Note::normal("SparkDriverRunning", format!("Driver {name} is running"))
        }
        DriverState::Completed => {
            Note::normal("SparkDriverCompleted", format!("Driver {name} completed"))
        }
        DriverState::Failed => Note::warning("SparkDriverFailed", format!("Driver {name} failed")),
        DriverState::Unknown => Note::warning(
            "SparkDriverUnknown",
            format!("Driver {name} in unknown state"),
        ),
    }
}

/// Brings the executors' states in line with their pods.
pub(super) fn follow_executors(status: &mut SparkApplicationStatus, pods: &[Pod]) -> Vec<Note> {
    let mut states = status.executor_state.clone().unwrap_or_default();
    let mut notes = Vec::new();
    let mut present = BTreeMap::new();
    for pod in pods {
        let Some(name) = pod.metadata.name.clone() else {
            continue;
        };
        let state = executor_state(pod);
        if states.get(&name).map(String::as_str) != Some(state) {
            notes.push(executor_note(state, &name, pod).of_pod(&name));
        }
        if let Some(id) = pod
            .metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(APP_SELECTOR))
        {
            status.spark_application_id = Some(id.clone());
        }
        present.insert(name, state.to_owned());
    }
    // Pods that are gone: with the driver running nobody knows; after success they are done; else they failed.
    for (name, state) in &mut states {
        if !present.contains_key(name) && state != "COMPLETED" && state != "FAILED" {
            let gone = match status.application_state.as_ref().map(|state| state.state) {
                Some(ApplicationStateType::Running) => "UNKNOWN",
                Some(ApplicationStateType::Completed) => "COMPLETED",
                _ => "FAILED",
            };
            gone.clone_into(state);
        }
    }
    states.extend(present);
    status.executor_state = Some(states).filter(|states| !states.is_empty());
    notes
}

fn executor_note(state: &str, name: &str, pod: &Pod) -> Note {
    match state {
        "PENDING" => Note::normal(
            "SparkExecutorPending",
            format!("Executor {name} is pending"),
        ),
        "RUNNING" => Note::normal(
            "SparkExecutorRunning",
            format!("Executor {name} is running"),
        ),
        "COMPLETED" => Note::normal(
            "SparkExecutorCompleted",
            format!("Executor {name} completed"),
        ),
        "FAILED" => {
            let end = terminated(pod, EXECUTOR_CONTAINER).or_else(|| terminated(pod, "executor"));
            let code = end.map_or(-1, |end| end.exit_code);
            let reason = end.map_or("Unknown (Container not Found)", |end| {
                end.reason.as_deref().unwrap_or_default()
            });
            let message = pod
                .status
                .as_ref()
                .and_then(|status| status.message.as_deref())
                .unwrap_or_default();
            Note::warning(
                "SparkExecutorFailed",
                format!(
                    "Executor {name} failed with ExitCode: {code}, Reason: {reason}, Pod Message: {message}"
                ),
            )
        }
        _ => Note::warning(
            "SparkExecutorUnknown",
            format!("Executor {name} in unknown state"),
        ),
    }
}

/// Forgets the last run before the next one, as far as the state that it left asks for.
pub(super) fn reset(status: &mut SparkApplicationStatus) {
    let state = status.state();
    if !matches!(
        state,
        ApplicationStateType::Succeeding
            | ApplicationStateType::Failing
            | ApplicationStateType::Invalidating
            | ApplicationStateType::Suspended
    ) {
        return;
    }
    status.spark_application_id = None;
    status.driver_info = DriverInfo::default();
    status.executor_state = None;
    if state != ApplicationStateType::Suspended {
        status.termination_time = None;
    }
    if state == ApplicationStateType::Invalidating {
        status.submission_attempts = 0;
        status.execution_attempts = 0;
        status.last_submission_attempt_time = None;
    }
    status.application_state = Some(ApplicationState {
        state,
        error_message: None,
    });
}

/// Whether a changed spec means that the application has to run anew: `suspend` and the time to live do not count.
pub(super) fn invalidates(old: &SparkApplicationSpec, new: &SparkApplicationSpec) -> bool {
    let mut old = old.clone();
    old.suspend = new.suspend;
    old.time_to_live_seconds = new.time_to_live_seconds;
    old != *new
}

/// A moment as the API server stores it, in whole seconds.
pub(super) fn seconds(moment: Timestamp) -> String {
    Timestamp::from_second(moment.as_second())
        .unwrap_or(moment)
        .to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(phase: &str, exit: Option<i32>) -> Pod {
        let state = exit.map_or_else(
            || json!({"running": {}}),
            |code| json!({"terminated": {"exitCode": code, "reason": "Error"}}),
        );
        serde_json::from_value(json!({
            "metadata": {"name": "a-driver", "labels": {(APP_SELECTOR): "spark-1"}},
            "status": {"phase": phase, "containerStatuses": [{
                "name": DRIVER_CONTAINER, "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": state
            }]}
        }))
        .unwrap()
    }

    fn status(state: ApplicationStateType) -> SparkApplicationStatus {
        SparkApplicationStatus {
            application_state: Some(ApplicationState {
                state,
                error_message: None,
            }),
            execution_attempts: 1,
            submission_attempts: 1,
            last_submission_attempt_time: Some("2026-01-01T00:00:00Z".into()),
            ..SparkApplicationStatus::default()
        }
    }

    fn now(seconds: i64) -> Timestamp {
        Timestamp::from_second(
            "2026-01-01T00:00:00Z"
                .parse::<Timestamp>()
                .unwrap()
                .as_second()
                + seconds,
        )
        .unwrap()
    }

    #[test]
    fn the_driver_decides_the_state() {
        let grace = Duration::from_secs(10);
        for (pod, expected) in [
            (pod("Pending", None), ApplicationStateType::Submitted),
            (pod("Running", None), ApplicationStateType::Running),
            (pod("Running", Some(0)), ApplicationStateType::Succeeding),
            (pod("Succeeded", Some(0)), ApplicationStateType::Succeeding),
            (pod("Failed", Some(1)), ApplicationStateType::Failing),
        ] {
            let mut status = status(ApplicationStateType::Submitted);
            follow_driver(&mut status, Some(&pod), grace, now(1)).unwrap();
            assert_eq!(status.state(), expected);
        }
        let mut failed = status(ApplicationStateType::Running);
        let notes =
            follow_driver(&mut failed, Some(&pod("Failed", Some(137))), grace, now(9)).unwrap();
        assert_eq!(
            failed.application_state.unwrap().error_message.as_deref(),
            Some("driver container failed with ExitCode: 137, Reason: Error")
        );
        assert_eq!(
            failed.termination_time.as_deref(),
            Some("2026-01-01T00:00:09Z")
        );
        assert_eq!(notes[0].reason, "SparkDriverFailed");
    }

    #[test]
    fn a_missing_driver_fails_the_application_after_the_grace_period() {
        let grace = Duration::from_secs(10);
        let mut submitted = status(ApplicationStateType::Submitted);
        assert_eq!(
            follow_driver(&mut submitted, None, grace, now(4)),
            Err(DriverExpected(Duration::from_secs(6)))
        );
        follow_driver(&mut submitted, None, grace, now(10)).unwrap();
        assert_eq!(submitted.state(), ApplicationStateType::Failing);
        let mut running = status(ApplicationStateType::Running);
        follow_driver(&mut running, None, grace, now(1)).unwrap();
        assert_eq!(running.state(), ApplicationStateType::Failing);
    }

    #[test]
    fn without_a_policy_nothing_runs_again() {
        let mut spec = SparkApplicationSpec::default();
        for state in [
            ApplicationStateType::Succeeding,
            ApplicationStateType::Failing,
            ApplicationStateType::SubmissionFailed,
            ApplicationStateType::Failed,
        ] {
            assert!(!should_retry(&spec, &status(state)), "{state:?}");
        }
        let restart = spec.restart_policy.get_or_insert_default();
        restart.policy = Some(RestartPolicyType::OnFailure);
        restart.on_failure_retries = Some(1);
        restart.on_failure_retry_interval = Some(5);
        let mut failing = status(ApplicationStateType::Failing);
        assert!(should_retry(&spec, &failing));
        assert_eq!(
            retry_due(&spec, &failing, now(2)),
            Some(Duration::from_secs(3))
        );
        assert_eq!(retry_due(&spec, &failing, now(9)), Some(Duration::ZERO));
        failing.execution_attempts = 2;
        assert!(!should_retry(&spec, &failing));
        assert!(!should_retry(
            &spec,
            &status(ApplicationStateType::Succeeding)
        ));
        assert!(!should_retry(
            &spec,
            &status(ApplicationStateType::SubmissionFailed)
        ));
    }

    #[test]
    fn a_finished_application_expires() {
        let mut spec = SparkApplicationSpec::default();
        let mut done = status(ApplicationStateType::Completed);
        done.termination_time = Some("2026-01-01T00:00:00Z".into());
        assert_eq!(expires(&spec, &done, now(100)), None);
        spec.time_to_live_seconds = Some(60);
        assert_eq!(
            expires(&spec, &done, now(20)),
            Some(Duration::from_secs(40))
        );
        assert_eq!(expires(&spec, &done, now(100)), Some(Duration::ZERO));
    }

    #[test]
    fn only_what_runs_counts_as_a_change() {
        let old = SparkApplicationSpec::default();
        let suspended = SparkApplicationSpec {
            suspend: Some(true),
            time_to_live_seconds: Some(1),
            ..old.clone()
        };
        assert!(!invalidates(&old, &suspended));
        assert!(invalidates(
            &old,
            &SparkApplicationSpec {
                image: Some("b".into()),
                ..old.clone()
            }
        ));
    }

    #[test]
    fn executors_that_are_gone_depend_on_the_application() {
        let names = |state| {
            [
                ("e-1".to_owned(), "RUNNING".to_owned()),
                ("e-2".to_owned(), String::from(state)),
            ]
            .into()
        };
        for (state, expected) in [
            (ApplicationStateType::Running, "UNKNOWN"),
            (ApplicationStateType::Completed, "COMPLETED"),
            (ApplicationStateType::Failed, "FAILED"),
        ] {
            let mut status = status(state);
            status.executor_state = Some(names("COMPLETED"));
            follow_executors(&mut status, &[]);
            let states = status.executor_state.unwrap();
            assert_eq!(states["e-1"], expected);
            assert_eq!(states["e-2"], "COMPLETED");
        }
    }

    #[test]
    fn invalidating_forgets_attempts_and_failing_does_not() {
        let mut failing = status(ApplicationStateType::Failing);
        reset(&mut failing);
        assert_eq!(
            (failing.execution_attempts, failing.submission_attempts),
            (1, 1)
        );
        let mut invalid = status(ApplicationStateType::Invalidating);
        reset(&mut invalid);
        assert_eq!(
            (invalid.execution_attempts, invalid.submission_attempts),
            (0, 0)
        );
        assert_eq!(invalid.last_submission_attempt_time, None);
    }
}
