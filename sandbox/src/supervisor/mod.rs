//! The process that owns a running sandbox: it keeps the control plane alive and everything around it.

mod cloud;
mod components;
pub mod context;
mod control_plane;
mod credentials;
pub mod egress;
mod egress_proxy;
mod nodes;
mod own_cluster;
mod ports;
pub(crate) mod process;
mod run;
mod runtime;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

pub use nodes::instance_types;

use crate::error::SandboxError;
use crate::files::{self, Layout};

/// The hidden words that turn the program into a supervisor: `pipectl sandbox supervise --name N --directory D`.
pub const SUPERVISE: [&str; 2] = ["sandbox", "supervise"];

/// What a sandbox is started with.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct StartOptions {
    /// How many nodes it has, over three zones in turn.
    pub nodes: u16,
    /// Their size; one of [`instance_types`].
    pub instance_type: String,
    /// Port of the Kubernetes API on 127.0.0.1; a free one when absent.
    pub api_port: Option<u16>,
    /// Directory with official definitions (`NAME-VERSION/crds/*.yaml`) that the charts hold instead of the sandbox's own.
    #[serde(default)]
    pub crds: Option<PathBuf>,
    /// The simulated AWS, which every sandbox has.
    #[serde(default, deserialize_with = "given_or_default")]
    pub aws: AwsOptions,
    /// Whether the plain cluster boots along; without, at the first [`crate::Sandbox::ensure_cluster`].
    #[serde(default = "yes")]
    pub cluster: bool,
}

fn yes() -> bool {
    true
}

/// Earlier sandboxes wrote `null` where there was no simulated AWS.
fn given_or_default<'de, D: serde::Deserializer<'de>>(from: D) -> Result<AwsOptions, D::Error> {
    Ok(Option::<AwsOptions>::deserialize(from)?.unwrap_or_default())
}

/// What the simulated AWS is started with.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct AwsOptions {
    /// How much faster than AWS lifecycles pass; at least 1.
    pub time_scale: u32,
    /// For identifiers that are the same in every run.
    #[serde(default)]
    pub seed: Option<u64>,
    /// The region that its users are pointed to.
    #[serde(default = "default_region")]
    pub region: String,
    /// The account whose key they get, 12 digits.
    #[serde(default = "default_account")]
    pub account: String,
    /// After so many seconds without a client the control plane of an EKS cluster goes to sleep, until somebody comes or its
    /// nodes change. What runs in it stands still meanwhile.
    #[serde(default = "default_idle_seconds")]
    pub idle_seconds: u32,
}

fn default_idle_seconds() -> u32 {
    600
}

fn default_region() -> String {
    "us-west-2".to_owned()
}

fn default_account() -> String {
    crate::aws::DEFAULT_ACCOUNT.to_owned()
}

impl Default for AwsOptions {
    fn default() -> Self {
        Self {
            time_scale: 60,
            seed: None,
            region: default_region(),
            account: default_account(),
            idle_seconds: default_idle_seconds(),
        }
    }
}

impl Default for StartOptions {
    fn default() -> Self {
        Self {
            nodes: 3,
            instance_type: "m6i.large".to_owned(),
            api_port: None,
            crds: None,
            aws: AwsOptions::default(),
            cluster: true,
        }
    }
}

impl StartOptions {
    pub(crate) fn check(&self) -> Result<(), SandboxError> {
        let aws = &self.aws;
        let invalid = |setting, reason: &str| {
            let reason = reason.to_owned();
            Err(SandboxError::InvalidSetting { setting, reason })
        };
        if aws.time_scale < 1 {
            return invalid("time scale", "it has to be at least 1");
        }
        if aws.account.len() != 12 || !aws.account.bytes().all(|byte| byte.is_ascii_digit()) {
            return invalid("account", "an account has 12 digits");
        }
        if !crate::aws::knows_region(&aws.region) {
            return invalid("region", "the sandbox has no zones in it");
        }
        nodes::check(self.nodes, &self.instance_type)
    }
}

/// Be a supervisor, until it is told to stop: what the hidden subcommand [`SUPERVISE`] runs, with the arguments after it.
/// Blocks and brings its own runtime; its output is the log.
pub fn supervise(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Some((name, directory)) = parse(args) else {
        return ExitCode::from(2);
    };
    // A session of its own: neither the terminal's Ctrl-C nor its end reach it. Fails when it has one already.
    let _ = rustix::process::setsid();
    log_to_stderr();
    let layout = Layout { root: directory };
    let outcome = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let outcome = runtime.block_on(run::run(&name, &layout));
            // Nothing that is left waits for anything worth waiting for.
            runtime.shutdown_background();
            outcome
        }
        Err(source) => Err(SandboxError::Spawn {
            what: "the supervisor's threads".to_owned(),
            source,
        }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(code = error.code(), %error, "the sandbox could not run");
            // Where even this cannot be written, the exit code is left.
            if let Ok(report) = serde_json::to_vec_pretty(&error.report()) {
                let _ = files::write_private(&layout.failure(), &report);
            }
            ExitCode::FAILURE
        }
    }
}

/// The supervisor's standard error is its log file.
fn log_to_stderr() {
    // Until the API server answers, the client reports each failed question at level error.
    let filter = tracing_subscriber::EnvFilter::new("info,kube_client::client::builder=off");
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .finish();
    // Somebody else's subscriber is as good.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Option<(String, PathBuf)> {
    let mut args = args.into_iter();
    let (mut name, mut directory) = (None, None);
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--name") => name = args.next()?.into_string().ok(),
            Some("--directory") => directory = args.next().map(PathBuf::from),
            _ => return None,
        }
    }
    Some((name?, directory?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_earlier_sandboxes_wrote_are_read() {
        let old = r#"{"nodes":5,"instance_type":"m6i.large","api_port":null,"aws":null}"#;
        let options: StartOptions = serde_json::from_str(old).unwrap();
        assert_eq!(options.nodes, 5);
        assert!(options.cluster, "it had a cluster of its own");
        assert_eq!(options.aws, AwsOptions::default());
        let old =
            r#"{"nodes":0,"instance_type":"m6i.large","api_port":null,"aws":{"time_scale":7}}"#;
        let options: StartOptions = serde_json::from_str(old).unwrap();
        assert_eq!(options.aws.time_scale, 7);
        assert_eq!(options.aws.region, "us-west-2");
        options.check().unwrap();
    }

    #[test]
    fn what_is_no_account_or_region_is_refused() {
        let with = |change: fn(&mut AwsOptions)| {
            let mut options = StartOptions::default();
            change(&mut options.aws);
            options.check()
        };
        with(|_| {}).unwrap();
        let invalid: [fn(&mut AwsOptions); 3] = [
            |aws| aws.time_scale = 0,
            |aws| aws.account = "12345".to_owned(),
            |aws| aws.region = "mars-north-1".to_owned(),
        ];
        for change in invalid {
            let refused = with(change);
            assert!(matches!(refused, Err(SandboxError::InvalidSetting { .. })));
        }
    }
}
