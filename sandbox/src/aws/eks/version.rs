//! The Kubernetes versions that EKS offers.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{bad_parameter, paged, texts};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;

/// One version.
#[derive(Deserialize)]
struct Version {
    version: String,
    /// Dates as `2025-05-29`.
    released: String,
    standard_until: String,
    extended_until: String,
    patch: String,
    default: bool,
}

static VERSIONS: LazyLock<Vec<Version>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/eks-versions.json")).unwrap_or_default()
});

fn day(text: &str) -> f64 {
    let date = text.parse::<jiff::civil::Date>().ok();
    let zoned = date.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
    let milliseconds = zoned.map_or(0, |zoned| zoned.timestamp().as_millisecond());
    Time(milliseconds).epoch()
}

impl Version {
    fn status(&self, now: Time) -> &'static str {
        if now.epoch() < day(&self.standard_until) {
            "STANDARD_SUPPORT"
        } else if now.epoch() < day(&self.extended_until) {
            "EXTENDED_SUPPORT"
        } else {
            "UNSUPPORTED"
        }
    }
}

/// Whether EKS offers a version.
pub(super) fn exists(version: &str) -> bool {
    VERSIONS.iter().any(|one| one.version == version)
}

/// The version after this one.
pub(super) fn next(version: &str) -> Option<&'static str> {
    let at = VERSIONS.iter().position(|one| one.version == version)?;
    VERSIONS.get(at + 1).map(|one| one.version.as_str())
}

/// The whole version behind `1.35`.
pub(super) fn patch(version: &str) -> &'static str {
    let found = VERSIONS.iter().find(|one| one.version == version);
    found.map_or("", |one| one.patch.as_str())
}

/// The version that a call asks for, or the default.
pub(super) fn chosen(params: Params<'_>) -> Result<String, ApiError> {
    match params.text("version") {
        None => {
            let default = VERSIONS.iter().find(|version| version.default);
            Ok(default
                .map(|version| version.version.clone())
                .unwrap_or_default())
        }
        Some(version) if exists(version) => Ok(version.to_owned()),
        Some(version) => Err(bad_parameter(format!(
            "unsupported Kubernetes version: {version}"
        ))),
    }
}

pub(crate) const ACTIONS: &[Action] = &[Action::read(
    "DescribeClusterVersions",
    &[
        "clusterType",
        "maxResults",
        "nextToken",
        "defaultOnly",
        "includeAll",
        "clusterVersions",
        "status",
        "versionStatus",
    ],
    describe,
)
.at("GET", "/cluster-versions")];

fn describe(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let wanted = texts(params, "clusterVersions");
    let only_default = params.flag("defaultOnly")? == Some(true);
    let all = params.flag("includeAll")? == Some(true);
    let old = params
        .text("status")
        .map(|status| status.replace('-', "_").to_ascii_uppercase());
    let status = params.text("versionStatus").map(str::to_owned).or(old);
    let mut shown = Vec::new();
    for (at, one) in VERSIONS.iter().rev().enumerate() {
        let is = one.status(scene.now);
        let asked = match &status {
            Some(status) => status == is,
            None => all || !wanted.is_empty() || is != "UNSUPPORTED",
        };
        let named = wanted.is_empty() || wanted.contains(&one.version.as_str());
        if !asked || !named || (only_default && !one.default) {
            continue;
        }
        let text = json!({
            "clusterVersion": one.version,
            "clusterType": "eks",
            "defaultPlatformVersion": "eks.4",
            "defaultVersion": one.default,
            "releaseDate": day(&one.released),
            "endOfStandardSupportDate": day(&one.standard_until),
            "endOfExtendedSupportDate": day(&one.extended_until),
            "status": is.to_ascii_lowercase().replace('_', "-"),
            "versionStatus": is,
            "kubernetesPatchVersion": one.patch,
        });
        // Newest first.
        shown.push((format!("{at:03}"), text));
    }
    paged(params, "clusterVersions", shown)
}
