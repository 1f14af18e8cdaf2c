//! The port of KMS keys.

use pipectl_sandbox::aws::{AwsFaultEffect, AwsFaultMoment};
use pipectl_stages::{
    error::{PortErrorKind as Kind, Retry},
    ports::{
        cloud::Deletion,
        keys::{KeyApi, KeyState},
    },
};

use crate::{
    place::fault,
    support::{Account, tags},
};

#[tokio::test]
async fn a_key_is_made_named_tagged_and_scheduled() {
    let account = Account::new().await;
    let keys: &dyn KeyApi = &account.aws;
    let owned = tags(&[("pipectl.dev/environment", "one"), ("empty", "")]);
    let made = keys.create("secrets of one", &owned).await.unwrap();
    assert_eq!(made.state, KeyState::Enabled);
    assert!(made.arn.ends_with(&made.id) && made.created.is_some());
    assert_eq!(keys.find(&made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(made.tags, owned);

    assert_eq!(keys.behind("alias/pipectl/one").await.unwrap(), None);
    keys.alias("alias/pipectl/one", &made.id).await.unwrap();
    // Again, because a repeated call must do no harm.
    keys.alias("alias/pipectl/one", &made.id).await.unwrap();
    let behind = keys.behind("alias/pipectl/one").await.unwrap();
    assert_eq!(behind.map(|key| key.id), Some(made.id.clone()));

    let other = keys.create("another", &tags(&[])).await.unwrap();
    keys.alias("alias/pipectl/one", &other.id).await.unwrap();
    let behind = keys.behind("alias/pipectl/one").await.unwrap();
    assert_eq!(behind.map(|key| key.id), Some(other.id.clone()));
    assert_eq!(
        keys.unalias("alias/pipectl/one").await.unwrap(),
        Deletion::Accepted
    );
    assert_eq!(
        keys.unalias("alias/pipectl/one").await.unwrap(),
        Deletion::Absent
    );

    let (set, remove) = (tags(&[("team", "data")]), vec!["empty".to_owned()]);
    keys.retag(&made.id, &set, &remove).await.unwrap();
    let live = keys.find(&made.id).await.unwrap().unwrap();
    assert_eq!(
        live.tags,
        tags(&[("pipectl.dev/environment", "one"), ("team", "data")])
    );

    let found = keys.tagged(&set).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id, made.id);
    let date = keys.schedule_deletion(&made.id, 7).await.unwrap().unwrap();
    // A second time keeps the date, although it would be another one now.
    assert_eq!(
        keys.schedule_deletion(&made.id, 30).await.unwrap(),
        Some(date)
    );
    let waiting = keys.tagged(&set).await.unwrap();
    assert_eq!(waiting[0].state, KeyState::PendingDeletion(Some(date)));
    let error = keys.retag(&made.id, &set, &[]).await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid, "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_said_so() {
    let account = Account::new().await;
    let keys: &dyn KeyApi = &account.aws;
    let nobody = "11111111-2222-3333-4444-555555555555";
    assert_eq!(keys.find(nobody).await.unwrap(), None);
    assert!(keys.tagged(&tags(&[("a", "b")])).await.unwrap().is_empty());
    let error = keys.schedule_deletion(nobody, 7).await.unwrap_err();
    assert_eq!(error.kind, Kind::NotFound, "{error}");
    let error = keys.alias("alias/x", nobody).await.unwrap_err();
    assert_eq!(error.kind, Kind::NotFound, "{error}");
}

#[tokio::test]
async fn keys_are_found_by_tag_over_many_pages() {
    let account = Account::new().await;
    let keys: &dyn KeyApi = &account.aws;
    for number in 0..60 {
        let which = if number % 20 == 0 { "mine" } else { "theirs" };
        let made = keys.create("one of many", &tags(&[("owner", which)])).await;
        made.unwrap();
    }
    let mine = keys.tagged(&tags(&[("owner", "mine")])).await.unwrap();
    assert_eq!(mine.len(), 3);
}

/// The SDK would repeat this code for minutes, taking it for throttling.
#[tokio::test]
async fn a_quota_that_is_used_up_is_said_at_once() {
    let account = Account::new().await;
    let effect = AwsFaultEffect::Error {
        code: "LimitExceededException".to_owned(),
        message: "You have reached the number of keys that you may have".to_owned(),
        status: None,
    };
    fault(&account, "kms", "CreateKey", None, effect);
    let made = KeyApi::create(&account.aws, "one too many", &tags(&[])).await;
    let error = made.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (Kind::Exhausted, "AWS021"),
        "{error}"
    );
    assert_eq!(account.calls("CreateKey"), 1);
}

/// A key that this identity may not look at does not hide the others.
#[tokio::test]
async fn a_closed_key_is_passed_over() {
    let account = Account::new().await;
    let keys: &dyn KeyApi = &account.aws;
    let mine = tags(&[("owner", "mine")]);
    for _ in 0..3 {
        keys.create("one of three", &mine).await.unwrap();
    }
    let effect = AwsFaultEffect::Error {
        code: "AccessDeniedException".to_owned(),
        message: "not authorized to perform: kms:ListResourceTags".to_owned(),
        status: None,
    };
    fault(&account, "kms", "ListResourceTags", Some(1), effect);
    assert_eq!(keys.tagged(&mine).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_whose_creation_was_not_answered_is_not_made_twice() {
    let account = Account::new().await;
    let keys: &dyn KeyApi = &account.aws;
    let (status, when) = (500, AwsFaultMoment::After);
    for (number, (effect, meant)) in [
        (AwsFaultEffect::Internal { status, when }, Kind::ServerError),
        (AwsFaultEffect::Reset { when }, Kind::Unreachable),
    ]
    .into_iter()
    .enumerate()
    {
        let owned = tags(&[("step", &number.to_string())]);
        fault(&account, "kms", "CreateKey", Some(1), effect);
        let lost = keys.create("lost", &owned).await.unwrap_err();
        assert_eq!((lost.kind, lost.kind.retry()), (meant, Retry::Soon));
        // Whoever looks by tag before trying again finds it.
        assert_eq!(keys.tagged(&owned).await.unwrap().len(), 1);
    }
    // Throttled, KMS did not act: the call is repeated.
    fault(
        &account,
        "kms",
        "CreateKey",
        Some(2),
        AwsFaultEffect::Throttle,
    );
    account.count_anew();
    keys.create("throttled", &tags(&[])).await.unwrap();
    assert_eq!(account.calls("CreateKey"), 3);
}
