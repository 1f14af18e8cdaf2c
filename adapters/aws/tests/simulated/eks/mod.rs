//! EKS: control planes, node groups, add-ons, who may enter, and tokens.

mod access;
mod addons;
mod clusters;
mod node_groups;
mod token;

use std::{collections::BTreeSet, sync::Arc};

use aws_sdk_ec2::types::AttributeBooleanValue;
use pipectl_sandbox::aws::{AwsFaultEffect, AwsFaultRule};
use pipectl_stages::{
    error::PortErrorKind,
    ports::{
        access::AccessApi,
        addons::{AddonApi, AddonSpec, AddonState},
        cloud::UpdateProgress,
        clusters::{Cluster, ClusterApi, ClusterSpec, ClusterState, Endpoint},
        identity::{IdentityApi, RoleSpec},
        node_groups::{Image, Make, NodeGroupApi, NodeGroupSpec, Scaling},
    },
};
use serde_json::json;

use crate::support::{Account, tags, until};

/// An account in which a cluster can be made: two subnets with a way to the internet, and roles.
struct Ground {
    account: Account,
    clusters: Arc<dyn ClusterApi>,
    node_groups: Arc<dyn NodeGroupApi>,
    addons: Arc<dyn AddonApi>,
    access: Arc<dyn AccessApi>,
    identity: Arc<dyn IdentityApi>,
    vpc: String,
    subnets: Vec<String>,
    cluster_role: String,
    node_role: String,
}

impl Ground {
    async fn new() -> Self {
        let account = Account::new().await;
        let (vpc, subnets) = network(&account).await;
        let identity: Arc<dyn IdentityApi> = Arc::new(account.aws.clone());
        let cluster_role = role(
            &identity,
            "cluster",
            "eks.amazonaws.com",
            &["AmazonEKSClusterPolicy"],
        );
        let cluster_role = cluster_role.await;
        let of_nodes = [
            "AmazonEKSWorkerNodePolicy",
            "AmazonEC2ContainerRegistryReadOnly",
            "AmazonEKS_CNI_Policy",
        ];
        let node_role = role(&identity, "nodes", "ec2.amazonaws.com", &of_nodes).await;
        Self {
            clusters: Arc::new(account.aws.clone()),
            node_groups: Arc::new(account.aws.clone()),
            addons: Arc::new(account.aws.clone()),
            access: Arc::new(account.aws.clone()),
            identity,
            vpc,
            subnets,
            cluster_role,
            node_role,
            account,
        }
    }

    /// With a cluster that works.
    async fn up() -> Self {
        let ground = Self::new().await;
        ground.create(&ground.cluster("c", "one")).await;
        ground.active("c").await;
        ground
    }

    fn cluster(&self, name: &str, token: &str) -> ClusterSpec {
        ClusterSpec {
            name: name.to_owned(),
            version: "1.34".to_owned(),
            role: self.cluster_role.clone(),
            subnets: self.subnets.clone(),
            security_groups: Vec::new(),
            endpoint: Endpoint {
                public: true,
                private: true,
                public_cidrs: BTreeSet::from(["192.0.2.0/24".to_owned()]),
            },
            logging: BTreeSet::from(["api".to_owned(), "audit".to_owned()]),
            encryption_key: None,
            tags: tags(&[("owner", "me")]),
            token: token.to_owned(),
        }
    }

    /// A new role is not known everywhere at once, as the first call finds out.
    async fn create(&self, spec: &ClusterSpec) -> Cluster {
        until("a cluster that is accepted", || async {
            match self.clusters.create(spec).await {
                Ok(made) => Some(made),
                Err(error) if error.kind == PortErrorKind::Invalid => None,
                Err(error) => panic!("{error:?}"),
            }
        })
        .await
    }

    async fn active(&self, name: &str) -> Cluster {
        until("an active cluster", || async {
            let found = self.clusters.find(name).await.unwrap();
            found.filter(|found| found.state == ClusterState::Active)
        })
        .await
    }

    fn group(&self, name: &str, desired: u32, token: &str) -> NodeGroupSpec {
        NodeGroupSpec {
            cluster: "c".to_owned(),
            name: name.to_owned(),
            make: Make {
                instance_types: vec!["m6i.large".to_owned(), "m5.large".to_owned()],
                image: Image::Amd64,
                spot: false,
                disk_gib: 50,
                subnets: self.subnets.clone(),
                role: self.node_role.clone(),
            },
            scaling: Scaling {
                min: 0,
                max: 5,
                desired,
            },
            labels: [("kind".to_owned(), "broker".to_owned())].into(),
            taints: Vec::new(),
            tags: tags(&[("owner", "me")]),
            token: token.to_owned(),
        }
    }

