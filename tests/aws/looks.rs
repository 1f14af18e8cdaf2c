//! A look at an environment of which nothing is recorded: what stands says what a record would have said.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use pipectl::session::inspect::{Inspection, Sight};
use pipectl_config::Loaded;
use pipectl_stages::{Change, cloud::NOT_KNOWN};
use serde_json::Value;

use crate::{
    account::Account,
    house::{House, pipeline},
};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_record_what_stands_is_adopted_and_only_what_differs_is_changed() {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "looks").await;
    let loaded = pipeline(&[]);

    // Before anything stands, what hangs on something else is to be created, or known after it.
    let before = look(&house, &loaded).await;
    assert_eq!(
        changes(&before, "cluster/control-plane"),
        [Change::Created].into()
    );
    assert_eq!(before.get("nodes/group-default"), before.get("network/vpc"));

    house.up(&loaded).await.well();
    let made = account.changes();
    house.forget();
    let after = look(&house, &loaded).await;
    for (step, found) in &after {
        let found = found.as_ref().unwrap_or_else(|why| panic!("{step}: {why}"));
        let adopted: BTreeSet<Change> = [Change::Adopted].into();
        assert!(
            found.is_empty() || *found == adopted,
            "{step} stands, and is {found:?}"
        );
    }
    for step in [
        "account/anchor",
        "network/private-routes-1",
        "cluster/control-plane",
        "cluster/entrance",
        "addons/vpc-cni",
        "nodes/group-default",
    ] {
        assert_eq!(changes(&after, step), [Change::Adopted].into(), "{step}");
    }

    // What the file wants otherwise is told from what only waits to be recorded.
    let other = look(&house, &pipeline(&[("spec.cluster.logging", "[api]")])).await;
    assert_eq!(
        changes(&other, "cluster/control-plane"),
        [Change::Updated].into()
    );
    assert_eq!(
        changes(&other, "nodes/group-default"),
        [Change::Adopted].into()
    );
    assert_eq!(account.changes(), made, "a look changed something");
}

type Look = BTreeMap<String, Result<BTreeSet<Change>, String>>;

fn changes(look: &Look, step: &str) -> BTreeSet<Change> {
    match look.get(step) {
        Some(Ok(changes)) => changes.clone(),
        other => panic!("{step}: {other:?} in {:?}", look.keys()),
    }
}

/// What every step of the AWS stages would do, nothing being recorded.
async fn look(house: &House, loaded: &Loaded) -> Look {
    let inspection = Inspection {
        environment: house.environment.clone(),
        ports: house.account.ports(&house.cluster).await,
        outputs: BTreeMap::<String, Value>::new(),
    };
    let seen = inspection.look(&house.steps(loaded)).await;
    let told = seen.into_iter().map(|seen| {
        let changes = match seen.sight {
            Sight::Looked { differences, .. } => match differences {
                Ok(differences) => Ok(differences.iter().map(|one| one.change).collect()),
                Err(error) if error.code == NOT_KNOWN => Err(error.cause),
                Err(error) => Err(error.to_string()),
            },
            Sight::NoCluster => Err("there is no cluster".to_owned()),
            Sight::NoWayIn(why) => Err(why),
        };
        (seen.step.to_string(), changes)
    });
    told.collect()
}
