//! Ids of Kafka nodes: unique in the cluster, kept while their node lives.

use std::collections::BTreeSet;

use pipectl_kinds::strimzi::node_pool::KafkaNodePoolStatus;

use super::cluster::Pool;

/// Gives every pool its node ids: those of its status, the highest removed when it shrinks, the lowest free ones of the
/// cluster added when it grows (Strimzi's documentation, "Managing node pool IDs", without the annotations that choose
/// other ids).
pub(super) fn assign_ids(pools: Vec<(Pool, KafkaNodePoolStatus)>) -> Vec<Pool> {
    let mut taken: BTreeSet<i32> = BTreeSet::new();
    let mut kept = Vec::new();
    for (pool, status) in pools {
        let wanted = usize::try_from(pool.spec.replicas).unwrap_or_default();
        let mut ids = status.node_ids;
        ids.sort_unstable();
        // Ids that are being given up are not handed to another pool in the same step.
        taken.extend(ids.iter().copied());
        ids.truncate(wanted);
        kept.push((pool, wanted, ids));
    }
    kept.into_iter()
        .map(|(mut pool, wanted, mut ids)| {
            let mut candidate = 0;
            while ids.len() < wanted {
                if taken.insert(candidate) {
                    ids.push(candidate);
                }
                candidate += 1;
            }
            ids.sort_unstable();
            pool.node_ids = ids;
            pool
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipectl_kinds::strimzi::node_pool::{KafkaNodePoolSpec, Role};
    use pipectl_kinds::strimzi::storage::Storage;

    fn pool(name: &str, replicas: i32, ids: &[i32]) -> (Pool, KafkaNodePoolStatus) {
        let pool = Pool {
            name: name.to_owned(),
            uid: String::new(),
            api_version: String::new(),
            generation: 1,
            spec: KafkaNodePoolSpec::new(replicas, &[Role::Broker], Storage::ephemeral()),
            labels: Vec::new(),
            node_ids: Vec::new(),
        };
        (
            pool,
            KafkaNodePoolStatus {
                node_ids: ids.to_vec(),
                ..KafkaNodePoolStatus::default()
            },
        )
    }

    fn ids(pools: Vec<(Pool, KafkaNodePoolStatus)>) -> Vec<Vec<i32>> {
        assign_ids(pools)
            .into_iter()
            .map(|pool| pool.node_ids)
            .collect()
    }

    #[test]
    fn new_pools_take_the_lowest_ids_in_order_of_name() {
        assert_eq!(
            ids(vec![pool("a", 3, &[]), pool("b", 3, &[])]),
            [[0, 1, 2], [3, 4, 5]]
        );
    }

    #[test]
    fn growing_fills_gaps_and_shrinking_drops_the_highest() {
        assert_eq!(
            ids(vec![pool("a", 4, &[0, 1, 2]), pool("b", 2, &[3, 4, 5])]),
            [vec![0, 1, 2, 6], vec![3, 4]]
        );
    }
}
