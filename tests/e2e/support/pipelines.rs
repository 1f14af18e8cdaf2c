//! Small pipelines: up in a second, so that a test of one behaviour does not wait for a whole platform.

/// The name of the pipeline that [`tiny`] makes, of its environment and of its namespace.
pub const TINY: &str = "tiny";

/// One namespace with a config map and a deployment of one pod; `pod` is merged into the pod's template as further
/// lines of its metadata, `image` is its image.
pub fn tiny(image: &str) -> String {
    format!(
        r#"apiVersion: pipectl.dev/v1
kind: Pipeline
metadata:
  name: tiny
spec:
  namespaces:
    - name: tiny
  workloads:
    - name: web
      namespace: tiny
      objects:
        - apiVersion: v1
          kind: ConfigMap
          metadata: {{name: settings}}
          data: {{color: red}}
        - apiVersion: apps/v1
          kind: Deployment
          metadata: {{name: web}}
          spec:
            replicas: 1
            selector: {{matchLabels: {{app: web}}}}
            template:
              metadata:
                labels: {{app: web}}
                annotations: {{}}
              spec:
                containers: [{{name: web, image: "{image}"}}]
"#
    )
}

/// The same under another name, with another namespace.
pub fn tiny_named(name: &str, image: &str) -> String {
    tiny(image)
        .replace("name: tiny\n", &format!("name: {name}\n"))
        .replace("namespace: tiny\n", &format!("namespace: {name}\n"))
}
