//! Taking the operators down: their releases once nothing needs them, then the CRDs that are ours.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::FutureExt as _;
use serde_json::Value;

use super::STAGE;
use crate::{
    blocks::{
        Row,
        objects_removal::{ObjectsRemoval, Unwants, own_namespaces},
    },
    context::{Environment, Ports, StepContext},
    error::{PortError, PortErrorKind, StepError},
    kafka,
    objects::{Owner, owner, ownership::terminating, remaining, together},
    ports::objects::{Kind, Selection},
    removal::{Removal, RemovalProgress},
    spark_application,
    step::{Need, StepId, Timeouts},
    workloads,
};

/// Bound of one uninstall.
const UNINSTALL_TIMEOUT: Duration = Duration::from_secs(120);

/// The removal of releases.
#[must_use]
pub fn releases() -> StepId {
    StepId::new(STAGE, "releases")
}

/// The removal of CRDs.
#[must_use]
pub fn definitions() -> StepId {
    StepId::new(STAGE, "definitions")
}

/// The removals of the stage.
#[must_use]
pub fn removals() -> Vec<Arc<dyn Removal>> {
    let releases_row = Row::new(STAGE, "releases", "Helm releases")
        .needs([
            Need::ready(kafka::removal::cluster()),
            Need::ready(spark_application::removal::applications()),
            Need::ready(workloads::removal::objects()),
        ])
        .ensured_within(UNINSTALL_TIMEOUT + Duration::from_secs(60))
        .ready_within(Duration::from_secs(120), 3);
    let definitions_row = Row::new(STAGE, "definitions", "CRDs of the operators")
        .needs([Need::ready(releases())])
        .ready_within(Duration::from_secs(180), 5);
    vec![
        Arc::new(Releases { row: releases_row }),
        ObjectsRemoval::removal(definitions_row, Definitions),
    ]
}

struct Releases {
    row: Row,
}

impl Releases {
    async fn owned(cx: &StepContext) -> Result<Vec<crate::ports::releases::Release>, StepError> {
        let owned = cx.ports.releases.owned(&cx.environment.uid).await;
        owned.map_err(|error| error.during("list", "Helm releases"))
    }
}

#[async_trait]
impl Removal for Releases {
    fn id(&self) -> &StepId {
        &self.row.id
    }

    fn title(&self) -> String {
        self.row.title.clone()
    }

    fn needs(&self) -> Vec<Need> {
        self.row.needs.clone()
    }

    fn timeouts(&self) -> Timeouts {
        self.row.timeouts
    }

    fn poll_interval(&self) -> Option<Duration> {
        Some(Duration::from_secs(2))
    }

    async fn start(&self, cx: &StepContext) -> Result<u32, StepError> {
        let owned = Self::owned(cx).await?;
        let mut calls = Vec::new();
        for release in &owned {
            calls.push(
                cx.ports
                    .releases
                    .uninstall(&release.namespace, &release.name, UNINSTALL_TIMEOUT)
                    .boxed(),
            );
        }
        let mut removed = 0;
        for result in together(calls).await {
            removed +=
                u32::from(result.map_err(|error| error.during("uninstall", "a Helm release"))?);
        }
        Ok(removed)
    }

    async fn progress(&self, cx: &StepContext) -> Result<RemovalProgress, StepError> {
        let owned = Self::owned(cx).await?;
        Ok(match owned.first() {
            None => RemovalProgress::Gone("no releases left".to_owned()),
            Some(first) => RemovalProgress::InProgress {
                waiting_for: format!("release {}/{}", first.namespace, first.name),
                count: None,
            },
        })
    }
}

struct Definitions;

#[async_trait]
impl Unwants for Definitions {
    /// Our CRDs, without those whose family somebody else uses: deleting a CRD deletes every object of its kind.
    async fn find(&self, cx: &StepContext) -> Result<Vec<Arc<Value>>, StepError> {
        let ours = remaining(cx, &definition_kind()).await?;
        let namespaces = own_namespaces(cx).await?;
        let in_use = families_in_use(&cx.ports, &cx.environment, &ours, &namespaces).await;
        let in_use = in_use.map_err(|error| error.during("list", "custom resources"))?;
        Ok(ours
            .into_iter()
            .filter(|crd| terminating(crd) || !in_use.contains(&family(crd)))
            .collect())
    }

    fn gone(&self) -> String {
        "no CRDs of ours left without somebody else's objects".to_owned()
    }
}

/// The kind of CRDs.
#[must_use]
pub(crate) fn definition_kind() -> Kind {
    Kind::new("apiextensions.k8s.io", "", "CustomResourceDefinition")
}

/// CRDs stand and fall together by family (`kafka.strimzi.io` and `core.strimzi.io` are `strimzi.io`): one operator's
/// objects make objects of the others.
#[must_use]
pub(crate) fn family(crd: &Value) -> String {
    family_of(crd["spec"]["group"].as_str().unwrap_or_default())
}

/// The family of an API group.
#[must_use]
pub(crate) fn family_of(group: &str) -> String {
    let labels: Vec<&str> = group.rsplit('.').take(2).collect();
    labels.into_iter().rev().collect::<Vec<_>>().join(".")
}

/// The families of our CRDs in which somebody else has objects: without our label, outside our namespaces, and not
/// going away already.
///
/// # Errors
/// When the cluster cannot be read.
pub(crate) async fn families_in_use(
    ports: &Ports,
    environment: &Environment,
    crds: &[Arc<Value>],
    namespaces: &BTreeSet<String>,
) -> Result<BTreeSet<String>, PortError> {
    let mut in_use = BTreeSet::new();
    for crd in crds {
        let selection = Selection {
            kind: Kind::new(
                crd["spec"]["group"].as_str().unwrap_or_default(),
                "",
                crd["spec"]["names"]["kind"].as_str().unwrap_or_default(),
            ),
            namespace: None,
            labels: None,
        };
        let objects = match ports.objects.list_metadata(&selection).await {
            Ok(objects) => objects,
            Err(error)
                if matches!(
                    error.kind,
                    PortErrorKind::NotServed | PortErrorKind::NotFound
                ) =>
            {
                continue;
            }
            Err(error) => return Err(error),
        };
        let foreign = objects.iter().any(|object| {
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
            owner(object, environment) != Owner::Ours
                && !namespaces.contains(namespace)
                && !terminating(object)
        });
        if foreign {
            in_use.insert(family(crd));
        }
    }
    Ok(in_use)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn families_are_the_last_two_labels_of_a_group() {
        let of = |group: &str| family(&json!({"spec": {"group": group}}));
        assert_eq!(of("kafka.strimzi.io"), "strimzi.io");
        assert_eq!(of("core.strimzi.io"), "strimzi.io");
        assert_eq!(of("sparkoperator.k8s.io"), "k8s.io");
    }
}
