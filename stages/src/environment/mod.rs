//! The environment's identity in the cluster: the first thing to be there and the last to go.
//!
//! A ConfigMap in `kube-system` says which environment lives here, by name and UID. It is created atomically, so two
//! first runs cannot both win; with the local state lost, `down --env NAME` learns the UID from it.

pub mod obsolete;
pub mod removal;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    blocks::Row,
    cluster,
    context::{Environment, StepContext},
    error::{PortError, PortErrorKind, StepError},
    objects::ownership::{
        ENVIRONMENT_LABEL, ENVIRONMENT_UID_LABEL, Owner, mark, owner, terminating, uid,
    },
    ports::objects::{Kind, ObjectApi, ObjectRef, Selection},
    step::{Change, Need, Observation, Outcome, Readiness, Step, StepId, Timeouts},
};

/// The stage's name.
pub const STAGE: &str = "environment";

/// Where identity records live: a namespace that every cluster has and nobody deletes.
const RECORD_NAMESPACE: &str = "kube-system";

/// Label of every identity record, whatever its environment.
const RECORD_LABEL: &str = "pipectl.dev/record";

/// The step that makes the identity record.
#[must_use]
pub fn identity() -> StepId {
    StepId::new(STAGE, "identity")
}

/// The need of everything that writes: whose cluster this is has been settled.
#[must_use]
pub fn settled() -> Need {
    Need::applied(identity())
}

/// The steps of the stage.
#[must_use]
pub fn steps() -> Vec<Arc<dyn Step>> {
    let row = Row::new(STAGE, "identity", "identity of the environment")
        .ready_within(Duration::from_secs(60), 1);
    vec![Arc::new(Identity { row })]
}

/// What the record in a cluster says of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentRecord {
    /// Name and UID.
    pub environment: Environment,
    /// When it was made (RFC 3339).
    pub created: String,
    /// UID of `kube-system` at that time: the cluster it was made in.
    pub kube_system_uid: String,
}

/// The address of an environment's identity record.
#[must_use]
pub fn record_of(name: &str) -> ObjectRef {
    ObjectRef {
        kind: Kind::new("", "v1", "ConfigMap"),
        namespace: Some(RECORD_NAMESPACE.to_owned()),
        name: format!("pipectl-environment-{name}"),
    }
}

/// The environment of this name that lives in the cluster, if there is one: how `down` finds a UID without any state.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn find(
    objects: &dyn ObjectApi,
    name: &str,
) -> Result<Option<EnvironmentRecord>, PortError> {
    let found = objects.get(&record_of(name)).await?;
    Ok(found.as_ref().and_then(parse))
}

/// Every environment that lives in the cluster.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn all(objects: &dyn ObjectApi) -> Result<Vec<EnvironmentRecord>, PortError> {
    let selection = Selection {
        kind: Kind::new("", "", "ConfigMap"),
        namespace: Some(RECORD_NAMESPACE.to_owned()),
        labels: Some(format!("{RECORD_LABEL}=environment")),
    };
    let found = objects.list(&selection).await?;
    Ok(found.iter().filter_map(|object| parse(object)).collect())
}

fn parse(object: &Value) -> Option<EnvironmentRecord> {
    let labels = &object["metadata"]["labels"];
    let text = |key: &str| object["data"][key].as_str().unwrap_or_default().to_owned();
    Some(EnvironmentRecord {
        environment: Environment {
            name: labels[ENVIRONMENT_LABEL].as_str()?.to_owned(),
            uid: labels[ENVIRONMENT_UID_LABEL].as_str()?.to_owned(),
        },
        created: text("created"),
        kube_system_uid: text("kubeSystemUid"),
    })
}

struct Identity {
    row: Row,
}

impl Identity {
    /// Refuses another environment of the same name, and a record that was copied from another cluster.
    fn check(
        cx: &StepContext,
        at: &ObjectRef,
        record: &Value,
        cluster: &str,
    ) -> Result<(), StepError> {
        match owner(record, &cx.environment) {
            Owner::Ours => {}
            Owner::Other { uid, .. } => {
                return Err(StepError::new(
                    "ENV001",
                    "use",
                    format!("environment {}", cx.environment.name),
                    format!("this cluster holds another environment of that name, with UID {uid}"),
                )
                .with_hint(
                    "choose another name with --env, or take that environment over where its state is kept; \
                     `pipectl down --env NAME` removes it",
                ));
            }
            Owner::Unmarked => {
                return Err(StepError::new(
                    "ENV001",
                    "use",
                    at,
                    "it exists and names no environment",
                )
                .with_hint(
                    "it is no record of pipectl's: delete it, or choose another name with --env",
                ));
            }
        }
        let made_in = record["data"]["kubeSystemUid"].as_str().unwrap_or_default();
        if made_in != cluster {
            return Err(other_cluster(cx, made_in, cluster));
        }
        Ok(())
    }

