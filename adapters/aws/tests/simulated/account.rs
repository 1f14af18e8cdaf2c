//! The port of the account: who asks, what it allows.

use aws_sdk_ec2::types::InstanceType as SdkInstanceType;
use pipectl_sandbox::aws::AwsFaultEffect;
use pipectl_stages::ports::{
    account::{AccountApi, Allowance, Allowances, Caller, Deed, Quota, QuotaUse},
    families::Families,
    identity::{IdentityApi, RoleSpec},
    network::{NewPiece, PieceSpec},
};
use serde_json::{Value, json};

use crate::{
    place::{fault, with},
    support::{Account, tags},
};

#[tokio::test]
async fn a_user_is_its_own_principal() {
    let account = Account::new().await;
    let number = account.simulator.credentials().account;
    let caller = account.aws.caller().await.unwrap();
    assert_eq!(caller.account, number);
    assert_eq!(caller.arn, format!("arn:aws:iam::{number}:user/sandbox"));
    assert_eq!(caller.principal, caller.arn);
    assert_eq!(caller.partition, "aws");
    assert_eq!(caller.region, "us-west-2");
    assert_eq!(caller.expires, None);
}

/// A session's ARN has no path; the role's, which an access entry needs, has.
#[tokio::test]
async fn the_principal_of_an_assumed_role_has_its_path() {
    let account = Account::new().await;
    let spec = RoleSpec {
        name: "deploy".to_owned(),
        path: "/teams/data/".to_owned(),
        description: String::new(),
        trust: json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"},
        }]}),
        tags: tags(&[]),
    };
    let role = account.aws.create_role(&spec).await.unwrap();
    let looks = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "iam:GetRole", "Resource": role.arn,
    }]});
    account
        .aws
        .set_inline("deploy", "looks", Some(&looks))
        .await
        .unwrap();
    let assumed = with(&account, |options| {
        options.role_arn = Some(role.arn.clone())
    })
    .await;
    let caller = assumed.caller().await.unwrap();
    assert_eq!(
        caller.arn,
        format!(
            "arn:aws:sts::{}:assumed-role/deploy/pipectl",
            caller.account
        )
    );
    assert_eq!(caller.principal, role.arn);
    assert_eq!(caller.expires, None, "it renews itself");

    let effect = AwsFaultEffect::Error {
        code: "AccessDenied".to_owned(),
        message: "not authorized to perform: iam:GetRole".to_owned(),
        status: Some(403),
    };
    fault(&account, "iam", "GetRole", Some(1), effect);
    let caller = assumed.caller().await.unwrap();
    assert_eq!(
        caller.principal,
        format!("arn:aws:iam::{}:role/deploy", caller.account)
    );
}

/// What a session may do is asked about its role; who may not ask is told so, and nobody asks about the root user.
#[tokio::test]
async fn what_the_caller_may_do_is_told_beforehand() {
    let account = Account::new().await;
    let deed = |action: &str, resource: Option<&str>| Deed {
        action: action.to_owned(),
        resource: resource.map(str::to_owned),
    };
    let role = |name: &str| format!("arn:aws:iam::111122223333:role/pipectl/{name}");
    let (ours, other) = (role("ours/cluster"), "arn:aws:iam::111122223333:role/x");
    let deeds = [
        deed("ec2:DescribeVpcs", None),
        deed("iam:CreateRole", Some(&ours)),
        deed("iam:DeleteRole", Some(other)),
        deed("eks:CreateCluster", None),
        deed("ec2:CreateVpc", None),
        deed("kms:CreateKey", None),
    ];
    let mut statements = vec![
        json!({"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}),
        json!({"Effect": "Allow", "Action": "iam:*Role", "Resource": "arn:aws:iam::*:role/pipectl/*"}),
        json!({"Effect": "Allow", "Action": "iam:GetRole", "Resource": "*"}),
        json!({"Effect": "Allow", "Action": "eks:*", "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": "us-west-2"}}}),
        json!({"Effect": "Allow", "Action": "ec2:CreateVpc", "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestTag/team": "data"}}}),
    ];
    let spec = RoleSpec {
        name: "deploy".to_owned(),
        path: "/teams/".to_owned(),
        description: String::new(),
        trust: json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"},
        }]}),
        tags: tags(&[]),
    };
    let made = account.aws.create_role(&spec).await.unwrap();
    let allow = async |statements: &[Value]| {
        let policy = json!({"Version": "2012-10-17", "Statement": statements});
        let own = account.aws.set_inline("deploy", "own", Some(&policy));
        own.await.unwrap();
    };
    allow(&statements).await;
    let assumed = with(&account, |options| {
        options.role_arn = Some(made.arn.clone());
    })
    .await;
    let caller = assumed.caller().await.unwrap();
    assert_eq!(caller.principal, made.arn);
    let told = assumed.allowances(&caller, &deeds).await.unwrap();
    let Allowances::NotTold(why) = told else {
        panic!("it may not ask: {told:?}");
    };
    assert!(why.contains("iam:SimulatePrincipalPolicy"), "{why}");

    statements.push(json!({
        "Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": made.arn,
    }));
    allow(&statements).await;
    let told = assumed.allowances(&caller, &deeds).await.unwrap();
    use Allowance::{Allowed, Missing, Unclear};
    let wanted = vec![Allowed, Allowed, Missing, Allowed, Unclear, Missing];
    assert_eq!(told, Allowances::Told(wanted));

    // The account's own user may do everything.
    let owner = account.aws.caller().await.unwrap();
    let told = account.aws.allowances(&owner, &deeds).await.unwrap();
    assert_eq!(told, Allowances::Told(vec![Allowed; deeds.len()]));
    let root = Caller {
        principal: "arn:aws:iam::111122223333:root".to_owned(),
        ..owner
    };
    let told = account.aws.allowances(&root, &deeds).await.unwrap();
    assert!(matches!(told, Allowances::NotTold(_)), "{told:?}");
}

