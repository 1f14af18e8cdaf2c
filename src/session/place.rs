//! Where an environment lives, as pinned at its first `up`.

use std::{fmt, path::PathBuf};

use pipectl_config::{Loaded, Provider};
use pipectl_stages::ports::objects::ClusterIdentity;
use pipectl_state::{EnvironmentState, Pins};

use super::standing;
use crate::{exit::Exit, failure::Failure};

const PROVIDER: &str = "provider";
const SANDBOX: &str = "sandbox";
const EXISTING: &str = "existing";
const EKS: &str = "eks";
const REGION: &str = "region";
const ACCOUNT: &str = "account";
const KUBE_SYSTEM_UID: &str = "cluster.kube-system-uid";
const CA_SHA256: &str = "cluster.ca-sha256";

/// Where an environment lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the plain cluster of a sandbox on this machine.
    Sandbox(String),
    /// In a cluster that existed before.
    Existing(Option<Entrance>),
    /// In an AWS account, with a network and an EKS cluster of its own.
    Eks(Region),
}

/// A context of a kubeconfig that the user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrance {
    /// The file.
    pub kubeconfig: PathBuf,
    /// The context in it; `None`: the only one, in a kubeconfig of pipectl's own.
    pub context: Option<String>,
}

/// A region of an AWS account, and how it is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Region {
    /// The region's name.
    pub region: String,
    /// The account, once it is known: as the file names it, as the record pins it, or as AWS said.
    pub account: Option<String>,
    /// The sandbox whose simulated AWS it is; `None`: AWS itself.
    pub sandbox: Option<String>,
    /// The credentials to use; not part of what is pinned.
    pub credentials: Credentials,
}

/// Which credentials are used, where the standard chain is not meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// A profile of the AWS configuration files.
    pub profile: Option<String>,
    /// A role to assume.
    pub role_arn: Option<String>,
}

impl Credentials {
    /// These, or where they say nothing, the others.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            profile: self.profile.or(others.profile),
            role_arn: self.role_arn.or(others.role_arn),
        }
    }
}

impl Place {
    /// The place that a pipeline names; `sandbox` is the name given to `--sandbox`, if it was given.
    #[must_use]
    pub fn of(loaded: &Loaded, sandbox: Option<&str>) -> Self {
        match (&loaded.pipeline.spec.provider, sandbox) {
            (Provider::Eks(eks), sandbox) => Self::Eks(Region {
                region: eks.region.clone(),
                account: eks.account.clone(),
                sandbox: sandbox.map(str::to_owned),
                credentials: Credentials {
                    profile: eks.profile.clone(),
                    role_arn: eks.role_arn.clone(),
                },
            }),
            (_, Some(name)) => Self::Sandbox(name.to_owned()),
            (Provider::Sandbox, None) => Self::Sandbox(
                std::env::var("PIPECTL_SANDBOX")
                    .ok()
                    .filter(|name| !name.is_empty())
                    .unwrap_or_else(|| "default".to_owned()),
            ),
            (Provider::Existing(existing), None) => Self::Existing(Some(Entrance {
                kubeconfig: loaded
                    .disk_path(&existing.kubeconfig)
                    .unwrap_or_else(|| PathBuf::from(&existing.kubeconfig)),
                context: Some(existing.context.clone()),
            })),
        }
    }

    /// The place that an environment's record pins.
    #[must_use]
    pub fn pinned(pins: &Pins) -> Option<Self> {
        match pins.get(PROVIDER)?.as_str() {
            SANDBOX => Some(Self::Sandbox(pins.get(SANDBOX)?.clone())),
            EXISTING => Some(Self::Existing(None)),
            EKS => Some(Self::Eks(Region {
                region: pins.get(REGION)?.clone(),
                account: Some(pins.get(ACCOUNT)?.clone()),
                sandbox: pins.get(SANDBOX).cloned(),
                credentials: Credentials::default(),
            })),
            _ => None,
        }
    }

    /// The place that an environment's record pins, with the credentials of its last pipeline.
    #[must_use]
    pub fn recorded(state: &EnvironmentState) -> Option<Self> {
        let mut place = Self::pinned(state.pins())?;
        let last = standing::recorded_pipeline(state).map(|loaded| loaded.pipeline.spec.provider);
        if let (Self::Eks(region), Some(Provider::Eks(eks))) = (&mut place, last)
            && region.sandbox.is_none()
        {
            region.credentials = Credentials {
                profile: eks.profile,
                role_arn: eks.role_arn,
            };
        }
        Some(place)
    }

    /// What is pinned when an environment begins to live here; `cluster` is the one that was there before, where there
    /// is one.
    #[must_use]
    pub fn pins(&self, cluster: Option<&ClusterIdentity>) -> Pins {
        let mut pins = Pins::new();
        let mut pin = |key: &str, value: &str| pins.insert(key.to_owned(), value.to_owned());
        match self {
            Self::Sandbox(name) => {
                pin(PROVIDER, SANDBOX);
                pin(SANDBOX, name);
            }
            Self::Existing(_) => {
                pin(PROVIDER, EXISTING);
            }
            Self::Eks(region) => {
                pin(PROVIDER, EKS);
                pin(REGION, &region.region);
                pin(ACCOUNT, region.account.as_deref().unwrap_or_default());
                if let Some(sandbox) = &region.sandbox {
                    pin(SANDBOX, sandbox);
                }
            }
        }
        if let Some(cluster) = cluster {
            pin(KUBE_SYSTEM_UID, &cluster.kube_system_uid);
            pin(CA_SHA256, &cluster.ca_sha256);
        }
        pins
    }

