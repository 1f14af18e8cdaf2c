//! What holds for every call: errors by code, repetitions, the fence, accounts and regions kept apart.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use pipectl_process::boot_time;
use pipectl_sandbox::aws::{AwsCredentials, AwsFaultEffect, AwsFaultMoment};
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::{
        account::AccountApi,
        anchors::{Anchor, AnchorApi},
        identity::{IdentityApi, RoleSpec},
        keys::KeyApi,
    },
};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    place::{elsewhere, fault, options, with},
    support::{Account, REGION, tags},
};

fn anchor(name: &str) -> Anchor {
    Anchor {
        name: name.to_owned(),
        uid: "u1".to_owned(),
        created: "2026-11-21T10:00:00Z".parse().unwrap(),
        cluster: "c".to_owned(),
        brought_vpc: None,
        state_url: None,
        lease: None,
        follows: 0,
        expires: None,
    }
}

fn role(name: &str) -> RoleSpec {
    RoleSpec {
        name: name.to_owned(),
        path: "/pipectl/".to_owned(),
        description: "a test's".to_owned(),
        trust: json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "eks.amazonaws.com"},
        }]}),
        tags: tags(&[]),
    }
}

async fn create(account: &Account, name: &str) -> Result<(), PortError> {
    let made = AnchorApi::create(&account.aws, &anchor(name), &tags(&[])).await;
    made.map(drop)
}

fn refused(code: &str, status: Option<u16>) -> AwsFaultEffect {
    AwsFaultEffect::Error {
        code: code.to_owned(),
        message: format!("the words of {code}"),
        status,
    }
}

/// The same meaning over the three ways in which services write their errors: XML of EC2, XML of IAM, JSON.
#[tokio::test]
async fn errors_are_sorted_by_code_and_quote_code_words_and_request() {
    let account = Account::new().await;
    let cases: &[(&str, Option<u16>, Kind, &str)] = &[
        ("VpcLimitExceeded", None, Kind::Exhausted, "AWS021"),
        (
            "InsufficientInstanceCapacity",
            None,
            Kind::Exhausted,
            "AWS022",
        ),
        (
            "UnauthorizedOperation",
            Some(403),
            Kind::Forbidden,
            "AWS005",
        ),
        ("AccessDeniedException", None, Kind::Forbidden, "AWS005"),
        ("OptInRequired", Some(401), Kind::Forbidden, "AWS006"),
        ("ExpiredToken", Some(403), Kind::Unauthorized, "AWS004"),
        ("AuthFailure", Some(401), Kind::Unauthorized, "AWS004"),
        ("InvalidSubnetID.NotFound", None, Kind::NotFound, "AWS010"),
        ("NatGatewayNotFound", None, Kind::NotFound, "AWS010"),
        ("RouteAlreadyExists", None, Kind::AlreadyExists, "AWS011"),
        (
            "InvalidPermission.Duplicate",
            None,
            Kind::AlreadyExists,
            "AWS011",
        ),
        ("DependencyViolation", None, Kind::InUse, "AWS014"),
        ("IncorrectState", None, Kind::Conflict, "AWS012"),
        ("InvalidParameterValue", None, Kind::Invalid, "AWS013"),
        ("Unsupported", None, Kind::Invalid, "AWS015"),
        ("NotSimulated", Some(501), Kind::NotServed, "AWS018"),
        ("NeverHeardOfIt", None, Kind::Invalid, "AWS013"),
        ("NeverHeardOfIt", Some(403), Kind::Forbidden, "AWS005"),
    ];
    for (code, status, kind, own) in cases {
        for (service, action) in [
            ("ec2", "DescribeAvailabilityZones"),
            ("iam", "ListRoles"),
            ("kms", "DescribeKey"),
        ] {
            fault(&account, service, action, None, refused(code, *status));
            account.count_anew();
            let error = match service {
                "ec2" => account.aws.zones().await.unwrap_err(),
                "iam" => account.aws.roles_under("/").await.unwrap_err(),
                // What isn't there is no error of a look.
                _ => match KeyApi::find(&account.aws, "k").await {
                    Ok(None) => {
                        assert_eq!(*kind, Kind::NotFound, "{code}");
                        continue;
                    }
                    found => found.unwrap_err(),
                },
            };
            assert_eq!(
                (error.kind, error.code.as_str()),
                (*kind, *own),
                "{service}: {error}"
            );
            let words = format!("{code}: the words of {code} (request ");
            assert!(error.cause.starts_with(&words), "{service}: {error}");
            assert!(error.hint.is_some());
            assert_eq!(account.calls(action), 1, "{service} {code} was repeated");
        }
    }
}

