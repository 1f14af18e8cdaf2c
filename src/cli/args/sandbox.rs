//! `pipectl sandbox`, as clap sees it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DataFormat;

/// Which sandbox.
#[derive(Debug, Clone, Args)]
pub struct SandboxName {
    /// The sandbox's name; several may run side by side.
    #[arg(
        long,
        env = "PIPECTL_SANDBOX",
        default_value = "default",
        value_name = "NAME"
    )]
    pub name: String,
}

/// `pipectl sandbox`.
#[derive(Debug, Clone, Subcommand)]
pub enum SandboxCommand {
    /// Build or find the programs that it needs.
    Install,
    /// Start it; builds what it needs at first use.
    Start {
        /// Which.
        #[command(flatten)]
        name: SandboxName,
        /// Nodes to have, spread over the zones.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
        nodes: Option<u16>,
        /// Port of the plain cluster's API endpoint [default: a free one].
        #[arg(long)]
        api_port: Option<u16>,
        /// How much faster than on AWS the simulated AWS's waiting times pass [default: 60].
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "FACTOR")]
        time_scale: Option<u32>,
        /// Without a plain cluster of its own: only the simulated AWS. One is added when something asks for it.
        #[arg(long)]
        no_cluster: bool,
        /// Serve the custom-resource definitions in this directory instead of the stand-ins' own.
        #[arg(long, value_name = "DIR")]
        crds: Option<PathBuf>,
    },
    /// Stop it; what it holds is kept.
    Stop {
        /// Which.
        #[command(flatten)]
        name: SandboxName,
    },
    /// Show what runs and where.
    Status {
        /// Which.
        #[command(flatten)]
        name: SandboxName,
        /// Print as text, JSON or YAML.
        #[arg(long, short, value_enum, default_value_t = DataFormat::Text)]
        output: DataFormat,
    },
    /// Empty it: a new cluster under the same name.
    Reset {
        /// Which.
        #[command(flatten)]
        name: SandboxName,
    },
    /// Print shell lines that point kubectl, helm and AWS tools at it: `eval "$(pipectl sandbox env)"`.
    Env {
        /// Which.
        #[command(flatten)]
        name: SandboxName,
        /// As an IAM user of the simulated AWS who may do what this policy (JSON) allows, instead of an administrator; `-` reads
        /// standard input.
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// That user's name; who is there already keeps the key and gets the policy instead of others.
        #[arg(
            long,
            value_name = "USER",
            requires = "policy",
            default_value = "limited"
        )]
        user: String,
    },
    /// Print a component's log.
    Logs {
        /// Which.
        #[command(flatten)]
        name: SandboxName,
        /// The component, or CLUSTER/COMPONENT of an EKS cluster that is there; without one: the names there are.
        component: Option<String>,
        /// The last lines to print.
        #[arg(long, default_value_t = 200)]
        tail: usize,
    },
    /// Show everything that there is in the simulated AWS, in every account and region.
    Inspect {
        /// Which.
        #[command(flatten)]
        name: SandboxName,
        /// Print as text (a line a resource), or the raw graph as JSON or YAML.
        #[arg(long, short, value_enum, default_value_t = DataFormat::Text)]
        output: DataFormat,
    },
    /// Show the calls of clients, counted at its endpoints: Kubernetes and AWS.
    Calls {
        /// Which.
        #[command(flatten)]
        name: SandboxName,
        /// Start counting anew afterwards.
        #[arg(long)]
        reset: bool,
        /// Print as text, JSON or YAML.
        #[arg(long, short, value_enum, default_value_t = DataFormat::Text)]
        output: DataFormat,
    },
    /// Show or change the faults that its endpoints inject: Kubernetes and AWS.
    Faults {
        /// Which.
        #[command(flatten)]
        name: SandboxName,
        /// A fault plan (YAML or JSON) to set; `-` reads standard input.
        #[arg(long, value_name = "FILE", conflicts_with = "clear")]
        set: Option<PathBuf>,
        /// Remove all faults.
        #[arg(long)]
        clear: bool,
    },
    /// The supervisor itself; `start` runs it.
    #[command(hide = true)]
    Supervise {
        /// The supervisor's own arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
}
