//! The inventory: everything in the cluster that carries the environment's labels, over all kinds the cluster serves,
//! with its releases, its claims and the volumes behind them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::FutureExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    context::{Environment, Ports},
    environment::record_of,
    error::{PortError, PortErrorKind},
    findings::{AbsenceReport, Fate, Leftover},
    namespaces::removal::held_by,
    objects::{
        Remaining,
        ownership::{finalizers, key, selector, terminating},
        together,
    },
    operators::removal::{families_in_use, family},
    ports::objects::{Kind, ObjectRef, Selection, Served},
};

/// One thing of the inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// For a person, e.g. `Deployment was/was`.
    pub resource: String,
    /// Its kind, e.g. `Deployment`, for counting.
    pub kind: String,
    /// How it stands.
    pub standing: ItemStanding,
}

/// How one thing stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStanding {
    /// There; the chain of what holds it if it is being deleted.
    There {
        /// Nearest first.
        held_by: Vec<String>,
        /// A command that is safe to try next.
        safe_next: Option<String>,
    },
    /// There, and to go at a date that somebody else sets.
    Scheduled {
        /// When, as a date.
        on: String,
    },
    /// There, and to stay.
    Kept {
        /// Why, in words.
        why: String,
    },
}

/// Everything that is the environment's in a cluster at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The things, by key.
    pub items: BTreeMap<String, Item>,
    /// What could not be looked at: (what, why).
    pub not_checked: Vec<(String, String)>,
    /// Where was looked, e.g. `Kubernetes (54 kinds)`.
    pub over: Vec<String>,
    /// Which look found a thing, by key, where that is known: as `not_checked` names it when it fails.
    pub looks: BTreeMap<String, String>,
}

impl Inventory {
    /// The environment's own namespaces among it.
    #[must_use]
    pub fn namespaces(&self) -> BTreeSet<String> {
        self.items
            .values()
            .filter(|item| item.kind == "Namespace")
            .filter_map(|item| item.resource.strip_prefix("Namespace "))
            .map(str::to_owned)
            .collect()
    }

    /// How many things of each kind there are, most first: for "removes 3 namespaces, 6 claims and 41 more things".
    #[must_use]
    pub fn counts(&self) -> Vec<(String, usize)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for item in self.items.values() {
            *counts.entry(item.kind.as_str()).or_default() += 1;
        }
        let mut counts: Vec<(String, usize)> = counts
            .into_iter()
            .map(|(kind, count)| (kind.to_owned(), count))
            .collect();
        counts.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(&right.0)));
        counts
    }

    fn put(&mut self, key: String, resource: String, kind: &str, standing: ItemStanding) {
        let item = Item {
            resource,
            kind: kind.to_owned(),
            standing,
        };
        self.items.insert(key, item);
    }
}

/// Kinds that say nothing of their own: copies and passing notices that go with what they are about.
fn is_noise(served: &Served) -> bool {
    matches!(
        (served.kind.group.as_str(), served.kind.kind.as_str()),
        ("", "Event" | "Endpoints" | "ComponentStatus")
            | ("events.k8s.io", "Event")
            | ("discovery.k8s.io", "EndpointSlice")
            | ("metrics.k8s.io", _)
    )
}

/// The metadata of everything that carries the environment's label, with `apiVersion` and `kind` filled in, without
/// Helm's own records; and what could not be listed, with the number of kinds that were.
pub(crate) async fn labelled(ports: &Ports, environment: &Environment) -> (Vec<Value>, Labelled) {
    let mut notes = Labelled::default();
    let kinds = match ports.objects.all_served().await {
        Ok((kinds, dead)) => {
            for error in dead {
                notes
                    .not_checked
                    .push(("API group".to_owned(), error.cause));
            }
            kinds
        }
        Err(error) => {
            notes
                .not_checked
                .push(("Kubernetes".to_owned(), error.cause));
            return (Vec::new(), notes);
        }
    };
    let labels = selector(environment);
    let listable = kinds
        .iter()
        .filter(|served| served.verbs.iter().any(|verb| verb == "list") && !is_noise(served));
    let mut calls = Vec::new();
    for served in listable {
        calls.push(list_kind(ports, served, labels.clone()).boxed());
    }
    notes.kinds = calls.len();
    let mut found = Vec::new();
    for (served, result) in together(calls).await {
        match result {
            Ok(objects) => found.extend(objects.into_iter().map(|mut object| {
                // Metadata lists name themselves `PartialObjectMetadata`.
                object["apiVersion"] = json!(served.kind.api_version());
                object["kind"] = json!(served.kind.kind);
                object
            })),
            // The kind went away between discovery and the list: nothing of it is left.
            Err(error)
                if matches!(
                    error.kind,
                    PortErrorKind::NotServed | PortErrorKind::NotFound
                ) => {}
            Err(error) => notes
                .not_checked
                .push((format!("{} objects", served.kind.kind), error.cause)),
        }
    }
    found.retain(|object| !is_release_record(object));
    (found, notes)
}

