//! The whole endpoint, driven by signed HTTP as a client would.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio_util::sync::CancellationToken;

use super::wire::sigv4::authorization;
use super::{
    Aws, AwsCredentials, AwsFaultEffect, AwsFaultMoment, AwsFaultRule, AwsSettings, Consistency,
    serve,
};

/// A client of one account in one region.
struct Caller {
    endpoint: String,
    keys: AwsCredentials,
    region: &'static str,
    token: Option<String>,
}

impl Caller {
    fn of(aws: &Aws, account: &str, region: &'static str) -> Self {
        Self {
            endpoint: aws.endpoint().to_owned(),
            keys: aws.credentials_of(account),
            region,
            token: None,
        }
    }

    /// A form to a service; nothing when the connection ends without an answer.
    async fn send(&self, service: &str, form: &str) -> Option<(StatusCode, String)> {
        let now = jiff::Timestamp::now()
            .strftime("%Y%m%dT%H%M%SZ")
            .to_string();
        let host = self.endpoint.strip_prefix("http://").unwrap();
        let body = Bytes::from(form.to_owned());
        let mut request = Request::post(format!("{}/", self.endpoint))
            .header("host", host)
            .header("x-amz-date", now)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("user-agent", "test/1 more")
            .body(Full::new(body.clone()))
            .unwrap();
        if let Some(token) = &self.token {
            let token = HeaderValue::from_str(token).unwrap();
            request.headers_mut().insert("x-amz-security-token", token);
        }
        let (mut parts, full) = request.into_parts();
        let (key, secret) = (&self.keys.access_key_id, &self.keys.secret_access_key);
        let signature = authorization(key, secret, self.region, service, &parts, &body);
        parts
            .headers
            .insert("authorization", HeaderValue::from_str(&signature).unwrap());
        let client = Client::builder(TokioExecutor::new()).build_http();
        let reply = client
            .request(Request::from_parts(parts, full))
            .await
            .ok()?;
        let status = reply.status();
        let body = reply.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8(body.to_vec()).unwrap()))
    }

    async fn ec2(&self, form: &str) -> (StatusCode, String) {
        self.send("ec2", form).await.unwrap()
    }
}

fn settings() -> AwsSettings {
    AwsSettings {
        seed: Some(7),
        consistency: Consistency {
            by_id: Duration::ZERO,
            by_filter: Duration::ZERO,
        },
        ..AwsSettings::default()
    }
}

const ACCOUNT: &str = "111122223333";
const VPC: &str = "Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0%2F16";
const LIST: &str = "Action=DescribeVpcs&Version=2016-11-15";

#[tokio::test]
async fn accounts_and_regions_are_kept_apart() {
    let shutdown = CancellationToken::new();
    let aws = serve(settings(), shutdown.clone()).await.unwrap();
    let one = Caller::of(&aws, ACCOUNT, "us-west-2");
    let (status, made) = one.ec2(VPC).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    assert!(
        made.contains("<cidrBlock>10.0.0.0/16</cidrBlock>"),
        "{made}"
    );
    assert!(one.ec2(LIST).await.1.contains("<vpcId>"));
    for (account, region) in [(ACCOUNT, "eu-west-1"), ("444455556666", "us-west-2")] {
        let other = Caller::of(&aws, account, region);
        assert!(
            other.ec2(LIST).await.1.contains("<vpcSet/>"),
            "{account} {region}"
        );
    }
    let nowhere = Caller::of(&aws, ACCOUNT, "mars-north-1");
    assert_eq!(nowhere.ec2(LIST).await.0, StatusCode::NOT_IMPLEMENTED);
    shutdown.cancel();
}

