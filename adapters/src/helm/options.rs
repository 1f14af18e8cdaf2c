//! What the Helm adapter needs to know beforehand.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use tokio_util::sync::CancellationToken;

use crate::{EffectDeadline, Redactor};

/// How Helm is run.
#[derive(Clone)]
pub struct HelmOptions {
    /// The program: a path, or a name that is looked for on PATH.
    pub program: PathBuf,
    /// Executable that guards Helm, so that it never outlives pipectl: the pipectl binary itself.
    pub guard: PathBuf,
    /// pipectl's cache directory; Helm's homes and the charts live in `helm/` below it.
    pub cache: PathBuf,
    /// Repository addresses that are fetched from elsewhere: prefix (at a `/` or the end) and what takes its place.
    pub mirrors: BTreeMap<String, String>,
    /// CA bundle for chart repositories, where it is not the system's.
    pub ca_file: Option<PathBuf>,
    /// Ends a running Helm within 5 s.
    pub cancel: CancellationToken,
    /// Until when effects may be under way, where there is such a bound.
    pub deadline: Option<EffectDeadline>,
    /// Secret values that no quoted word may show.
    pub redactor: Redactor,
}

impl HelmOptions {
    /// `helm` from PATH.
    #[must_use]
    pub fn new(guard: impl Into<PathBuf>, cache: impl Into<PathBuf>) -> Self {
        Self {
            program: PathBuf::from("helm"),
            guard: guard.into(),
            cache: cache.into(),
            mirrors: BTreeMap::new(),
            ca_file: None,
            cancel: CancellationToken::new(),
            deadline: None,
            redactor: Redactor::default(),
        }
    }

    /// Where everything of Helm's lives.
    pub(super) fn home(&self) -> PathBuf {
        self.cache.join("helm")
    }
}

impl std::fmt::Debug for HelmOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HelmOptions")
            .field("program", &self.program)
            .field("cache", &self.cache)
            .field("mirrors", &self.mirrors)
            .finish_non_exhaustive()
    }
}

/// The address after the mirror map: the longest prefix wins, and prefixes end where a path segment does.
pub(super) fn mirrored(address: &str, mirrors: &BTreeMap<String, String>) -> String {
    let address = address.trim_end_matches('/');
    mirrors
        .iter()
        .filter_map(|(prefix, target)| {
            let prefix = prefix.trim_end_matches('/');
            let rest = address.strip_prefix(prefix)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| {
                (
                    prefix.len(),
                    format!("{}{rest}", target.trim_end_matches('/')),
                )
            })
        })
        .max_by_key(|(length, _)| *length)
        .map_or_else(|| address.to_owned(), |(_, mirrored)| mirrored)
}

/// Whether the address is this machine's own; what is served there may change under the same version.
pub(super) fn is_loopback(address: &str) -> bool {
    let host = address
        .split_once("://")
        .map_or(address, |(_, rest)| rest)
        .split('/')
        .next()
        .unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Whether this environment variable of ours must not reach a program that we run: Helm's own settings, the ambient
/// cluster, and values that are secrets of this run.
pub(crate) fn withheld(name: &str, value: &str, redactor: &Redactor) -> bool {
    name.starts_with("HELM_")
        || matches!(
            name,
            "KUBECONFIG" | "KUBERNETES_SERVICE_HOST" | "KUBERNETES_SERVICE_PORT"
        )
        || redactor.knows(value)
}

/// Helm's own environment.
pub(super) fn environment(home: &Path) -> Vec<(&'static str, PathBuf)> {
    vec![
        ("HELM_CACHE_HOME", home.join("cache")),
        ("HELM_CONFIG_HOME", home.join("config")),
        ("HELM_DATA_HOME", home.join("data")),
        ("HELM_PLUGINS", home.join("plugins")),
        ("HELM_DRIVER", PathBuf::from("secret")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_at_a_segment_wins() {
        let mirrors = BTreeMap::from(
            [
                ("https://strimzi.io", "http://127.0.0.1:1/a"),
                ("https://strimzi.io/charts", "http://127.0.0.1:2/b/"),
                ("oci://quay.io/", "oci://mirror.example/quay"),
            ]
            .map(|(from, to)| (from.to_owned(), to.to_owned())),
        );
        for (address, expected) in [
            ("https://strimzi.io/charts/", "http://127.0.0.1:2/b"),
            ("https://strimzi.io/charts/x", "http://127.0.0.1:2/b/x"),
            ("https://strimzi.io/charts2", "http://127.0.0.1:1/a/charts2"),
            ("https://strimzi.iox", "https://strimzi.iox"),
            (
                "oci://quay.io/strimzi-helm",
                "oci://mirror.example/quay/strimzi-helm",
            ),
            ("https://example.org/", "https://example.org"),
        ] {
            assert_eq!(mirrored(address, &mirrors), expected, "{address}");
        }
    }

    #[test]
    fn loopback_addresses_are_recognised() {
        for (address, loopback) in [
            ("http://127.0.0.1:8080/charts", true),
            ("oci://localhost/x", true),
            ("http://[::1]:80/x", true),
            ("https://strimzi.io/charts", false),
            ("https://127.0.0.1.example.org/", false),
        ] {
            assert_eq!(is_loopback(address), loopback, "{address}");
        }
    }

    #[test]
    fn ambient_settings_and_secrets_are_withheld() {
        let redactor = Redactor::default();
        redactor.register("db", "hunter2hunter2");
        for (name, value, held) in [
            ("HELM_NAMESPACE", "x", true),
            ("KUBECONFIG", "/x", true),
            ("DB_PASSWORD", "hunter2hunter2", true),
            ("PATH", "/bin", false),
            ("HTTPS_PROXY", "http://x", false),
            ("AWS_PROFILE", "dev", false),
        ] {
            assert_eq!(withheld(name, value, &redactor), held, "{name}");
        }
    }
}
