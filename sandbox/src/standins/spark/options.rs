//! Command-line arguments of the operator's two programs, as its chart writes them.

use std::collections::BTreeSet;
use std::time::Duration;

/// Namespaces in which a program works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Namespaces {
    /// Named ones; none means every namespace.
    named: Option<BTreeSet<String>>,
}

impl Namespaces {
    /// Unset or with an empty name in it: all namespaces (`start.go` of both programs).
    fn parse(argument: Option<&str>) -> Self {
        let names: BTreeSet<String> = argument
            .unwrap_or_default()
            .split(',')
            .map(|name| name.trim().trim_matches('"').to_owned())
            .collect();
        Self {
            named: if names.contains("") {
                None
            } else {
                Some(names)
            },
        }
    }

    /// Whether the program works in this namespace.
    pub(super) fn contains(&self, namespace: &str) -> bool {
        self.named
            .as_ref()
            .is_none_or(|names| names.contains(namespace))
    }
}

/// What the controller was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ControllerOptions {
    pub(super) namespaces: Namespaces,
    /// A label selector: namespaces that fit it are watched as well.
    pub(super) namespace_selector: Option<String>,
    pub(super) ui_service: bool,
    /// How long after a submission a missing driver pod is no failure.
    pub(super) driver_grace: Duration,
}

impl ControllerOptions {
    pub(super) fn parse(arguments: &[String]) -> Self {
        let value = |name: &str| value(arguments, name);
        Self {
            namespaces: Namespaces::parse(value("namespaces")),
            namespace_selector: value("namespace-selector")
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
            ui_service: value("enable-ui-service").is_none_or(|text| text == "true"),
            driver_grace: value("driver-pod-creation-grace-period")
                .and_then(duration)
                .unwrap_or(Duration::from_secs(10)),
        }
    }
}

/// What the webhook's server was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebhookOptions {
    pub(super) namespaces: Namespaces,
    pub(super) service: String,
    pub(super) service_namespace: String,
    pub(super) port: u16,
    pub(super) secret: String,
    pub(super) secret_namespace: String,
    pub(super) mutating: String,
    pub(super) validating: String,
}

impl WebhookOptions {
    pub(super) fn parse(arguments: &[String], namespace: &str) -> Self {
        let text = |name: &str, default: &str| value(arguments, name).unwrap_or(default).to_owned();
        Self {
            namespaces: Namespaces::parse(value(arguments, "namespaces")),
            service: text("webhook-svc-name", "spark-webhook"),
            service_namespace: text("webhook-svc-namespace", namespace),
            port: value(arguments, "webhook-port")
                .and_then(|port| port.parse().ok())
                .unwrap_or(9443),
            secret: text("webhook-secret-name", "spark-operator-webhook-certs"),
            secret_namespace: text("webhook-secret-namespace", namespace),
            mutating: text("mutating-webhook-name", "spark-operator-webhook"),
            validating: text("validating-webhook-name", "spark-operator-webhook"),
        }
    }
}

/// The value of `--name=value`.
fn value<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    arguments.iter().find_map(|argument| {
        argument
            .strip_prefix("--")?
            .strip_prefix(name)?
            .strip_prefix('=')
    })
}

/// A duration in Go's notation, of one number and one unit, as the chart's values have it.
fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number * 60)),
        "h" => Some(Duration::from_secs(number * 3600)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &[&str]) -> Vec<String> {
        text.iter().map(|argument| (*argument).to_owned()).collect()
    }

    #[test]
    fn the_charts_arguments_are_understood() {
        let options = ControllerOptions::parse(&arguments(&[
            "controller",
            "start",
            "--namespaces=default,spark",
            "--enable-ui-service=false",
            "--driver-pod-creation-grace-period=30s",
        ]));
        assert!(options.namespaces.contains("spark") && !options.namespaces.contains("kafka"));
        assert!(!options.ui_service);
        assert_eq!(options.driver_grace, Duration::from_secs(30));
    }

    #[test]
    fn an_empty_name_means_every_namespace() {
        for text in [
            &["--namespaces=\"\""][..],
            &["--namespaces="],
            &["--namespaces=a,"],
            &[],
        ] {
            assert!(
                ControllerOptions::parse(&arguments(text))
                    .namespaces
                    .contains("kafka"),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_webhook_knows_its_service_and_configurations() {
        let options = WebhookOptions::parse(
            &arguments(&[
                "--webhook-svc-name=so-webhook-svc",
                "--webhook-svc-namespace=so",
                "--webhook-port=9999",
            ]),
            "elsewhere",
        );
        assert_eq!(
            (options.service.as_str(), options.service_namespace.as_str()),
            ("so-webhook-svc", "so")
        );
        assert_eq!(
            (options.port, options.mutating.as_str()),
            (9999, "spark-operator-webhook")
        );
        assert_eq!(options.secret_namespace, "elsewhere");
    }
}
