//! What an environment holds, in words.

use std::collections::BTreeMap;

use pipectl_stages::inventory::Inventory;

/// What a person cares about most, in order: kind, one of it, several of it.
const WEIGHTY: &[(&str, &str, &str)] = &[
    ("EKS cluster", "EKS cluster", "EKS clusters"),
    ("instance", "instance", "instances"),
    ("volume", "volume", "volumes"),
    ("load balancer", "load balancer", "load balancers"),
    ("NAT gateway", "NAT gateway", "NAT gateways"),
    ("VPC", "VPC", "VPCs"),
    ("KMS key", "KMS key", "KMS keys"),
    ("Kafka", "Kafka cluster", "Kafka clusters"),
    ("KafkaTopic", "topic", "topics"),
    ("PersistentVolume", "volume", "volumes"),
    (
        "SparkApplication",
        "Spark application",
        "Spark applications",
    ),
    ("Deployment", "deployment", "deployments"),
    ("Helm release", "Helm release", "Helm releases"),
    ("Namespace", "namespace", "namespaces"),
];

/// An inventory in a line: what weighs most by name, the rest as a number; `None` where there is nothing in it.
#[must_use]
pub fn in_words(inventory: &Inventory) -> Option<String> {
    let counts: BTreeMap<String, usize> = inventory.counts().into_iter().collect();
    let total: usize = counts.values().sum();
    if total == 0 {
        return None;
    }
    let mut named = 0;
    let mut words: Vec<String> = Vec::new();
    for (kind, one, several) in WEIGHTY {
        if let Some(count) = counts.get(*kind) {
            named += count;
            words.push(format!(
                "{count} {}",
                if *count == 1 { one } else { several }
            ));
        }
    }
    Some(match (words.is_empty(), total - named) {
        (true, 1) => "1 thing".to_owned(),
        (true, rest) => format!("{rest} things"),
        (false, 0) => words.join(", "),
        (false, 1) => format!("{} and 1 more thing", words.join(", ")),
        (false, rest) => format!("{} and {rest} more things", words.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use pipectl_stages::inventory::{Item, ItemStanding};

    use super::*;

    fn inventory(kinds: &[&str]) -> Inventory {
        let mut inventory = Inventory::default();
        for (number, kind) in kinds.iter().enumerate() {
            let item = Item {
                resource: format!("{kind} {number}"),
                kind: (*kind).to_owned(),
                standing: ItemStanding::There {
                    held_by: Vec::new(),
                    safe_next: None,
                },
            };
            inventory.items.insert(number.to_string(), item);
        }
        inventory
    }

    #[test]
    fn what_weighs_most_is_named_and_the_rest_is_a_number() {
        let words = |kinds: &[&str]| in_words(&inventory(kinds));
        assert_eq!(words(&[]), None);
        assert_eq!(words(&["subnet"]).as_deref(), Some("1 thing"));
        assert_eq!(
            words(&["subnet", "instance", "VPC", "instance"]).as_deref(),
            Some("2 instances, 1 VPC and 1 more thing")
        );
    }
}
