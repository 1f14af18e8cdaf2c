//! Custom resources of the Spark operator: `sparkoperator.k8s.io/v1beta2`.
//!
//! Every field name of the official definition of release 2.5.2 is known at the levels that pipectl works on (the
//! application, its driver and executors, its status), so a misspelt name is refused there; subtrees that only the
//! operator's webhook copies into pods (affinity, containers, volumes, ...) keep whatever they hold.

mod crd;
mod scheduled;
mod spec;
mod status;

pub use crd::{scheduled_spark_application_crd, spark_application_crd};
pub use scheduled::{ScheduledSparkApplicationSpec, ScheduledSparkApplicationStatus};
pub use spec::{
    ApplicationType, BatchSchedulerConfiguration, ConfigMapMount, Dependencies, DeployMode,
    DriverSpec, DynamicAllocation, ExecutorSpec, Gpu, MonitoringSpec, Port, PrometheusSpec,
    RestartPolicy, RestartPolicyType, SecretInfo, SecretKeyReference, SparkApplicationSpec,
    SparkPodSpec, SparkUiConfiguration,
};
pub use status::{ApplicationState, ApplicationStateType, DriverInfo, SparkApplicationStatus};

/// API group of the Spark operator's kinds.
pub const GROUP: &str = "sparkoperator.k8s.io";

/// The API version of the kinds in this module; the chart of release 2.5.2 serves no other for them.
pub const VERSION: &str = "v1beta2";