    async fn cluster(
        cx: &StepContext,
    ) -> Result<crate::ports::objects::ClusterIdentity, StepError> {
        let identity = cx.ports.objects.identity().await;
        let identity = identity.map_err(|error| error.during("identify", "the cluster"))?;
        let before = cx.recorded().map(|outputs| &outputs["cluster"]);
        let pinned = before.and_then(|before| before["kube_system_uid"].as_str());
        match pinned {
            Some(pinned)
                if pinned != identity.kube_system_uid && !Self::made_anew(cx, &identity) =>
            {
                Err(other_cluster(cx, pinned, &identity.kube_system_uid))
            }
            _ => Ok(identity),
        }
    }

    /// Whether this is the environment's own EKS cluster in the place of one that is gone. The way in leads only to the cluster
    /// that EKS says carries this environment's UID, and shows the CA that EKS names; a cluster made anew has a CA of its own.
    fn made_anew(cx: &StepContext, is: &crate::ports::objects::ClusterIdentity) -> bool {
        let entered = cx.output_of(cluster::steps::entrance().as_str()).is_some();
        let before = cx.recorded().map(|outputs| &outputs["cluster"]);
        let ca = before.and_then(|before| before["ca_sha256"].as_str());
        entered && ca.is_some_and(|ca| ca != is.ca_sha256)
    }
}

fn other_cluster(cx: &StepContext, was: &str, is: &str) -> StepError {
    StepError::new(
        "ENV002",
        "use",
        format!("environment {}", cx.environment.name),
        format!("it lives in the cluster with UID {was}, and this is the one with UID {is}"),
    )
    .with_hint("nothing was changed: check the kubeconfig and context of the pipeline file, or choose another --env")
}

#[async_trait]
impl Step for Identity {
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

    async fn observe(&self, cx: &StepContext) -> Result<Observation, StepError> {
        let cluster = Self::cluster(cx).await?;
        let at = record_of(&cx.environment.name);
        let found = cx.ports.objects.get(&at).await;
        let found = found.map_err(|error| error.during("read", &at))?;
        let Some(record) = found.filter(|record| !terminating(record)) else {
            return Ok(Observation::Absent);
        };
        Self::check(cx, &at, &record, &cluster.kube_system_uid)?;
        Ok(Observation::Present)
    }

    async fn ensure(&self, cx: &StepContext, _: &Observation) -> Result<Outcome, StepError> {
        let cluster = Self::cluster(cx).await?;
        let at = record_of(&cx.environment.name);
        cx.intent(json!({"record": at, "uid": cx.environment.uid}))
            .await?;
        let mut record = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": at.name,
                "namespace": RECORD_NAMESPACE,
                "labels": {RECORD_LABEL: "environment"},
            },
            "data": {
                "name": cx.environment.name,
                "uid": cx.environment.uid,
                "created": jiff::Timestamp::now().to_string(),
                "kubeSystemUid": cluster.kube_system_uid,
                "kubernetesVersion": cluster.version,
            },
        });
        mark(&mut record, &cx.environment, &cx.step);
        let (change, record) = match cx.ports.objects.create(&record).await {
            Ok(created) => (Change::Created, created),
            Err(error) if error.kind == PortErrorKind::AlreadyExists => {
                let found = cx.ports.objects.get(&at).await;
                let found = found.map_err(|error| error.during("read", &at))?;
                let record = found.ok_or_else(|| error.during("create", &at))?;
                Self::check(cx, &at, &record, &cluster.kube_system_uid)?;
                (Change::Adopted, record)
            }
            Err(error) => return Err(error.during("create", &at)),
        };
        Ok(Outcome {
            change,
            summary: format!("Kubernetes {}", cluster.version),
            outputs: json!({
                "uid": uid(&record),
                "environment": cx.environment,
                "created": record["data"]["created"],
                "cluster": cluster,
            }),
        })
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        let version = cx
            .recorded()
            .and_then(|outputs| outputs["cluster"]["version"].as_str())
            .unwrap_or_default()
            .to_owned();
        Ok(Readiness::Ready(format!("Kubernetes {version}")))
    }
}
