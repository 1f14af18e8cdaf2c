//! The Helm adapter with the real Helm and a real API server.

use std::{fs, path::Path, sync::Arc, time::Duration};

use futures::FutureExt;
use pipectl_adapters::helm::{HelmAdapter, HelmOptions};
use pipectl_stages::ports::{
    objects::{ApplyOptions, Kind, ObjectApi, ObjectRef},
    releases::{ChartRef, ReleaseApi, ReleaseSpec, ReleaseStatus},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::Cluster,
    support::{eventually, guard},
};

pub const TESTS: &[crate::Clustered] = &[
    ("real_helm::a_release_lives_its_life", |cluster| {
        life(cluster).boxed()
    }),
    ("real_helm::a_run_that_was_cut_off_is_repaired", |cluster| {
        cut_off(cluster).boxed()
    }),
];

/// A chart with a ConfigMap, a CRD, and a hook that never ends while there are no controllers.
fn chart(directory: &Path) -> ChartRef {
    let root = directory.join("operator");
    fs::create_dir_all(root.join("templates")).expect("made");
    fs::create_dir_all(root.join("crds")).expect("made");
    let write = |name: &str, text: &str| fs::write(root.join(name), text).expect("written");
    write(
        "Chart.yaml",
        "apiVersion: v2\nname: operator\nversion: 1.0.0\n",
    );
    write(
        "values.yaml",
        "greeting: none\nhook: false\nbroken: false\n",
    );
    write(
        "crds/things.yaml",
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: helmthings.live.pipectl.dev}\n\
         spec:\n  group: live.pipectl.dev\n  scope: Namespaced\n  names: {plural: helmthings, kind: HelmThing}\n  \
         versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]\n",
    );
    write(
        "templates/all.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: greeting}\ndata: {text: {{ .Values.greeting | quote }}}\n\
         {{- if .Values.broken }}\n---\napiVersion: v1\nkind: Nonsense\nmetadata: {name: x}\n{{- end }}\n\
         {{- if .Values.hook }}\n---\napiVersion: batch/v1\nkind: Job\nmetadata:\n  name: hook-{{ .Release.Revision }}\n  \
         annotations: {helm.sh/hook: 'pre-install,pre-upgrade'}\n\
         spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}\n{{- end }}\n",
    );
    ChartRef {
        repository: None,
        name: root.display().to_string(),
        version: None,
    }
}

struct Setting {
    cluster: Arc<Cluster>,
    directory: tempfile::TempDir,
    namespace: &'static str,
}

impl Setting {
    async fn new(cluster: Arc<Cluster>, namespace: &'static str) -> Option<Self> {
        if cluster.helm.is_none() {
            eprintln!("SKIPPED real_helm: no program helm; set PIPECTL_SANDBOX_BIN");
            return None;
        }
        let adapter = cluster.pinned().await;
        let object =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        adapter
            .apply(&object, ApplyOptions::default())
            .await
            .expect("made");
        Some(Self {
            cluster,
            directory: tempfile::tempdir().expect("a directory"),
            namespace,
        })
    }

    async fn helm(&self, cancel: CancellationToken) -> HelmAdapter {
        let mut options = HelmOptions::new(guard(), self.directory.path().join("cache"));
        options.program = self.cluster.helm.clone().expect("looked at before");
        options.cancel = cancel;
        HelmAdapter::new(Arc::new(self.cluster.pinned().await), options)
    }

    fn spec(&self, digest: &str, values: Value) -> ReleaseSpec {
        ReleaseSpec {
            name: "operator".to_owned(),
            namespace: self.namespace.to_owned(),
            chart: chart(self.directory.path()),
            values,
            digest: digest.to_owned(),
            environment_uid: format!("uid-{}", self.namespace),
            timeout: Duration::from_secs(90),
        }
    }

    async fn greeting(&self) -> Option<Value> {
        let object = ObjectRef {
            kind: Kind::new("", "v1", "ConfigMap"),
            namespace: Some(self.namespace.to_owned()),
            name: "greeting".to_owned(),
        };
        let found = self
            .cluster
            .pinned()
            .await
            .get(&object)
            .await
            .expect("readable");
        found.map(|found| found["data"]["text"].clone())
    }
}

