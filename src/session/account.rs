//! The way to an AWS account, or to one that a sandbox simulates: who is asking, which environments are there, and the gate to the
//! cluster that comes to be.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use pipectl_adapters::{
    entrance::{ExecEntry, Gate, GateOptions},
    helm::HelmOptions,
};
use pipectl_aws::{Aws, AwsOptions, OwnEndpoint};
use pipectl_sandbox::AwsAccess;
use pipectl_stages::{
    Pace, PortError, PortErrorKind,
    objects::ownership::{ENVIRONMENT_LABEL, ENVIRONMENT_UID_LABEL},
    ports::{
        account::Caller,
        anchors::{AnchorApi, Sighting},
        cloud::Cloud,
        entrance::{Door, EntranceApi},
        objects::ClusterIdentity,
        secrets::SecretsManagerApi,
    },
};
use pipectl_state::Environment;
use uuid::Uuid;

use super::{
    access::Found,
    hold::{AtWork, moment},
    place::{Credentials, Region},
};
use crate::{exit::Exit, failure::Failure};

/// How much faster than on AWS time passes at an endpoint of one's own; `pipectl sandbox env` exports it. Without
/// `AWS_ENDPOINT_URL` it means nothing: AWS itself has its own pace.
const TIME_SCALE: &str = "PIPECTL_TIME_SCALE";

/// A connection to an account, and who is asking there.
pub struct Account {
    aws: Aws,
    /// Where it is, the account known.
    pub region: Region,
    /// Who is asking.
    pub caller: Caller,
    /// How fast the account's time passes.
    pub pace: Pace,
}

/// A connection, of which nobody knows yet whether it works.
struct Connection {
    aws: Aws,
    time_scale: f64,
}

async fn connection(region: &Region, sandbox: Option<AwsAccess>) -> Result<Connection, Failure> {
    let time_scale = match &sandbox {
        Some(access) => f64::from(access.time_scale),
        None => own_time_scale(),
    };
    let own = sandbox.is_some();
    let credentials = &region.credentials;
    let options = AwsOptions {
        region: region.region.clone(),
        profile: credentials.profile.clone().filter(|_| !own),
        role_arn: credentials.role_arn.clone().filter(|_| !own),
        endpoint: sandbox.map(|access| OwnEndpoint {
            url: access.endpoint,
            access_key_id: access.access_key_id,
            secret_access_key: access.secret_access_key,
        }),
        time_scale,
    };
    let aws = pipectl_aws::connect(options).await;
    let aws = aws.map_err(|error| Failure::port(error, "reach", region.to_string()))?;
    Ok(Connection { aws, time_scale })
}

/// The time scale of an endpoint that the environment names.
fn own_time_scale() -> f64 {
    let given = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    given("AWS_ENDPOINT_URL")
        .and_then(|_| given(TIME_SCALE)?.parse().ok())
        .filter(|scale: &f64| scale.is_finite() && *scale >= 1.0)
        .unwrap_or(1.0)
}

/// A token for an environment's cluster. Asks nobody but where credentials come from.
///
/// # Errors
/// When there are no credentials.
pub async fn token(
    region: &Region,
    sandbox: Option<AwsAccess>,
    cluster: &str,
) -> Result<pipectl_aws::ClusterToken, Failure> {
    let token = connection(region, sandbox).await?.aws.token(cluster).await;
    token
        .map_err(|error| Failure::port(error, "make a token for", format!("EKS cluster {cluster}")))
}

impl Account {
    /// Connects, and asks AWS who is calling. Reads only.
    ///
    /// # Errors
    /// Without credentials that work, or `FEN002` when they are for another account than the place's.
    pub async fn open(region: &Region, sandbox: Option<AwsAccess>) -> Result<Self, Failure> {
        let Connection { aws, time_scale } = connection(region, sandbox).await?;
        let cloud = aws.cloud(Arc::new(NoWayIn));
        let caller = cloud.account.caller().await;
        let caller = caller.map_err(|error| {
            let doing = match error.kind {
                // AWS was reached, and did not take the caller in.
                PortErrorKind::Unauthorized => "sign in to",
                PortErrorKind::Forbidden => "work in",
                _ => "reach",
            };
            Failure::port(error, doing, region.to_string())
        })?;
        if let Some(account) = &region.account {
            same_account(account, &caller, &region.to_string())?;
        }
        Ok(Self {
            aws,
            region: Region {
                account: Some(caller.account.clone()),
                ..region.clone()
            },
            caller,
            pace: Pace::times(time_scale),
        })
    }

    /// From now on a change is sent only while `until` is ahead.
    pub fn fence_effects(&self, until: pipectl_aws::EffectDeadline) {
        self.aws.fence_effects(until);
    }

    /// The ports of the account, with a way into its cluster.
    #[must_use]
    pub fn cloud(&self, gate: Arc<Gate>) -> Cloud {
        self.aws.cloud(gate)
    }

