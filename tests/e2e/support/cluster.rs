//! An independent look at a sandbox's cluster: its administrator's kubeconfig, no code of pipectl's.

use std::{collections::BTreeMap, path::Path};

use kube::{
    Client, Config, Discovery,
    api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
    core::ApiResource,
    discovery::verbs,
};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::until;

/// A kind, with the name of its resources.
#[derive(Debug, Clone, Copy)]
pub struct Kind(
    pub &'static str,
    pub &'static str,
    pub &'static str,
    pub &'static str,
);

impl Kind {
    /// Namespaces.
    pub const NAMESPACE: Self = Self("", "v1", "Namespace", "namespaces");
    /// Config maps.
    pub const CONFIG_MAP: Self = Self("", "v1", "ConfigMap", "configmaps");
    /// Secrets.
    pub const SECRET: Self = Self("", "v1", "Secret", "secrets");
    /// Claims.
    pub const CLAIM: Self = Self("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims");
    /// Pods.
    pub const POD: Self = Self("", "v1", "Pod", "pods");
    /// Deployments.
    pub const DEPLOYMENT: Self = Self("apps", "v1", "Deployment", "deployments");
    /// Nodes.
    pub const NODE: Self = Self("", "v1", "Node", "nodes");
    /// Definitions of kinds.
    pub const DEFINITION: Self = Self(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
    );
    /// Strimzi's topics.
    pub const TOPIC: Self = Self("kafka.strimzi.io", "v1", "KafkaTopic", "kafkatopics");

    fn resource(self) -> ApiResource {
        let Self(group, version, kind, plural) = self;
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: if group.is_empty() {
                version.to_owned()
            } else {
                format!("{group}/{version}")
            },
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }
}

/// A cluster seen by its administrator.
pub struct Cluster {
    runtime: Runtime,
    client: Client,
}

impl Cluster {
    /// As a kubeconfig says.
    pub fn open(kubeconfig: &Path) -> Self {
        Self::by(Kubeconfig::read_from(kubeconfig).expect("a kubeconfig"))
    }

    /// With this token instead of whatever a kubeconfig says about who is asking.
    pub fn with_token(kubeconfig: &Path, token: &str) -> Self {
        let mut config = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
        for user in &mut config.auth_infos {
            user.auth_info = Some(AuthInfo {
                token: Some(token.to_owned().into()),
                ..AuthInfo::default()
            });
        }
        Self::by(config)
    }

    fn by(config: Kubeconfig) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let client = runtime.block_on(async {
            let config =
                Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
            Client::try_from(config.expect("a usable kubeconfig")).expect("a client")
        });
        Self { runtime, client }
    }

    /// Whether the API server knows who is asking.
    pub fn lets_in(&self) -> bool {
        let look = self.api(Kind::NAMESPACE, "");
        match self.runtime.block_on(look.list(&ListParams::default())) {
            Ok(_) => true,
            Err(kube::Error::Api(status)) if status.code == 401 => false,
            Err(error) => panic!("neither let in nor refused: {error}"),
        }
    }

    fn api(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        let resource = kind.resource();
        match namespace {
            "" => Api::all_with(self.client.clone(), &resource),
            namespace => Api::namespaced_with(self.client.clone(), namespace, &resource),
        }
    }

    /// An object, if it is there. Cluster-wide kinds have the namespace `""`.
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        let found = self
            .runtime
            .block_on(self.api(kind, namespace).get_opt(name))
            .expect("the API answers");
        found.map(|object| serde_json::to_value(object).expect("an object"))
    }

    /// All objects of a kind that a selector finds.
    pub fn list(&self, kind: Kind, namespace: &str, labels: &str) -> Vec<Value> {
        let options = ListParams::default().labels(labels);
        let found = self
            .runtime
            .block_on(self.api(kind, namespace).list(&options))
            .expect("the API answers");
        found
            .items
            .into_iter()
            .map(|object| serde_json::to_value(object).expect("an object"))
            .collect()
    }

    /// Makes an object.
    pub fn create(&self, kind: Kind, namespace: &str, object: Value) -> Value {
        let object: DynamicObject = serde_json::from_value(object).expect("an object");
        let made = self.runtime.block_on(
            self.api(kind, namespace)
                .create(&PostParams::default(), &object),
        );
        serde_json::to_value(made.expect("the API takes it")).expect("an object")
    }

    /// Merges a change into an object.
    pub fn patch(&self, kind: Kind, namespace: &str, name: &str, change: &Value) {
        let api = self.api(kind, namespace);
        let (options, change) = (PatchParams::default(), Patch::Merge(change));
        self.runtime
            .block_on(api.patch(name, &options, &change))
            .expect("the API takes it");
    }

    /// Deletes an object and waits until it is gone.
    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) {
        let api = self.api(kind, namespace);
        self.runtime
            .block_on(api.delete(name, &DeleteParams::foreground()))
            .expect("the API takes it");
        until(&format!("the end of {name}"), || {
            self.get(kind, namespace, name).is_none().then_some(())
        });
    }

    /// Every object of every kind that the cluster serves and a selector finds: `Kind namespace/name`, its UID, and a
    /// version that changes with its content and not with its status: the generation, where the kind has one.
    pub fn everything(&self, labels: &str) -> BTreeMap<String, (String, String)> {
        self.runtime.block_on(async {
            let discovery = Discovery::new(self.client.clone())
                .run()
                .await
                .expect("discovery");
            let mut found = BTreeMap::new();
            for group in discovery.groups() {
                for (resource, capabilities) in group.recommended_resources() {
                    let passing = resource.kind == "Event" || resource.kind == "ComponentStatus";
                    if passing || !capabilities.supports_operation(verbs::LIST) {
                        continue;
                    }
                    let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
                    let Ok(list) = api
                        .list_metadata(&ListParams::default().labels(labels))
                        .await
                    else {
                        // A kind whose definition went between the two looks has no objects.
                        continue;
                    };
                    for object in list.items {
                        let metadata = object.metadata;
                        let namespace = metadata
                            .namespace
                            .map_or(String::new(), |namespace| format!("{namespace}/"));
                        let name = metadata.name.unwrap_or_default();
                        let version = match metadata.generation {
                            Some(generation) => format!("generation {generation}"),
                            None => metadata.resource_version.unwrap_or_default(),
                        };
                        let identity = (metadata.uid.unwrap_or_default(), version);
                        found.insert(format!("{} {namespace}{name}", resource.kind), identity);
                    }
                }
            }
            found
        })
    }

    /// Revisions of Helm releases: the names of their records.
    pub fn revisions(&self) -> Vec<String> {
        let records = self.list(Kind::SECRET, "", "owner=helm");
        records
            .iter()
            .filter_map(|record| Some(record["metadata"]["name"].as_str()?.to_owned()))
            .collect()
    }
}