#[tokio::test]
async fn zones_are_those_for_control_planes() {
    let account = Account::new().await;
    let zones = account.aws.zones().await.unwrap();
    let names: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
    assert!(names.starts_with(&["us-west-2a", "us-west-2b", "us-west-2c"]));
    assert!(
        zones
            .iter()
            .all(|zone| zone.available && zone.id.starts_with("usw2-az"))
    );
}

#[tokio::test]
async fn instance_types_that_the_region_lacks_are_left_out() {
    let account = Account::new().await;
    let names = ["m6i.large", "m7g.large", "m6i.gigantic", "m6i.*"].map(str::to_owned);
    let found = account.aws.instance_types(&names).await.unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0].name, "m6i.large");
    assert_eq!((found[0].cpus, found[0].memory_mib), (2, 8192));
    assert_eq!(found[0].architectures, ["amd64"]);
    assert!(found[0].zones.contains(&"us-west-2a".to_owned()));
    assert_eq!(found[1].architectures, ["arm64"]);
    assert!(account.aws.instance_types(&[]).await.unwrap().is_empty());
}

async fn make(account: &Account, spec: PieceSpec) -> String {
    let new = NewPiece {
        spec,
        tags: tags(&[]),
        token: format!("token-{}", account.calls("CreateNatGateway")),
    };
    account.network.create(&new).await.unwrap().id
}

#[tokio::test]
async fn quotas_say_what_is_in_use() {
    let account = Account::new().await;
    let every = [
        Quota::Vpcs,
        Quota::InternetGateways,
        Quota::Addresses,
        Quota::NatGatewaysPerZone,
        Quota::Clusters,
        Quota::OnDemandCpus(Families::Standard),
        Quota::SpotCpus(Families::Standard),
    ];
    let used = async || {
        let uses: Vec<QuotaUse> = account.aws.quotas(&every).await.unwrap();
        assert_eq!(uses.len(), every.len());
        assert!(
            uses.iter()
                .zip(every)
                .all(|(one, asked)| one.quota == asked)
        );
        assert!(uses.iter().all(|one| one.limit > 0));
        uses.iter().map(|one| one.used).collect::<Vec<u32>>()
    };
    assert_eq!(used().await, [0, 0, 0, 0, 0, 0, 0]);

    let vpc = make(
        &account,
        PieceSpec::Vpc {
            cidr: "10.0.0.0/16".to_owned(),
        },
    )
    .await;
    let mut subnets = Vec::new();
    for (cidr, zone) in [("10.0.0.0/24", "us-west-2a"), ("10.0.1.0/24", "us-west-2b")] {
        let spec = PieceSpec::Subnet {
            vpc: vpc.clone(),
            zone: zone.to_owned(),
            cidr: cidr.to_owned(),
        };
        subnets.push(make(&account, spec).await);
    }
    for (count, subnet, spot) in [(2, &subnets[0], false), (1, &subnets[1], true)] {
        let mut run = account
            .ec2
            .run_instances()
            .image_id("ami-0123456789abcdef0")
            .instance_type(SdkInstanceType::M6iXlarge)
            .subnet_id(subnet)
            .min_count(count)
            .max_count(count);
        if spot {
            run = run.instance_market_options(
                aws_sdk_ec2::types::InstanceMarketOptionsRequest::builder()
                    .market_type(aws_sdk_ec2::types::MarketType::Spot)
                    .build(),
            );
        }
        run.send().await.unwrap();
    }
    let gateway = account.ec2.create_internet_gateway().send().await.unwrap();
    let id = gateway.internet_gateway.unwrap().internet_gateway_id;
    let attach = account.ec2.attach_internet_gateway();
    let attach = attach.set_internet_gateway_id(id).vpc_id(&vpc);
    attach.send().await.unwrap();
    for subnet in [&subnets[0], &subnets[0], &subnets[1]] {
        let address = account.ec2.allocate_address().send().await.unwrap();
        let gateway = account.ec2.create_nat_gateway().subnet_id(subnet);
        let gateway = gateway.set_allocation_id(address.allocation_id);
        gateway.send().await.unwrap();
    }
    assert_eq!(used().await, [1, 1, 3, 2, 0, 8, 4]);
}

/// Some quotas are known by their default only, and some not at all in a region.
#[tokio::test]
async fn a_quota_without_a_grant_has_its_default() {
    let account = Account::new().await;
    let missing = || AwsFaultEffect::Error {
        code: "NoSuchResourceException".to_owned(),
        message: "The request failed because the specified service or quota does not exist."
            .to_owned(),
        status: None,
    };
    fault(
        &account,
        "servicequotas",
        "GetServiceQuota",
        Some(1),
        missing(),
    );
    let uses = account
        .aws
        .quotas(&[Quota::OnDemandCpus(Families::Standard)])
        .await
        .unwrap();
    assert_eq!(uses[0].limit, 5);
    account.simulator.set_faults(
        ["GetServiceQuota", "GetAWSDefaultServiceQuota"]
            .map(|action| pipectl_sandbox::aws::AwsFaultRule {
                action: Some(action.to_owned()),
                effect: missing(),
                ..pipectl_sandbox::aws::AwsFaultRule::default()
            })
            .to_vec(),
    );
    assert!(account.aws.quotas(&[Quota::Vpcs]).await.unwrap().is_empty());
}
