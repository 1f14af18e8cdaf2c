//! Load balancers of services, ingresses and gateways: asked of their controllers while these live, taken from the
//! account itself where no controller answers. Their interfaces and groups would hold the VPC otherwise.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::Instant;

use super::entrance;
use crate::{
    blocks::Row,
    cloud::{
        CloudRemoval, Pace, Remnant, Unwanted, cloud,
        scope::{belongs, cluster_name, cluster_names, own_clusters, vpcs},
    },
    context::StepContext,
    error::{PortError, StepError},
    network::holders::balancer_chain,
    objects::ownership::{finalizers, terminating, uid},
    ports::{
        balancers::{Balancer, BalancerKind},
        cloud::Deletion,
        objects::{Kind, ObjectRef, Selection},
    },
    removal::Removal,
};

/// How long controllers get before their load balancers are taken from the account itself.
const CONTROLLERS_WORK_FOR: Duration = Duration::from_secs(180);
/// And at least so long: controllers are programs in a cluster, which no pace makes faster.
const AT_LEAST: Duration = Duration::from_secs(30);

/// The removal of this row.
pub(super) fn removal(row: Row, pace: Pace) -> Arc<dyn Removal> {
    let patience = pace.scaled(CONTROLLERS_WORK_FOR).max(AT_LEAST);
    let balancers = LoadBalancers {
        patience,
        asked: Mutex::new(None),
    };
    CloudRemoval::removal(row, pace.poll(5), balancers)
}

struct LoadBalancers {
    patience: Duration,
    /// When the controllers were asked first.
    asked: Mutex<Option<Instant>>,
}

/// Kinds of objects that controllers make load balancers for.
fn kinds() -> [Kind; 3] {
    [
        Kind::new("", "", "Service"),
        Kind::new("networking.k8s.io", "", "Ingress"),
        Kind::new("gateway.networking.k8s.io", "", "Gateway"),
    ]
}

impl LoadBalancers {
    fn patient(&self) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get_or_insert_with(Instant::now).elapsed() < self.patience
    }

    /// The objects in the cluster; none where there is no cluster, the inner error where it does not answer.
    async fn objects(
        &self,
        cx: &StepContext,
    ) -> Result<Result<Vec<Arc<Value>>, PortError>, StepError> {
        let cluster = cluster_name(cx).await?;
        let Some(door) = entrance::door(cx, &cluster).await? else {
            return Ok(Ok(Vec::new()));
        };
        if let Err(error) = cloud(cx)?.entrance.enter(&door).await {
            return Ok(Err(error));
        }
        let mut found = Vec::new();
        for kind in kinds() {
            let served = cx.ports.objects.served(&kind.group, &kind.kind).await;
            let served =
                served.map_err(|error| error.during("discover", format!("kind {}", kind.kind)))?;
            if served.is_none() {
                continue;
            }
            let selection = Selection {
                kind: kind.clone(),
                namespace: None,
                labels: None,
            };
            let list = cx.ports.objects.list(&selection).await;
            let list = list.map_err(|error| error.during("list", format!("kind {}", kind.kind)))?;
            found.extend(list.into_iter().filter(|object| {
                object["kind"] != "Service" || object["spec"]["type"] == "LoadBalancer"
            }));
        }
        Ok(Ok(found))
    }

    async fn balancers(&self, cx: &StepContext) -> Result<Vec<Balancer>, StepError> {
        let clusters = cluster_names(cx).await?;
        let mut found = Vec::new();
        for (vpc, _) in vpcs(cx).await?.all() {
            let inside = cloud(cx)?.balancers.in_vpc(vpc).await;
            let inside = inside.map_err(|error| {
                error.during("look for load balancers in", format!("VPC {vpc}"))
            })?;
            found.extend(
                inside
                    .into_iter()
                    .filter(|balancer| belongs(&balancer.tags, cx, &clusters)),
            );
        }
        // A target group goes after the balancer that uses it.
        found.sort_by_key(|balancer| balancer.kind == BalancerKind::TargetGroup);
        Ok(found)
    }
}

fn key_of(object: &Value) -> String {
    ObjectRef::of(object).to_string()
}

#[async_trait]
impl Unwanted for LoadBalancers {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        // The first to go, before anything that a cluster stands on: one that lost its tags ends the way down here.
        own_clusters(cx).await?;
        let objects = match self.objects(cx).await? {
            Ok(objects) => objects,
            Err(error) if self.patient() => {
                let words = format!("the cluster does not answer: {}", error.cause);
                return Ok(vec![Remnant::going("cluster", words)]);
            }
            // Its load balancers are taken from the account.
            Err(_) => Vec::new(),
        };
        let waits = !objects.is_empty() && self.patient();
        let mut remaining: Vec<Remnant> = objects
            .iter()
            // An object that nobody lets go of goes with its cluster; what it made outside is taken below.
            .filter(|object| waits || !terminating(object))
            .map(|object| {
                let words = key_of(object);
                if !terminating(object) {
                    return Remnant::there(&words, words.clone());
                }
                let held: Vec<String> = finalizers(object)
                    .into_iter()
                    .map(|finalizer| format!(" ← finalizer {finalizer}"))
                    .collect();
                Remnant::going(&words, format!("{words}{}", held.concat()))
            })
            .collect();
        for balancer in self.balancers(cx).await? {
            let words = balancer_chain(&balancer).join(" ← ");
            remaining.push(if waits {
                Remnant::going(&balancer.id, words)
            } else {
                Remnant::there(&balancer.id, words)
            });
        }
        Ok(remaining)
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        let balancers = self.balancers(cx).await?;
        if let Some(balancer) = balancers.iter().find(|balancer| balancer.id == remnant.id) {
            return Ok(cloud(cx)?.balancers.delete(balancer).await);
        }
        let objects = match self.objects(cx).await? {
            Ok(objects) => objects,
            Err(error) => return Ok(Err(error)),
        };
        let Some(object) = objects.iter().find(|object| key_of(object) == remnant.id) else {
            return Ok(Ok(Deletion::Absent));
        };
        let at = ObjectRef::of(object);
        let deleted = cx.ports.objects.delete(&at, Some(uid(object))).await;
        Ok(deleted.map(|deletion| match deletion {
            crate::ports::objects::Deletion::Absent => Deletion::Absent,
            crate::ports::objects::Deletion::Accepted => Deletion::Accepted,
        }))
    }

    fn gone(&self) -> String {
        "no load balancers left".to_owned()
    }
}
