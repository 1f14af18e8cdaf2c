//! What the operator refuses (`sparkapplication_validator.go`, `sparkconf_validator.go`). Resource quotas are not
//! enforced: the chart's default is off.

use serde_json::Value;

/// Properties that a user must not set, with the operator's reason.
const DENIED: [(&str, &str); 13] = [
    (
        "spark.kubernetes.authenticate.driver.serviceAccountName",
        ACCOUNT,
    ),
    (
        "spark.kubernetes.authenticate.executor.serviceAccountName",
        ACCOUNT,
    ),
    ("spark.kubernetes.authenticate.oauthTokenFile", CREDENTIALS),
    ("spark.kubernetes.authenticate.oauthToken", CREDENTIALS),
    (
        "spark.kubernetes.authenticate.driver.oauthTokenFile",
        CREDENTIALS,
    ),
    (
        "spark.kubernetes.authenticate.driver.oauthToken",
        CREDENTIALS,
    ),
    (
        "spark.kubernetes.authenticate.executor.oauthTokenFile",
        CREDENTIALS,
    ),
    (
        "spark.kubernetes.authenticate.executor.oauthToken",
        CREDENTIALS,
    ),
    ("spark.master", MANAGED),
    ("spark.kubernetes.driver.master", MANAGED),
    ("spark.kubernetes.container.image", IMAGE),
    ("spark.kubernetes.driver.container.image", IMAGE),
    ("spark.kubernetes.executor.container.image", IMAGE),
];
const ACCOUNT: &str = "configure the service account via the CRD spec instead";
const CREDENTIALS: &str = "authentication credentials are managed by the operator";
const MANAGED: &str = "this value is managed by the operator";
const IMAGE: &str = "use the image field on the CRD instead";

/// Whether an application may be stored.
///
/// # Errors
/// With the operator's words.
pub(super) fn application(object: &Value, old: &Value) -> Result<(), String> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if !is_dns_label(name) {
        return Err(format!(
            "invalid SparkApplication name {name:?}: a DNS-1035 label must consist of lower case alphanumeric characters or \
             '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or \
             'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
        ));
    }
    let spec = &object["spec"];
    if old["spec"] == *spec {
        return Ok(());
    }
    let version = spec["sparkVersion"].as_str().unwrap_or_default();
    let templates =
        !spec["driver"]["template"].is_null() || !spec["executor"]["template"].is_null();
    if templates && major(version).is_some_and(|major| major < 3) {
        return Err("pod template feature requires Spark version 3.0.0 or higher".to_owned());
    }
    let own_selector = |role: &str| !spec[role]["nodeSelector"].is_null();
    if !spec["nodeSelector"].is_null() && (own_selector("driver") || own_selector("executor")) {
        return Err(
            "node selector cannot be defined at both SparkApplication and Driver/Executor"
                .to_owned(),
        );
    }
    ingresses(&spec["driverIngressOptions"])?;
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    for (key, value) in spec["sparkConf"].as_object().into_iter().flatten() {
        if let Some((_, reason)) = DENIED.iter().find(|(denied, _)| denied == key) {
            return Err(format!("sparkConf key {key:?} is not allowed: {reason}"));
        }
        if key == "spark.kubernetes.namespace" && value != namespace {
            let value = value.as_str().unwrap_or_default();
            return Err(format!(
                "sparkConf key {key:?} is not allowed: must equal the application namespace {namespace:?}, got {value:?}"
            ));
        }
    }
    Ok(())
}

fn ingresses(options: &Value) -> Result<(), String> {
    let mut ports = Vec::new();
    let mut formats = Vec::new();
    for option in options.as_array().into_iter().flatten() {
        let Some(port) = option["servicePort"].as_i64() else {
            return Err("DriverIngressOptions has nill ServicePort".to_owned());
        };
        if ports.contains(&port) {
            return Err(format!(
                "DriverIngressOptions has duplicate ServicePort: {port}"
            ));
        }
        ports.push(port);
        let format = option["ingressURLFormat"].as_str().unwrap_or_default();
        if format.is_empty() {
            return Err("DriverIngressOptions has empty IngressURLFormat".to_owned());
        }
        if formats.contains(&format) {
            return Err(format!(
                "DriverIngressOptions has duplicate IngressURLFormat: {format}"
            ));
        }
        formats.push(format);
    }
    Ok(())
}

fn major(version: &str) -> Option<u32> {
    version
        .trim_start_matches('v')
        .split('.')
        .next()?
        .parse()
        .ok()
}

/// A DNS-1035 label.
fn is_dns_label(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(name: &str, spec: &Value) -> Option<String> {
        application(
            &json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec}),
            &Value::Null,
        )
        .err()
    }

    #[test]
    fn what_the_operator_refuses_is_refused() {
        assert_eq!(
            refused(
                "spark-kafka-consumer",
                &json!({"sparkConf": {"spark.ui.port": "4041"}})
            ),
            None
        );
        assert!(refused("1app", &json!({})).unwrap().contains("DNS-1035"));
        assert_eq!(
            refused("a", &json!({"sparkConf": {"spark.master": "x"}})).unwrap(),
            "sparkConf key \"spark.master\" is not allowed: this value is managed by the operator"
        );
        assert!(
            refused(
                "a",
                &json!({"sparkConf": {"spark.kubernetes.namespace": "other"}})
            )
            .is_some()
        );
        assert_eq!(
            refused(
                "a",
                &json!({"sparkConf": {"spark.kubernetes.namespace": "default"}})
            ),
            None
        );
        assert!(
            refused(
                "a",
                &json!({"nodeSelector": {}, "driver": {"nodeSelector": {}}})
            )
            .is_some()
        );
        assert!(
            refused(
                "a",
                &json!({"sparkVersion": "2.4.8", "driver": {"template": {}}})
            )
            .is_some()
        );
    }

    #[test]
    fn an_unchanged_spec_is_not_looked_at_again() {
        let stored =
            json!({"metadata": {"name": "a"}, "spec": {"sparkConf": {"spark.master": "x"}}});
        assert_eq!(application(&stored, &stored), Ok(()));
    }
}
