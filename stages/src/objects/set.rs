//! A set of objects that a step applies together.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{FutureExt as _, future};
use serde_json::Value;

use super::{
    diff::differences,
    digest::digest,
    owned_fields::owned_digest,
    ownership::{self, Owner, key, mark, owned, owner, step_of, terminating, uid},
    records::{Record, Records},
    removal::list,
    together::together,
};
use crate::{
    context::StepContext,
    error::{PortErrorKind, StepError},
    ports::objects::{Kind, ObjectRef, Selection},
    step::{Change, Difference, Observation},
};

/// From this many missing objects of one kind and namespace on, one list of metadata replaces single reads.
const LIST_FROM: usize = 4;

/// What happens when an object of that name exists without our labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnForeign {
    /// It is an error: what is somebody else's is never taken over.
    Refuse,
    /// It is used as it is, neither labelled nor changed nor deleted; another environment's is refused all the same.
    UseAsItIs,
    /// As before, and it must exist: nobody creates it here.
    MustExist,
}

/// One object as wanted, marked as ours.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub at: ObjectRef,
    pub object: Value,
    pub want: String,
    pub on_foreign: OnForeign,
}

/// How a wanted object stands.
#[derive(Debug, Clone)]
pub(super) enum Standing {
    /// As recorded and as wanted: no write.
    Same(Record),
    /// Somebody else's, used as it is.
    Brought(Record),
    /// Not there.
    Absent,
    /// Ours, and being deleted.
    Ending,
    /// Ours, and not as wanted or not as recorded.
    Differs(Arc<Value>),
    /// Somebody else's.
    Foreign(Owner),
    /// It should have been brought, and is not there.
    Missing,
}

/// What a look at the cluster found.
pub(super) struct Survey {
    /// In the order of the wanted objects.
    pub standings: Vec<Standing>,
    /// Ours by this step, and not wanted any more: address and UID.
    pub extra: Vec<(ObjectRef, String)>,
}

/// A set of objects that is applied together, pruned together and waited for together.
#[derive(Debug, Clone)]
pub struct ObjectSet {
    pub(super) wanted: Vec<Wanted>,
}

impl ObjectSet {
    /// A set of these objects, marked as the environment's; what carries no label of ours is refused.
    #[must_use]
    pub fn new(cx: &StepContext, objects: Vec<Value>) -> Self {
        Self::with(cx, objects, OnForeign::Refuse)
    }

    /// A set of these objects with another answer to somebody else's.
    #[must_use]
    pub fn with(cx: &StepContext, objects: Vec<Value>, on_foreign: OnForeign) -> Self {
        let wanted = objects
            .into_iter()
            .map(|mut object| {
                mark(&mut object, &cx.environment, &cx.step);
                Wanted {
                    at: ObjectRef::of(&object),
                    want: digest(&without_secrets(&object)),
                    object,
                    on_foreign,
                }
            })
            .collect();
        Self { wanted }
    }

    /// How many objects it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.wanted.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// What is there now.
    ///
    /// # Errors
    /// When the cluster cannot be read.
    pub async fn observe(&self, cx: &StepContext) -> Result<Observation, StepError> {
        let survey = self.survey(cx).await?;
        let mut found = Vec::new();
        let mut absent = 0;
        for (wanted, standing) in self.wanted.iter().zip(&survey.standings) {
            match standing {
                Standing::Same(_) | Standing::Brought(_) => {}
                Standing::Absent | Standing::Missing => {
                    absent += 1;
                    found.push(whole(&wanted.at, None, Some("present"), Change::Created));
                }
                Standing::Ending => {
                    found.push(whole(
                        &wanted.at,
                        Some("being deleted"),
                        Some("present"),
                        Change::Created,
                    ));
                }
                Standing::Differs(live) => {
                    let fields = differences(&wanted.object, live);
                    if fields.is_empty() {
                        found.push(whole(&wanted.at, None, None, Change::Adopted));
                    } else {
                        found.extend(fields);
                    }
                }
                Standing::Foreign(owner) => {
                    return Ok(Observation::Foreign(format!(
                        "{}: {}",
                        wanted.at,
                        owner.words()
                    )));
                }
            }
        }
        for (at, _) in &survey.extra {
            found.push(whole(at, Some("present"), None, Change::Removed));
        }
        Ok(if found.is_empty() {
            Observation::Present
        } else if absent == self.wanted.len() && survey.extra.is_empty() {
            Observation::Absent
        } else {
            Observation::Partial(found)
        })
    }

