//! Which add-ons there are, in which versions, for which Kubernetes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

use super::paged;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;

#[derive(Deserialize)]
struct Table {
    addons: BTreeMap<String, Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
    /// By Kubernetes version, newest first; the second is the default where there are two, as EKS' default usually isn't the latest.
    versions: BTreeMap<String, Vec<String>>,
}

static TABLE: LazyLock<Option<Table>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../data/eks-addons.json")).ok());

fn kinds() -> impl Iterator<Item = (&'static String, &'static Kind)> {
    TABLE.iter().flat_map(|table| table.addons.iter())
}

/// Whether there is such an add-on.
pub(super) fn exists(name: &str) -> bool {
    kinds().any(|(addon, _)| addon == name)
}

/// The versions of an add-on for a Kubernetes version, newest first, and which is the default.
pub(super) fn of(name: &str, kubernetes: &str) -> Vec<(&'static str, bool)> {
    let found = kinds().find(|(addon, _)| *addon == name);
    let versions = found.and_then(|(_, kind)| kind.versions.get(kubernetes));
    let versions = versions.map_or(&[][..], Vec::as_slice);
    let default = usize::from(versions.len() > 1);
    let with_default = versions.iter().enumerate();
    with_default
        .map(|(at, version)| (version.as_str(), at == default))
        .collect()
}

pub(crate) const ACTIONS: &[Action] = &[Action::read(
    "DescribeAddonVersions",
    &["kubernetesVersion", "addonName", "maxResults", "nextToken"],
    describe,
)
.at("GET", "/addons/supported-versions")];

fn describe(_: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (wanted, kubernetes) = (params.text("addonName"), params.text("kubernetesVersion"));
    let mut shown = Vec::new();
    for (name, kind) in kinds() {
        if wanted.is_some_and(|wanted| wanted != name) {
            continue;
        }
        // Each version once, with all the Kubernetes versions that it fits.
        let mut fits: Vec<(&str, Vec<Value>)> = Vec::new();
        for cluster in kind.versions.keys().rev() {
            if kubernetes.is_some_and(|wanted| wanted != cluster) {
                continue;
            }
            for (version, default) in of(name, cluster) {
                let one = json!({
                    "clusterVersion": cluster, "platformVersions": ["*"], "defaultVersion": default,
                });
                match fits.iter_mut().find(|(known, _)| *known == version) {
                    Some((_, list)) => list.push(one),
                    None => fits.push((version, vec![one])),
                }
            }
        }
        if fits.is_empty() {
            continue;
        }
        let versions: Vec<Value> = fits
            .into_iter()
            .map(|(version, list)| {
                json!({
                    "addonVersion": version,
                    "architecture": ["amd64", "arm64"],
                    "computeTypes": ["ec2"],
                    "compatibilities": list,
                    "requiresConfiguration": false,
                    "requiresIamPermissions": name == "aws-ebs-csi-driver" || name == "vpc-cni",
                })
            })
            .collect();
        let addon = json!({
            "addonName": name,
            "type": kind.kind,
            "addonVersions": versions,
            "publisher": "eks",
            "owner": "aws",
        });
        shown.push((name.clone(), addon));
    }
    paged(params, "addons", shown)
}
