//! Pure parts: which claim wants which volume.

use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::json;
use sha2::{Digest, Sha256};

/// Name of the EBS CSI driver.
pub const DRIVER: &str = "ebs.csi.aws.com";
/// Name of the provisioner that once stood in Kubernetes itself; claims for it are handed to the driver.
pub(super) const IN_TREE: &str = "kubernetes.io/aws-ebs";
/// Kept by the external-provisioner until the volume behind is deleted.
pub(super) const PROVISIONER_FINALIZER: &str =
    "external-provisioner.volume.kubernetes.io/finalizer";
/// Zone of a node, and of the volumes that can be attached there.
pub(super) const ZONE: &str = "topology.kubernetes.io/zone";

const ANNOTATION_PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
const ANNOTATION_PROVISIONER_BETA: &str = "volume.beta.kubernetes.io/storage-provisioner";
const ANNOTATION_NODE: &str = "volume.kubernetes.io/selected-node";
/// Who made a volume.
pub(super) const ANNOTATION_PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

const GIB: u64 = 1 << 30;

/// Whether a provisioner's name means the driver.
pub(super) fn is_ours(provisioner: &str) -> bool {
    provisioner == DRIVER || provisioner == IN_TREE
}

/// The zone of a node.
pub(super) fn zone_of(node: &Node) -> Option<&str> {
    node.metadata.labels.as_ref()?.get(ZONE).map(String::as_str)
}

/// What is to be done for a claim now.
#[derive(Debug, PartialEq)]
pub(super) enum Need {
    /// Nothing, or somebody else must act first.
    Nothing,
    /// A volume in the zone of this node, where the scheduler chose one.
    Volume(Option<String>),
}

/// What a pending claim needs, given its class. kube-controller-manager names the provisioner in an annotation once it
/// is the provisioner's turn, the scheduler the node.
pub(super) fn need(claim: &PersistentVolumeClaim, class: &StorageClass) -> Need {
    let spec = claim.spec.clone().unwrap_or_default();
    let phase = claim
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    let annotations = claim.metadata.annotations.as_ref();
    let annotation = |key: &str| annotations.and_then(|all| all.get(key)).map(String::as_str);
    let asked =
        annotation(ANNOTATION_PROVISIONER).or_else(|| annotation(ANNOTATION_PROVISIONER_BETA));
    if claim.metadata.deletion_timestamp.is_some()
        || phase.is_some_and(|phase| phase != "Pending")
        || spec.volume_name.is_some_and(|name| !name.is_empty())
        || !asked.is_some_and(is_ours)
    {
        return Need::Nothing;
    }
    let node = annotation(ANNOTATION_NODE).map(str::to_owned);
    if class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer") && node.is_none() {
        return Need::Nothing;
    }
    Need::Volume(node)
}

/// The volume for a claim in a zone.
pub(super) fn volume(
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
    zone: &str,
) -> PersistentVolume {
    let spec = claim.spec.clone().unwrap_or_default();
    let uid = claim.metadata.uid.clone().unwrap_or_default();
    let requested = spec
        .resources
        .and_then(|resources| resources.requests)
        .and_then(|requests| requests.get("storage").map(|quantity| quantity.0.clone()));
    let bytes = requested.as_deref().and_then(parse_quantity).unwrap_or(GIB);
    let parameters = class.parameters.clone().unwrap_or_default();
    let fs_type = parameters
        .get("csi.storage.k8s.io/fstype")
        .or_else(|| parameters.get("fsType"));
    let value = json!({
        "metadata": {
            "name": volume_name(&uid),
            "annotations": {
                (ANNOTATION_PROVISIONED_BY): DRIVER,
                "volume.kubernetes.io/provisioner-deletion-secret-name": "",
                "volume.kubernetes.io/provisioner-deletion-secret-namespace": "",
            },
            "finalizers": [PROVISIONER_FINALIZER],
        },
        "spec": {
            "accessModes": spec.access_modes.unwrap_or_default(),
            "capacity": {"storage": gibibytes(bytes)},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": claim.metadata.name,
                "namespace": claim.metadata.namespace,
                "uid": uid,
                "resourceVersion": claim.metadata.resource_version,
            },
            "csi": {
                "driver": DRIVER,
                "fsType": fs_type.map_or("ext4", String::as_str),
                "volumeHandle": volume_handle(&uid),
                "volumeAttributes": {"storage.kubernetes.io/csiProvisionerIdentity": format!("sandbox-{DRIVER}")},
            },
            "mountOptions": class.mount_options,
            "nodeAffinity": {"required": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": ZONE, "operator": "In", "values": [zone]}]}
            ]}},
            "persistentVolumeReclaimPolicy": class.reclaim_policy.as_deref().unwrap_or("Delete"),
            "storageClassName": class.metadata.name,
            "volumeMode": spec.volume_mode.as_deref().unwrap_or("Filesystem"),
        }
    });
    serde_json::from_value(value).expect("a volume of known fields")
}

