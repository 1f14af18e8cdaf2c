//! The sandbox alone, for work on the sandbox itself and for this crate's tests; users have `pipectl sandbox`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command of its own, not part of the library"
)]

use std::process::ExitCode;

use pipectl_sandbox::aws::AwsSettings;
use pipectl_sandbox::{Sandbox, SandboxError, StartOptions, shell_exports, supervise};
use tokio_util::sync::CancellationToken;

const USAGE: &str = "pipectl-sandbox install|start|cluster|stop|status|env|inspect|reset|counters|faults [JSON] [--name N] [--nodes N] [--api-port P] [--no-cluster]
       pipectl-sandbox aws [--port P] [--scale X] [--seed N] [--file F] [--region R]   the simulated AWS alone";

fn main() -> ExitCode {
    let args: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    if args
        .first()
        .is_some_and(|first| first == pipectl_process::GUARD_SUBCOMMAND)
    {
        return pipectl_process::run_guard(args.into_iter().skip(1));
    }
    if args.len() > 1 && args[..2] == pipectl_sandbox::supervisor::SUPERVISE {
        return supervise(args.into_iter().skip(2));
    }
    let Ok(runtime) = tokio::runtime::Runtime::new() else {
        return ExitCode::FAILURE;
    };
    let args: Vec<String> = args
        .into_iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let result = match args.first().map(String::as_str) {
        Some("aws") => runtime.block_on(aws(&args)),
        _ => runtime.block_on(command(&args)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error[{}]: {error}", error.code());
            if let Some(cause) = error.cause() {
                eprintln!("  cause {cause}");
            }
            eprintln!("  help  {}", error.hint());
            ExitCode::FAILURE
        }
    }
}

/// The simulated AWS alone, until SIGINT.
async fn aws(args: &[String]) -> Result<(), SandboxError> {
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)
    };
    let mut settings = AwsSettings::default();
    if let Some(port) = value("--port").and_then(|port| port.parse().ok()) {
        settings.port = port;
    }
    if let Some(scale) = value("--scale").and_then(|scale| scale.parse().ok()) {
        settings.time_scale = scale;
    }
    settings.seed = value("--seed").and_then(|seed| seed.parse().ok());
    settings.file = value("--file").map(std::path::PathBuf::from);
    let shutdown = CancellationToken::new();
    let aws = pipectl_sandbox::aws::serve(settings, shutdown.clone()).await?;
    let keys = aws.credentials();
    let region = value("--region").map_or("us-west-2", String::as_str);
    let variables = [
        ("AWS_ENDPOINT_URL", aws.endpoint()),
        ("AWS_ACCESS_KEY_ID", &keys.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &keys.secret_access_key),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    print!("{}", shell_exports(&variables));
    let _ = std::io::Write::flush(&mut std::io::stdout());
    let _ = tokio::signal::ctrl_c().await;
    shutdown.cancel();
    Ok(())
}

async fn command(args: &[String]) -> Result<(), SandboxError> {
    let value = |name: &str| {
        args.iter()
            .position(|arg| arg == name)
            .and_then(|at| args.get(at + 1))
            .cloned()
    };
    let program = std::env::current_exe().unwrap_or_default();
    let name = value("--name").unwrap_or_else(|| "default".to_owned());
    let sandbox = Sandbox::open(&name, &program)?;
    let running = async || {
        sandbox
            .status()
            .await?
            .ok_or(SandboxError::NotRunning { name: name.clone() })
    };
    let mut options = StartOptions::default();
    if let Some(nodes) = value("--nodes").and_then(|nodes| nodes.parse().ok()) {
        options.nodes = nodes;
    }
    options.cluster = !args.iter().any(|arg| arg == "--no-cluster");
    options.api_port = value("--api-port").and_then(|port| port.parse().ok());
    let show = |value: &dyn erased::Json| println!("{}", value.json());
    match args.first().map(String::as_str) {
        Some("install") => {
            let programs = sandbox.install(&|event| eprintln!("{event:?}")).await?;
            println!("{}", programs.directory().display());
        }
        Some("start") => show(
            &sandbox
                .start(&options, &|event| eprintln!("{event:?}"))
                .await?,
        ),
        Some("cluster") => show(
            &sandbox
                .ensure_cluster(&options, &|event| eprintln!("{event:?}"))
                .await?,
        ),
        Some("inspect") => show(&sandbox.inspect_aws().await?),
        Some("stop") => println!(
            "{}",
            if sandbox.stop().await? {
                "stopped"
            } else {
                "was not running"
            }
        ),
        Some("status") => show(&running().await?),
        Some("env") => print!("{}", shell_exports(&sandbox.env(&running().await?)?)),
        Some("reset") => println!(
            "{}",
            if sandbox.reset().await? {
                "reset; start it again"
            } else {
                "reset"
            }
        ),
        Some("counters") if args.iter().any(|arg| arg == "--reset") => {
            sandbox.reset_counters().await?
        }
        Some("counters") => show(&sandbox.counters().await?),
        Some("faults") => match args.get(1).filter(|arg| arg.starts_with('[')) {
            Some(text) => match serde_json::from_str::<Vec<pipectl_sandbox::FaultRule>>(text) {
                Ok(rules) => sandbox.set_faults(&rules).await?,
                Err(error) => eprintln!("no fault plan: {error}"),
            },
            None => show(&sandbox.faults().await?),
        },
        _ => eprintln!("{USAGE}"),
    }
    Ok(())
}

mod erased {
    //! Lets one closure print values of several types.

    pub trait Json {
        fn json(&self) -> String;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string_pretty(self).unwrap_or_default()
        }
    }
}
