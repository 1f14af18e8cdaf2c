//! The command line, as clap sees it. What each command does is in the file of its name.

mod run;
mod sandbox;
mod which;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::{
    run::{OutputFormat, PipelineArgs, RunArgs},
    sandbox::{SandboxCommand, SandboxName},
    which::{AwsArgs, Whereabouts, Which},
};

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
