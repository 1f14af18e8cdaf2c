//! Releases from the metadata of Helm's own records: Secrets with the labels `owner=helm`, `name`, `status` and
//! `version` (helm.sh/helm, pkg/storage/driver/secrets.go). Their content, which holds values, is never read.

use std::{collections::BTreeMap, str::FromStr, sync::Arc};

use pipectl_stages::{
    error::PortError,
    ports::{
        objects::{Kind, ObjectApi, Selection},
        releases::{Release, ReleaseStatus},
    },
};
use serde_json::Value;

/// Label of a release record: digest of chart and values.
pub(super) const DIGEST_LABEL: &str = "pipectl.dev/digest";
/// Label of a release record: whose release it is; the same as on every other object.
pub(super) use pipectl_stages::objects::ownership::ENVIRONMENT_UID_LABEL as ENVIRONMENT_LABEL;

/// Reads release records.
pub(super) struct Records {
    pub objects: Arc<dyn ObjectApi>,
}

impl Records {
    /// Every revision of one release, oldest first.
    pub async fn history(&self, namespace: &str, name: &str) -> Result<Vec<Release>, PortError> {
        let mut found = self
            .read(Some(namespace), &format!("owner=helm,name={name}"))
            .await?;
        found.sort_by_key(|release| release.revision);
        Ok(found)
    }

    /// The newest revision of one release.
    pub async fn newest(&self, namespace: &str, name: &str) -> Result<Option<Release>, PortError> {
        Ok(self.history(namespace, name).await?.pop())
    }

    /// The newest revisions of an environment's releases, in order of namespace and name.
    pub async fn owned(&self, environment_uid: &str) -> Result<Vec<Release>, PortError> {
        let labels = format!("owner=helm,{ENVIRONMENT_LABEL}={environment_uid}");
        let mut newest: BTreeMap<(String, String), Release> = BTreeMap::new();
        for release in self.read(None, &labels).await? {
            let key = (release.namespace.clone(), release.name.clone());
            let newer = newest
                .get(&key)
                .is_none_or(|known| known.revision < release.revision);
            if newer {
                newest.insert(key, release);
            }
        }
        Ok(newest.into_values().collect())
    }

    async fn read(&self, namespace: Option<&str>, labels: &str) -> Result<Vec<Release>, PortError> {
        let selection = Selection {
            kind: Kind::new("", "v1", "Secret"),
            namespace: namespace.map(str::to_owned),
            labels: Some(labels.to_owned()),
        };
        let records = self.objects.list_metadata(&selection).await?;
        Ok(records.iter().filter_map(release).collect())
    }
}

/// What one record says; `None` for a Secret that only looks like one.
fn release(record: &Value) -> Option<Release> {
    let labels = &record["metadata"]["labels"];
    let text = |key: &str| labels[key].as_str().map(str::to_owned);
    Some(Release {
        name: text("name")?,
        namespace: record["metadata"]["namespace"].as_str()?.to_owned(),
        revision: u32::from_str(labels["version"].as_str()?).ok()?,
        status: status(labels["status"].as_str()?),
        digest: text(DIGEST_LABEL),
        environment_uid: text(ENVIRONMENT_LABEL),
    })
}

/// Helm's own words (helm.sh/helm, pkg/release/v1/status.go).
fn status(word: &str) -> ReleaseStatus {
    match word {
        "deployed" => ReleaseStatus::Deployed,
        "failed" => ReleaseStatus::Failed,
        "pending-install" => ReleaseStatus::PendingInstall,
        "pending-upgrade" => ReleaseStatus::PendingUpgrade,
        "pending-rollback" => ReleaseStatus::PendingRollback,
        "uninstalling" => ReleaseStatus::Uninstalling,
        "uninstalled" => ReleaseStatus::Uninstalled,
        "superseded" => ReleaseStatus::Superseded,
        _ => ReleaseStatus::Unknown,
    }
}