/// Zone for a claim that nobody waits for: spread by the claim's identity over the zones that the class allows.
pub(super) fn any_zone(
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
    zones: &[String],
) -> Option<String> {
    let allowed: Vec<String> = class
        .allowed_topologies
        .iter()
        .flatten()
        .flat_map(|term| term.match_label_expressions.iter().flatten())
        .filter(|expression| expression.key.ends_with("/zone"))
        .flat_map(|expression| expression.values.clone())
        .collect();
    let zones: Vec<&String> = zones
        .iter()
        .filter(|zone| allowed.is_empty() || allowed.contains(zone))
        .collect();
    let digest = Sha256::digest(claim.metadata.uid.clone().unwrap_or_default());
    zones
        .get(usize::from(digest[0]) % zones.len().max(1))
        .map(|zone| (*zone).clone())
}

/// Name of a claim's volume, as the external-provisioner gives it.
pub(super) fn volume_name(claim_uid: &str) -> String {
    format!("pvc-{claim_uid}")
}

fn volume_handle(claim_uid: &str) -> String {
    let digest = Sha256::digest(claim_uid);
    format!(
        "vol-0{}",
        digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    )
}

/// EBS volumes have whole gibibytes: rounded up.
pub(super) fn gibibytes(bytes: u64) -> String {
    format!("{}Gi", bytes.div_ceil(GIB))
}

/// Bytes of a Kubernetes quantity of storage; none where it is no quantity of bytes.
pub(super) fn parse_quantity(text: &str) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: f64 = match unit {
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * factor;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes of volumes, rounded up"
    )]
    Some(bytes.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn claim(annotations: &[(&str, &str)]) -> PersistentVolumeClaim {
        let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
        serde_json::from_value(json!({
            "metadata": {"name": "data-0", "namespace": "kafka", "uid": "7d3e", "annotations": annotations},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
            "status": {"phase": "Pending"}
        }))
        .unwrap()
    }

    fn class(mode: &str) -> StorageClass {
        serde_json::from_value(json!({
            "metadata": {"name": "gp3"}, "provisioner": DRIVER, "volumeBindingMode": mode
        }))
        .unwrap()
    }

    #[test]
    fn a_claim_waits_for_controller_and_scheduler() {
        let waiting = class("WaitForFirstConsumer");
        let immediate = class("Immediate");
        assert_eq!(need(&claim(&[]), &immediate), Need::Nothing);
        let asked = claim(&[(ANNOTATION_PROVISIONER, DRIVER)]);
        assert_eq!(need(&asked, &immediate), Need::Volume(None));
        assert_eq!(need(&asked, &waiting), Need::Nothing);
        let placed = claim(&[(ANNOTATION_PROVISIONER, DRIVER), (ANNOTATION_NODE, "n1")]);
        assert_eq!(need(&placed, &waiting), Need::Volume(Some("n1".to_owned())));
        let foreign = claim(&[
            (ANNOTATION_PROVISIONER, "efs.csi.aws.com"),
            (ANNOTATION_NODE, "n1"),
        ]);
        assert_eq!(need(&foreign, &waiting), Need::Nothing);
    }

    #[test]
    fn the_volume_belongs_to_its_claim_and_zone() {
        let volume = volume(&claim(&[]), &class("WaitForFirstConsumer"), "us-west-2b");
        let spec = volume.spec.unwrap();
        assert_eq!(volume.metadata.name.as_deref(), Some("pvc-7d3e"));
        assert_eq!(spec.capacity.unwrap()["storage"].0, "10Gi");
        assert_eq!(
            spec.persistent_volume_reclaim_policy.as_deref(),
            Some("Delete")
        );
        assert_eq!(spec.claim_ref.unwrap().uid.as_deref(), Some("7d3e"));
        let handle = spec.csi.unwrap().volume_handle;
        assert!(
            handle.starts_with("vol-0") && handle.len() == 21,
            "{handle}"
        );
        let terms = spec
            .node_affinity
            .unwrap()
            .required
            .unwrap()
            .node_selector_terms;
        assert_eq!(
            terms[0].match_expressions.as_ref().unwrap()[0]
                .values
                .as_ref()
                .unwrap(),
            &["us-west-2b"]
        );
    }

    #[test]
    fn sizes_are_rounded_up_to_gibibytes() {
        assert_eq!(
            parse_quantity("10Gi").map(gibibytes).as_deref(),
            Some("10Gi")
        );
        assert_eq!(
            parse_quantity("10G").map(gibibytes).as_deref(),
            Some("10Gi")
        );
        assert_eq!(
            parse_quantity("1500Mi").map(gibibytes).as_deref(),
            Some("2Gi")
        );
        assert_eq!(parse_quantity("ten"), None);
    }

    #[test]
    fn a_claim_without_node_gets_an_allowed_zone() {
        let zones = ["us-west-2a".to_owned(), "us-west-2b".to_owned()];
        let mut class = class("Immediate");
        assert!(any_zone(&claim(&[]), &class, &zones).is_some());
        assert_eq!(any_zone(&claim(&[]), &class, &[]), None);
        class.allowed_topologies = serde_json::from_value(
            json!([{"matchLabelExpressions": [{"key": "topology.kubernetes.io/zone", "values": ["us-west-2b"]}]}]),
        )
        .unwrap();
        assert_eq!(
            any_zone(&claim(&[]), &class, &zones).as_deref(),
            Some("us-west-2b")
        );
    }
}