/// A quota that the code names is named in the hint, so that a person can have it raised.
#[tokio::test]
async fn the_hint_of_a_used_up_quota_names_it() {
    let account = Account::new().await;
    for (code, quota) in [
        ("AddressLimitExceeded", "L-0263D0A3"),
        ("VpcLimitExceeded", "L-F678F1CE"),
    ] {
        fault(
            &account,
            "ec2",
            "DescribeAvailabilityZones",
            None,
            refused(code, None),
        );
        let error = account.aws.zones().await.unwrap_err();
        assert!(error.hint.unwrap().contains(quota), "{code}");
    }
}

#[tokio::test]
async fn throttling_is_waited_out_and_at_last_said() {
    let account = Account::new().await;
    fault(
        &account,
        "ssm",
        "PutParameter",
        Some(4),
        AwsFaultEffect::Throttle,
    );
    create(&account, "one").await.unwrap();
    assert_eq!(account.calls("PutParameter"), 5);
    for (service, action) in [("ec2", "DescribeAvailabilityZones"), ("iam", "ListRoles")] {
        fault(&account, service, action, None, AwsFaultEffect::Throttle);
        let error = match service {
            "ec2" => account.aws.zones().await.unwrap_err(),
            _ => account.aws.roles_under("/").await.unwrap_err(),
        };
        assert_eq!(
            (error.kind, error.code.as_str()),
            (Kind::Throttled, "AWS016"),
            "{error}"
        );
        assert_eq!(account.calls(action), 8);
    }
}

#[tokio::test]
async fn what_fails_before_its_effect_is_repeated() {
    let account = Account::new().await;
    let effects = [
        AwsFaultEffect::Internal {
            status: 500,
            when: AwsFaultMoment::Before,
        },
        AwsFaultEffect::Internal {
            status: 503,
            when: AwsFaultMoment::Before,
        },
        AwsFaultEffect::Reset {
            when: AwsFaultMoment::Before,
        },
    ];
    for (number, effect) in effects.into_iter().enumerate() {
        fault(&account, "ssm", "PutParameter", Some(2), effect);
        create(&account, &format!("env-{number}")).await.unwrap();
    }
    assert_eq!(AnchorApi::all(&account.aws).await.unwrap().len(), 3);
    let always = AwsFaultEffect::Internal {
        status: 503,
        when: AwsFaultMoment::Before,
    };
    fault(&account, "ssm", "PutParameter", None, always);
    let error = create(&account, "never").await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (Kind::ServerError, "AWS017"),
        "{error}"
    );
}

