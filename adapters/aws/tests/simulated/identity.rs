//! The port of IAM roles and OIDC providers.

use std::collections::BTreeSet;

use pipectl_sandbox::aws::AwsFaultEffect;
use pipectl_stages::{
    error::PortErrorKind as Kind,
    ports::{
        cloud::Deletion,
        identity::{IdentityApi, RoleSpec},
    },
};
use serde_json::{Value, json};

use crate::{
    place::fault,
    support::{Account, tags},
};

const POLICY: &str = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy";
const OTHER: &str = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy";
const ISSUER: &str = "https://oidc.eks.us-west-2.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF";

fn trust(service: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sts:AssumeRole",
        }],
    })
}

fn role(name: &str) -> RoleSpec {
    RoleSpec {
        name: name.to_owned(),
        path: "/pipectl/us-west-2/one/".to_owned(),
        description: "Role of a test's (with + and %)".to_owned(),
        trust: trust("eks.amazonaws.com"),
        tags: tags(&[("pipectl.dev/environment", "one"), ("empty", "")]),
    }
}

#[tokio::test]
async fn a_role_is_made_found_and_changed() {
    let account = Account::new().await;
    let identity: &dyn IdentityApi = &account.aws;
    assert_eq!(identity.role("one-cluster").await.unwrap(), None);
    let spec = role("one-cluster");
    let made = identity.create_role(&spec).await.unwrap();
    assert!(
        made.arn
            .ends_with(":role/pipectl/us-west-2/one/one-cluster"),
        "{}",
        made.arn
    );
    assert_eq!(
        identity.role("one-cluster").await.unwrap(),
        Some(made.clone())
    );
    let again = identity.create_role(&spec).await.unwrap_err();
    assert_eq!(again.kind, Kind::AlreadyExists, "{again}");
    // A name is taken whatever the path.
    let elsewhere = RoleSpec {
        path: "/".to_owned(),
        ..spec
    };
    let again = identity.create_role(&elsewhere).await.unwrap_err();
    assert_eq!(again.kind, Kind::AlreadyExists, "{again}");

    identity
        .trust("one-cluster", &trust("ec2.amazonaws.com"))
        .await
        .unwrap();
    for _ in 0..2 {
        identity.attach("one-cluster", POLICY).await.unwrap();
    }
    identity.attach("one-cluster", OTHER).await.unwrap();
    for _ in 0..2 {
        identity.detach("one-cluster", OTHER).await.unwrap();
    }
    let document = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a b+c/*"}],
    });
    identity
        .set_inline("one-cluster", "data", Some(&document))
        .await
        .unwrap();
    let (set, remove) = (tags(&[("team", "data")]), vec!["empty".to_owned()]);
    identity
        .retag_role("one-cluster", &set, &remove)
        .await
        .unwrap();
    let live = identity.role("one-cluster").await.unwrap().unwrap();
    assert_eq!(live.trust, trust("ec2.amazonaws.com"));
    assert_eq!(live.attached, BTreeSet::from([POLICY.to_owned()]));
    assert_eq!(live.inline.get("data"), Some(&document));
    assert_eq!(
        live.tags,
        tags(&[("pipectl.dev/environment", "one"), ("team", "data")])
    );
    for _ in 0..2 {
        identity
            .set_inline("one-cluster", "data", None)
            .await
            .unwrap();
    }
    let live = identity.role("one-cluster").await.unwrap().unwrap();
    assert!(live.inline.is_empty());
}

#[tokio::test]
async fn roles_are_listed_by_path_over_all_pages() {
    let account = Account::new().await;
    let identity: &dyn IdentityApi = &account.aws;
    for number in 100..220 {
        identity
            .create_role(&role(&format!("one-{number}")))
            .await
            .unwrap();
    }
    let other = RoleSpec {
        path: "/pipectl/us-west-2/other/".to_owned(),
        ..role("other")
    };
    identity.create_role(&other).await.unwrap();
    let names = identity
        .roles_under("/pipectl/us-west-2/one/")
        .await
        .unwrap();
    assert_eq!(names.len(), 120);
    assert_eq!(names[0], "one-100");
    assert_eq!(identity.roles_under("/pipectl/").await.unwrap().len(), 121);
}

#[tokio::test]
async fn a_role_goes_with_all_that_hangs_on_it() {
    let account = Account::new().await;
    let identity: &dyn IdentityApi = &account.aws;
    identity.create_role(&role("one-node")).await.unwrap();
    identity.attach("one-node", POLICY).await.unwrap();
    identity.attach("one-node", OTHER).await.unwrap();
    let document = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "ec2:DescribeTags", "Resource": "*"}],
    });
    identity
        .set_inline("one-node", "own", Some(&document))
        .await
        .unwrap();
    let config = crate::sdk::config(&account);
    let iam = aws_sdk_iam::Client::new(&config);
    let profile = iam
        .create_instance_profile()
        .instance_profile_name("somebody-made-it");
    profile.send().await.unwrap();
    let added = iam
        .add_role_to_instance_profile()
        .instance_profile_name("somebody-made-it")
        .role_name("one-node");
    added.send().await.unwrap();
    // It would not go like this.
    let refused = iam.delete_role().role_name("one-node").send().await;
    assert!(
        refused
            .unwrap_err()
            .into_service_error()
            .is_delete_conflict_exception()
    );

    assert_eq!(
        identity.delete_role("one-node").await.unwrap(),
        Deletion::Accepted
    );
    assert_eq!(identity.role("one-node").await.unwrap(), None);
    assert_eq!(
        identity.delete_role("one-node").await.unwrap(),
        Deletion::Absent
    );
}

#[tokio::test]
async fn a_profile_is_known_by_its_tags_and_goes_with_the_role_in_it() {
    let account = Account::new().await;
    let identity: &dyn IdentityApi = &account.aws;
    identity.create_role(&role("one-node")).await.unwrap();
    let iam = aws_sdk_iam::Client::new(&crate::sdk::config(&account));
    let tag = aws_sdk_iam::types::Tag::builder()
        .key("kubernetes.io/cluster/one")
        .value("owned")
        .build();
    let profile = iam.create_instance_profile().instance_profile_name("one-1");
    profile.tags(tag.unwrap()).send().await.unwrap();
    let added = iam
        .add_role_to_instance_profile()
        .instance_profile_name("one-1")
        .role_name("one-node");
    added.send().await.unwrap();
    let found = identity.profiles_of("one-node").await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, "one-1");
    assert_eq!(found[0].tags["kubernetes.io/cluster/one"], "owned");
    for went in [Deletion::Accepted, Deletion::Absent] {
        let gone = identity.delete_profile("one-1", "one-node").await;
        assert_eq!(gone.unwrap(), went);
    }
    assert_eq!(identity.profiles_of("one-node").await.unwrap(), []);
    assert_eq!(identity.profiles_of("nobody").await.unwrap(), []);
}

/// IAM may see for some seconds yet what was taken off a role; what really holds it is said in the end.
#[tokio::test]
async fn a_role_that_seems_to_be_held_is_tried_again() {
    let account = Account::new().await;
    let identity: &dyn IdentityApi = &account.aws;
    identity.create_role(&role("one-node")).await.unwrap();
    let conflict = || AwsFaultEffect::Error {
        code: "DeleteConflict".to_owned(),
        message: "Cannot delete entity, must detach all policies first.".to_owned(),
        status: Some(409),
    };
    fault(&account, "iam", "DeleteRole", None, conflict());
    let error = identity.delete_role("one-node").await.unwrap_err();
    assert_eq!(error.kind, Kind::InUse, "{error}");
    fault(&account, "iam", "DeleteRole", Some(2), conflict());
    assert_eq!(
        identity.delete_role("one-node").await.unwrap(),
        Deletion::Accepted
    );
}

#[tokio::test]
async fn what_hangs_on_nothing_is_an_error_or_nothing() {
    let account = Account::new().await;
    let identity: &dyn IdentityApi = &account.aws;
    identity.detach("nobody", POLICY).await.unwrap();
    identity.set_inline("nobody", "x", None).await.unwrap();
    for error in [
        identity.attach("nobody", POLICY).await.unwrap_err(),
        identity
            .trust("nobody", &trust("eks.amazonaws.com"))
            .await
            .unwrap_err(),
        identity
            .retag_role("nobody", &tags(&[("a", "b")]), &[])
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind, Kind::NotFound, "{error}");
    }
    let mut wrong = role("one");
    wrong.trust = json!({"Version": "2012-10-17", "Statement": "nonsense"});
    let error = identity.create_role(&wrong).await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid, "{error}");
}

#[tokio::test]
async fn an_oidc_provider_is_made_found_tagged_and_deleted() {
    let account = Account::new().await;
    let identity: &dyn IdentityApi = &account.aws;
    assert_eq!(identity.oidc_provider(ISSUER).await.unwrap(), None);
    let clients = BTreeSet::from(["sts.amazonaws.com".to_owned()]);
    let owned = tags(&[("pipectl.dev/environment", "one")]);
    let made = identity
        .create_oidc_provider(ISSUER, &clients, &owned)
        .await
        .unwrap();
    assert_eq!(made.issuer, ISSUER.trim_start_matches("https://"));
    let found = identity.oidc_provider(ISSUER).await.unwrap();
    assert_eq!(found, Some(made.clone()));
    let again = identity
        .create_oidc_provider(ISSUER, &clients, &owned)
        .await;
    assert_eq!(again.unwrap_err().kind, Kind::AlreadyExists);

    let (set, remove) = (
        tags(&[("team", "data")]),
        vec!["pipectl.dev/environment".to_owned()],
    );
    identity
        .retag_oidc_provider(&made.arn, &set, &remove)
        .await
        .unwrap();
    let all = identity.oidc_providers().await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].tags, set);

    assert_eq!(
        identity.delete_oidc_provider(&made.arn).await.unwrap(),
        Deletion::Accepted
    );
    assert_eq!(
        identity.delete_oidc_provider(&made.arn).await.unwrap(),
        Deletion::Absent
    );
    assert!(identity.oidc_providers().await.unwrap().is_empty());
}