    /// Whether an environment pinned to `self` may be worked on at `now`: the same provider, the same sandbox, the same region,
    /// and no other account where both are known.
    #[must_use]
    pub fn same_as(&self, now: &Self) -> bool {
        match (self, now) {
            (Self::Sandbox(a), Self::Sandbox(b)) => a == b,
            (Self::Existing(_), Self::Existing(_)) => true,
            (Self::Eks(a), Self::Eks(b)) => {
                let accounts = a.account.as_ref().zip(b.account.as_ref());
                a.region == b.region
                    && a.sandbox == b.sandbox
                    && accounts.is_none_or(|(a, b)| a == b)
            }
            _ => false,
        }
    }

    /// Refuses an environment that is pinned to another place than this one.
    ///
    /// # Errors
    /// `CLI008` when it is.
    pub fn check(&self, pins: &Pins, environment: &str) -> Result<(), Failure> {
        match Self::pinned(pins) {
            Some(pinned) if !pinned.same_as(self) => Err(Failure::problem(
                Exit::Refused,
                "CLI008",
                "work on",
                format!("environment {environment} in {self}"),
                format!("it lives in {pinned}"),
            )
            .hint(pinned.hint(self, environment))),
            _ => Ok(()),
        }
    }

    /// What somebody can do who meant `now` for an environment that lives here.
    fn hint(&self, now: &Self, environment: &str) -> String {
        let another = format!(
            "or give a new environment another name with --env (if nothing came of it there: pipectl forget {environment})"
        );
        match self {
            Self::Sandbox(_) if self.sandbox() == now.sandbox() => {
                format!("it lives in the plain cluster: add --set provider=sandbox, {another}")
            }
            Self::Eks(region) if self.sandbox() == now.sandbox() => {
                let provider = format!("{{eks: {{region: {}}}}}", region.region);
                format!("its provider is {provider}: put that into the file, {another}")
            }
            _ => match self.arguments() {
                arguments if arguments.is_empty() => {
                    format!("name the place it lives in, {another}")
                }
                arguments => format!(
                    "name the place it lives in ({}), {another}",
                    arguments.trim()
                ),
            },
        }
    }

    /// The options that name this place again, beside the pipeline file.
    #[must_use]
    pub fn arguments(&self) -> String {
        match self.sandbox() {
            Some("default") => " --sandbox".to_owned(),
            Some(name) => format!(" --sandbox={name}"),
            None => String::new(),
        }
    }

    /// The sandbox that it is in.
    #[must_use]
    pub fn sandbox(&self) -> Option<&str> {
        match self {
            Self::Sandbox(name) => Some(name),
            Self::Eks(region) => region.sandbox.as_deref(),
            Self::Existing(_) => None,
        }
    }
}

/// The identity that was pinned; the server's address and version are not part of it.
#[must_use]
pub fn pinned_identity(pins: &Pins) -> Option<ClusterIdentity> {
    Some(ClusterIdentity {
        kube_system_uid: pins.get(KUBE_SYSTEM_UID)?.clone(),
        ca_sha256: pins.get(CA_SHA256)?.clone(),
        server: String::new(),
        version: String::new(),
    })
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sandbox(name) => write!(f, "sandbox {name}"),
            Self::Existing(Some(Entrance {
                context: Some(context),
                ..
            })) => write!(f, "cluster {context}"),
            Self::Existing(_) => f.write_str("existing cluster"),
            Self::Eks(region) => region.fmt(f),
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.region)?;
        match (&self.sandbox, &self.account) {
            (Some(sandbox), _) => write!(f, " · sandbox {sandbox}"),
            (None, Some(account)) => write!(f, " · account {account}"),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aws(region: &str, account: Option<&str>, sandbox: Option<&str>) -> Place {
        Place::Eks(Region {
            region: region.to_owned(),
            account: account.map(str::to_owned),
            sandbox: sandbox.map(str::to_owned),
            credentials: Credentials {
                profile: Some("work".to_owned()),
                role_arn: None,
            },
        })
    }

    #[test]
    fn region_account_and_sandbox_are_pinned_and_credentials_are_not() {
        let home = aws("us-west-2", Some("111122223333"), None);
        let pins = home.pins(None);
        assert!(!pins.values().any(|value| value == "work"), "{pins:?}");
        assert!(aws("us-west-2", None, None).check(&pins, "demo").is_ok());
        for other in [
            aws("eu-west-1", None, None),
            aws("us-west-2", Some("444455556666"), None),
            aws("us-west-2", Some("111122223333"), Some("default")),
            Place::Sandbox("default".to_owned()),
            Place::Existing(None),
        ] {
            let refused = other.check(&pins, "demo").unwrap_err();
            assert_eq!(refused.exit(), Exit::Refused, "{other}");
        }
    }
}
