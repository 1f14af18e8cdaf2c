//! The command line, as clap sees it. What each command does is in the file of its name.

use std::{path::PathBuf, time::Duration};

use crate::session::{
    pipeline::Choice,
    place::{Credentials, Place},
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use pipectl_state::EnvironmentState;

/// Stands a streaming-data platform up on Kubernetes, takes it down again, and proves it.
#[derive(Debug, Parser)]
#[command(
    name = "pipectl",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 ok, 1 failed, 2 usage, 3 bad input, 4 not verified, 5 leftovers, 6 held by somebody, 7 refused, 8 unavailable, 130 cancelled."
)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Say only errors and the result.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say every step, not only every stage; twice: log lines too.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// When to use colour (`NO_COLOR` and `CLICOLOR_FORCE` are honoured).
    #[arg(long, global = true, value_enum, default_value_t = ColorWhen::Auto)]
    pub color: ColorWhen,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring an environment up, or bring it up to date.
    Up(UpArgs),
    /// Take an environment down and prove that nothing is left.
    Down(DownArgs),
    /// Show what stands, live beside recorded.
    Status(StatusArgs),
    /// Show what `up` would change; changes nothing.
    Plan(PlanArgs),
    /// List the environments known on this machine, or in an AWS account.
    List(ListArgs),
    /// Check a pipeline file; touches nothing else.
    Validate(ValidateArgs),
    /// Print the path of an environment's own kubeconfig.
    Kubeconfig(KubeconfigArgs),
    /// Print a token for an environment's EKS cluster, as kubeconfigs ask for it (`ExecCredential`).
    Token(TokenArgs),
    /// Explain an error code.
    Explain(ExplainArgs),
    /// The complete example pipelines shipped with the program.
    #[command(subcommand)]
    Blueprint(BlueprintCommand),
    /// Print the JSON schema of the pipeline file.
    Schema,
    /// Drop the local record of an environment whose cluster no longer exists.
    Forget(ForgetArgs),
    /// The embedded cloud on this machine.
    #[command(subcommand)]
    Sandbox(SandboxCommand),
    /// Write shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Which pipeline.
#[derive(Debug, Clone, Args)]
pub struct PipelineArgs {
    /// The pipeline file [default: ./pipeline.yaml when there is one, else the built-in `streaming` blueprint].
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Take a built-in blueprint instead of a file.
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub blueprint: Option<String>,
    /// Change one value of the file, e.g. `--set kafka.topics[streaming-topic].partitions=6`; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Name of the environment [default: the pipeline's name].
    #[arg(long, env = "PIPECTL_ENV", value_name = "NAME")]
    pub env: Option<String>,
    /// Use the sandbox on this machine as the provider; started when it isn't running.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "default", value_name = "NAME")]
    pub sandbox: Option<String>,
}

impl PipelineArgs {
    /// What is said about the pipeline itself.
    #[must_use]
    pub fn choice(&self) -> Choice<'_> {
        Choice {
            file: self.file.as_deref(),
            blueprint: self.blueprint.as_deref(),
            set: &self.set,
            sandbox: self.sandbox.is_some(),
        }
    }
}

/// How a run says what it does.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// How to say it: `auto` draws on a terminal and writes plain lines elsewhere.
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Auto)]
    pub output: OutputFormat,
    /// Also write a Markdown summary to this file (`GITHUB_STEP_SUMMARY` is honoured by itself).
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// How many effects may be under way at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallelism: u16,
    /// End the run in order after this long, e.g. `40m`.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub timeout: Option<Duration>,
}

/// How a run says what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Drawn on a terminal, plain lines elsewhere.
    Auto,
    /// Plain lines.
    Plain,
    /// One JSON event a line.
    Json,
}

/// `pipectl up`.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// Which pipeline.
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    /// How to say it.
    #[command(flatten)]
    pub run: RunArgs,
    /// Go on with an environment that lives in the cluster already and has no record on this machine.
    #[arg(long)]
    pub adopt: bool,
    /// Run the checks of the verification that write, even when nothing changed.
    #[arg(long)]
    pub verify: bool,
    /// Print every check of the verification with what was expected, what was seen, and the command to see it.
    #[arg(long)]
    pub show_checks: bool,
}