    fn addon(&self, name: &str, version: &str, token: &str) -> AddonSpec {
        AddonSpec {
            cluster: "c".to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            configuration: None,
            tags: tags(&[("owner", "me")]),
            token: token.to_owned(),
        }
    }

    async fn default_version(&self, addon: &str) -> String {
        let versions = self.addons.versions(addon, "1.34").await.unwrap();
        let default = versions.into_iter().find(|version| version.default);
        default.expect("a default").version
    }

    /// Installs an add-on and waits until it works.
    async fn install(&self, name: &str) {
        let version = self.default_version(name).await;
        let made = self.addons.create(&self.addon(name, &version, name)).await;
        made.unwrap();
        until("an active add-on", || async {
            let found = self.addons.find("c", name).await.unwrap();
            found.filter(|found| found.state == AddonState::Active)
        })
        .await;
    }

    /// Waits until an update has ended.
    async fn ended<F>(&self, look: impl Fn() -> F) -> UpdateProgress
    where
        F: Future<Output = Option<UpdateProgress>>,
    {
        until("the end of an update", || async {
            let progress = look().await.expect("the update is known");
            (progress != UpdateProgress::InProgress).then_some(progress)
        })
        .await
    }

    /// The same for an update of a cluster.
    async fn cluster_changed(&self, name: &str, update: &str) -> UpdateProgress {
        let look = || async { self.clusters.update(name, update).await.unwrap() };
        self.ended(look).await
    }

    fn fault(&self, rule: AwsFaultRule) {
        self.account.simulator.set_faults(vec![rule]);
    }

    fn fault_of(&self, action: &str, count: u32, effect: AwsFaultEffect) {
        self.fault(AwsFaultRule {
            service: Some("eks".to_owned()),
            action: Some(action.to_owned()),
            count: Some(count),
            effect,
            ..AwsFaultRule::default()
        });
    }
}

/// A VPC with two public subnets, whose instances get public addresses.
async fn network(account: &Account) -> (String, Vec<String>) {
    let ec2 = &account.ec2;
    let vpc = ec2.create_vpc().cidr_block("10.0.0.0/16").send().await;
    let vpc = vpc.unwrap().vpc.unwrap().vpc_id.unwrap();
    let gateway = ec2.create_internet_gateway().send().await.unwrap();
    let gateway = gateway.internet_gateway.unwrap().internet_gateway_id;
    let gateway = gateway.unwrap();
    let attach = ec2.attach_internet_gateway().vpc_id(&vpc);
    attach.internet_gateway_id(&gateway).send().await.unwrap();
    let tables = ec2.describe_route_tables().send().await.unwrap();
    let mut tables = tables.route_tables().iter();
    let table = tables.find(|table| table.vpc_id() == Some(&vpc)).unwrap();
    let route = ec2.create_route().gateway_id(&gateway);
    let route = route.destination_cidr_block("0.0.0.0/0");
    let route = route.route_table_id(table.route_table_id().unwrap());
    route.send().await.unwrap();
    let mut subnets = Vec::new();
    for (zone, cidr) in [("us-west-2a", "10.0.0.0/24"), ("us-west-2b", "10.0.1.0/24")] {
        let subnet = ec2.create_subnet().vpc_id(&vpc).availability_zone(zone);
        let subnet = subnet.cidr_block(cidr).send().await.unwrap();
        let id = subnet.subnet.unwrap().subnet_id.unwrap();
        let public = ec2.modify_subnet_attribute().subnet_id(&id);
        let yes = AttributeBooleanValue::builder().value(true).build();
        public.map_public_ip_on_launch(yes).send().await.unwrap();
        subnets.push(id);
    }
    (vpc, subnets)
}

/// A role under a path, with policies that AWS manages.
async fn role(
    identity: &Arc<dyn IdentityApi>,
    name: &str,
    service: &str,
    policies: &[&str],
) -> String {
    let spec = RoleSpec {
        name: name.to_owned(),
        path: "/pipectl/us-west-2/test/".to_owned(),
        description: String::new(),
        trust: json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": service},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }]}),
        tags: tags(&[]),
    };
    let arn = identity.create_role(&spec).await.unwrap().arn;
    for policy in policies {
        let policy = format!("arn:aws:iam::aws:policy/{policy}");
        identity.attach(name, &policy).await.unwrap();
    }
    arn
}
