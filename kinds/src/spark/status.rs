//! What the operator reports of a SparkApplication.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The status of a SparkApplication. Written by the operator only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SparkApplicationStatus {
    /// Spark's own identity of the run, `spark-...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spark_application_id: Option<String>,
    /// Identity of the submission, on every object of the run as a label.
    #[serde(rename = "submissionID", skip_serializing_if = "Option::is_none")]
    pub submission_id: Option<String>,
    /// When spark-submit ran last, RFC 3339.
    pub last_submission_attempt_time: Option<String>,
    /// When the driver ended, RFC 3339.
    pub termination_time: Option<String>,
    /// The driver.
    #[serde(default)]
    pub driver_info: DriverInfo,
    /// The application's state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_state: Option<ApplicationState>,
    /// State by name of executor pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor_state: Option<BTreeMap<String, String>>,
    /// Runs so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub execution_attempts: i32,
    /// Submissions so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub submission_attempts: i32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_zero(value: &i32) -> bool {
    *value == 0
}

impl SparkApplicationStatus {
    /// The state; `New` as long as the operator has written nothing.
    #[must_use]
    pub fn state(&self) -> ApplicationStateType {
        self.application_state
            .as_ref()
            .map_or(ApplicationStateType::New, |state| state.state)
    }
}

/// State with the reason of a failure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationState {
    /// The state.
    #[schemars(with = "String")]
    pub state: ApplicationStateType,
    /// Why it failed; for a failed submission the whole output of spark-submit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// States of an application (`api/v1beta2/sparkapplication_types.go` of the operator).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ApplicationStateType {
    /// Not looked at yet.
    #[default]
    #[serde(rename = "")]
    New,
    /// spark-submit succeeded; the driver's pod is pending.
    Submitted,
    /// The driver runs.
    Running,
    /// The driver succeeded.
    Completed,
    /// The driver failed, or the submission did, and nothing will be tried any more.
    Failed,
    /// spark-submit failed.
    SubmissionFailed,
    /// The next run starts when the last one's objects are gone.
    PendingRerun,
    /// The spec changed; the current run is being removed.
    Invalidating,
    /// The driver succeeded a moment ago.
    Succeeding,
    /// The driver failed a moment ago.
    Failing,
    /// The current run is being removed because of `suspend`.
    Suspending,
    /// Suspended.
    Suspended,
    /// About to be submitted again after a suspension.
    Resuming,
    /// The driver's state cannot be told.
    Unknown,
}

impl ApplicationStateType {
    /// Whether the operator leaves the application alone from now on.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// The driver's pod and its web UI.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriverInfo {
    /// Name of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
    /// Service of the web UI.
    #[serde(rename = "webUIServiceName", skip_serializing_if = "Option::is_none")]
    pub web_ui_service_name: Option<String>,
    /// Address of that service, `IP:port`.
    #[serde(rename = "webUIAddress", skip_serializing_if = "Option::is_none")]
    pub web_ui_address: Option<String>,
    /// Port of that service.
    #[serde(rename = "webUIPort", skip_serializing_if = "Option::is_none")]
    pub web_ui_port: Option<i32>,
    /// Ingress of the web UI.
    #[serde(rename = "webUIIngressName", skip_serializing_if = "Option::is_none")]
    pub web_ui_ingress_name: Option<String>,
    /// Address of that ingress.
    #[serde(
        rename = "webUIIngressAddress",
        skip_serializing_if = "Option::is_none"
    )]
    pub web_ui_ingress_address: Option<String>,
}
