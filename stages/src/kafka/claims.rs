//! Claims that an earlier Kafka of the same name left: found before anything is applied.

use std::collections::BTreeSet;

use pipectl_config::Kafka;
use pipectl_kinds::strimzi::CLUSTER_LABEL;
use serde_json::Value;

use super::{GROUP, readiness::POOL_LABEL};
use crate::{
    blocks::pods::of_namespace,
    context::StepContext,
    error::StepError,
    objects::{ownership::terminating, removal::list},
};

/// Refuses node pools that would find old claims: their volumes name the old cluster, and every broker would end with
/// "Invalid cluster.id" (strimzi#11516).
pub(super) async fn check(cx: &StepContext, kafka: &Kafka) -> Result<(), StepError> {
    let live = list(cx, &of_namespace(GROUP, "KafkaNodePool", &kafka.namespace)).await?;
    let live: BTreeSet<&str> = live
        .iter()
        .filter_map(|pool| pool["metadata"]["name"].as_str())
        .collect();
    let fresh: BTreeSet<&str> = kafka
        .node_pools
        .iter()
        .map(|pool| pool.name.as_str())
        .filter(|pool| !live.contains(pool))
        .collect();
    if fresh.is_empty() {
        return Ok(());
    }
    let claims = of_namespace("", "PersistentVolumeClaim", &kafka.namespace);
    let claims = list(cx, &claims).await?;
    let old: Vec<String> = claims
        .iter()
        .filter(|claim| is_old(claim, &kafka.name, &fresh))
        .filter_map(|claim| claim["metadata"]["name"].as_str().map(str::to_owned))
        .collect();
    if old.is_empty() {
        return Ok(());
    }
    let namespace = &kafka.namespace;
    Err(StepError::new(
        "KFK005",
        "make node pools of",
        format!("Kafka {namespace}/{}", kafka.name),
        format!(
            "{} claims of an earlier Kafka of that name are still there, with its data and its cluster id",
            old.len()
        ),
    )
    .with_evidence(old)
    .with_hint(format!(
        "if nobody needs that data: kubectl delete pvc -n {namespace} -l {CLUSTER_LABEL}={}; else give the new Kafka another name",
        kafka.name
    )))
}

fn is_old(claim: &Value, cluster: &str, fresh: &BTreeSet<&str>) -> bool {
    let labels = &claim["metadata"]["labels"];
    let pool = labels[POOL_LABEL].as_str().unwrap_or_default();
    labels[CLUSTER_LABEL] == cluster && fresh.contains(pool) && !terminating(claim)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_claims_of_this_cluster_and_of_new_pools_are_old() {
        let claim = |cluster: &str, pool: &str| json!({"metadata": {"name": "data", "labels": {CLUSTER_LABEL: cluster, POOL_LABEL: pool}}});
        let fresh = BTreeSet::from(["broker-pool"]);
        assert!(is_old(&claim("c", "broker-pool"), "c", &fresh));
        assert!(!is_old(&claim("other", "broker-pool"), "c", &fresh));
        assert!(!is_old(&claim("c", "live-pool"), "c", &fresh));
    }
}
