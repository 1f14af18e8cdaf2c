//! One add-on: the version that the pipeline names, else the one that is there, else EKS's default.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use pipectl_config::{Addon as Config, AddonName, Loaded};
use serde_json::{Value, json};

use crate::{
    cloud::{
        Look, Pace, Resource, cloud, cut_off, known, names, tags,
        update::{self, Update, not_begun},
    },
    cluster,
    context::StepContext,
    error::{PortError, StepError},
    ports::{
        addons::{Addon, AddonSpec, AddonState, AddonVersion},
        cloud::{Issue, Tags},
    },
    step::{Change, Difference, Readiness},
};

/// Issues that pass when nodes come or the cluster settles (EKS API, `AddonIssue.code`).
const PASSING: &[&str] = &[
    "InsufficientNumberOfReplicas",
    "ClusterUnreachable",
    "InternalFailure",
];

/// One add-on of the pipeline.
pub(super) struct AddonResource {
    pub(super) loaded: Arc<Loaded>,
    pub(super) addon: Config,
    pub(super) pace: Pace,
}

/// The version to have, and whether it is on offer at all.
///
/// # Errors
/// `ADD001` when the pipeline names one that does not go with the Kubernetes version, or there is none.
pub fn resolve(
    addon: &Config,
    kubernetes: &str,
    offered: &[AddonVersion],
    live: Option<&str>,
) -> Result<String, StepError> {
    let offers = |version: &str| offered.iter().any(|offer| offer.version == version);
    let name = addon.name.as_str();
    let refused = |cause: String| {
        let versions: Vec<&str> = offered
            .iter()
            .take(5)
            .map(|offer| offer.version.as_str())
            .collect();
        let hint = if versions.is_empty() {
            "take it out of spec.addons, or name another Kubernetes version".to_owned()
        } else {
            format!("on offer are {}", versions.join(", "))
        };
        StepError::new("ADD001", "install", format!("add-on {name}"), cause).with_hint(hint)
    };
    if let Some(wanted) = &addon.version {
        return if offers(wanted) {
            Ok(wanted.clone())
        } else {
            Err(refused(format!(
                "EKS has no version {wanted} of it for Kubernetes {kubernetes}"
            )))
        };
    }
    // The same file gives the same plan: AWS may move its default, and what works is not changed for that.
    if let Some(live) = live.filter(|live| offers(live)) {
        return Ok(live.to_owned());
    }
    offered
        .iter()
        .find(|offer| offer.default)
        .or(offered.first())
        .map(|offer| offer.version.clone())
        .ok_or_else(|| refused(format!("EKS has none for Kubernetes {kubernetes}")))
}

/// The first issue that does not pass by itself.
fn lasting(addon: &Addon) -> Option<&Issue> {
    let mut issues = addon.issues.iter();
    issues.find(|issue| !PASSING.contains(&issue.code.as_str()))
}

impl AddonResource {
    fn name(&self) -> &'static str {
        self.addon.name.as_str()
    }

    fn cluster(cx: &StepContext) -> Result<String, StepError> {
        known(cx, &cluster::steps::control_plane(), "name")
    }

    fn tags(&self, cx: &StepContext) -> Tags {
        let name = format!("pipectl-{}-{}", cx.environment.name, self.name());
        tags::wanted(cx, &name, &self.loaded.pipeline.spec.tags)
    }

    /// The pipeline's settings, with the environment's tags for every volume that the CSI driver will make.
    fn configuration(&self, cx: &StepContext) -> Option<Value> {
        let mut configuration = Value::Object(self.addon.configuration.clone());
        if self.addon.name == AddonName::AwsEbsCsiDriver {
            let mut volumes = tags::of_volumes(&cx.environment, &self.loaded.pipeline.spec.tags);
            let given = configuration["controller"]["extraVolumeTags"].as_object();
            for (key, value) in given.into_iter().flatten() {
                let value = value.as_str().unwrap_or_default().to_owned();
                volumes.entry(key.clone()).or_insert(value);
            }
            if !configuration["controller"].is_object() {
                configuration["controller"] = json!({});
            }
            configuration["controller"]["extraVolumeTags"] = json!(volumes);
        }
        let empty = configuration
            .as_object()
            .is_none_or(serde_json::Map::is_empty);
        (!empty).then_some(configuration)
    }

    async fn version(&self, cx: &StepContext, live: Option<&str>) -> Result<String, StepError> {
        let cluster = &self.loaded.pipeline.spec.cluster;
        let kubernetes = cluster.kubernetes_version.to_string();
        let offered = cloud(cx)?.addons.versions(self.name(), &kubernetes).await;
        let offered = offered.map_err(|error| error.during("look for versions of", self.name()))?;
        resolve(&self.addon, &kubernetes, &offered, live)
    }

    async fn spec(
        &self,
        cx: &StepContext,
        version: String,
        token: String,
    ) -> Result<AddonSpec, StepError> {
        Ok(AddonSpec {
            cluster: Self::cluster(cx)?,
            name: self.name().to_owned(),
            version,
            configuration: self.configuration(cx),
            tags: self.tags(cx),
            token,
        })
    }

    async fn find(&self, cx: &StepContext) -> Result<Option<Addon>, StepError> {
        let found = cloud(cx)?
            .addons
            .find(&Self::cluster(cx)?, self.name())
            .await;
        found.map_err(|error| error.during("look at", format!("add-on {}", self.name())))
    }

    fn failed(&self, live: &Addon) -> Readiness {
        let cause = live.issues.first().map_or_else(
            || "EKS gave it up and does not say why".to_owned(),
            ToString::to_string,
        );
        Readiness::Failed(Box::new(
            StepError::new(
                "ADD002",
                "install",
                format!("add-on {}", self.name()),
                cause,
            )
            .with_evidence(live.issues.iter().map(ToString::to_string).collect())
            .with_hint("mend what it names, then run pipectl up: it installs it anew"),
        ))
    }
}

