//! A simulated account, the adapter on it, and the host of its clusters.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use pipectl_adapters::secrets::Secrets;
use pipectl_aws::{AwsOptions, OwnEndpoint};
use pipectl_sandbox::aws::{
    self, Aws, AwsFaultRule, AwsSettings, CallCount, ClusterHost, ClusterView, PlaneAddress, Wait,
};
use pipectl_stages::{Environment, Pace, Ports};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{cluster::FakeCluster, graph::all};

/// The region of all tests.
pub const REGION: &str = "us-west-2";
/// How much faster than AWS lifecycles pass, unless a test says otherwise: an hour of AWS's in little more than a second.
pub const SCALE: f64 = 3000.0;

/// How an account begins.
pub struct Beginning {
    /// How much faster than AWS.
    pub scale: f64,
    /// Figures instead of the table's, in AWS's time.
    pub latencies: BTreeMap<Wait, Duration>,
    /// A graph that was kept in a file.
    pub file: Option<PathBuf>,
}

impl Default for Beginning {
    fn default() -> Self {
        Self {
            scale: SCALE,
            latencies: BTreeMap::new(),
            file: None,
        }
    }
}

/// An account in the simulator.
pub struct Account {
    pub aws: Arc<Aws>,
    pub scale: f64,
    /// Whose key is used instead of the account's own.
    user: Mutex<Option<aws::AwsCredentials>>,
    end: CancellationToken,
}

impl Account {
    pub async fn new() -> Self {
        Self::begin(Beginning::default()).await
    }

    pub async fn begin(beginning: Beginning) -> Self {
        let end = CancellationToken::new();
        let settings = AwsSettings {
            time_scale: beginning.scale,
            latencies: beginning.latencies,
            file: beginning.file,
            ..AwsSettings::default()
        };
        let aws = aws::serve(settings, end.clone()).await.unwrap();
        let aws = Arc::new(aws);
        aws.host(Arc::new(Host::default()), end.clone());
        Self {
            aws,
            scale: beginning.scale,
            user: Mutex::new(None),
            end,
        }
    }

    /// From now on every run has the key of a user under this policy.
    pub fn limit(&self, policy: &str) {
        let key = self.aws.user("limited", policy).unwrap();
        *self.user.lock().unwrap() = Some(key);
    }

    pub fn pace(&self) -> Pace {
        Pace::times(self.scale)
    }

    /// The adapter, for the sandbox's own account.
    pub async fn connect(&self) -> pipectl_aws::Aws {
        let user = self.user.lock().unwrap().clone();
        self.connect_with(user.unwrap_or_else(|| self.aws.credentials()))
            .await
    }

    /// The adapter with somebody's key.
    pub async fn connect_with(&self, key: aws::AwsCredentials) -> pipectl_aws::Aws {
        let options = AwsOptions {
            region: REGION.to_owned(),
            profile: None,
            role_arn: None,
            endpoint: Some(OwnEndpoint {
                url: self.aws.endpoint().to_owned(),
                access_key_id: key.access_key_id,
                secret_access_key: key.secret_access_key,
            }),
            time_scale: self.scale,
        };
        pipectl_aws::connect(options).await.unwrap()
    }

    /// The ways to this account and to a cluster in it.
    pub async fn ports(&self, cluster: &Arc<FakeCluster>) -> Ports {
        let aws = self.connect().await;
        Ports {
            objects: cluster.clone(),
            releases: cluster.clone(),
            secrets: Arc::new(Secrets::default().with_manager(Arc::new(aws.clone()))),
            cloud: Some(aws.cloud(cluster.clone())),
        }
    }

    /// The inventory, as `down` takes it before it begins.
    pub async fn inventory(
        &self,
        ports: &Ports,
        environment: &Environment,
    ) -> pipectl_stages::inventory::Inventory {
        let recorded = BTreeMap::new();
        pipectl_stages::account::inventory::look_around(ports, environment, recorded, false).await
    }

    pub fn graph(&self) -> Value {
        self.aws.inspect()
    }

    pub fn faults(&self, rules: Vec<AwsFaultRule>) {
        self.aws.set_faults(rules);
    }

    /// Calls that change something, those refused among them.
    pub fn changes(&self) -> Vec<CallCount> {
        let calls = self.aws.counters().into_iter();
        calls.filter(|count| count.mutating).collect()
    }

    /// How many calls, and how many of them change something.
    pub fn calls(&self) -> (u64, u64) {
        let counters = self.aws.counters();
        let sum = |counts: &[CallCount]| counts.iter().map(|count| count.calls).sum();
        (sum(&counters), sum(&self.changes()))
    }