#[tokio::test]
async fn what_is_not_simulated_says_so_and_changes_nothing() {
    let shutdown = CancellationToken::new();
    let aws = serve(settings(), shutdown.clone()).await.unwrap();
    let caller = Caller::of(&aws, ACCOUNT, "us-west-2");
    let cases = [
        (
            "ec2",
            "Action=DescribeHosts&Version=2016-11-15",
            "ec2 DescribeHosts",
        ),
        (
            "ec2",
            &format!("{VPC}&Ipv4IpamPoolId=x"),
            "parameter Ipv4IpamPoolId of ec2 CreateVpc",
        ),
        ("rds", "Action=DescribeDBInstances", "the service rds"),
    ];
    for (service, form, named) in cases {
        let (status, text) = caller.send(service, form).await.unwrap();
        assert_eq!(status, StatusCode::NOT_IMPLEMENTED, "{text}");
        assert!(
            text.contains("NotSimulated") && text.contains(named),
            "{text}"
        );
    }
    let (status, text) = caller.ec2(&format!("{VPC}&DryRun=true")).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{text}");
    assert!(text.contains("<Code>DryRunOperation</Code>"), "{text}");
    assert_eq!(aws.inspect(), serde_json::json!({}));
    shutdown.cancel();
}

#[tokio::test]
async fn credentials_are_checked() {
    let shutdown = CancellationToken::new();
    let aws = serve(settings(), shutdown.clone()).await.unwrap();
    let mut caller = Caller::of(&aws, ACCOUNT, "us-west-2");
    let identity = "Action=GetCallerIdentity&Version=2011-06-15";
    let (_, text) = caller.send("sts", identity).await.unwrap();
    assert!(
        text.contains(&format!("<Account>{ACCOUNT}</Account>")),
        "{text}"
    );
    let session = "Action=GetSessionToken&Version=2011-06-15";
    let (_, session) = caller.send("sts", session).await.unwrap();
    let field = |name: &str| {
        let rest = session.split(&format!("<{name}>")).nth(1).unwrap();
        rest.split('<').next().unwrap().to_owned()
    };
    caller.keys.access_key_id = field("AccessKeyId");
    caller.keys.secret_access_key = field("SecretAccessKey");
    let (status, text) = caller.ec2(LIST).await;
    assert_eq!(
        status,
        StatusCode::UNAUTHORIZED,
        "a session needs its token: {text}"
    );
    caller.token = Some(field("SessionToken"));
    assert_eq!(caller.ec2(LIST).await.0, StatusCode::OK);
    aws.set_faults(vec![AwsFaultRule {
        effect: AwsFaultEffect::ExpireCredentials,
        ..AwsFaultRule::default()
    }]);
    let (_, text) = caller.send("sts", identity).await.unwrap();
    assert!(text.contains("<Code>ExpiredToken</Code>"), "{text}");
    aws.set_faults(Vec::new());
    caller.keys.secret_access_key = "wrong".to_owned();
    let (status, text) = caller.send("sts", identity).await.unwrap();
    assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
    assert!(text.contains("SignatureDoesNotMatch"), "{text}");
    shutdown.cancel();
}

#[tokio::test]
async fn faults_strike_before_or_after_the_effect() {
    let shutdown = CancellationToken::new();
    let aws = serve(settings(), shutdown.clone()).await.unwrap();
    let caller = Caller::of(&aws, ACCOUNT, "us-west-2");
    let rule = |effect| AwsFaultRule {
        action: Some("CreateVpc".to_owned()),
        count: Some(1),
        effect,
        ..AwsFaultRule::default()
    };
    let vpcs = async || caller.ec2(LIST).await.1.matches("<vpcId>").count();

    aws.set_faults(vec![rule(AwsFaultEffect::Throttle)]);
    let (status, text) = caller.ec2(VPC).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("RequestLimitExceeded"), "{text}");
    assert_eq!(vpcs().await, 0);

    let (status, when) = (500, AwsFaultMoment::After);
    aws.set_faults(vec![rule(AwsFaultEffect::Internal { status, when })]);
    assert_eq!(caller.ec2(VPC).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(vpcs().await, 1, "it was done all the same");

    aws.set_faults(vec![rule(AwsFaultEffect::Reset { when })]);
    assert!(caller.send("ec2", VPC).await.is_none());
    assert_eq!(vpcs().await, 2);
    assert_eq!(aws.faults()[0].hits, 1);

    let counts = aws.counters();
    let creates = counts
        .iter()
        .find(|count| count.action == "CreateVpc")
        .unwrap();
    assert!(creates.mutating && creates.agent == "test/1");
    assert_eq!((creates.calls, creates.failed), (3, 3));
    shutdown.cancel();
}

