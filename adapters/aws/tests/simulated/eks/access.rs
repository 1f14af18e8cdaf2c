//! Access entries and pod identity associations.

use pipectl_stages::{
    error::PortErrorKind,
    ports::{access::PodIdentitySpec, cloud::Deletion},
};

use super::{Ground, role};
use crate::support::tags;

#[tokio::test]
async fn a_principal_is_admitted_once() {
    let ground = Ground::up().await;
    let access = &ground.access;
    let principal = role(&ground.identity, "ci", "ec2.amazonaws.com", &[]).await;
    assert_eq!(access.entry("c", &principal).await, Ok(None));
    let set = tags(&[("owner", "me")]);
    access.admit("c", &principal, &set, "t1").await.unwrap();
    let entry = access.entry("c", &principal).await.unwrap().unwrap();
    assert_eq!(entry.principal, principal);
    assert!(entry.administrator);
    assert_eq!(entry.tags, set);
    ground.account.count_anew();
    access.admit("c", &principal, &set, "t2").await.unwrap();
    for action in ["CreateAccessEntry", "AssociateAccessPolicy"] {
        assert_eq!(ground.account.calls(action), 0, "{action}");
    }
    let nobody = access.admit("nobody", &principal, &set, "t3").await;
    assert_eq!(nobody.unwrap_err().kind, PortErrorKind::NotFound);
    assert_eq!(access.entry("nobody", &principal).await, Ok(None));
    let odd = access
        .admit("c", "arn:aws:iam::1:group/x", &set, "t4")
        .await;
    assert_eq!(odd.unwrap_err().kind, PortErrorKind::Invalid);
}

#[tokio::test]
async fn the_maker_of_a_cluster_is_an_administrator_and_its_nodes_are_none() {
    let ground = Ground::up().await;
    let caller = pipectl_stages::ports::account::AccountApi::caller(&ground.account.aws).await;
    let caller = caller.unwrap();
    let entry = ground.access.entry("c", &caller.principal).await.unwrap();
    assert!(entry.expect("an entry").administrator);
    ground.install("vpc-cni").await;
    let made = ground.node_groups.create(&ground.group("g", 1, "g")).await;
    made.unwrap();
    let entry = ground.access.entry("c", &ground.node_role).await.unwrap();
    assert!(!entry.expect("an entry").administrator);
}

/// Half done: an entry without the policy, as somebody else or a run that was cut off leaves it.
#[tokio::test]
async fn an_entry_without_the_policy_gets_it() {
    let ground = Ground::up().await;
    let principal = role(&ground.identity, "ci", "ec2.amazonaws.com", &[]).await;
    let cut = pipectl_sandbox::aws::AwsFaultEffect::Error {
        code: "InvalidRequestException".to_owned(),
        message: "cut off".to_owned(),
        status: None,
    };
    ground.fault_of("AssociateAccessPolicy", 1, cut);
    let set = tags(&[]);
    let error = ground.access.admit("c", &principal, &set, "t").await;
    assert_eq!(error.unwrap_err().kind, PortErrorKind::Invalid);
    let entry = ground.access.entry("c", &principal).await.unwrap();
    assert!(!entry.expect("an entry").administrator);
    let again = ground.access.admit("c", &principal, &set, "t").await;
    again.unwrap();
    let entry = ground.access.entry("c", &principal).await.unwrap();
    assert!(entry.expect("an entry").administrator);
}

#[tokio::test]
async fn pods_act_as_roles() {
    let ground = Ground::up().await;
    let access = &ground.access;
    let first = role(&ground.identity, "first", "pods.eks.amazonaws.com", &[]).await;
    let second = role(&ground.identity, "second", "pods.eks.amazonaws.com", &[]).await;
    assert_eq!(access.pod_identities("c").await, Ok(Vec::new()));
    assert_eq!(access.pod_identities("nobody").await, Ok(Vec::new()));
    let spec = |account: &str, token: &str| PodIdentitySpec {
        cluster: "c".to_owned(),
        namespace: "kube-system".to_owned(),
        service_account: account.to_owned(),
        role: first.clone(),
        tags: tags(&[("owner", "me")]),
        token: token.to_owned(),
    };
    let made = access.associate(&spec("ebs", "one")).await.unwrap();
    let again = access.associate(&spec("ebs", "one")).await.unwrap();
    assert_eq!(again, made);
    let other = access.associate(&spec("ebs", "two")).await.unwrap_err();
    assert_eq!(other.kind, PortErrorKind::AlreadyExists, "{other:?}");
    access.associate(&spec("efs", "three")).await.unwrap();
    let mut all = access.pod_identities("c").await.unwrap();
    all.sort_by(|left, right| left.service_account.cmp(&right.service_account));
    assert_eq!(all.len(), 2);
    assert_eq!(all[0], made);
    assert_eq!((&all[0].role, &all[0].tags), (&first, &spec("", "").tags));

    access.reassign("c", &made.id, &second, "r").await.unwrap();
    let more = tags(&[("owner", "you")]);
    ground.clusters.retag(&made.arn, &more, &[]).await.unwrap();
    let all = access.pod_identities("c").await.unwrap();
    let ebs = all.iter().find(|one| one.id == made.id).unwrap();
    assert_eq!((&ebs.role, &ebs.tags), (&second, &more));

    assert_eq!(
        access.dissociate("c", &made.id).await,
        Ok(Deletion::Accepted)
    );
    assert_eq!(access.dissociate("c", &made.id).await, Ok(Deletion::Absent));
    assert_eq!(
        access.dissociate("nobody", &made.id).await,
        Ok(Deletion::Absent)
    );
    let gone = access.reassign("c", &made.id, &first, "r2").await;
    assert_eq!(gone.unwrap_err().kind, PortErrorKind::NotFound);
    assert_eq!(access.pod_identities("c").await.unwrap().len(), 1);
    let nobody = PodIdentitySpec {
        cluster: "nobody".to_owned(),
        ..spec("ebs", "four")
    };
    let error = access.associate(&nobody).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::NotFound, "{error:?}");
}

/// EKS answers a hundred at a time.
#[tokio::test]
async fn a_list_of_many_is_complete() {
    let ground = Ground::up().await;
    let first = role(&ground.identity, "first", "pods.eks.amazonaws.com", &[]).await;
    for number in 0..103 {
        let spec = PodIdentitySpec {
            cluster: "c".to_owned(),
            namespace: "many".to_owned(),
            service_account: format!("account-{number}"),
            role: first.clone(),
            tags: tags(&[]),
            token: format!("token-{number}"),
        };
        ground.access.associate(&spec).await.unwrap();
    }
    let all = ground.access.pod_identities("c").await.unwrap();
    let accounts: std::collections::BTreeSet<_> =
        all.iter().map(|one| &one.service_account).collect();
    assert_eq!((all.len(), accounts.len()), (103, 103));
    assert!(all.iter().all(|one| one.role == first));
}