    /// What `ensure` would mend, for plans.
    ///
    /// # Errors
    /// When the cluster cannot be read, or something of these names is somebody else's.
    pub async fn diff(&self, cx: &StepContext) -> Result<Vec<Difference>, StepError> {
        Ok(match self.observe(cx).await? {
            Observation::Present => Vec::new(),
            Observation::Partial(found) => found,
            Observation::Absent => self
                .wanted
                .iter()
                .map(|wanted| whole(&wanted.at, None, Some("present"), Change::Created))
                .collect(),
            Observation::Foreign(words) => {
                return Err(StepError::new("STG001", "use", &cx.step, words));
            }
        })
    }

    /// The live objects, in the order of the wanted ones, as the shared watch shows them; `None` for what is not
    /// there, is being deleted, or is older than what was applied last.
    ///
    /// # Errors
    /// When the cluster cannot be read.
    pub async fn live(&self, cx: &StepContext) -> Result<Vec<Option<Arc<Value>>>, StepError> {
        let records = Records::of(cx.recorded());
        let owned = list_owned(cx, self.wanted.iter().map(|wanted| &wanted.at.kind)).await?;
        let mut live = Vec::with_capacity(self.wanted.len());
        for wanted in &self.wanted {
            let record = records.get(&wanted.at);
            if record.is_some_and(|record| record.brought) {
                let object = cx.ports.objects.get(&wanted.at).await;
                let object = object.map_err(|error| error.during("read", &wanted.at))?;
                live.push(object.map(Arc::new));
                continue;
            }
            let object = owned.get(&key(&wanted.at)).filter(|object| {
                let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
                !terminating(object)
                    && record.is_none_or(|record| {
                        record.uid == uid(object) && generation >= record.generation
                    })
            });
            live.push(object.cloned());
        }
        Ok(live)
    }

    /// The addresses of the wanted objects, in order.
    pub fn addresses(&self) -> impl Iterator<Item = &ObjectRef> {
        self.wanted.iter().map(|wanted| &wanted.at)
    }

    /// Looks at everything that is wanted or recorded. Reads only.
    pub(super) async fn survey(&self, cx: &StepContext) -> Result<Survey, StepError> {
        let records = Records::of(cx.recorded());
        let kinds = self
            .wanted
            .iter()
            .map(|wanted| &wanted.at.kind)
            .chain(records.objects.values().map(|record| &record.at.kind));
        let owned = list_owned(cx, kinds).await?;
        let unlisted: Vec<&Wanted> = self
            .wanted
            .iter()
            .filter(|wanted| !owned.contains_key(&key(&wanted.at)))
            .collect();
        let others = read_unlisted(cx, &unlisted).await?;
        let standings = self
            .wanted
            .iter()
            .map(|wanted| {
                let at = key(&wanted.at);
                let live = owned.get(&at).or_else(|| others.get(&at));
                standing(cx, wanted, live, records.get(&wanted.at))
            })
            .collect();
        let kept: BTreeSet<String> = self.addresses().map(key).collect();
        let extra = owned
            .iter()
            .filter(|(at, object)| {
                // Controllers copy labels to what they make; only what this step itself applied is pruned.
                !kept.contains(*at)
                    && step_of(object) == Some(cx.step.as_str())
                    && object["metadata"]["ownerReferences"]
                        .as_array()
                        .is_none_or(Vec::is_empty)
                    && !terminating(object)
            })
            .map(|(_, object)| (ObjectRef::of(object), uid(object).to_owned()))
            .collect();
        Ok(Survey { standings, extra })
    }
}

/// One line for a whole object.
fn whole(at: &ObjectRef, live: Option<&str>, wanted: Option<&str>, change: Change) -> Difference {
    Difference {
        resource: at.to_string(),
        field: None,
        live: live.map(str::to_owned),
        wanted: wanted.map(str::to_owned),
        change,
    }
}

/// A Secret's values stay out of digests: a digest of a weak secret can be guessed from a journal. They are compared
/// directly instead.
fn without_secrets(object: &Value) -> Value {
    let mut object = object.clone();
    if is_secret(&object)
        && let Some(data) = object["data"].as_object_mut()
    {
        data.values_mut().for_each(|value| *value = Value::Null);
    }
    object
}