#[async_trait]
impl Resource for AddonResource {
    type Live = Addon;

    async fn look(&self, cx: &StepContext) -> Result<Look<Addon>, StepError> {
        Ok(match self.find(cx).await? {
            // The cluster is ours; an add-on without tags is one that a person added by hand.
            Some(addon) => Look::named(cx, addon.clone(), &addon.tags),
            None => Look::absent(),
        })
    }

    async fn identity(&self, cx: &StepContext, _: u32) -> Result<Value, StepError> {
        Ok(json!({"cluster": Self::cluster(cx)?, "addon": self.name()}))
    }

    async fn create(
        &self,
        cx: &StepContext,
        attempt: u32,
    ) -> Result<Result<Addon, PortError>, StepError> {
        let version = self.version(cx, None).await?;
        // An add-on may come again in the same cluster, so its token is the run's: the name alone keeps it single.
        let token = names::change_token(
            &cx.environment,
            &cx.step,
            &cx.run,
            &format!("create {attempt}"),
        );
        let mut spec = self.spec(cx, version, token).await?;
        spec.tags = tags::numbered(spec.tags, attempt);
        Ok(cloud(cx)?.addons.create(&spec).await)
    }

    async fn differences(
        &self,
        cx: &StepContext,
        live: &Addon,
    ) -> Result<Vec<Difference>, StepError> {
        let resource = format!("add-on {}", live.name);
        let mut differences = Vec::new();
        let mut differs = |field: &str, is: Option<String>, wanted: Option<String>, change| {
            differences.push(Difference {
                resource: resource.clone(),
                field: Some(field.to_owned()),
                live: is,
                wanted,
                change,
            });
        };
        if live.state == AddonState::CreateFailed {
            let state = Some("CREATE_FAILED".to_owned());
            differs("state", state, Some("ACTIVE".to_owned()), Change::Replaced);
        }
        let version = self.version(cx, Some(&live.version)).await?;
        if live.version != version {
            differs(
                "version",
                Some(live.version.clone()),
                Some(version),
                Change::Updated,
            );
        }
        let configuration = self.configuration(cx);
        if live.configuration != configuration {
            let text = |value: &Option<Value>| value.as_ref().map(ToString::to_string);
            differs(
                "configuration",
                text(&live.configuration),
                text(&configuration),
                Change::Updated,
            );
        }
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        differences.extend(tags::differences(&resource, &live.tags, &retag));
        Ok(differences)
    }

    async fn mend(&self, cx: &StepContext, live: Addon) -> Result<Addon, StepError> {
        let cloud = cloud(cx)?;
        let what = format!("add-on {}", self.name());
        let failed = |error: PortError| not_begun(error, &what);
        let live = self.settled(cx, live).await?;
        let version = self.version(cx, Some(&live.version)).await?;
        if live.state == AddonState::CreateFailed {
            return self.replace(cx, version).await;
        }
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        if !retag.is_empty() {
            let done = cloud.clusters.retag(&live.arn, &retag.set, &retag.remove);
            done.await.map_err(failed)?;
        }
        if live.version == version && live.configuration == self.configuration(cx) {
            return Ok(live);
        }
        let salt = json!([version, self.configuration(cx)]).to_string();
        let token = names::change_token(&cx.environment, &cx.step, &cx.run, &salt);
        let spec = self.spec(cx, version, token).await?;
        let id = cloud.addons.change(&spec).await.map_err(failed)?;
        let update = Update {
            what: &what,
            doing: "the change",
            says: &format!("{what} UPDATING"),
            code: "ADD002",
            hint: |_| "mend what it names, then run pipectl up again",
            pause: self.pace.poll(super::POLL),
        };
        let addons = &cloud.addons;
        update
            .carried_out(cx, || addons.update(&spec.cluster, &spec.name, &id))
            .await?;
        Ok(self.find(cx).await?.unwrap_or(live))
    }

