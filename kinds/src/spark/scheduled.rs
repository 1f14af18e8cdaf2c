//! Applications that run on a schedule: known, so that one can be stored; pipectl makes none.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::SparkApplicationSpec;
use crate::ResourceSpec;

/// The spec of a ScheduledSparkApplication.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledSparkApplicationSpec {
    /// Cron expression.
    pub schedule: String,
    /// Time zone of the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The application to run.
    pub template: SparkApplicationSpec,
    /// Whether no further run is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// `Allow`, `Forbid` or `Replace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_policy: Option<String>,
    /// Successful runs to keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successful_run_history_limit: Option<i32>,
    /// Failed runs to keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_run_history_limit: Option<i32>,
}

impl ResourceSpec for ScheduledSparkApplicationSpec {
    const GROUP: &'static str = super::GROUP;
    const KIND: &'static str = "ScheduledSparkApplication";
    const PLURAL: &'static str = "scheduledsparkapplications";
    type Status = ScheduledSparkApplicationStatus;
}

/// The status of a ScheduledSparkApplication.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledSparkApplicationStatus {
    /// Last run, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<String>,
    /// Next run, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run: Option<String>,
    /// Name of the last run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_name: Option<String>,
    /// Successful runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past_successful_run_names: Option<Vec<String>>,
    /// Failed runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past_failed_run_names: Option<Vec<String>>,
    /// State of the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_state: Option<String>,
    /// Why the state is what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
