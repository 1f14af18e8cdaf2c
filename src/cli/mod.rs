//! The command line: one file a command. The only place that prints, with the reporter.

pub mod args;
mod blueprint;
pub mod codes;
mod down;
pub mod explain;
mod forget;
mod holdings;
mod kubeconfig;
mod list;
pub mod output;
mod plan;
mod preparing;
mod reach;
pub mod reference;
mod run_report;
pub mod sandbox;
mod status;
mod token;
mod unrecorded;
mod up;
mod validate;
mod whereabouts;

use crate::exit::Exit;
use crate::failure::Failure;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use self::{
    args::{Cli, Command, DataFormat, Global},
    output::{Data, Output},
};

/// Parses the command line, runs the command, and answers its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not mistakes.
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
            let _ = error.print();
            return exit.into();
        }
    };
    logging(&cli.global);
    let output = Output::new(&cli.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::problem(
                Exit::Unavailable,
                "CLI016",
                "start",
                "pipectl",
                error.to_string(),
            );
            output.failure(&failure);
            return failure.exit().into();
        }
    };
    let data = data_format(&cli.command);
    let result = runtime.block_on(dispatch(cli.command, &cli.global, output));
    // Watches and pooled connections end with the process.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit,
        Err(failure) => {
            output.failure(&failure);
            if let Some(format) = data {
                output.failure_as_data(&failure, format);
            }
            failure.exit()
        }
    }
    .into()
}

/// How a program reads this command's result from standard output, where one does.
fn data_format(command: &Command) -> Option<Data> {
    let run =
        |args: &args::RunArgs| (args.output == args::OutputFormat::Json).then_some(Data::Line);
    let document = |format: DataFormat| match format {
        DataFormat::Text => None,
        DataFormat::Json | DataFormat::Yaml => Some(Data::Document(format)),
    };
    match command {
        Command::Up(args) => run(&args.run),
        Command::Down(args) => run(&args.run),
        Command::Plan(args) => document(args.output),
        Command::Status(args) => document(args.output),
        Command::List(args) => document(args.output),
        _ => None,
    }
}

async fn dispatch(command: Command, global: &Global, output: Output) -> Result<Exit, Failure> {
    match command {
        Command::Up(args) => up::run(&args, global, output).await,
        Command::Down(args) => down::run(&args, global, output).await,
        Command::Status(args) => status::run(&args, output).await,
        Command::Plan(args) => plan::run(&args, output).await,
        Command::List(args) => list::run(&args, output).await,
        Command::Validate(args) => validate::run(&args, output),
        Command::Kubeconfig(args) => kubeconfig::run(&args, output),
        Command::Token(args) => token::run(&args, output).await,
        Command::Explain(args) => explain::run(&args, output),
        Command::Blueprint(command) => blueprint::run(&command, output),
        Command::Schema => {
            output.data(args::DataFormat::Json, pipectl_config::pipeline_schema());
            Ok(Exit::Ok)
        }
        Command::Forget(args) => forget::run(&args, output).await,
        Command::Sandbox(command) => sandbox::run(&command, output).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "pipectl", &mut script);
            output.text(String::from_utf8_lossy(&script));
            Ok(Exit::Ok)
        }
    }
}

/// Log lines are for developers and go to standard error; what a person needs, commands say themselves.
fn logging(global: &Global) {
    let level = match global.verbose {
        0 | 1 => "off",
        2 => "pipectl=debug,pipectl_adapters=debug,pipectl_stages=debug,pipectl_sandbox=debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("PIPECTL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
