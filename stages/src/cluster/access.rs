//! The caller's way into the cluster. EKS admits the one who creates a cluster; whoever works on it later, from another
//! machine or a CI job, gets an entry of their own.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::steps;
use crate::{
    account,
    cloud::{Look, Resource, cloud, known, names, tags},
    context::StepContext,
    error::{PortError, StepError},
    ports::access::Entry,
    step::Readiness,
};

/// The access entry of whoever runs pipectl.
pub(super) struct CallersEntry;

fn place(cx: &StepContext) -> Result<(String, String), StepError> {
    Ok((
        known(cx, &steps::control_plane(), "name")?,
        known(cx, &account::preflight(), "principal")?,
    ))
}

#[async_trait]
impl Resource for CallersEntry {
    type Live = Entry;

    async fn look(&self, cx: &StepContext) -> Result<Look<Entry>, StepError> {
        let (cluster, principal) = place(cx)?;
        let found = cloud(cx)?.access.entry(&cluster, &principal).await;
        let found = found
            .map_err(|error| error.during("look at", format!("the access entries of {cluster}")))?;
        Ok(match found {
            Some(entry) if entry.administrator => Look::there(entry),
            Some(_) | None => Look::absent(),
        })
    }

    async fn identity(&self, cx: &StepContext, _: u32) -> Result<Value, StepError> {
        let (cluster, principal) = place(cx)?;
        Ok(json!({"cluster": cluster, "principal": principal}))
    }

    async fn create(
        &self,
        cx: &StepContext,
        attempt: u32,
    ) -> Result<Result<Entry, PortError>, StepError> {
        let (cluster, principal) = place(cx)?;
        let tags = tags::wanted(cx, "access", &crate::ports::cloud::Tags::new());
        let token = names::change_token(
            &cx.environment,
            &cx.step,
            &cx.run,
            &format!("{principal} {attempt}"),
        );
        let admitted = cloud(cx)?
            .access
            .admit(&cluster, &principal, &tags, &token)
            .await;
        Ok(admitted.map(|()| Entry {
            principal,
            administrator: true,
            tags,
        }))
    }

    fn outputs(&self, _: &StepContext, live: &Entry) -> Value {
        json!({"principal": live.principal})
    }

    fn summary(&self, live: &Entry) -> String {
        format!("{} may enter", live.principal)
    }

    fn works(&self, live: &Entry) -> Option<String> {
        Some(self.summary(live))
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        Ok(match self.look(cx).await? {
            Look::There { live, .. } => Readiness::Ready(self.summary(&live)),
            _ => Readiness::waiting("the access entry is not seen yet"),
        })
    }
}