#[tokio::test]
async fn a_stale_read_does_not_know_what_is_new() {
    let shutdown = CancellationToken::new();
    let aws = serve(settings(), shutdown.clone()).await.unwrap();
    let caller = Caller::of(&aws, ACCOUNT, "us-west-2");
    caller.ec2(VPC).await;
    aws.set_faults(vec![AwsFaultRule {
        action: Some("DescribeVpcs".to_owned()),
        count: Some(1),
        effect: AwsFaultEffect::Stale { seconds: 36_000 },
        ..AwsFaultRule::default()
    }]);
    assert!(caller.ec2(LIST).await.1.contains("<vpcSet/>"));
    assert!(caller.ec2(LIST).await.1.contains("<vpcId>"));
    shutdown.cancel();
}

#[tokio::test]
async fn the_graph_outlives_the_process_and_its_lifecycles_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let kept = AwsSettings {
        file: Some(directory.path().join("aws.json")),
        ..settings()
    };
    let shutdown = CancellationToken::new();
    let aws = serve(kept.clone(), shutdown.clone()).await.unwrap();
    let keys = aws.credentials();
    let caller = Caller::of(&aws, ACCOUNT, "us-west-2");
    let (_, made) = caller.ec2(VPC).await;
    assert!(made.contains("<state>pending</state>"), "{made}");
    shutdown.cancel();

    let shutdown = CancellationToken::new();
    let aws = serve(kept, shutdown.clone()).await.unwrap();
    assert_eq!(aws.credentials(), keys, "clients need no new keys");
    let caller = Caller::of(&aws, ACCOUNT, "us-west-2");
    for _ in 0..200 {
        if caller
            .ec2(LIST)
            .await
            .1
            .contains("<state>available</state>")
        {
            shutdown.cancel();
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the VPC did not become available");
}

#[tokio::test]
async fn clients_that_race_make_one_thing() {
    let shutdown = CancellationToken::new();
    let aws = serve(settings(), shutdown.clone()).await.unwrap();
    let caller = Caller::of(&aws, ACCOUNT, "us-west-2");
    caller.ec2(VPC).await;
    let text = caller.ec2(LIST).await.1;
    let vpc = text
        .split("<vpcId>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    let form = format!(
        "Action=CreateSecurityGroup&Version=2016-11-15&GroupName=a&GroupDescription=b&VpcId={vpc}"
    );
    let calls = (0..12).map(|_| caller.ec2(&form));
    let replies = futures::future::join_all(calls).await;
    let won = replies
        .iter()
        .filter(|(status, _)| *status == StatusCode::OK)
        .count();
    let lost = replies
        .iter()
        .filter(|(_, text)| text.contains("InvalidGroup.Duplicate"))
        .count();
    assert_eq!((won, lost), (1, 11));
    shutdown.cancel();
}

#[tokio::test]
async fn callers_may_do_what_their_policies_allow_and_hear_each_services_own_words() {
    let shutdown = CancellationToken::new();
    let aws = serve(settings(), shutdown.clone()).await.unwrap();
    let administrator = Caller::of(&aws, ACCOUNT, "us-west-2");
    let policy = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"ec2:CreateVpc","Resource":"*"},
        {"Effect":"Allow","Action":"ec2:CreateTags","Resource":"*","Condition":{"StringEquals":{"ec2:CreateAction":"CreateVpc"}}},
        {"Effect":"Allow","Action":["ec2:DeleteVpc","ec2:CreateSubnet"],"Resource":"arn:aws:ec2:*:*:vpc/*",
         "Condition":{"StringEquals":{"aws:ResourceTag/team":"data"}}},
        {"Effect":"Deny","Action":"sts:*","Resource":"*"}]}"#;
    let limited = Caller {
        keys: aws.user("limited", policy).unwrap(),
        ..Caller::of(&aws, ACCOUNT, "us-west-2")
    };
    let denied = |(status, body): (StatusCode, String), code: &str, on: &str| {
        assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
        assert!(body.contains(&format!("<Code>{code}</Code>")), "{body}");
        assert!(body.contains(on), "{on} in {body}");
    };
    // Nothing denies asking who one is.
    let who = limited
        .send("sts", "Action=GetCallerIdentity&Version=2011-06-15")
        .await
        .unwrap();
    assert_eq!(who.0, StatusCode::OK, "{}", who.1);
    assert!(who.1.contains(":user/limited"), "{}", who.1);
    denied(
        limited.ec2(LIST).await,
        "UnauthorizedOperation",
        "ec2:DescribeVpcs because no identity-based",
    );
    let roles = "Action=ListRoles&Version=2010-05-08";
    denied(
        limited.send("iam", roles).await.unwrap(),
        "AccessDenied",
        "iam:ListRoles",
    );
    let session = "Action=AssumeRole&Version=2011-06-15&RoleArn=r&RoleSessionName=s";
    denied(
        limited.send("sts", session).await.unwrap(),
        "AccessDenied",
        "with an explicit deny",
    );

    // A dry run tells the two apart.
    let dry = |form: &str| format!("{form}&DryRun=true");
    let (status, body) = limited.ec2(&dry(VPC)).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{body}");
    denied(
        limited.ec2(&dry(LIST)).await,
        "UnauthorizedOperation",
        "DescribeVpcs",
    );

    // Tags that come with a create need a permission of their own, and later ones another.
    let tag = |team: &str| {
        format!(
            "{VPC}&TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=team&TagSpecification.1.Tag.1.Value={team}"
        )
    };
    let id = |body: &str| {
        body.split("<vpcId>")
            .nth(1)
            .unwrap()
            .split('<')
            .next()
            .unwrap()
            .to_owned()
    };
    let (status, body) = limited.ec2(&tag("data")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let (ours, (_, other)) = (id(&body), limited.ec2(&tag("web")).await);
    let retag = format!(
        "Action=CreateTags&Version=2016-11-15&ResourceId.1={ours}&Tag.1.Key=a&Tag.1.Value=b"
    );
    denied(
        limited.ec2(&retag).await,
        "UnauthorizedOperation",
        "ec2:CreateTags",
    );
    // What is there is told by its tags; what is made needs a permission, too.
    let delete = |id: &str| format!("Action=DeleteVpc&Version=2016-11-15&VpcId={id}");
    denied(
        limited.ec2(&delete(&id(&other))).await,
        "UnauthorizedOperation",
        &id(&other),
    );
    let subnet =
        format!("Action=CreateSubnet&Version=2016-11-15&VpcId={ours}&CidrBlock=10.0.0.0%2F24");
    denied(
        limited.ec2(&subnet).await,
        "UnauthorizedOperation",
        ":subnet/*",
    );
    let (status, body) = limited.ec2(&delete(&ours)).await;
    assert_eq!(status, StatusCode::OK, "{body}");

    // Another policy holds at once, and the key stays.
    let all = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    assert_eq!(
        aws.user("limited", all).unwrap().access_key_id,
        limited.keys.access_key_id
    );
    assert_eq!(limited.ec2(LIST).await.0, StatusCode::OK);
    assert!(aws.user("sandbox", all).is_err() && aws.user("other", "{").is_err());
    assert_eq!(administrator.ec2(LIST).await.0, StatusCode::OK);
    let shown = aws.inspect().to_string();
    assert!(shown.contains("limited") && !shown.contains(&limited.keys.secret_access_key));
    shutdown.cancel();
}
