//! The port of log groups.

use pipectl_stages::{
    error::PortErrorKind as Kind,
    ports::{cloud::Deletion, logs::LogApi},
};

use crate::support::{Account, tags};

#[tokio::test]
async fn a_group_is_made_kept_tagged_and_deleted() {
    let account = Account::new().await;
    let logs: &dyn LogApi = &account.aws;
    let name = "/aws/eks/one/cluster";
    assert_eq!(logs.find(name).await.unwrap(), None);
    let owned = tags(&[("pipectl.dev/environment", "one")]);
    logs.create(name, &owned).await.unwrap();
    let error = logs.create(name, &owned).await.unwrap_err();
    assert_eq!(error.kind, Kind::AlreadyExists, "{error}");

    let group = logs.find(name).await.unwrap().unwrap();
    assert!(
        group.arn.ends_with(":log-group:/aws/eks/one/cluster"),
        "{}",
        group.arn
    );
    assert_eq!((group.retention_days, &group.tags), (None, &owned));

    logs.retain(name, 14).await.unwrap();
    let error = logs.retain(name, 15).await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid, "{error}");
    let (set, remove) = (
        tags(&[("team", "data")]),
        vec!["pipectl.dev/environment".to_owned()],
    );
    logs.retag(name, &set, &remove).await.unwrap();
    let group = logs.find(name).await.unwrap().unwrap();
    assert_eq!((group.retention_days, group.tags), (Some(14), set));

    assert_eq!(logs.delete(name).await.unwrap(), Deletion::Accepted);
    assert_eq!(logs.delete(name).await.unwrap(), Deletion::Absent);
    let error = logs.retain(name, 14).await.unwrap_err();
    assert_eq!(error.kind, Kind::NotFound, "{error}");
    let gone = logs.retag(name, &tags(&[("a", "b")]), &[]).await;
    assert_eq!(gone.unwrap_err().kind, Kind::NotFound);
}

/// The service finds by beginnings; another's longer name is not ours.
#[tokio::test]
async fn the_whole_name_counts() {
    let account = Account::new().await;
    let logs: &dyn LogApi = &account.aws;
    for number in 0..60 {
        let name = format!("/aws/eks/one/cluster-{number}");
        logs.create(&name, &tags(&[])).await.unwrap();
    }
    assert_eq!(logs.find("/aws/eks/one/cluster").await.unwrap(), None);
    logs.create("/aws/eks/one/cluster", &tags(&[("own", "yes")]))
        .await
        .unwrap();
    let found = logs.find("/aws/eks/one/cluster").await.unwrap().unwrap();
    assert_eq!(found.tags, tags(&[("own", "yes")]));
}
