//! EKS' access policies inside a cluster, as bindings of Kubernetes' own roles; and what a new cluster has.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::aws::{ClusterView, access_policies, policy_group};
use crate::error::SandboxError;

fn apply() -> PatchParams {
    PatchParams::apply("eks").force()
}

fn binding(kind: &str, name: &str, policy: &str, role: &str, namespace: Option<&str>) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
        "subjects": [{
            "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": policy_group(policy, namespace),
        }],
    })
}

/// What every new EKS cluster has: the bindings of access policies, and the storage class `gp2`, which is no default.
pub(super) async fn prepare(client: &kube::Client) -> Result<(), SandboxError> {
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    for (policy, role) in access_policies() {
        let name = format!("eks:access-policy:{policy}");
        let object = binding("ClusterRoleBinding", &name, policy, role, None);
        bindings
            .patch(&name, &apply(), &Patch::Apply(&object))
            .await
            .map_err(SandboxError::cluster("bind access policies"))?;
    }
    let class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": { "name": "gp2" },
        "provisioner": "kubernetes.io/aws-ebs",
        "parameters": { "type": "gp2", "fsType": "ext4" },
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
    });
    let classes: Api<StorageClass> = Api::all(client.clone());
    classes
        .patch("gp2", &apply(), &Patch::Apply(&class))
        .await
        .map_err(SandboxError::cluster("create gp2"))?;
    Ok(())
}

/// Bind policies that hold in some namespaces only, where those namespaces are there.
pub(super) async fn bind(client: &kube::Client, view: &ClusterView) -> Result<(), SandboxError> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for (namespace, policy) in &view.namespaced {
        let found = namespaces.get_opt(namespace).await;
        if found
            .map_err(SandboxError::cluster("read namespaces"))?
            .is_none()
        {
            continue;
        }
        let Some((_, role)) = access_policies().iter().find(|(name, _)| name == policy) else {
            continue;
        };
        let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
        let name = format!("eks:access-policy:{policy}");
        let object = binding("RoleBinding", &name, policy, role, Some(namespace));
        bindings
            .patch(&name, &apply(), &Patch::Apply(&object))
            .await
            .map_err(SandboxError::cluster("bind access policies"))?;
    }
    Ok(())
}
