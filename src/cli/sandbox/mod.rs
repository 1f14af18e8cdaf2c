//! `pipectl sandbox`: the embedded cloud on this machine.

mod calls;
mod faults;
mod inspect;
mod logs;

use std::path::Path;

use pipectl_sandbox::{Phase, Sandbox, SandboxError, SandboxStatus, StartOptions, shell_exports};

use super::{
    args::{DataFormat, SandboxCommand},
    output::Output,
    preparing::Preparing,
};
use crate::{engine::span, exit::Exit, failure::Failure};

/// Opens the sandbox of this name; nothing is created or started.
///
/// # Errors
/// When the name is none, or there is no state directory.
pub fn open(name: &str) -> Result<Sandbox, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::problem(
            Exit::Unavailable,
            "CLI007",
            "find",
            "the pipectl program itself",
            error.to_string(),
        )
    })?;
    Ok(Sandbox::open(name, &program)?)
}

/// Starts it unless it runs, showing what is prepared; tells whether it was started by this call.
///
/// # Errors
/// As [`Sandbox::start`].
pub async fn ensure_started(
    sandbox: &Sandbox,
    options: &StartOptions,
    output: Output,
) -> Result<(SandboxStatus, bool), Failure> {
    let running = |status: &SandboxStatus| status.phase == Phase::Running;
    let before = sandbox.status().await?.filter(running);
    let ran = before.is_some();
    if let Some(status) = before
        && (status.cluster.is_some() || !options.cluster)
    {
        return Ok((status, false));
    }
    let preparing = Preparing::new(output);
    let status = sandbox
        .start(options, &|event| preparing.start(&event))
        .await?;
    preparing.finish();
    let built = match preparing.built() {
        0 => String::new(),
        n => format!(", {n} programs built"),
    };
    let what = match &status.cluster {
        Some(cluster) => format!("Kubernetes {}, {} nodes", status.kubernetes, cluster.nodes),
        None => "simulated AWS".to_owned(),
    };
    let verb = if ran {
        "has a cluster of its own now"
    } else {
        "started"
    };
    output.note(format!(
        "sandbox {} {verb}: {what} ({}{built})",
        status.name,
        span(preparing.elapsed()),
    ));
    Ok((status, true))
}

/// Runs it.
///
/// # Errors
/// Whatever the sandbox could not do.
pub async fn run(command: &SandboxCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        SandboxCommand::Install => install(output).await,
        SandboxCommand::Start {
            name,
            nodes,
            api_port,
            crds,
            time_scale,
            no_cluster,
        } => {
            let sandbox = open(&name.name)?;
            let mut options = sandbox.last_options().unwrap_or_default();
            options.nodes = nodes.unwrap_or(options.nodes);
            options.api_port = api_port.or(options.api_port);
            options.aws.time_scale = time_scale.unwrap_or(options.aws.time_scale);
            options.cluster = !no_cluster;
            if let Some(crds) = crds {
                let directory =
                    std::fs::canonicalize(crds).map_err(|error| unreadable(crds, &error))?;
                options.crds = Some(directory);
            }
            let (status, started) = ensure_started(&sandbox, &options, output).await?;
            if !started {
                output.note(format!("sandbox {} runs already", status.name));
            }
            Ok(Exit::Ok)
        }
        SandboxCommand::Stop { name } => {
            let was_running = open(&name.name)?.stop().await?;
            output.note(if was_running {
                format!("sandbox {} stopped; what it holds is kept", name.name)
            } else {
                format!("sandbox {} was not running", name.name)
            });
            Ok(Exit::Ok)
        }
        SandboxCommand::Status {
            name,
            output: format,
        } => status(&open(&name.name)?, *format, output).await,
        SandboxCommand::Reset { name } => {
            let sandbox = open(&name.name)?;
            let was_running = sandbox.reset().await?;
            if was_running {
                ensure_started(
                    &sandbox,
                    &sandbox.last_options().unwrap_or_default(),
                    output,
                )
                .await?;
            }
            output.note(format!("sandbox {} is empty now", name.name));
            Ok(Exit::Ok)
        }
        SandboxCommand::Env { name, policy, user } => {
            let sandbox = open(&name.name)?;
            let status = running(&sandbox).await?;
            let variables = match policy {
                Some(file) => {
                    let policy = read(file)?;
                    sandbox.env_as(&status, &sandbox.aws_user(user, &policy).await?)?
                }
                None => sandbox.env(&status)?,
            };
            output.text(shell_exports(&variables));
            Ok(Exit::Ok)
        }
        SandboxCommand::Logs {
            name,
            component,
            tail,
        } => logs::run(&open(&name.name)?, component.as_deref(), *tail, output).await,
        SandboxCommand::Calls {
            name,
            reset,
            output: format,
        } => calls::run(&open(&name.name)?, *reset, *format, output).await,
        SandboxCommand::Faults { name, set, clear } => {
            faults::run(&open(&name.name)?, set.as_deref(), *clear, output).await
        }
        SandboxCommand::Inspect {
            name,
            output: format,
        } => inspect::run(&open(&name.name)?, *format, output).await,
        SandboxCommand::Supervise { .. } => Ok(Exit::Usage),
    }
}

