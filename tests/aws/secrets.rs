//! Values of secrets that are kept in the account.

use std::sync::Arc;

use pipectl_config::Loaded;
use serde_json::json;

use crate::{
    account::Account,
    house::{House, pipeline},
};

/// Not words that occur by chance.
const USER: &str = "violet-anvil";
const PASSWORD: &str = "Zq7-93x-copper";

/// The platform inside the cluster is not brought up here: what is asked for is what is asked before anything is made.
fn with_secrets(more: &[(&str, &str)]) -> Loaded {
    let secrets = (
        "spec.secrets",
        "[{name: db, namespace: was, data: {
            user: {awsSecretsManager: {id: team/db, key: user}},
            password: {awsSecretsManager: {id: team/db, key: password}}}}]",
    );
    pipeline(&[&[secrets], more].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing_is_found_before_the_first_effect_and_one_that_is_there_shown_nowhere()
 {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "vault").await;
    let loaded = with_secrets(&[]);

    let error = house.up(&loaded).await.error_of("account/secrets");
    assert_eq!(error.code, "AWS024", "{error}");
    assert!(error.resource.contains("team/db"), "{error}");
    assert_eq!(error.evidence.len(), 1, "both keys: {:?}", error.evidence);
    assert_eq!(account.changes(), []);
    assert_eq!(account.graph(), json!({}));

    // A key is missing, too, before anything is made.
    let hand = account.hand();
    let half = json!({"user": USER}).to_string();
    hand.keep_secret("team/db", &half).await;
    account.aws.reset_counters();
    let error = house.up(&loaded).await.error_of("account/secrets");
    assert_eq!(error.code, "SEC009", "{error}");
    assert_eq!(account.changes(), []);

    let whole = json!({"user": USER, "password": PASSWORD}).to_string();
    hand.change_secret("team/db", &whole).await;
    let seen = house.up(&loaded).await.well();
    let said = serde_json::to_string(&seen.events).unwrap();
    let kept = format!("{:?}", house.store.records());
    let shown = account.graph().to_string();
    for (text, where_) in [(&said, "events"), (&kept, "journal"), (&shown, "audit")] {
        assert!(text.len() > 1000, "{where_} is nearly empty");
        for value in [USER, PASSWORD] {
            assert!(!text.contains(value), "{value} stands in the {where_}");
        }
    }

    // Both keys are of one reading, and nothing is written again.
    account.aws.reset_counters();
    let again = house.up(&loaded).await.well();
    assert_eq!(again.changed(), Vec::<String>::new());
    assert_eq!(account.changes(), []);
    let counters = account.aws.counters();
    let read = counters.iter().find(|one| one.action == "GetSecretValue");
    assert_eq!(read.map(|one| one.calls), Some(1));

    // With the secret gone, nothing else is begun.
    hand.drop_secret("team/db").await;
    account.aws.reset_counters();
    let more = with_secrets(&[("spec.tags", "{team: other}")]);
    let error = house.up(&more).await.error_of("account/secrets");
    assert_eq!(error.code, "AWS025", "{error}");
    assert_eq!(account.changes(), []);
    house.down().await.well();
}