/// `pipectl plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// Which pipeline.
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    /// Exit with 2 when there is something to do (0: nothing, 1: error).
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Print as text, JSON or YAML.
    #[arg(long, short, value_enum, default_value_t = DataFormat::Text)]
    pub output: DataFormat,
}

/// `pipectl down`.
#[derive(Debug, Clone, Args)]
pub struct DownArgs {
    /// Which environment.
    #[command(flatten)]
    pub which: Which,
    /// Where it is, when its local record is lost.
    #[command(flatten)]
    pub whereabouts: Whereabouts,
    /// Don't ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Leave volume claims, and the namespaces that hold them.
    #[arg(long)]
    pub keep_data: bool,
    /// How to say it.
    #[command(flatten)]
    pub run: RunArgs,
}

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

/// `pipectl status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Which environment.
    #[command(flatten)]
    pub which: Which,
    /// Where it is, when its local record is lost.
    #[command(flatten)]
    pub whereabouts: Whereabouts,
    /// Print as text, JSON or YAML.
    #[arg(long, short, value_enum, default_value_t = DataFormat::Text)]
    pub output: DataFormat,
    /// Only what is recorded; asks no cluster and no account.
    #[arg(long)]
    pub offline: bool,
    /// Exit with 1 unless everything is in place and ready.
    #[arg(long)]
    pub check: bool,
    /// Every step, not only every stage; every thing, where nothing is recorded.
    #[arg(long)]
    pub steps: bool,
}

/// Text or data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DataFormat {
    /// For a person.
    Text,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// `pipectl list`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// List those of this sandbox's simulated AWS instead, by their records there.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "default", value_name = "SANDBOX")]
    pub sandbox: Option<String>,
    /// List those of an AWS account instead, by their records there: which region and account.
    #[command(flatten)]
    pub aws: AwsArgs,
    /// Print as text, JSON or YAML.
    #[arg(long, short, value_enum, default_value_t = DataFormat::Text)]
    pub output: DataFormat,
}

/// `pipectl validate`.
#[derive(Debug, Clone, Args)]
pub struct ValidateArgs {
    /// Which pipeline.
    #[command(flatten)]
    pub pipeline: PipelineArgs,
}

/// `pipectl kubeconfig`.
#[derive(Debug, Clone, Args)]
pub struct KubeconfigArgs {
    /// Which environment.
    #[command(flatten)]
    pub which: Which,
}

/// `pipectl token`.
#[derive(Debug, Clone, Args)]
pub struct TokenArgs {
    /// Which environment.
    #[command(flatten)]
    pub which: Which,
    /// The EKS cluster [default: the environment's].
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// The sandbox whose simulated AWS it is, where nothing is recorded.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "default", value_name = "SANDBOX")]
    pub sandbox: Option<String>,
    /// Which account and region.
    #[command(flatten)]
    pub aws: AwsArgs,
}

/// `pipectl explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// The code, e.g. `CFG014`; without one: all of them.
    pub code: Option<String>,
}

/// `pipectl blueprint`.
#[derive(Debug, Clone, Subcommand)]
pub enum BlueprintCommand {
    /// List them.
    List,
    /// Print the pipeline file of one.
    Show {
        /// Its name.
        #[arg(default_value = "streaming")]
        name: String,
    },
    /// Write one with its manifests into a new directory.
    Export {
        /// Its name.
        name: String,
        /// The directory; must not exist or be empty.
        dir: PathBuf,
    },
}

/// `pipectl forget`.
#[derive(Debug, Clone, Args)]
pub struct ForgetArgs {
    /// Which environment.
    pub env: String,
    /// Also when its cluster is alive; what it made there stays.
    #[arg(long)]
    pub force: bool,
    /// Don't ask.
    #[arg(long, short)]
    pub yes: bool,
}

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
    },
    /// Print a component's log.
    Logs {
        /// Which.
        #[command(flatten)]
        name: SandboxName,
        /// The component; without one: the names there are.
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

/// A duration with its unit, e.g. `90s`, `40m`, `1h30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "give a number with its unit, e.g. 90s, 40m or 1h30m".to_owned())?;
    Duration::try_from(span).map_err(|_| "must not be negative".to_owned())
}