async fn install(output: Output) -> Result<Exit, Failure> {
    let sandbox = open("default")?;
    let preparing = Preparing::new(output);
    let programs = sandbox.install(&|event| preparing.install(&event)).await?;
    preparing.finish();
    match preparing.built() {
        0 => output.note("everything is there already"),
        n => output.note(format!(
            "{n} programs built in {}",
            span(preparing.elapsed())
        )),
    }
    output.line(programs.directory().display().to_string());
    Ok(Exit::Ok)
}

/// The status of a sandbox that must be running.
///
/// # Errors
/// When it is not.
pub async fn running(sandbox: &Sandbox) -> Result<SandboxStatus, Failure> {
    let status = sandbox
        .status()
        .await?
        .filter(|status| status.phase == Phase::Running);
    Ok(status.ok_or_else(|| SandboxError::NotRunning {
        name: sandbox.name().to_owned(),
    })?)
}

async fn status(sandbox: &Sandbox, format: DataFormat, output: Output) -> Result<Exit, Failure> {
    let status = sandbox.status().await?;
    if format != DataFormat::Text {
        // `sandbox env` is asked for the key; a status may end in a log.
        let shown = status.map(|mut status| {
            if let Some(aws) = &mut status.aws {
                aws.secret_access_key = "hidden: see pipectl sandbox env".to_owned();
            }
            status
        });
        output.data(format, &shown);
        return Ok(Exit::Ok);
    }
    let Some(status) = status else {
        output.line(format!("sandbox {}  not running", sandbox.name()));
        let others: Vec<_> = Sandbox::list()?
            .into_iter()
            .filter(|name| name != sandbox.name())
            .collect();
        if !others.is_empty() {
            output.line(format!("  others      {}", others.join(", ")));
        }
        return Ok(Exit::Ok);
    };
    let phase = match &status.phase {
        Phase::Running => "running".to_owned(),
        Phase::Starting(step) => format!("starting: {step}"),
        Phase::Stopping => "stopping".to_owned(),
    };
    let megabytes = |bytes: u64| format!("{} MB", bytes / 1_000_000);
    output.line(format!(
        "sandbox {}  {phase}  Kubernetes {}",
        status.name, status.kubernetes
    ));
    output.line("");
    output.line(format!("  charts      {}", status.charts));
    if let Some(aws) = &status.aws {
        output.line(format!(
            "  AWS         {} (simulated, {}× as fast, account {}, {})",
            aws.endpoint, aws.time_scale, aws.account, aws.region
        ));
    }
    for cluster in &status.eks {
        let asleep = if cluster.components.is_empty() {
            " (asleep)"
        } else {
            ""
        };
        output.line(format!(
            "  EKS         {} in {}, account {}{asleep}",
            cluster.name, cluster.region, cluster.account
        ));
    }
    if let Some(cluster) = &status.cluster {
        output.line(format!("  endpoint    {}", cluster.api));
        output.line(format!(
            "  kubeconfig  {}",
            sandbox.kubeconfig_path().display()
        ));
        output.line(format!(
            "  nodes       {} × {} (simulated)",
            cluster.nodes, cluster.instance_type
        ));
    }
    output.line(format!(
        "  memory      {} in {}",
        megabytes(status.total_memory()),
        match status.components().count() + 1 {
            1 => "1 process".to_owned(),
            many => format!("{many} processes"),
        }
    ));
    if status.components().next().is_some() {
        output.line("");
    }
    for component in status.components() {
        let memory = component.memory.map_or_else(|| "-".to_owned(), megabytes);
        let restarts = match component.restarts {
            0 => String::new(),
            1 => "  restarted once".to_owned(),
            n => format!("  restarted {n} times"),
        };
        output.line(format!(
            "  {:<24} {:<9} {memory:>7}{restarts}",
            component.program.file_name(),
            component.version
        ));
    }
    output.line("");
    let name = match sandbox.name() {
        "default" => String::new(),
        name => format!(" --name {name}"),
    };
    output.line(format!(
        "  next        eval \"$(pipectl sandbox env{name})\" · pipectl sandbox logs{name} · pipectl sandbox stop{name}"
    ));
    Ok(Exit::Ok)
}

/// The text of a file; `-` is standard input.
fn read(file: &Path) -> Result<String, Failure> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    text.map_err(|error| unreadable(file, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::problem(
        Exit::BadInput,
        "CLI007",
        "read",
        path.display().to_string(),
        error.to_string(),
    )
    .hint("check the path and its permissions")
}
