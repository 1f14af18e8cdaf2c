//! The way in: from here on the Kubernetes ports lead to the environment's own cluster, and to no other.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::steps;
use crate::{
    account,
    blocks::Row,
    cloud::{cloud, known, names::hex, tags},
    context::StepContext,
    error::{PortErrorKind, StepError},
    ports::{clusters::ClusterState, entrance::Door, objects::ClusterIdentity},
    step::{Change, Difference, Need, Observation, Outcome, Readiness, Step, StepId, Timeouts},
};

/// The door of the environment's cluster, where it has one: the cluster is there, active, and this environment's.
///
/// # Errors
/// When EKS cannot be read.
pub async fn door(cx: &StepContext, cluster: &str) -> Result<Option<Door>, StepError> {
    let found = cloud(cx)?.clusters.find(cluster).await;
    let found = found.map_err(|error| error.during("look at", format!("EKS cluster {cluster}")))?;
    let Some(found) = found.filter(|found| tags::foreign(&found.tags, &cx.environment).is_none())
    else {
        return Ok(None);
    };
    if !matches!(found.state, ClusterState::Active | ClusterState::Updating) {
        return Ok(None);
    }
    let caller = match crate::cloud::text(cx, &account::preflight(), "region") {
        Some(region) => region,
        None => {
            let caller = cloud(cx)?.account.caller().await;
            caller
                .map_err(|error| error.during("ask who is calling", "AWS"))?
                .region
        }
    };
    Ok(match (found.server, found.ca) {
        (Some(server), Some(ca)) => Some(Door {
            cluster: found.name,
            arn: found.arn,
            region: caller,
            server,
            ca,
        }),
        _ => None,
    })
}

/// The step that enters.
pub(super) struct Entrance {
    pub(super) row: Row,
    pub(super) poll: Duration,
}

impl Entrance {
    pub(super) fn step(row: Row, poll: Duration) -> Arc<dyn Step> {
        Arc::new(Self { row, poll })
    }

    async fn enter(cx: &StepContext) -> Result<Result<ClusterIdentity, String>, StepError> {
        let cluster = known(cx, &steps::control_plane(), "name")?;
        let Some(door) = door(cx, &cluster).await? else {
            return Ok(Err("the API server has no address yet".to_owned()));
        };
        match cloud(cx)?.entrance.enter(&door).await {
            Ok(identity) => Ok(Ok(identity)),
            // A new API server's name spreads, and so does a new access entry: these pass.
            Err(error)
                if matches!(
                    error.kind,
                    PortErrorKind::Unreachable
                        | PortErrorKind::Timeout
                        | PortErrorKind::ServerError
                        | PortErrorKind::Unauthorized
                        | PortErrorKind::Forbidden
                ) =>
            {
                Ok(Err(error.cause))
            }
            Err(error) => Err(error.during("enter", format!("EKS cluster {cluster}"))),
        }
    }
}

fn facts(door: &Door) -> Value {
    json!({"arn": door.arn, "server": door.server, "caSha256": hex(&door.ca)})
}

#[async_trait]
impl Step for Entrance {
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
        Some(self.poll)
    }

    async fn observe(&self, cx: &StepContext) -> Result<Observation, StepError> {
        let Some(cluster) = crate::cloud::text(cx, &steps::control_plane(), "name") else {
            return Ok(Observation::Absent);
        };
        let Some(door) = door(cx, &cluster).await? else {
            return Ok(Observation::Absent);
        };
        let Some(recorded) = cx.recorded() else {
            return Ok(Observation::Absent);
        };
        let mut differences = Vec::new();
        for field in ["arn", "server", "caSha256"] {
            let facts = facts(&door);
            if facts[field] != recorded[field] {
                differences.push(Difference {
                    resource: format!("the way into {cluster}"),
                    field: Some(field.to_owned()),
                    live: recorded[field].as_str().map(str::to_owned),
                    wanted: facts[field].as_str().map(str::to_owned),
                    change: Change::Updated,
                });
            }
        }
        Ok(if differences.is_empty() {
            Observation::Present
        } else {
            Observation::Partial(differences)
        })
    }

    async fn ensure(&self, cx: &StepContext, observed: &Observation) -> Result<Outcome, StepError> {
        let cluster = known(cx, &steps::control_plane(), "name")?;
        let door = door(cx, &cluster).await?.ok_or_else(|| {
            StepError::new(
                "EKS001",
                "enter",
                format!("EKS cluster {cluster}"),
                "it is not there, or not active, or somebody else's",
            )
        })?;
        let change = match (observed, cx.recorded()) {
            (Observation::Present, Some(_)) => Change::Unchanged,
            (_, Some(_)) => Change::Updated,
            (_, None) => Change::Created,
        };
        cx.intent(json!({"enters": door.arn})).await?;
        Ok(Outcome {
            change,
            outputs: facts(&door),
            summary: format!("the way into {cluster}"),
        })
    }

    async fn standing_outputs(&self, cx: &StepContext) -> Result<Option<Value>, StepError> {
        let Some(cluster) = crate::cloud::text(cx, &steps::control_plane(), "name") else {
            return Ok(None);
        };
        Ok(door(cx, &cluster).await?.map(|door| facts(&door)))
    }

    /// What is made here is only known here: where the cluster stands, nothing is created.
    async fn diff(&self, cx: &StepContext) -> Result<Vec<Difference>, StepError> {
        let change = match self.observe(cx).await? {
            Observation::Present => return Ok(Vec::new()),
            Observation::Partial(differences) => return Ok(differences),
            Observation::Absent | Observation::Foreign(_) => {
                match self.standing_outputs(cx).await? {
                    Some(_) => Change::Adopted,
                    None => Change::Created,
                }
            }
        };
        Ok(vec![Difference {
            resource: self.row.title.clone(),
            field: None,
            live: None,
            wanted: Some("present".to_owned()),
            change,
        }])
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        Ok(match Self::enter(cx).await? {
            Ok(identity) => Readiness::Ready(format!("Kubernetes {}", identity.version)),
            Err(words) => Readiness::waiting(words),
        })
    }
}