    /// An add-on's name is EKS's, and a cluster has one of each.
    fn beside_a_stranger(&self) -> Option<String> {
        let name = self.name();
        Some(format!(
            "leave it to whoever installed it and take {name} out of spec.addons; or delete it (aws eks delete-addon \
             --addon-name {name}), and pipectl up installs its own"
        ))
    }

    fn outputs(&self, _: &StepContext, live: &Addon) -> Value {
        json!({"name": live.name, "version": live.version})
    }

    fn tag_keys(&self, cx: &StepContext) -> BTreeSet<String> {
        self.tags(cx).into_keys().collect()
    }

    fn summary(&self, live: &Addon) -> String {
        format!("{} {}", live.name, live.version)
    }

    fn works(&self, live: &Addon) -> Option<String> {
        (live.state == AddonState::Active).then(|| self.summary(live))
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        let Some(live) = self.find(cx).await? else {
            return Ok(Readiness::waiting("the add-on is not seen yet"));
        };
        let lasting = lasting(&live).is_some();
        Ok(match live.state {
            AddonState::Active => Readiness::Ready(self.summary(&live)),
            AddonState::CreateFailed | AddonState::UpdateFailed | AddonState::DeleteFailed => {
                self.failed(&live)
            }
            AddonState::Creating | AddonState::Updating | AddonState::Degraded if lasting => {
                self.failed(&live)
            }
            AddonState::Creating => Readiness::waiting(format!("{} CREATING", live.name)),
            AddonState::Updating => Readiness::waiting(format!("{} UPDATING", live.name)),
            AddonState::Degraded => {
                let why = live.issues.first().map(|issue| issue.message.clone());
                let why = why.unwrap_or_else(|| "its pods don't work yet".to_owned());
                Readiness::waiting(format!("{} DEGRADED: {why}", live.name))
            }
            AddonState::Deleting => Readiness::waiting(format!("{} DELETING", live.name)),
        })
    }
}

impl AddonResource {
    /// The add-on once it takes changes. One whose issues stay is not waited for.
    async fn settled(&self, cx: &StepContext, live: Addon) -> Result<Addon, StepError> {
        let busy = |addon: &Addon| {
            matches!(addon.state, AddonState::Creating | AddonState::Updating)
                && lasting(addon).is_none()
        };
        let what = format!("add-on {}", live.name);
        let pause = self.pace.poll(super::POLL);
        update::settled(cx, &what, pause, live, busy, || self.find(cx)).await
    }

    /// One that came to nothing cannot be changed, only installed anew.
    async fn replace(&self, cx: &StepContext, version: String) -> Result<Addon, StepError> {
        let cloud = cloud(cx)?;
        let (cluster, name) = (Self::cluster(cx)?, self.name());
        let failed = |error: PortError| error.during("install anew", format!("add-on {name}"));
        cloud.addons.delete(&cluster, name).await.map_err(failed)?;
        while self.find(cx).await?.is_some() {
            if cx.cancel.is_cancelled() {
                return Err(cut_off("install anew", format!("add-on {name}")));
            }
            cx.progress(format!(
                "add-on {name} is being removed, to be installed anew"
            ));
            tokio::time::sleep(self.pace.poll(super::POLL)).await;
        }
        let token = names::change_token(&cx.environment, &cx.step, &cx.run, "anew");
        let mut spec = self.spec(cx, version, token).await?;
        spec.tags = tags::numbered(spec.tags, 2);
        cloud.addons.create(&spec).await.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(versions: &[(&str, bool)]) -> Vec<AddonVersion> {
        versions
            .iter()
            .map(|(version, default)| AddonVersion {
                version: (*version).to_owned(),
                default: *default,
            })
            .collect()
    }

    fn addon(version: Option<&str>) -> Config {
        let mut addon = Config::standard().remove(0);
        addon.version = version.map(str::to_owned);
        addon
    }

    #[test]
    fn the_named_version_must_be_on_offer() {
        let offers = offered(&[("v2", false), ("v1", true)]);
        assert_eq!(
            resolve(&addon(Some("v2")), "1.35", &offers, None).unwrap(),
            "v2"
        );
        let refused = resolve(&addon(Some("v9")), "1.35", &offers, None).unwrap_err();
        assert_eq!(refused.code, "ADD001");
        assert!(refused.hint.unwrap().contains("v2, v1"));
    }

    #[test]
    fn what_is_there_stays_until_it_does_not_fit_any_more() {
        let offers = offered(&[("v3", false), ("v2", true), ("v1", false)]);
        assert_eq!(resolve(&addon(None), "1.35", &offers, None).unwrap(), "v2");
        assert_eq!(
            resolve(&addon(None), "1.35", &offers, Some("v1")).unwrap(),
            "v1"
        );
        assert_eq!(
            resolve(&addon(None), "1.35", &offers, Some("v0")).unwrap(),
            "v2"
        );
        assert!(resolve(&addon(None), "1.35", &[], None).is_err());
    }
}