/// The answer to what was done got lost: the repetition finds our own thing there, and whoever asked looks at it.
#[tokio::test]
async fn what_fails_after_its_effect_is_found_there() {
    let account = Account::new().await;
    let effects = [
        AwsFaultEffect::Internal {
            status: 500,
            when: AwsFaultMoment::After,
        },
        AwsFaultEffect::Reset {
            when: AwsFaultMoment::After,
        },
    ];
    for (number, effect) in effects.into_iter().enumerate() {
        let name = format!("role-{number}");
        fault(&account, "iam", "CreateRole", Some(1), effect.clone());
        let error = account.aws.create_role(&role(&name)).await.unwrap_err();
        assert_eq!(error.kind, Kind::AlreadyExists, "{error}");
        assert!(account.aws.role(&name).await.unwrap().is_some());

        // What can be repeated without harm is simply done.
        fault(&account, "iam", "DeleteRole", Some(1), effect);
        account.aws.delete_role(&name).await.unwrap();
        assert!(account.aws.role(&name).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn after_the_deadline_nothing_is_changed_and_looks_go_on() {
    let account = Account::new().await;
    create(&account, "before").await.unwrap();
    account.aws.fence_effects(Arc::new(boot_time));
    account.count_anew();
    let aws = &account.aws;
    let document = json!({"Version": "2012-10-17", "Statement": []});
    let refusals = [
        create(&account, "after").await.unwrap_err(),
        AnchorApi::update(aws, &anchor("before")).await.unwrap_err(),
        AnchorApi::delete(aws, "before").await.unwrap_err(),
        aws.create_role(&role("r")).await.unwrap_err(),
        aws.attach("r", "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")
            .await
            .unwrap_err(),
        aws.set_inline("r", "p", Some(&document)).await.unwrap_err(),
        KeyApi::create(aws, "k", &tags(&[])).await.unwrap_err(),
        KeyApi::unalias(aws, "alias/k").await.unwrap_err(),
        KeyApi::schedule_deletion(aws, "k", 7).await.unwrap_err(),
        pipectl_stages::ports::logs::LogApi::create(aws, "/l", &tags(&[]))
            .await
            .unwrap_err(),
    ];
    for error in refusals {
        assert_eq!(
            (error.kind, error.code.as_str()),
            (Kind::Cancelled, "AWS020"),
            "{error}"
        );
    }
    let sent = account.simulator.counters();
    assert!(sent.is_empty(), "{sent:?}");
    assert!(AnchorApi::find(aws, "before").await.unwrap().is_some());
    assert_eq!(aws.caller().await.unwrap().region, REGION);

    // A clone is the same connection, and the lease may have been renewed.
    let clone = aws.clone();
    clone.fence_effects(Arc::new(|| boot_time() + Duration::from_secs(60)));
    create(&account, "after").await.unwrap();
}

/// The deadline is asked before every attempt, not once a call.
#[tokio::test]
async fn a_repetition_after_the_deadline_is_not_sent() {
    let account = Account::new().await;
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    account.aws.fence_effects(Arc::new(move || {
        if count.fetch_add(1, Ordering::SeqCst) < 2 {
            boot_time() + Duration::from_secs(60)
        } else {
            Duration::ZERO
        }
    }));
    fault(
        &account,
        "ssm",
        "PutParameter",
        None,
        AwsFaultEffect::Throttle,
    );
    let error = create(&account, "one").await.unwrap_err();
    assert_eq!(error.kind, Kind::Cancelled, "{error}");
    assert_eq!(account.calls("PutParameter"), 2);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn accounts_and_regions_are_kept_apart() {
    let account = Account::new().await;
    let own = account.simulator.credentials().account;
    create(&account, "one").await.unwrap();
    account.aws.create_role(&role("one")).await.unwrap();
    let neighbour = elsewhere(&account, "222233334444", REGION).await;
    let away = elsewhere(&account, &own, "eu-central-1").await;
    assert_eq!(neighbour.caller().await.unwrap().account, "222233334444");
    assert!(AnchorApi::all(&neighbour).await.unwrap().is_empty());
    assert!(neighbour.role("one").await.unwrap().is_none());
    assert!(AnchorApi::all(&away).await.unwrap().is_empty());
    // IAM belongs to the account.
    assert!(away.role("one").await.unwrap().is_some());
    assert_eq!(away.caller().await.unwrap().region, "eu-central-1");
    assert!(
        away.zones()
            .await
            .unwrap()
            .iter()
            .all(|zone| zone.name.starts_with("eu-central-1"))
    );
}

#[tokio::test]
async fn wrong_and_expired_keys_are_refused_in_every_protocol() {
    let account = Account::new().await;
    let own = account.simulator.credentials();
    let nobody = AwsCredentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        ..own.clone()
    };
    let wrong = AwsCredentials {
        secret_access_key: "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY".to_owned(),
        ..own
    };
    for key in [nobody, wrong.clone()] {
        let made = options(account.simulator.endpoint(), &key, REGION);
        let aws = pipectl_aws::connect(made).await.unwrap();
        for error in [
            aws.caller().await.unwrap_err(),
            aws.zones().await.unwrap_err(),
            KeyApi::find(&aws, "k").await.unwrap_err(),
        ] {
            assert_eq!(
                (error.kind, error.code.as_str()),
                (Kind::Unauthorized, "AWS004"),
                "{error}"
            );
            assert!(!error.cause.contains(&wrong.secret_access_key));
        }
    }
    for (service, action) in [("sts", "GetCallerIdentity"), ("kms", "DescribeKey")] {
        fault(
            &account,
            service,
            action,
            None,
            AwsFaultEffect::ExpireCredentials,
        );
        let error = match service {
            "sts" => account.aws.caller().await.unwrap_err(),
            _ => KeyApi::find(&account.aws, "k").await.unwrap_err(),
        };
        assert_eq!(error.kind, Kind::Unauthorized, "{error}");
        assert!(error.hint.unwrap().contains("aws sso login"));
    }
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_a_matter_of_credentials() {
    let account = Account::new().await;
    let number = account.simulator.credentials().account;
    let arn = format!("arn:aws:iam::{number}:role/nobody");
    let aws = with(&account, |options| options.role_arn = Some(arn)).await;
    let error = aws.caller().await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (Kind::Unauthorized, "AWS003"),
        "{error}"
    );
    assert!(error.cause.contains("sts:AssumeRole"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let account = Account::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = listener.local_addr().unwrap().port();
    drop(listener);
    let key = account.simulator.credentials();
    let url = format!("http://127.0.0.1:{free}");
    let aws = pipectl_aws::connect(options(&url, &key, REGION))
        .await
        .unwrap();
    let error = aws.caller().await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (Kind::Unreachable, "AWS001"),
        "{error}"
    );
}

#[tokio::test]
async fn options_that_cannot_be_used_are_refused_at_once() {
    let account = Account::new().await;
    let key = account.simulator.credentials();
    let good = options(account.simulator.endpoint(), &key, REGION);
    let mut wrong = vec![good.clone(), good.clone(), good.clone(), good];
    wrong[0].region = "US West".to_owned();
    wrong[1].region = String::new();
    wrong[2].time_scale = 0.0;
    if let Some(endpoint) = &mut wrong[3].endpoint {
        endpoint.url = "127.0.0.1:4566".to_owned();
    }
    for options in wrong {
        let words = format!("{options:?}");
        let error = pipectl_aws::connect(options).await.unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (Kind::Invalid, "AWS007"),
            "{words}"
        );
    }
}
