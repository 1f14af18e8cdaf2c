//! Kinds by name, for requests that are made without typed objects.

use kube::core::ApiResource;

/// Kind, API group (empty for the core group), version, plural name.
const KINDS: [(&str, &str, &str, &str); 14] = [
    ("Pod", "", "v1", "pods"),
    ("Service", "", "v1", "services"),
    ("ConfigMap", "", "v1", "configmaps"),
    ("Secret", "", "v1", "secrets"),
    ("ServiceAccount", "", "v1", "serviceaccounts"),
    ("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims"),
    ("Deployment", "apps", "v1", "deployments"),
    (
        "NetworkPolicy",
        "networking.k8s.io",
        "v1",
        "networkpolicies",
    ),
    (
        "PodDisruptionBudget",
        "policy",
        "v1",
        "poddisruptionbudgets",
    ),
    ("Role", "rbac.authorization.k8s.io", "v1", "roles"),
    (
        "RoleBinding",
        "rbac.authorization.k8s.io",
        "v1",
        "rolebindings",
    ),
    (
        "ClusterRoleBinding",
        "rbac.authorization.k8s.io",
        "v1",
        "clusterrolebindings",
    ),
    ("StorageClass", "storage.k8s.io", "v1", "storageclasses"),
    (
        "CustomResourceDefinition",
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
    ),
];

/// A kind of Kubernetes itself.
///
/// # Panics
/// When the kind is not in the table above.
#[must_use]
pub fn resource(kind: &str) -> ApiResource {
    let row = KINDS.iter().find(|row| row.0 == kind);
    let (kind, group, version, plural) =
        *row.unwrap_or_else(|| panic!("{kind} is not in the table of kinds"));
    custom(group, version, kind, plural)
}

/// Any kind.
#[must_use]
pub fn custom(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
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