async fn life(cluster: Arc<Cluster>) {
    let Some(setting) = Setting::new(cluster, "helm-life").await else {
        return;
    };
    let helm = setting.helm(CancellationToken::new()).await;
    assert_eq!(helm.find("helm-life", "operator").await, Ok(None));
    let first = helm
        .install(&setting.spec("d1", json!({"greeting": "a 'b' \"c\"\nd: {e}"})))
        .await
        .expect("installed");
    assert_eq!((first.revision, first.status), (1, ReleaseStatus::Deployed));
    assert_eq!(first.digest.as_deref(), Some("d1"));
    assert_eq!(setting.greeting().await, Some(json!("a 'b' \"c\"\nd: {e}")));
    // The chart's CRDs are pipectl's to apply.
    let served = setting
        .cluster
        .pinned()
        .await
        .served("live.pipectl.dev", "HelmThing")
        .await;
    assert_eq!(served, Ok(None));
    let second = helm
        .install(&setting.spec("d2", json!({"greeting": "two"})))
        .await
        .expect("upgraded");
    assert_eq!((second.revision, second.digest.as_deref()), (2, Some("d2")));
    assert_eq!(helm.owned("uid-helm-life").await, Ok(vec![second]));
    let error = helm
        .install(&setting.spec("d3", json!({"broken": true})))
        .await
        .expect_err("a kind that nobody serves");
    assert_eq!(error.code, "HLM003");
    assert!(error.cause.contains("Nonsense"), "{error}");
    let third = helm
        .install(&setting.spec("d4", json!({"greeting": "three"})))
        .await
        .expect("a failed upgrade is gone over");
    assert_eq!(
        (third.status, third.digest.as_deref()),
        (ReleaseStatus::Deployed, Some("d4"))
    );
    let chart = setting.spec("d", json!({})).chart;
    assert_eq!(
        helm.crds(&chart).await.expect("CRDs")[0]["kind"],
        "CustomResourceDefinition"
    );
    let rendered = helm
        .render(&setting.spec("d", json!({"greeting": "r"})))
        .await
        .expect("rendered");
    assert_eq!(rendered[0]["data"]["text"], "r");
    assert_eq!(
        helm.uninstall("helm-life", "operator", Duration::from_secs(60))
            .await,
        Ok(true)
    );
    assert_eq!(
        helm.uninstall("helm-life", "operator", Duration::from_secs(60))
            .await,
        Ok(false)
    );
    assert_eq!(setting.greeting().await, None);
}

async fn cut_off(cluster: Arc<Cluster>) {
    let Some(setting) = Setting::new(cluster, "helm-cut").await else {
        return;
    };
    let good = setting.helm(CancellationToken::new()).await;
    for (round, pending, after) in [
        (1, ReleaseStatus::PendingInstall, 1),
        // One good revision, one that was cut off, the way back, and the new one.
        (2, ReleaseStatus::PendingUpgrade, 4),
    ] {
        let cancel = CancellationToken::new();
        let doomed = setting.helm(cancel.clone()).await;
        let spec = setting.spec("doomed", json!({"greeting": "doomed", "hook": true}));
        let (answer, ()) = tokio::join!(doomed.install(&spec), async {
            eventually("helm waits for its hook", || async {
                let found = good.find("helm-cut", "operator").await.expect("readable");
                found.filter(|release| release.status == pending)
            })
            .await;
            cancel.cancel();
        });
        assert_eq!(answer.expect_err("cut off").code, "HLM009");
        let left = good
            .find("helm-cut", "operator")
            .await
            .expect("readable")
            .expect("there");
        assert_eq!(
            left.environment_uid.as_deref(),
            Some("uid-helm-cut"),
            "{left:?}"
        );
        let release = good
            .install(&setting.spec("good", json!({"greeting": format!("good {round}")})))
            .await
            .expect("repaired");
        assert_eq!(release.status, ReleaseStatus::Deployed);
        // Helm that got SIGTERM in time may have marked its own revision as failed; then there was nothing to repair.
        if left.status == pending {
            assert_eq!(release.revision, after, "{left:?}");
        }
        assert_eq!(
            setting.greeting().await,
            Some(json!(format!("good {round}")))
        );
    }
}
