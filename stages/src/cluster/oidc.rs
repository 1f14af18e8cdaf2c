//! The IAM OIDC provider of the cluster's issuer: with it, service accounts can act as roles (IRSA).

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use pipectl_config::Loaded;
use serde_json::{Value, json};

use super::{removal::providers, steps};
use crate::{
    cloud::{Look, NOT_KNOWN, Resource, cloud, known, tags},
    context::StepContext,
    error::{PortError, StepError},
    ports::{cloud::Tags, identity::OidcProvider},
    step::{Difference, Readiness},
};

/// The audience of service accounts' tokens (EKS user guide, IAM roles for service accounts).
const AUDIENCE: &str = "sts.amazonaws.com";

/// The OIDC provider of an environment's cluster.
pub(super) struct Provider {
    pub(super) loaded: Arc<Loaded>,
}

impl Provider {
    fn tags(&self, cx: &StepContext) -> Tags {
        let name = format!("pipectl-{}-oidc", cx.environment.name);
        tags::wanted(cx, &name, &self.loaded.pipeline.spec.tags)
    }
}

/// The issuer's address, as the cluster says now: it is another one after every creation.
async fn issuer(cx: &StepContext) -> Result<String, StepError> {
    let name = known(cx, &steps::control_plane(), "name")?;
    let cluster = cloud(cx)?.clusters.find(&name).await;
    let cluster = cluster.map_err(|error| error.during("look at", &name))?;
    cluster.and_then(|cluster| cluster.issuer).ok_or_else(|| {
        StepError::new(
            NOT_KNOWN,
            "look up",
            format!("the issuer of {name}"),
            "it is known once the control plane is active",
        )
    })
}

/// The provider that an earlier run recorded.
fn recorded(cx: &StepContext) -> Option<&str> {
    cx.recorded()?["arn"].as_str()
}

/// ARNs of the environment's providers besides the one to keep: those of clusters that are gone. Nothing trusts them any
/// more, since an issuer's address is never used again.
async fn obsolete(cx: &StepContext, keep: &str) -> Result<Vec<String>, StepError> {
    let providers = providers(cx).await?.own.into_iter();
    let arns = providers.map(|provider| provider.arn);
    Ok(arns.filter(|arn| arn != keep).collect())
}

#[async_trait]
impl Resource for Provider {
    type Live = OidcProvider;

    async fn look(&self, cx: &StepContext) -> Result<Look<OidcProvider>, StepError> {
        let issuer = issuer(cx).await?;
        let found = cloud(cx)?.identity.oidc_provider(&issuer).await;
        let found = found.map_err(|error| error.during("look at", "the OIDC provider"))?;
        let look = match found {
            Some(provider) => Look::named(cx, provider.clone(), &provider.tags),
            None => return Ok(Look::absent()),
        };
        Ok(match look {
            // The record names another one: the run that made this one was cut off before that one was gone.
            Look::There { live, .. } if recorded(cx).is_some_and(|arn| arn != live.arn) => {
                let extras = obsolete(cx, &live.arn).await?;
                Look::There { live, extras }
            }
            look => look,
        })
    }

    async fn identity(&self, cx: &StepContext, _: u32) -> Result<Value, StepError> {
        Ok(json!({"issuer": issuer(cx).await?, "removes": obsolete(cx, "").await?}))
    }

    async fn create(
        &self,
        cx: &StepContext,
        attempt: u32,
    ) -> Result<Result<OidcProvider, PortError>, StepError> {
        let issuer = issuer(cx).await?;
        let clients = BTreeSet::from([AUDIENCE.to_owned()]);
        let tags = tags::stamped(self.tags(cx), attempt);
        let identity = &cloud(cx)?.identity;
        let made = identity
            .create_oidc_provider(&issuer, &clients, &tags)
            .await;
        if let Ok(made) = &made {
            for arn in obsolete(cx, &made.arn).await? {
                self.drop_extra(cx, &arn).await?;
            }
        }
        Ok(made)
    }

    async fn drop_extra(&self, cx: &StepContext, id: &str) -> Result<(), StepError> {
        let deleted = cloud(cx)?.identity.delete_oidc_provider(id).await;
        deleted.map_err(|error| error.during("delete", format!("OIDC provider {id}")))?;
        Ok(())
    }

    async fn differences(
        &self,
        cx: &StepContext,
        live: &OidcProvider,
    ) -> Result<Vec<Difference>, StepError> {
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        Ok(tags::differences("OIDC provider", &live.tags, &retag))
    }

    async fn mend(&self, cx: &StepContext, live: OidcProvider) -> Result<OidcProvider, StepError> {
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        let identity = &cloud(cx)?.identity;
        let done = identity
            .retag_oidc_provider(&live.arn, &retag.set, &retag.remove)
            .await;
        done.map_err(|error| error.during("tag", "the OIDC provider"))?;
        Ok(live)
    }

    fn outputs(&self, _: &StepContext, live: &OidcProvider) -> Value {
        json!({"arn": live.arn, "issuer": live.issuer})
    }

    fn tag_keys(&self, cx: &StepContext) -> BTreeSet<String> {
        self.tags(cx).into_keys().collect()
    }

    fn summary(&self, live: &OidcProvider) -> String {
        format!("OIDC provider {}", live.issuer)
    }

    fn works(&self, live: &OidcProvider) -> Option<String> {
        Some(self.summary(live))
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        Ok(match self.look(cx).await? {
            Look::There { live, .. } => Readiness::Ready(self.summary(&live)),
            _ => Readiness::waiting("the OIDC provider is not seen yet"),
        })
    }
}
