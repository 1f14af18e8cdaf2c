//! What needs what: kinds in the order in which they are applied; removal goes the other way.

use crate::ports::objects::Kind;

/// The wave of a kind. Objects of one wave are applied at the same time, waves one after another.
#[must_use]
pub fn wave(kind: &Kind) -> u8 {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Namespace") => 0,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => 1,
        ("", "ServiceAccount" | "ResourceQuota" | "LimitRange")
        | ("rbac.authorization.k8s.io" | "scheduling.k8s.io" | "storage.k8s.io", _) => 2,
        ("", "ConfigMap" | "Secret" | "PersistentVolume" | "PersistentVolumeClaim") => 3,
        ("", "Service") => 4,
        // Webhooks come after what answers them, or they would refuse it.
        ("admissionregistration.k8s.io", _) => 6,
        _ => 5,
    }
}

/// How many waves there are.
pub const WAVES: u8 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_comes_first() {
        let wave = |group, kind| wave(&Kind::new(group, "v1", kind));
        assert!(wave("", "Namespace") < wave("", "ServiceAccount"));
        assert!(wave("rbac.authorization.k8s.io", "Role") < wave("", "ConfigMap"));
        assert!(wave("", "ConfigMap") < wave("", "Service"));
        assert!(wave("", "Service") < wave("apps", "Deployment"));
        assert!(
            wave("apiextensions.k8s.io", "CustomResourceDefinition")
                < wave("kafka.strimzi.io", "Kafka")
        );
        assert!(
            wave("apps", "Deployment")
                < wave(
                    "admissionregistration.k8s.io",
                    "MutatingWebhookConfiguration"
                )
        );
    }
}
