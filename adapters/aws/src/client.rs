//! One SDK client a service, made when it is first needed, all over the same connections and credentials.

use std::sync::{Arc, OnceLock};

use aws_config::SdkConfig;
use aws_sdk_sts::config::retry::{RetryPartition, TokenBucket};
use pipectl_stages::ports::{cloud::Cloud, entrance::EntranceApi};

use crate::{
    call::{EffectDeadline, Fence},
    options::AwsOptions,
};

/// The way to one AWS account in one region. Clones share connections, credentials and fence.
#[derive(Debug, Clone)]
pub struct Aws {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: SdkConfig,
    options: AwsOptions,
    fence: Fence,
    retries: RetryPartition,
    ec2: OnceLock<aws_sdk_ec2::Client>,
    eks: OnceLock<aws_sdk_eks::Client>,
    elb: OnceLock<aws_sdk_elasticloadbalancing::Client>,
    elbv2: OnceLock<aws_sdk_elasticloadbalancingv2::Client>,
    iam: OnceLock<aws_sdk_iam::Client>,
    kms: OnceLock<aws_sdk_kms::Client>,
    logs: OnceLock<aws_sdk_cloudwatchlogs::Client>,
    secrets: OnceLock<aws_sdk_secretsmanager::Client>,
    quotas: OnceLock<aws_sdk_servicequotas::Client>,
    ssm: OnceLock<aws_sdk_ssm::Client>,
    sts: OnceLock<aws_sdk_sts::Client>,
    tagging: OnceLock<aws_sdk_resourcegroupstagging::Client>,
}

/// One accessor per service. Each client has the fence in front of every attempt and shares the budget of repetitions.
macro_rules! clients {
    ($($name:ident: $sdk:ident),+ $(,)?) => {
        impl Aws {
            $(
                pub(crate) fn $name(&self) -> &$sdk::Client {
                    self.inner.$name.get_or_init(|| {
                        let config = $sdk::config::Builder::from(&self.inner.config)
                            .interceptor(self.inner.fence.clone())
                            .retry_partition(self.inner.retries.clone())
                            .build();
                        $sdk::Client::from_conf(config)
                    })
                }
            )+
        }
    };
}

clients! {
    ec2: aws_sdk_ec2,
    eks: aws_sdk_eks,
    elb: aws_sdk_elasticloadbalancing,
    elbv2: aws_sdk_elasticloadbalancingv2,
    iam: aws_sdk_iam,
    kms: aws_sdk_kms,
    logs: aws_sdk_cloudwatchlogs,
    secrets: aws_sdk_secretsmanager,
    quotas: aws_sdk_servicequotas,
    ssm: aws_sdk_ssm,
    sts: aws_sdk_sts,
    tagging: aws_sdk_resourcegroupstagging,
}

impl Aws {
    pub(crate) fn new(config: SdkConfig, options: AwsOptions) -> Self {
        // A budget of its own: the SDK's is one per service and process, so that another connection's bad day would use it up.
        // It refills with AWS's time, or a long run with few calls would never get back what one bad minute took.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a rate, not a count; the scale is small"
        )]
        let refill_rate = 5.0 * options.time_scale as f32;
        let retries = RetryPartition::custom("pipectl")
            .token_bucket(
                TokenBucket::builder()
                    .capacity(1_000)
                    .refill_rate(refill_rate)
                    .build(),
            )
            .build();
        Self {
            inner: Arc::new(Inner {
                config,
                options,
                fence: Fence::default(),
                retries,
                ec2: OnceLock::new(),
                eks: OnceLock::new(),
                elb: OnceLock::new(),
                elbv2: OnceLock::new(),
                iam: OnceLock::new(),
                kms: OnceLock::new(),
                logs: OnceLock::new(),
                secrets: OnceLock::new(),
                quotas: OnceLock::new(),
                ssm: OnceLock::new(),
                sts: OnceLock::new(),
                tagging: OnceLock::new(),
            }),
        }
    }

    /// The region that every call goes to.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.inner.options.region
    }

    pub(crate) fn options(&self) -> &AwsOptions {
        &self.inner.options
    }

    /// Credentials, HTTP client and endpoint, for what signs by itself.
    pub(crate) fn config(&self) -> &SdkConfig {
        &self.inner.config
    }

    /// Every port of the account, with the entrance to its clusters.
    #[must_use]
    pub fn cloud(&self, entrance: Arc<dyn EntranceApi>) -> Cloud {
        let own = Arc::new(self.clone());
        Cloud {
            account: own.clone(),
            anchors: own.clone(),
            network: own.clone(),
            compute: own.clone(),
            balancers: own.clone(),
            clusters: own.clone(),
            node_groups: own.clone(),
            addons: own.clone(),
            access: own.clone(),
            identity: own.clone(),
            keys: own.clone(),
            logs: own.clone(),
            tagged: own,
            entrance,
        }
    }

    /// From now on, no attempt of a changing call is sent when this deadline is not ahead; such a call ends as `Cancelled`.
    /// One that was sent right before it ends within [`CallBounds::attempt`](crate::CallBounds), which is shorter than the
    /// lease's margin.
    pub fn fence_effects(&self, until: EffectDeadline) {
        self.inner.fence.set(until);
    }
}
