//! What an account of the sandbox's simulated AWS holds and was asked, as its audit tells it: no code of pipectl's.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
};

use serde::Deserialize;
use serde_json::Value;

use super::{Sandbox, World};

/// How much faster than on AWS time passes in these tests: a control plane's nine minutes are a second, so that the real
/// control planes behind the clusters are what is waited for.
const TIME_SCALE: &str = "600";

impl Sandbox<'_> {
    /// Starts it with nothing but the simulated AWS.
    #[track_caller]
    pub(super) fn start_on_aws(&self, world: &World) {
        let start = ["sandbox", "start", "--name", &self.name, "--no-cluster"];
        let run = world.pipectl(&start).arg("--time-scale").arg(TIME_SCALE);
        run.exits(0);
    }

    /// Everything that is in its accounts.
    #[track_caller]
    pub fn account(&self) -> Account {
        let inspect = ["sandbox", "inspect", "--name", &self.name, "-o", "json"];
        Account::of(self.world().pipectl(&inspect).exits(0).json())
    }

    /// The calls of AWS since they were last counted anew.
    #[track_caller]
    pub fn aws_calls(&self) -> AwsCalls {
        let calls = ["sandbox", "calls", "--name", &self.name, "-o", "json"];
        let counted = self.world().pipectl(&calls).exits(0);
        let aws = counted.json()["aws"].take();
        AwsCalls(serde_json::from_value(aws).expect("calls as documented"))
    }
}

impl World {
    /// A sandbox with nothing but the simulated AWS, and leave for so many EKS clusters in it: each is a control plane of its own.
    /// From now on the blueprint goes there, too.
    #[track_caller]
    pub fn sandbox_on_aws(&self, name: &str, clusters: usize) -> Sandbox<'_> {
        let sandbox = self.reserve_for(name, clusters);
        sandbox.start_on_aws(self);
        self.on_aws.store(true, Ordering::Relaxed);
        sandbox
    }
}

/// Where a resource is and what it is: account, region or `global`, service, kind, identifier.
type Place = (String, String, String, String, String);

/// Everything in the accounts of a sandbox, one entry a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Account(pub BTreeMap<Place, Value>);

impl Account {
    fn of(graph: Value) -> Self {
        let mut found = BTreeMap::new();
        let members = |value: &Value| {
            let members = value.as_object().into_iter().flatten();
            members
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect::<Vec<_>>()
        };
        let mut take = |account: &str, region: &str, services: &Value| {
            for (service, kinds) in members(services) {
                for (kind, resources) in members(&kinds) {
                    for (id, resource) in members(&resources) {
                        let place = (
                            account.to_owned(),
                            region.to_owned(),
                            service.clone(),
                            kind.clone(),
                            id,
                        );
                        found.insert(place, resource);
                    }
                }
            }
        };
        for (account, services) in members(&graph["accounts"]) {
            take(&account, "global", &services);
        }
        for (account, regions) in members(&graph["regions"]) {
            for (region, services) in members(&regions) {
                take(&account, &region, &services);
            }
        }
        Self(found)
    }

    /// Without what AWS only keeps to be seen for a while: terminated instances, deleted NAT gateways, keys that wait for their
    /// deletion.
    pub fn standing(&self) -> Self {
        let kept = |kind: &str, one: &Value| match kind {
            "instances" => one["state"] == "terminated",
            "nat_gateways" => one["state"] == "deleted" || one["state"] == "failed",
            "keys" => !one["deletion"].is_null(),
            _ => false,
        };
        let stands = self.0.iter().filter(|(place, one)| !kept(&place.3, one));
        Self(
            stands
                .map(|(place, one)| (place.clone(), one.clone()))
                .collect(),
        )
    }

    /// The resources that came, changed or went since.
    pub fn changed_since(&self, before: &Self) -> BTreeSet<String> {
        let same = |place: &Place, one: &Value| before.0.get(place) == Some(one);
        let here = self.0.iter().filter(|(place, one)| !same(place, one));
        let gone = before
            .0
            .keys()
            .filter(|place| !self.0.contains_key(*place))
            .map(|place| format!("{} {} is gone", place.3, place.4));
        here.map(|(place, _)| format!("{} {}", place.3, place.4))
            .chain(gone)
            .collect()
    }