    /// What the account keeps for secret references.
    #[must_use]
    pub fn secrets_manager(&self) -> Arc<dyn SecretsManagerApi> {
        Arc::new(self.aws.clone())
    }

    /// Where a look at the account is enough: nothing is entered.
    fn outside(&self) -> Cloud {
        self.aws.cloud(Arc::new(NoWayIn))
    }

    /// The gate to the cluster of an environment, whose kubeconfig is written here and gets its tokens from this program.
    #[must_use]
    pub fn gate(
        &self,
        environment: &Environment,
        kubeconfig: PathBuf,
        helm: HelmOptions,
    ) -> Arc<Gate> {
        let name = environment.name();
        let mut args = vec!["token".to_owned(), "--env".to_owned(), name.to_owned()];
        let mut env = Vec::new();
        let mut keep = |variable: &str| {
            if let Ok(value) = std::env::var(variable)
                && !value.is_empty()
            {
                env.push((variable.to_owned(), value));
            }
        };
        // Where the environment's record is, for whoever runs kubectl with other surroundings.
        keep("XDG_STATE_HOME");
        if let Some(sandbox) = &self.region.sandbox {
            args.push(format!("--sandbox={sandbox}"));
        } else {
            let Credentials { profile, role_arn } = &self.region.credentials;
            match profile {
                Some(profile) => args.extend(["--profile".to_owned(), profile.clone()]),
                None => keep("AWS_PROFILE"),
            }
            if let Some(role) = role_arn {
                args.extend(["--role-arn".to_owned(), role.clone()]);
            }
        }
        Gate::new(GateOptions {
            kubeconfig,
            exec: ExecEntry {
                command: helm.guard.clone(),
                args,
                env,
            },
            context: name.to_owned(),
            // The cluster is known by its ARN and its tags, which EKS itself says; a new one of the same name is another.
            expected: None,
            bounds: Default::default(),
            helm,
        })
    }

    /// The records of environments, as they are.
    #[must_use]
    pub fn records(&self) -> Arc<dyn AnchorApi> {
        self.outside().anchors
    }

    /// The environment of this name, by its record in the account.
    ///
    /// # Errors
    /// When the account cannot be read.
    pub async fn find(&self, name: &str) -> Result<Option<Found>, PortError> {
        let seen = self.records().sight(name).await?;
        Ok(seen.and_then(|seen| {
            let at_work = AtWork::of(&seen);
            let anchor = seen.anchor;
            Some(Found {
                uid: anchor.uid.parse().ok()?,
                created: moment(anchor.created),
                state: anchor.state_url,
                at_work,
            })
        }))
    }

    /// The records of all environments of the account in this region.
    ///
    /// # Errors
    /// When the account cannot be read.
    pub async fn anchors(&self) -> Result<Vec<Sighting>, Failure> {
        let all = self.records().all().await;
        all.map_err(|error| {
            Failure::port(error, "list the environments in", self.region.to_string())
        })
    }

    /// UIDs of environments of this name that have left something here, by tags alone.
    ///
    /// # Errors
    /// When the account cannot be read.
    pub async fn remains(&self, name: &str) -> Result<BTreeSet<String>, PortError> {
        let named = [(ENVIRONMENT_LABEL.to_owned(), name.to_owned())].into();
        let found = self.outside().tagged.all(&named).await?;
        let uids = found.iter();
        Ok(uids
            .filter_map(|resource| resource.tags.get(ENVIRONMENT_UID_LABEL).cloned())
            .collect())
    }

    /// Whether the record of this environment is in the account.
    pub async fn holds(&self, name: &str, uid: Uuid) -> bool {
        let found = self.find(name).await;
        found.is_ok_and(|found| found.is_some_and(|found| found.uid == uid))
    }
}

/// Refuses credentials of another account than the environment's.
///
/// # Errors
/// `FEN002`.
pub fn same_account(account: &str, caller: &Caller, what: &str) -> Result<(), Failure> {
    if caller.account == account {
        return Ok(());
    }
    Err(Failure::problem(
        Exit::Refused,
        "FEN002",
        "work on",
        what,
        format!(
            "the credentials in use belong to account {} ({})",
            caller.account, caller.arn
        ),
    )
    .hint(format!(
        "use credentials of account {account}: with spec.provider.eks.profile or roleArn in the file (up: --set provider.eks.profile=NAME), \
         with --profile or --role-arn (status, down, list), or with AWS_PROFILE"
    )))
}

/// Somebody who looks at the account and enters no cluster.
struct NoWayIn;

#[async_trait]
impl EntranceApi for NoWayIn {
    async fn enter(&self, door: &Door) -> Result<ClusterIdentity, PortError> {
        Err(PortError::new(
            PortErrorKind::Other,
            "CLI015",
            format!("{} is not to be entered by a look at the account", door.arn),
        ))
    }

    fn entered(&self) -> Option<Door> {
        None
    }
}
