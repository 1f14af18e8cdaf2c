//! Which environment a command is about, and where it is.

use std::path::PathBuf;

use clap::Args;
use pipectl_state::EnvironmentState;

use crate::session::place::{Credentials, Place};

/// Where an environment is of which nothing is recorded on this machine.
#[derive(Debug, Clone, Args)]
pub struct Whereabouts {
    /// Find the environment in this sandbox, even when its local record is lost.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "default", value_name = "SANDBOX")]
    pub sandbox: Option<String>,
    /// Find the environment in this cluster, even when its local record is lost.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "sandbox",
        requires = "context"
    )]
    pub kubeconfig: Option<PathBuf>,
    /// The context of `--kubeconfig`.
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    pub context: Option<String>,
    /// Which account and region.
    #[command(flatten)]
    pub aws: AwsArgs,
}

impl Whereabouts {
    /// The options as they were given, for "next" lines.
    #[must_use]
    pub fn arguments(&self) -> String {
        let mut given = String::new();
        match self.sandbox.as_deref() {
            Some("default") => given.push_str(" --sandbox"),
            Some(name) => given.push_str(&format!(" --sandbox={name}")),
            None => {}
        }
        let file = self
            .kubeconfig
            .as_ref()
            .map(|file| file.display().to_string());
        let options = [
            ("kubeconfig", file.as_ref()),
            ("context", self.context.as_ref()),
            ("region", self.aws.region.as_ref()),
            ("profile", self.aws.profile.as_ref()),
            ("role-arn", self.aws.role_arn.as_ref()),
        ];
        for (option, value) in options {
            if let Some(value) = value {
                given.push_str(&format!(" --{option} {value}"));
            }
        }
        given
    }
}

/// Which environment, as a plain argument or an option.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// The environment's name [default: `PIPECTL_ENV`, or the only one there is].
    #[arg(value_name = "NAME", conflicts_with = "env")]
    name: Option<String>,
    /// The same as an option.
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
}

impl Which {
    /// The name that was given, here or in the variable `PIPECTL_ENV`.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let given = self.name.clone().or_else(|| self.env.clone());
        given.or_else(|| {
            std::env::var("PIPECTL_ENV")
                .ok()
                .filter(|name| !name.is_empty())
        })
    }
}

/// Which AWS account and region, where it is not as recorded or nothing is recorded.
#[derive(Debug, Clone, Default, Args)]
pub struct AwsArgs {
    /// The AWS region that the environment lives in, even when its local record is lost.
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// The profile of the AWS configuration files to use [default: the last pipeline's, or the standard chain of credentials].
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// The role to assume for all calls of AWS [default: the last pipeline's].
    #[arg(long, value_name = "ARN")]
    pub role_arn: Option<String>,
}

impl AwsArgs {
    /// The credentials that are named.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials {
            profile: self.profile.clone(),
            role_arn: self.role_arn.clone(),
        }
    }

    /// The place that an environment's record says, reached with the credentials that are named.
    #[must_use]
    pub fn recorded(&self, state: &EnvironmentState) -> Option<Place> {
        let mut place = Place::recorded(state)?;
        if let Place::Eks(region) = &mut place {
            region.credentials = self
                .credentials()
                .or(std::mem::take(&mut region.credentials));
        }
        Some(place)
    }
}