    /// The resources of a kind, by identifier.
    pub fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let of_kind = self.0.iter().filter(move |(place, _)| place.3 == kind);
        of_kind.map(|(place, one)| (place.4.as_str(), one))
    }

    /// How many of each kind there are.
    pub fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for (_, _, _, kind, _) in self.0.keys() {
            *counts.entry(kind.as_str()).or_default() += 1;
        }
        counts
    }

    /// The tags of everything whose tags say that it is an environment's, by kind and identifier.
    pub fn tagged(&self, environment: &str) -> BTreeMap<String, Value> {
        let mut found = BTreeMap::new();
        for ((_, _, _, kind, id), resource) in &self.0 {
            collect(&format!("{kind} {id}"), resource, environment, &mut found);
        }
        found
    }

    /// Without what names one of these texts: what is an environment's by its tags, by its cluster's name, or by its VPC.
    pub fn without(&self, texts: &[String]) -> Self {
        let names = |place: &Place, one: &Value| {
            let content = one.to_string();
            texts
                .iter()
                .any(|text| place.4.contains(text) || content.contains(text))
        };
        let others = self.0.iter().filter(|(place, one)| !names(place, one));
        Self(
            others
                .map(|(place, one)| (place.clone(), one.clone()))
                .collect(),
        )
    }

    /// Holds that nothing stands but `others`, byte for byte.
    #[track_caller]
    pub fn assert_only(&self, others: &Self) {
        let differs = self.standing().changed_since(others);
        assert!(
            differs.is_empty(),
            "left, or not as it was: {differs:#?}\n{}",
            serde_json::to_string_pretty(&self.standing().0.values().collect::<Vec<_>>())
                .unwrap_or_default()
        );
    }

    /// Holds that nothing stands.
    #[track_caller]
    pub fn assert_empty(&self) {
        self.assert_only(&Self(BTreeMap::new()));
    }
}

/// Tags of a resource and of what it holds (a cluster its node groups and add-ons).
fn collect(path: &str, value: &Value, environment: &str, found: &mut BTreeMap<String, Value>) {
    let Some(members) = value.as_object() else {
        return;
    };
    // IAM's tags are there at once, the others' carry their past for late readers.
    let tags = match &value["tags"]["current"] {
        Value::Null => &value["tags"],
        current => current,
    };
    if tags["pipectl.dev/environment"] == environment {
        found.insert(path.to_owned(), tags.clone());
    }
    for (key, member) in members.iter().filter(|(key, _)| *key != "tags") {
        collect(&format!("{path} {key}"), member, environment, found);
    }
}

/// Calls of one action.
#[derive(Debug, Clone, Deserialize)]
pub struct AwsCall {
    /// Signing name of the service.
    pub service: String,
    /// The action.
    pub action: String,
    /// Whether it changes something.
    pub mutating: bool,
    /// How often.
    pub calls: u64,
    /// How many of them were answered with an error.
    pub failed: u64,
}

/// What was asked of AWS.
#[derive(Debug, Clone)]
pub struct AwsCalls(pub Vec<AwsCall>);

impl AwsCalls {
    /// Calls that change something, as `service:Action`, with how often.
    pub fn changes(&self) -> BTreeMap<String, u64> {
        let mut changes = BTreeMap::new();
        for call in self.0.iter().filter(|call| call.mutating) {
            *changes
                .entry(format!("{}:{}", call.service, call.action))
                .or_default() += call.calls;
        }
        changes
    }

    /// Changes that were refused, as `service:Action`, with how often.
    pub fn refused(&self) -> BTreeMap<String, u64> {
        let refused = self
            .0
            .iter()
            .filter(|call| call.mutating && call.failed > 0);
        refused
            .map(|call| (format!("{}:{}", call.service, call.action), call.failed))
            .collect()
    }
}

/// A small environment on AWS that has everything in it that pipectl makes there: a network over two zones, a cluster with an
/// encrypted store and logs, two nodes, and one program.
pub fn small(name: &str) -> String {
    format!(
        r#"apiVersion: pipectl.dev/v1
kind: Pipeline
metadata: {{name: {name}}}
spec:
  provider: {{eks: {{region: us-west-2}}}}
  network: {{zoneCount: 2}}
  cluster: {{logging: [api], encryptSecrets: true}}
  nodeGroups: [{{name: default, size: 2}}]
  namespaces: [{{name: {name}}}]
  workloads:
    - name: web
      namespace: {name}
      objects:
        - apiVersion: apps/v1
          kind: Deployment
          metadata: {{name: web}}
          spec:
            replicas: 1
            selector: {{matchLabels: {{app: web}}}}
            template:
              metadata: {{labels: {{app: web}}}}
              spec: {{containers: [{{name: web, image: "busybox:1"}}]}}
"#
    )
}

/// What [`small`] makes, of the kinds of which AWS makes none by itself: a second one of these would be a double.
pub const SMALL: &[(&str, usize)] = &[
    ("addresses", 1),
    ("aliases", 1),
    ("clusters", 1),
    ("endpoints", 1),
    ("internet_gateways", 1),
    ("keys", 1),
    ("nat_gateways", 1),
    ("parameters", 1),
    ("providers", 1),
    ("roles", 3),
    ("subnets", 4),
    ("vpcs", 1),
];

impl Account {
    /// Holds that one whole [`small`] stands and nothing of it twice.
    #[track_caller]
    pub fn assert_one_small(&self) {
        let standing = self.standing();
        let counts = standing.counts();
        for (kind, count) in SMALL {
            assert_eq!(counts.get(kind), Some(count), "{kind} of {counts:#?}");
        }
        let groups: usize = standing
            .all("clusters")
            .map(|(_, cluster)| cluster["nodegroups"].as_object().map_or(0, |all| all.len()))
            .sum();
        assert_eq!(groups, 1, "node groups");
    }
}