/// Whether an object is a record of Helm's own, which goes with its release (Helm 3 and newer: a Secret of this name,
/// `pkg/storage/storage.go`). Anybody may put the same label on something else.
fn is_release_record(object: &Value) -> bool {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    object["kind"] == "Secret" && name.starts_with("sh.helm.release.v1.")
}

/// What a look over all kinds says besides the objects.
#[derive(Debug, Default)]
pub(crate) struct Labelled {
    kinds: usize,
    not_checked: Vec<(String, String)>,
}

async fn list_kind(
    ports: &Ports,
    served: &Served,
    labels: String,
) -> (Served, Result<Vec<Value>, PortError>) {
    let selection = Selection {
        kind: served.kind.clone(),
        namespace: None,
        labels: Some(labels),
    };
    (
        served.clone(),
        ports.objects.list_metadata(&selection).await,
    )
}

/// Takes the inventory. Reads only, and never fails: what cannot be looked at is said as such. `known` are namespaces
/// that were the environment's when they were last seen: volumes still name them when they are gone. The identity
/// record is not part of it: it is what the inventory is taken for.
pub async fn take(
    ports: &Ports,
    environment: &Environment,
    known: &BTreeSet<String>,
    keep_data: bool,
) -> Inventory {
    let mut inventory = Inventory::default();
    let (found, notes) = labelled(ports, environment).await;
    inventory.not_checked = notes.not_checked;
    inventory
        .over
        .push(format!("Kubernetes ({} kinds)", notes.kinds));

    let record = key(&record_of(&environment.name));
    let mut namespaces = known.clone();
    namespaces.extend(
        found
            .iter()
            .filter(|object| object["kind"] == "Namespace")
            .filter_map(|object| object["metadata"]["name"].as_str().map(str::to_owned)),
    );
    let kept = kept_definitions(ports, environment, &found, &namespaces, &mut inventory).await;
    for object in &found {
        let at = ObjectRef::of(object);
        let id = key(&at);
        if id == record {
            continue;
        }
        let standing = if kept.contains(&id) {
            ItemStanding::Kept {
                why: "somebody else has objects of these kinds in the cluster".to_owned(),
            }
        } else {
            standing_of(ports, object, &at).await
        };
        inventory.put(id, at.to_string(), &at.kind.kind, standing);
    }
    claims_and_volumes(ports, &namespaces, keep_data, &mut inventory).await;
    match ports.releases.owned(&environment.uid).await {
        Ok(releases) => {
            for release in releases {
                let resource = format!("Helm release {}/{}", release.namespace, release.name);
                let standing = ItemStanding::There {
                    held_by: Vec::new(),
                    safe_next: None,
                };
                inventory.put(resource.clone(), resource, "Helm release", standing);
            }
        }
        Err(error) => {
            let what = "Helm releases".to_owned();
            inventory.not_checked.push((what, error.cause));
        }
    }
    inventory.over.push("Helm releases".to_owned());
    if keep_data {
        keep_namespaces(&mut inventory);
    }
    inventory
}