    /// Changes that were refused, as `service Action: times`. A subnet that goes takes its association along, and who
    /// dissociates it in that very moment is told that there is none: that is no refusal.
    pub fn refused(&self) -> Vec<String> {
        let failed = self.changes().into_iter().filter(|count| count.failed > 0);
        let refused = failed.filter(|count| count.action != "DisassociateRouteTable");
        refused
            .map(|count| format!("{} {}: {}", count.service, count.action, count.failed))
            .collect()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// Says of every cluster that its control plane is up.
#[derive(Default)]
struct Host(Mutex<BTreeSet<String>>);

#[async_trait]
impl ClusterHost for Host {
    async fn reconcile(&self, aws: &Arc<Aws>, clusters: Vec<ClusterView>) {
        for cluster in clusters {
            let mut up = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let new = up.insert(cluster.id.clone());
            drop(up);
            if new {
                let address = PlaneAddress {
                    server: format!("https://{}.invalid", cluster.id.to_lowercase()),
                    authority: "bm9ib2R5".to_owned(),
                };
                aws.cluster_is_up(&cluster.id, address);
            }
        }
    }
}

/// Somebody else's hand in the account: what controllers, drivers and neighbours do there, by SDK clients of its own.
#[derive(Clone)]
pub struct Hand {
    pub ec2: aws_sdk_ec2::Client,
    pub iam: aws_sdk_iam::Client,
    elb: aws_sdk_elasticloadbalancingv2::Client,
    secrets: aws_sdk_secretsmanager::Client,
}

/// A load balancer that a controller made.
pub struct Balancer {
    arn: String,
}

impl Account {
    pub fn hand(&self) -> Hand {
        let key = self.aws.credentials();
        let credentials = aws_credential_types::Credentials::new(
            key.access_key_id,
            key.secret_access_key,
            None,
            None,
            "tests",
        );
        let http = aws_smithy_http_client::Builder::new().build_http();
        macro_rules! client {
            ($sdk:ident) => {
                $sdk::Client::from_conf(
                    $sdk::Config::builder()
                        .behavior_version($sdk::config::BehaviorVersion::latest())
                        .region($sdk::config::Region::new(REGION))
                        .endpoint_url(self.aws.endpoint())
                        .credentials_provider(credentials.clone())
                        .http_client(http.clone())
                        .build(),
                )
            };
        }
        Hand {
            ec2: client!(aws_sdk_ec2),
            iam: client!(aws_sdk_iam),
            elb: client!(aws_sdk_elasticloadbalancingv2),
            secrets: client!(aws_sdk_secretsmanager),
        }
    }
}

impl Hand {
    fn tag(key: &str, value: &str) -> aws_sdk_ec2::types::Filter {
        aws_sdk_ec2::types::Filter::builder()
            .name(format!("tag:{key}"))
            .values(value)
            .build()
    }

    /// Keeps a secret in Secrets Manager.
    pub async fn keep_secret(&self, name: &str, value: &str) {
        let create = self.secrets.create_secret().name(name);
        create.secret_string(value).send().await.unwrap();
    }

    /// Gives it another value.
    pub async fn change_secret(&self, name: &str, value: &str) {
        let put = self.secrets.put_secret_value().secret_id(name);
        put.secret_string(value).send().await.unwrap();
    }

    /// Marks it for deletion.
    pub async fn drop_secret(&self, name: &str) {
        let delete = self.secrets.delete_secret().secret_id(name);
        delete.send().await.unwrap();
    }

    /// What the AWS load balancer controller makes for a service: a group, and a network load balancer in the public subnets.
    pub async fn balancer_of(&self, cluster: &str, service: &str) -> Balancer {
        let marked = Self::tag("kubernetes.io/role/elb", "1");
        let shared = Self::tag(&format!("kubernetes.io/cluster/{cluster}"), "shared");
        let found = self.ec2.describe_subnets().filters(marked).filters(shared);
        let found = found.send().await.unwrap();
        let subnets: Vec<String> = found
            .subnets()
            .iter()
            .filter_map(|subnet| subnet.subnet_id().map(str::to_owned))
            .collect();
        let vpc = found.subnets()[0].vpc_id().unwrap();
        let made = self
            .ec2
            .create_security_group()
            .vpc_id(vpc)
            .group_name(format!("k8s-{service}"))
            .description("of the controller")
            .tag_specifications(Self::tagged(
                aws_sdk_ec2::types::ResourceType::SecurityGroup,
                "elbv2.k8s.aws/cluster",
                cluster,
            ));
        let group = made.send().await.unwrap().group_id().unwrap().to_owned();
        let tag = |key: &str, value: &str| {
            aws_sdk_elasticloadbalancingv2::types::Tag::builder()
                .key(key)
                .value(value)
                .build()
        };
        let made = self
            .elb
            .create_load_balancer()
            .name(format!("k8s-{service}"))
            .r#type(aws_sdk_elasticloadbalancingv2::types::LoadBalancerTypeEnum::Network)
            .set_subnets(Some(subnets))
            .security_groups(&group)
            .tags(tag("elbv2.k8s.aws/cluster", cluster))
            .tags(tag("service.k8s.aws/stack", &format!("default/{service}")));
        let made = made.send().await.unwrap();
        Balancer {
            arn: made.load_balancers()[0]
                .load_balancer_arn()
                .unwrap()
                .to_owned(),
        }
    }

    /// And takes away. Its group stays, as it does where the controller is not patient enough for the interfaces to go.
    /// Answers whether it went well: a test's account may be gone before its controller.
    pub async fn remove_balancer(&self, balancer: &Balancer) -> bool {
        let delete = self.elb.delete_load_balancer();
        delete.load_balancer_arn(&balancer.arn).send().await.is_ok()
    }

    /// Whether what runs on nodes reaches AWS: from every private subnet through a NAT gateway that works.
    pub fn has_way_out(&self, graph: &Value) -> bool {
        let works = |id: &str| {
            all(graph, "ec2", "nat_gateways")
                .iter()
                .any(|(one, gateway)| *one == id && gateway["state"] == "available")
        };
        let tables = all(graph, "ec2", "route_tables");
        let leads_out = |subnet: &str| {
            tables.iter().any(|(_, table)| {
                let text = table.to_string();
                text.contains(subnet)
                    && text
                        .split('"')
                        .any(|word| word.starts_with("nat-") && works(word))
            })
        };
        let subnets = all(graph, "ec2", "subnets");
        let private: Vec<&str> = subnets
            .iter()
            .filter(|(_, subnet)| subnet.to_string().contains("internal-elb"))
            .map(|(id, _)| *id)
            .collect();
        !private.is_empty() && private.into_iter().all(leads_out)
    }

    /// Whether nodes and their pods can act as somebody: the roles are there, and the provider of the pods' identities.
    pub fn has_identities(&self, graph: &Value) -> bool {
        all(graph, "iam", "roles").len() == 3 && !all(graph, "iam", "providers").is_empty()
    }

    async fn private_subnet(&self) -> String {
        let private = Self::tag("kubernetes.io/role/internal-elb", "1");
        let found = self
            .ec2
            .describe_subnets()
            .filters(private)
            .send()
            .await
            .unwrap();
        found.subnets()[0].subnet_id().unwrap().to_owned()
    }

    fn tagged(
        what: aws_sdk_ec2::types::ResourceType,
        key: &str,
        value: &str,
    ) -> aws_sdk_ec2::types::TagSpecification {
        let tag = aws_sdk_ec2::types::Tag::builder().key(key).value(value);
        aws_sdk_ec2::types::TagSpecification::builder()
            .resource_type(what)
            .tags(tag.build())
            .build()
    }

    /// An interface of the network plugin's that is attached to nothing yet.
    pub async fn interface_of(&self, cluster: &str) -> String {
        self.interface_with("cluster.k8s.amazonaws.com/name", cluster)
            .await
    }

    /// An interface in a private subnet, with this tag.
    pub async fn interface_with(&self, key: &str, value: &str) -> String {
        let kind = aws_sdk_ec2::types::ResourceType::NetworkInterface;
        let tags = Self::tagged(kind, key, value);
        let made = self
            .ec2
            .create_network_interface()
            .subnet_id(self.private_subnet().await)
            .tag_specifications(tags);
        let made = made.send().await.unwrap();
        let id = made
            .network_interface()
            .and_then(|made| made.network_interface_id());
        id.unwrap().to_owned()
    }

    /// A snapshot of some volume, with the tags that the CSI driver gives it (`extraVolumeTags`).
    pub async fn snapshot(&self, environment: &Environment) -> String {
        let volumes = self.ec2.describe_volumes().send().await.unwrap();
        let volume = volumes.volumes().iter().find_map(|one| one.volume_id());
        let kind = aws_sdk_ec2::types::ResourceType::Snapshot;
        let tags = pipectl_stages::cloud::tags::owned_by(environment);
        let tags = tags.into_iter().map(|(key, value)| {
            let tag = aws_sdk_ec2::types::Tag::builder();
            tag.key(key).value(value).build()
        });
        let tags = aws_sdk_ec2::types::TagSpecification::builder()
            .resource_type(kind)
            .set_tags(Some(tags.collect()))
            .build();
        let made = self.ec2.create_snapshot().volume_id(volume.unwrap());
        let made = made.tag_specifications(tags).send().await.unwrap();
        made.snapshot_id().unwrap().to_owned()
    }

    /// An instance for the cluster that no node group holds, as an autoscaler of the cluster's own starts them.
    pub async fn stray(&self, cluster: &str) {
        let kind = aws_sdk_ec2::types::ResourceType::Instance;
        let tags = Self::tagged(kind, &format!("kubernetes.io/cluster/{cluster}"), "owned");
        let run = self
            .ec2
            .run_instances()
            .image_id("ami-0e5a1c0ffee5a1c00")
            .instance_type(aws_sdk_ec2::types::InstanceType::M6iLarge)
            .min_count(1)
            .max_count(1)
            .subnet_id(self.private_subnet().await)
            .tag_specifications(tags);
        run.send().await.unwrap();
    }
}