fn is_secret(object: &Value) -> bool {
    object["kind"] == "Secret" && object["apiVersion"] == "v1"
}

/// Digest of the fields that are ours, without a Secret's values.
pub(super) fn owned_without_secrets(live: &Value) -> String {
    owned_digest(&without_secrets(live))
}

fn standing(
    cx: &StepContext,
    wanted: &Wanted,
    live: Option<&Arc<Value>>,
    record: Option<&Record>,
) -> Standing {
    let Some(live) = live else {
        return match wanted.on_foreign {
            OnForeign::MustExist => Standing::Missing,
            OnForeign::Refuse | OnForeign::UseAsItIs => Standing::Absent,
        };
    };
    // A label that somebody took off does not make an object foreign while its UID is the recorded one.
    let recorded = record.filter(|record| record.uid == uid(live) && !record.brought);
    match owner(live, &cx.environment) {
        Owner::Ours => {}
        Owner::Unmarked if wanted.on_foreign != OnForeign::Refuse && recorded.is_none() => {
            return Standing::Brought(Record::of_brought(&wanted.at, live));
        }
        Owner::Unmarked if recorded.is_some() => {}
        other => return Standing::Foreign(other),
    }
    if terminating(live) {
        return Standing::Ending;
    }
    match recorded {
        Some(record)
            if record.want == wanted.want
                && record.owned == owned_without_secrets(live)
                && (!is_secret(&wanted.object) || live["data"] == wanted.object["data"]) =>
        {
            Standing::Same(record.clone())
        }
        _ => Standing::Differs(live.clone()),
    }
}

/// Everything of these kinds that carries the environment's label, by key. A kind that is not served yet has none.
async fn list_owned<'a>(
    cx: &StepContext,
    kinds: impl Iterator<Item = &'a Kind>,
) -> Result<BTreeMap<String, Arc<Value>>, StepError> {
    let selections: BTreeSet<Selection> = kinds.map(|kind| owned(kind, &cx.environment)).collect();
    let mut calls = Vec::new();
    for selection in &selections {
        calls.push(list(cx, selection).boxed());
    }
    let lists = future::try_join_all(calls).await?;
    Ok(lists
        .into_iter()
        .flatten()
        .map(|object| (key(&ObjectRef::of(&object)), object))
        .collect())
}

/// Reads the wanted objects that no labelled list showed: absent ones, and those that carry no label of ours.
async fn read_unlisted(
    cx: &StepContext,
    wanted: &[&Wanted],
) -> Result<BTreeMap<String, Arc<Value>>, StepError> {
    let mut groups: BTreeMap<(Kind, Option<String>), Vec<&ObjectRef>> = BTreeMap::new();
    for wanted in wanted {
        let group = (wanted.at.kind.clone(), wanted.at.namespace.clone());
        groups.entry(group).or_default().push(&wanted.at);
    }
    let mut single = Vec::new();
    for ((kind, namespace), members) in groups {
        if members.len() < LIST_FROM {
            single.extend(members);
            continue;
        }
        let selection = Selection {
            kind: Kind::new(&kind.group, "", &kind.kind),
            namespace,
            labels: None,
        };
        match cx.ports.objects.list_metadata(&selection).await {
            Ok(found) => {
                let names: BTreeSet<&str> = found
                    .iter()
                    .filter_map(|object| object["metadata"]["name"].as_str())
                    .collect();
                single.extend(
                    members
                        .into_iter()
                        .filter(|at| names.contains(at.name.as_str())),
                );
            }
            Err(error) if error.kind == PortErrorKind::NotServed => {}
            Err(error) => return Err(error.during("list", format!("{} objects", kind.kind))),
        }
    }
    let mut calls = Vec::new();
    for at in single {
        calls.push(read_one(cx, at).boxed());
    }
    let read = together(calls)
        .await
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    Ok(read
        .into_iter()
        .flatten()
        .map(|object| (ownership::key(&ObjectRef::of(&object)), Arc::new(object)))
        .collect())
}

async fn read_one(cx: &StepContext, at: &ObjectRef) -> Result<Option<Value>, StepError> {
    match cx.ports.objects.get(at).await {
        Ok(object) => Ok(object),
        Err(error) if error.kind == PortErrorKind::NotServed => Ok(None),
        Err(error) => Err(error.during("read", at)),
    }
}