/// The keys of our CRDs that stay because somebody else uses their family.
async fn kept_definitions(
    ports: &Ports,
    environment: &Environment,
    found: &[Value],
    namespaces: &BTreeSet<String>,
    inventory: &mut Inventory,
) -> BTreeSet<String> {
    let mut crds = Vec::new();
    for object in found
        .iter()
        .filter(|object| object["kind"] == "CustomResourceDefinition")
    {
        // Metadata says no group; the object does.
        if let Ok(Some(crd)) = ports.objects.get(&ObjectRef::of(object)).await {
            crds.push(Arc::new(crd));
        }
    }
    match families_in_use(ports, environment, &crds, namespaces).await {
        Ok(in_use) => crds
            .iter()
            .filter(|crd| in_use.contains(&family(crd)))
            .map(|crd| key(&ObjectRef::of(crd)))
            .collect(),
        Err(error) => {
            let what = "custom resources".to_owned();
            inventory.not_checked.push((what, error.cause));
            BTreeSet::new()
        }
    }
}

/// How a thing stands that is there, with the chain of what holds it.
async fn standing_of(ports: &Ports, object: &Value, at: &ObjectRef) -> ItemStanding {
    let mut chain = Vec::new();
    if terminating(object) {
        chain.extend(
            finalizers(object)
                .into_iter()
                .map(|finalizer| format!("finalizer {finalizer}")),
        );
        if at.kind.kind == "Namespace"
            && let Ok(Some(namespace)) = ports.objects.get(at).await
        {
            chain.extend(held_by(&namespace));
        }
    }
    let owners = object["metadata"]["ownerReferences"].as_array();
    chain.extend(owners.into_iter().flatten().map(|owner| {
        format!(
            "owner {} {}",
            owner["kind"].as_str().unwrap_or_default(),
            owner["name"].as_str().unwrap_or_default()
        )
    }));
    let namespace = at.namespace.as_ref();
    let place = namespace.map_or(String::new(), |namespace| format!(" -n {namespace}"));
    ItemStanding::There {
        safe_next: Some(format!(
            "kubectl get {} {}{place} -o yaml",
            at.kind.kind.to_lowercase(),
            at.name
        )),
        held_by: chain,
    }
}

/// Claims in our namespaces, and volumes bound to claims there, whatever labels they carry.
async fn claims_and_volumes(
    ports: &Ports,
    namespaces: &BTreeSet<String>,
    keep_data: bool,
    inventory: &mut Inventory,
) {
    let all = |kind: &str| Selection {
        kind: Kind::new("", "", kind),
        namespace: None,
        labels: None,
    };
    let there = |object: &Value| {
        if keep_data {
            return ItemStanding::Kept {
                why: "--keep-data".to_owned(),
            };
        }
        let held = Remaining::of(object);
        let held_by = held.finalizers.into_iter();
        ItemStanding::There {
            held_by: held_by
                .map(|finalizer| format!("finalizer {finalizer}"))
                .collect(),
            safe_next: None,
        }
    };
    match ports
        .objects
        .list_metadata(&all("PersistentVolumeClaim"))
        .await
    {
        Ok(claims) => {
            for mut claim in claims {
                let namespace = claim["metadata"]["namespace"].as_str().unwrap_or_default();
                if !namespaces.contains(namespace) {
                    continue;
                }
                claim["apiVersion"] = json!("v1");
                claim["kind"] = json!("PersistentVolumeClaim");
                let at = ObjectRef::of(&claim);
                inventory.put(key(&at), at.to_string(), &at.kind.kind, there(&claim));
            }
        }
        Err(error) => inventory
            .not_checked
            .push(("claims".to_owned(), error.cause)),
    }
    match ports.objects.list(&all("PersistentVolume")).await {
        Ok(volumes) => {
            for volume in volumes {
                let claim = &volume["spec"]["claimRef"];
                let namespace = claim["namespace"].as_str().unwrap_or_default();
                if !namespaces.contains(namespace) {
                    continue;
                }
                let at = ObjectRef::of(&volume);
                let mut standing = there(&volume);
                if let ItemStanding::There { held_by, .. } = &mut standing {
                    held_by.push(format!(
                        "claim {namespace}/{}",
                        claim["name"].as_str().unwrap_or_default()
                    ));
                }
                inventory.put(key(&at), at.to_string(), &at.kind.kind, standing);
            }
        }
        Err(error) => inventory
            .not_checked
            .push(("volumes".to_owned(), error.cause)),
    }
}

