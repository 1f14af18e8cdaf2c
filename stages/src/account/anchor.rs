//! The environment's anchor: a record in the account that exactly one of two first runs can make, that says to every
//! other machine whose the environment is, and that stays until nothing else of it is left.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use pipectl_config::Loaded;
use serde_json::{Value, json};

use crate::{
    cloud::{Look, Resource, cloud, names, tags},
    context::StepContext,
    error::{PortError, StepError},
    ports::anchors::Anchor,
    step::{Change, Difference, Readiness},
};

/// The anchor of an environment.
pub(super) struct AnchorResource {
    pub(super) loaded: Arc<Loaded>,
    pub(super) state_url: Option<String>,
}

impl AnchorResource {
    async fn find(cx: &StepContext) -> Result<Option<Anchor>, StepError> {
        let found = cloud(cx)?.anchors.find(&cx.environment.name).await;
        found.map_err(|error| error.during("read", "the environment's anchor"))
    }

    fn expires(&self, created: Timestamp) -> Option<Timestamp> {
        let ttl = self.loaded.pipeline.spec.ttl?;
        created.checked_add(ttl.duration()).ok()
    }

    fn brought_vpc(&self) -> Option<String> {
        let brought = self.loaded.pipeline.spec.network.existing_vpc.as_ref();
        brought.map(|vpc| vpc.id.clone())
    }

    /// The record as it is to be. Who holds it until when is the lease's to say.
    fn wanted(&self, cx: &StepContext, live: &Anchor) -> Anchor {
        Anchor {
            cluster: names::cluster(&self.loaded, &cx.environment),
            brought_vpc: self.brought_vpc(),
            state_url: self.state_url.clone().or_else(|| live.state_url.clone()),
            expires: self.expires(live.created),
            ..live.clone()
        }
    }
}

#[async_trait]
impl Resource for AnchorResource {
    type Live = Anchor;

    async fn look(&self, cx: &StepContext) -> Result<Look<Anchor>, StepError> {
        let Some(anchor) = Self::find(cx).await? else {
            return Ok(Look::absent());
        };
        if anchor.uid == cx.environment.uid {
            return Ok(Look::there(anchor));
        }
        let kept = anchor.state_url.as_deref().unwrap_or("unknown");
        let held = anchor.lease.as_ref().map_or_else(String::new, |lease| {
            format!(", worked on by {} since {}", lease.holder, lease.since)
        });
        Err(StepError::new(
            "ACC010",
            "use",
            format!("environment {}", cx.environment.name),
            format!(
                "the account holds another environment of that name in this region, with UID {}, its state at {kept}{held}",
                anchor.uid
            ),
        )
        .with_hint(
            "choose another name with --env, or work on that one from where its state is kept",
        ))
    }

    async fn identity(&self, cx: &StepContext, _: u32) -> Result<Value, StepError> {
        Ok(json!({"anchor": cx.environment.name, "uid": cx.environment.uid}))
    }

    async fn create(
        &self,
        cx: &StepContext,
        _: u32,
    ) -> Result<Result<Anchor, PortError>, StepError> {
        let created = Timestamp::now();
        let anchor = Anchor {
            name: cx.environment.name.clone(),
            uid: cx.environment.uid.clone(),
            created,
            cluster: names::cluster(&self.loaded, &cx.environment),
            brought_vpc: self.brought_vpc(),
            state_url: self.state_url.clone(),
            // Whoever makes the call adds who holds it: that is the run's to say.
            lease: None,
            follows: 0,
            expires: self.expires(created),
        };
        let tags = tags::wanted(cx, "anchor", &self.loaded.pipeline.spec.tags);
        let made = cloud(cx)?.anchors.create(&anchor, &tags).await;
        Ok(made.map(|_| anchor))
    }

    async fn differences(
        &self,
        cx: &StepContext,
        live: &Anchor,
    ) -> Result<Vec<Difference>, StepError> {
        let (is, wanted) = (json!(live), json!(self.wanted(cx, live)));
        let fields = ["cluster", "broughtVpc", "stateUrl", "expires"];
        Ok(fields
            .iter()
            .filter(|field| is[**field] != wanted[**field])
            .map(|field| Difference {
                resource: format!("anchor of {}", cx.environment.name),
                field: Some((*field).to_owned()),
                live: is[*field].as_str().map(str::to_owned),
                wanted: wanted[*field].as_str().map(str::to_owned),
                change: Change::Updated,
            })
            .collect())
    }

    async fn mend(&self, cx: &StepContext, live: Anchor) -> Result<Anchor, StepError> {
        let wanted = self.wanted(cx, &live);
        let done = cloud(cx)?.anchors.update(&wanted).await;
        done.map_err(|error| error.during("update", "the environment's anchor"))?;
        Ok(wanted)
    }

    fn outputs(&self, _: &StepContext, live: &Anchor) -> Value {
        json!({"created": live.created, "cluster": live.cluster})
    }

    fn summary(&self, live: &Anchor) -> String {
        let since = live.created.strftime("%Y-%m-%dT%H:%M:%SZ");
        format!("recorded in the account since {since}")
    }

    fn works(&self, live: &Anchor) -> Option<String> {
        Some(self.summary(live))
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        Ok(match Self::find(cx).await? {
            Some(anchor) if anchor.uid == cx.environment.uid => {
                Readiness::Ready(self.summary(&anchor))
            }
            _ => Readiness::waiting("the record is not seen yet"),
        })
    }
}
