//! Verification, mirrors and timeouts.

use crate::units::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap};

/// What is checked once everything is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Verification {
    /// Whether anything is checked.
    pub enabled: bool,
    /// How long one check may take.
    pub timeout: Period,
    /// The standard checks, each on or off.
    pub checks: Checks,
    /// Checks of one's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<ExtraCheck>,
}

impl Default for Verification {
    fn default() -> Self {
        Self {
            enabled: true,
            timeout: Period::minutes(2),
            checks: Checks::default(),
            extra: Vec::new(),
        }
    }
}

/// The standard checks, each on or off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Checks {
    /// Every pod in the pipeline's namespaces runs and is ready.
    pub pods: bool,
    /// The Kafka cluster is ready in its current generation, with as many nodes as declared.
    pub kafka: bool,
    /// Every topic is ready, with the declared partitions and replicas.
    pub topics: bool,
    /// Every service has endpoints, and the ports are the declared ones.
    pub services: bool,
    /// Every Spark application runs, with its driver and executors.
    pub spark_applications: bool,
    /// Every Kafka client uses the cluster's own bootstrap address.
    pub client_addresses: bool,
    /// A message is produced and consumed again.
    pub produce_consume: bool,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            pods: true,
            kafka: true,
            topics: true,
            services: true,
            spark_applications: true,
            client_addresses: true,
            produce_consume: true,
        }
    }
}

/// A check of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExtraCheck {
    /// The check's name, unique in the pipeline.
    pub name: String,
    /// What is checked.
    pub check: ExtraCheckKind,
}

/// What a check of one's own looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ExtraCheckKind {
    /// An object has a condition with status `True`.
    ObjectReady(ObjectReadyCheck),
    /// Enough pods with these labels are ready.
    PodsReady(PodsReadyCheck),
    /// A service answers an HTTP request.
    Http(HttpCheck),
}

/// An object and the condition it must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectReadyCheck {
    /// The object's API version, such as `apps/v1`.
    pub api_version: String,
    /// The object's kind.
    pub kind: String,
    /// The object's namespace; none for objects of the whole cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
    /// The condition that must be `True`.
    #[serde(default = "ready")]
    pub condition: String,
}

fn ready() -> String {
    "Ready".to_owned()
}

/// Labels of pods and how many of them must be ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodsReadyCheck {
    /// The pods' namespace.
    pub namespace: String,
    /// The pods' labels.
    pub selector: BTreeMap<String, String>,
    /// How many must be ready.
    #[serde(default = "one")]
    pub count: u32,
}

fn one() -> u32 {
    1
}

/// A request to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpCheck {
    /// The service's namespace.
    pub namespace: String,
    /// The service's name.
    pub service: String,
    /// The service's port.
    pub port: u16,
    /// The path to ask for.
    #[serde(default = "root_path")]
    pub path: String,
    /// The status code that must come back.
    #[serde(default = "ok_status")]
    #[schemars(range(min = 100, max = 599))]
    pub status: u16,
}

fn root_path() -> String {
    "/".to_owned()
}

fn ok_status() -> u16 {
    200
}

/// Other addresses for charts and images.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Mirrors {
    /// Chart repositories, by prefix of their address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<Mirror>,
    /// Images, by prefix of their reference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Mirror>,
}

/// One redirection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mirror {
    /// The address that the pipeline names, or how it begins.
    pub from: String,
    /// What stands there instead.
    pub to: String,
}

impl Mirrors {
    /// Where a chart repository is really fetched from: the longest matching prefix is replaced.
    pub fn chart<'a>(&self, repo: &'a str) -> Cow<'a, str> {
        redirect(&self.charts, repo)
    }

    /// Where an image is really pulled from: the longest matching prefix is replaced.
    pub fn image<'a>(&self, reference: &'a str) -> Cow<'a, str> {
        redirect(&self.images, reference)
    }
}

/// Replaces the longest prefix that ends where a part of the address ends, so that `example.org/a` leaves `example.org/ab` alone.
fn redirect<'a>(mirrors: &[Mirror], address: &'a str) -> Cow<'a, str> {
    let rest_of = |mirror: &Mirror| {
        let rest = address.strip_prefix(mirror.from.as_str())?;
        let whole_part =
            mirror.from.ends_with('/') || rest.is_empty() || rest.starts_with(['/', ':', '@']);
        whole_part.then_some(rest)
    };
    let best = mirrors
        .iter()
        .filter_map(|mirror| rest_of(mirror).map(|rest| (mirror, rest)))
        .max_by_key(|(mirror, _)| mirror.from.len());
    match best {
        Some((mirror, rest)) => Cow::Owned(format!("{}{rest}", mirror.to)),
        None => Cow::Borrowed(address),
    }
}

/// How long pipectl waits for each stage's steps to become ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Timeouts {
    /// Network.
    pub network: Period,
    /// The control plane.
    pub cluster: Period,
    /// Node groups.
    pub node_groups: Period,
    /// Namespaces, and their deletion.
    pub namespaces: Period,
    /// The Strimzi operator.
    pub strimzi: Period,
    /// The Kafka cluster and its topics.
    pub kafka: Period,
    /// The Spark operator.
    pub spark_operator: Period,
    /// Workloads.
    pub workloads: Period,
    /// Spark applications.
    pub spark_applications: Period,
    /// Verification as a whole.
    pub verification: Period,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            network: Period::minutes(10),
            cluster: Period::minutes(30),
            node_groups: Period::minutes(25),
            namespaces: Period::minutes(5),
            strimzi: Period::minutes(10),
            kafka: Period::minutes(20),
            spark_operator: Period::minutes(10),
            workloads: Period::minutes(10),
            spark_applications: Period::minutes(10),
            verification: Period::minutes(10),
        }
    }
}