/// A namespace that holds kept claims stays with them.
fn keep_namespaces(inventory: &mut Inventory) {
    let with_claims: BTreeSet<String> = inventory
        .items
        .values()
        .filter(|item| item.kind == "PersistentVolumeClaim")
        .filter_map(|item| {
            let place = item.resource.strip_prefix("PersistentVolumeClaim ")?;
            Some(format!("Namespace {}", place.split_once('/')?.0))
        })
        .collect();
    for item in inventory.items.values_mut() {
        if with_claims.contains(&item.resource) {
            item.standing = ItemStanding::Kept {
                why: "it holds claims that --keep-data keeps".to_owned(),
            };
        }
    }
}

/// The proof of absence: what was there before, and what of it, or of anything else, is there now.
#[must_use]
pub fn absence(before: &Inventory, now: &Inventory) -> AbsenceReport {
    let looked_for: BTreeSet<&String> = before.items.keys().chain(now.items.keys()).collect();
    let failed: BTreeSet<&String> = now.not_checked.iter().map(|(what, _)| what).collect();
    // What was not looked for is not gone.
    let unseen = |key: &String| {
        before
            .looks
            .get(key)
            .is_some_and(|look| failed.contains(look))
    };
    let gone = looked_for
        .iter()
        .filter(|key| !now.items.contains_key(**key) && !unseen(key))
        .count();
    let mut remaining: Vec<Leftover> = now
        .items
        .values()
        .map(|item| Leftover {
            resource: item.resource.clone(),
            fate: match &item.standing {
                ItemStanding::There { held_by, safe_next } => Fate::StillThere {
                    held_by: held_by.clone(),
                    safe_next: safe_next.clone(),
                },
                ItemStanding::Scheduled { on } => Fate::Scheduled { on: on.clone() },
                ItemStanding::Kept { why } => Fate::Kept { why: why.clone() },
            },
        })
        .collect();
    remaining.extend(now.not_checked.iter().map(|(what, why)| Leftover {
        resource: what.clone(),
        fate: Fate::NotChecked { why: why.clone() },
    }));
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    AbsenceReport {
        checked: count(looked_for.len()),
        gone: count(gone),
        over: now.over.clone(),
        remaining,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_looked_for_is_not_counted_as_gone() {
        let there = || ItemStanding::There {
            held_by: Vec::new(),
            safe_next: None,
        };
        let mut before = Inventory::default();
        for (id, look) in [("VPC a", "EC2"), ("role b", "IAM")] {
            before.put(id.to_owned(), id.to_owned(), "thing", there());
            before.looks.insert(id.to_owned(), look.to_owned());
        }
        let now = Inventory {
            not_checked: vec![("EC2".to_owned(), "expired".to_owned())],
            ..Inventory::default()
        };
        let report = absence(&before, &now);
        assert_eq!((report.checked, report.gone), (2, 1));
        assert_eq!(report.remaining.len(), 1);
        assert_eq!(absence(&before, &Inventory::default()).gone, 2);
    }

    #[tokio::test]
    async fn only_helms_own_records_are_left_out() {
        let world = crate::testing::World::default();
        let put = |kind: &str, name: &str| {
            let mut object = json!({"apiVersion": "v1", "kind": kind,
                "metadata": {"name": name, "namespace": "default", "labels": {"owner": "helm"}}});
            let step = crate::step::StepId::new("workloads", "w");
            crate::objects::ownership::mark(&mut object, &world.environment, &step);
            world.cluster.put(object);
        };
        put("ConfigMap", "settings");
        put("Secret", "password");
        put("Secret", "sh.helm.release.v1.web.v1");
        let none = BTreeSet::new();
        let inventory = take(&world.ports(), &world.environment, &none, false).await;
        let found: Vec<&str> = inventory
            .items
            .values()
            .map(|item| item.resource.as_str())
            .collect();
        assert_eq!(
            found,
            ["ConfigMap default/settings", "Secret default/password"]
        );
    }
}
