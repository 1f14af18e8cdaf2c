//! Where an environment lives, as pinned at its first `up`.

use std::{fmt, path::PathBuf};

use pipectl_config::{Loaded, Provider};
use pipectl_stages::ports::objects::ClusterIdentity;
use pipectl_state::Pins;

use crate::{exit::Exit, failure::Failure};

const PROVIDER: &str = "provider";
const SANDBOX: &str = "sandbox";
const EXISTING: &str = "existing";
const KUBE_SYSTEM_UID: &str = "cluster.kube-system-uid";
const CA_SHA256: &str = "cluster.ca-sha256";

/// Where an environment lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a sandbox on this machine.
    Sandbox(String),
    /// In a cluster that existed before.
    Existing(Option<Entrance>),
}

/// A context of a kubeconfig that the user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrance {
    /// The file.
    pub kubeconfig: PathBuf,
    /// The context in it; `None`: the only one, in a kubeconfig of pipectl's own.
    pub context: Option<String>,
}

impl Place {
    /// The place that a pipeline names; `sandbox` is the name given to `--sandbox`, if it was given.
    ///
    /// # Errors
    /// For a provider that this version does not have.
    pub fn of(loaded: &Loaded, sandbox: Option<&str>) -> Result<Self, Failure> {
        match (&loaded.pipeline.spec.provider, sandbox) {
            (_, Some(name)) => Ok(Self::Sandbox(name.to_owned())),
            (Provider::Sandbox, None) => Ok(Self::Sandbox(
                std::env::var("PIPECTL_SANDBOX")
                    .ok()
                    .filter(|name| !name.is_empty())
                    .unwrap_or_else(|| "default".to_owned()),
            )),
            (Provider::Existing(existing), None) => Ok(Self::Existing(Some(Entrance {
                kubeconfig: loaded
                    .disk_path(&existing.kubeconfig)
                    .unwrap_or_else(|| PathBuf::from(&existing.kubeconfig)),
                context: Some(existing.context.clone()),
            }))),
            (Provider::Eks(_), None) => Err(Failure::problem(
                Exit::BadInput,
                "CLI006",
                "use",
                "provider eks",
                "this version has no way to AWS yet",
            )
            .hint("use --sandbox, or `provider: {existing: {kubeconfig: ..., context: ...}}`")),
        }
    }

    /// The place that an environment's record pins.
    #[must_use]
    pub fn pinned(pins: &Pins) -> Option<Self> {
        match pins.get(PROVIDER)?.as_str() {
            SANDBOX => Some(Self::Sandbox(pins.get(SANDBOX)?.clone())),
            EXISTING => Some(Self::Existing(None)),
            _ => None,
        }
    }

    /// What is pinned when an environment begins to live here.
    #[must_use]
    pub fn pins(&self, identity: &ClusterIdentity) -> Pins {
        let mut pins = Pins::new();
        match self {
            Self::Sandbox(name) => {
                pins.insert(PROVIDER.to_owned(), SANDBOX.to_owned());
                pins.insert(SANDBOX.to_owned(), name.clone());
            }
            Self::Existing(_) => {
                pins.insert(PROVIDER.to_owned(), EXISTING.to_owned());
            }
        }
        pins.insert(KUBE_SYSTEM_UID.to_owned(), identity.kube_system_uid.clone());
        pins.insert(CA_SHA256.to_owned(), identity.ca_sha256.clone());
        pins
    }

    /// Whether an environment pinned to `self` may be worked on at `now`: the same provider, and the same sandbox.
    #[must_use]
    pub fn same_as(&self, now: &Self) -> bool {
        match (self, now) {
            (Self::Sandbox(a), Self::Sandbox(b)) => a == b,
            (Self::Existing(_), Self::Existing(_)) => true,
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
            .hint(format!(
                "name the place it lives in{}, or give a new environment another name with --env",
                match pinned.arguments() {
                    arguments if arguments.is_empty() => arguments,
                    arguments => format!(" ({})", arguments.trim()),
                }
            ))),
            _ => Ok(()),
        }
    }

    /// The options that name this place again.
    #[must_use]
    pub fn arguments(&self) -> String {
        match self {
            Self::Sandbox(name) if name == "default" => " --sandbox".to_owned(),
            Self::Sandbox(name) => format!(" --sandbox={name}"),
            Self::Existing(_) => String::new(),
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
        }
    }
}
