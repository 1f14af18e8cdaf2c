//! The only place that names an SDK's types: Kubernetes, Helm, AWS.
