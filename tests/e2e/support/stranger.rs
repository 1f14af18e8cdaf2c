//! Somebody else in the same account, by SDK clients of its own.

use aws_credential_types::Credentials;
use serde_json::json;
use tokio::runtime::Runtime;

use super::{Sandbox, until};

/// The region of all tests.
const REGION: &str = "us-west-2";

/// Somebody else with the account's key.
pub struct Stranger {
    runtime: Runtime,
    ec2: aws_sdk_ec2::Client,
    eks: aws_sdk_eks::Client,
    iam: aws_sdk_iam::Client,
    secrets: aws_sdk_secretsmanager::Client,
    ssm: aws_sdk_ssm::Client,
}

impl Stranger {
    /// Somebody in a sandbox's account.
    #[track_caller]
    pub fn of(sandbox: &Sandbox<'_>) -> Self {
        let printed = sandbox.variables();
        let variable = |name: &str| printed.get(name).cloned().unwrap_or_default();
        let credentials = Credentials::new(
            variable("AWS_ACCESS_KEY_ID"),
            variable("AWS_SECRET_ACCESS_KEY"),
            None,
            None,
            "tests",
        );
        let endpoint = variable("AWS_ENDPOINT_URL");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let http = aws_smithy_http_client::Builder::new().build_http();
        macro_rules! client {
            ($sdk:ident) => {
                $sdk::Client::from_conf(
                    $sdk::Config::builder()
                        .behavior_version($sdk::config::BehaviorVersion::latest())
                        .region($sdk::config::Region::new(REGION))
                        .endpoint_url(&endpoint)
                        .credentials_provider(credentials.clone())
                        .http_client(http.clone())
                        .build(),
                )
            };
        }
        Self {
            ec2: client!(aws_sdk_ec2),
            eks: client!(aws_sdk_eks),
            iam: client!(aws_sdk_iam),
            secrets: client!(aws_sdk_secretsmanager),
            ssm: client!(aws_sdk_ssm),
            runtime,
        }
    }

    /// Keeps a secret in Secrets Manager.
    pub fn secret(&self, name: &str, value: &str) {
        let create = self.secrets.create_secret().name(name);
        let create = create.secret_string(value).send();
        self.runtime.block_on(create).expect("a secret");
    }

    /// Gives it another value.
    pub fn change_secret(&self, name: &str, value: &str) {
        let put = self.secrets.put_secret_value().secret_id(name);
        let put = put.secret_string(value).send();
        self.runtime.block_on(put).expect("a new value");
    }

    /// Deletes it for good.
    pub fn remove_secret(&self, name: &str) {
        let delete = self.secrets.delete_secret().secret_id(name);
        let delete = delete.force_delete_without_recovery(true).send();
        self.runtime.block_on(delete).expect("the secret goes");
    }

    /// Makes a VPC; answers its id.
    pub fn vpc(&self) -> String {
        let made = self.ec2.create_vpc().cidr_block("10.0.0.0/16").send();
        let made = self.runtime.block_on(made).expect("a VPC");
        let id = made.vpc().and_then(|vpc| vpc.vpc_id());
        id.expect("a VPC has an id").to_owned()
    }

    /// Removes a VPC.
    pub fn remove_vpc(&self, id: &str) {
        let delete = self.ec2.delete_vpc().vpc_id(id).send();
        self.runtime.block_on(delete).expect("the VPC goes");
    }

    /// Takes an Elastic IP address; answers its id.
    pub fn address(&self) -> String {
        let taken = self.ec2.allocate_address().send();
        let taken = self.runtime.block_on(taken).expect("an address");
        taken
            .allocation_id()
            .expect("an address has an id")
            .to_owned()
    }

    /// Gives it back.
    pub fn release(&self, address: &str) {
        let release = self.ec2.release_address().allocation_id(address).send();
        self.runtime.block_on(release).expect("the address goes");
    }

    /// Makes a subnet; answers its id.
    pub fn subnet(&self, vpc: &str, zone: &str, range: &str) -> String {
        let create = self.ec2.create_subnet().vpc_id(vpc).cidr_block(range);
        let made = create.availability_zone(zone).send();
        let made = self.runtime.block_on(made).expect("a subnet");
        let id = made.subnet().and_then(|subnet| subnet.subnet_id());
        id.expect("a subnet has an id").to_owned()
    }

    /// Makes a security group; answers its id.
    pub fn group(&self, vpc: &str, name: &str) -> String {
        let create = self.ec2.create_security_group().vpc_id(vpc);
        let made = create
            .group_name(name)
            .description("of somebody else")
            .send();
        let made = self.runtime.block_on(made).expect("a group");
        made.group_id().expect("a group has an id").to_owned()
    }

    /// Removes a security group.
    pub fn remove_group(&self, id: &str) {
        let delete = self.ec2.delete_security_group().group_id(id).send();
        self.runtime.block_on(delete).expect("the group goes");
    }

    /// Makes a role for a service; answers its ARN.
    pub fn role(&self, path: &str, name: &str, policy: &str) -> String {
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Service": "eks.amazonaws.com"},
                "Action": "sts:AssumeRole"
            }]
        });
        let create = self.iam.create_role().path(path).role_name(name);
        let made = create.assume_role_policy_document(trust.to_string()).send();
        let made = self.runtime.block_on(made).expect("a role");
        let attach = self.iam.attach_role_policy().role_name(name);
        let attach = attach.policy_arn(format!("arn:aws:iam::aws:policy/{policy}"));
        self.runtime.block_on(attach.send()).expect("a policy");
        made.role().expect("the role").arn().to_owned()
    }

    /// Deletes a parameter.
    pub fn forget_parameter(&self, name: &str) {
        let delete = self.ssm.delete_parameter().name(name).send();
        self.runtime.block_on(delete).expect("the parameter goes");
    }

    /// Installs an add-on in a cluster, as a person does by hand.
    pub fn addon(&self, cluster: &str, name: &str) {
        let create = self.eks.create_addon().cluster_name(cluster);
        let made = create.addon_name(name).send();
        self.runtime.block_on(made).expect("an add-on");
    }

    /// Takes it away and waits until it is gone.
    pub fn remove_addon(&self, cluster: &str, name: &str) {
        until("the end of the add-on", || {
            let delete = self.eks.delete_addon().cluster_name(cluster);
            let deleted = delete.addon_name(name).send();
            self.runtime.block_on(deleted).is_err().then_some(())
        });
    }

    /// Makes a cluster and waits until it is there.
    pub fn cluster(&self, name: &str, role: &str, subnets: &[String]) {
        let network = aws_sdk_eks::types::VpcConfigRequest::builder()
            .set_subnet_ids(Some(subnets.to_owned()))
            .build();
        // A role that was made just now is not known to EKS at once.
        until("EKS to know the role", || {
            let create = self.eks.create_cluster().name(name).role_arn(role);
            let made = create.resources_vpc_config(network.clone()).send();
            self.runtime.block_on(made).ok()
        });
        until("the stranger's cluster", || {
            let look = self.eks.describe_cluster().name(name).send();
            let found = self.runtime.block_on(look).expect("the cluster");
            let status = found.cluster().and_then(|cluster| cluster.status());
            (status == Some(&aws_sdk_eks::types::ClusterStatus::Active)).then_some(())
        });
    }
}
