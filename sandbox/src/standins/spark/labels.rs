//! Labels and container names of Spark's pods (`pkg/common/spark.go` of the operator, `Constants.scala` of Spark).

/// Name of the SparkApplication.
pub(super) const APP_NAME: &str = "sparkoperator.k8s.io/app-name";
/// Marks pods that the operator had submitted; its webhook is called for no others.
pub(super) const LAUNCHED: &str = "sparkoperator.k8s.io/launched-by-spark-operator";
/// Marks pods that the webhook has to complete.
pub(super) const MUTATED: &str = "sparkoperator.k8s.io/mutated-by-spark-operator";
/// Identity of the submission.
pub(super) const SUBMISSION: &str = "sparkoperator.k8s.io/submission-id";
/// Spark's identity of the run.
pub(super) const APP_SELECTOR: &str = "spark-app-selector";
/// Name of the application for Spark.
pub(super) const SPARK_APP_NAME: &str = "spark-app-name";
/// `driver` or `executor`.
pub(super) const ROLE: &str = "spark-role";
/// Number of an executor.
pub(super) const EXECUTOR_ID: &str = "spark-exec-id";
/// Resource profile of an executor; 0 is the default one.
pub(super) const EXECUTOR_PROFILE: &str = "spark-exec-resourceprofile-id";
/// Version of Spark that made the pod.
pub(super) const SPARK_VERSION: &str = "spark-version";

/// Role of a driver.
pub(super) const DRIVER: &str = "driver";
/// Role of an executor.
pub(super) const EXECUTOR: &str = "executor";

/// Container of a driver.
pub(super) const DRIVER_CONTAINER: &str = "spark-kubernetes-driver";
/// Container of an executor.
pub(super) const EXECUTOR_CONTAINER: &str = "spark-kubernetes-executor";

/// Volumes of this prefix are scratch space, known to spark-submit; the webhook leaves them alone.
pub(super) const LOCAL_DIR_PREFIX: &str = "spark-local-dir-";

/// Version of the `spark-submit` whose objects were observed; the label of the driver's pod shows it.
pub(super) const SUBMIT_VERSION: &str = "3.5.5";
