//! The adapters against real processes: Helm (a script that stands in for it, and the real one) and a real API server.
//!
//! This test binary has a main function of its own, because it is also the guard of the children that it starts. The
//! tests with an API server and the real Helm need the programs `etcd`, `kube-apiserver` and `helm`, from
//! `PIPECTL_SANDBOX_BIN` or from where the sandbox builds them; without those they are skipped, and say so.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a test runner"
)]

mod api;
mod cluster;
mod fake_helm;
mod gate;
mod objects;
mod real_helm;
mod support;

use std::{pin::Pin, process::ExitCode, sync::Arc, time::Duration};

use cluster::Cluster;

/// Set where this binary runs in its hostile environment.
const MARK: &str = "PIPECTL_LIVE_HOSTILE";

/// A test that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(180);

/// A test without a cluster.
type Plain = (
    &'static str,
    fn() -> Pin<Box<dyn Future<Output = ()> + Send>>,
);
/// A test with one.
type Clustered = (
    &'static str,
    fn(Arc<Cluster>) -> Pin<Box<dyn Future<Output = ()> + Send>>,
);

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments
        .peek()
        .is_some_and(|first| first == pipectl_process::GUARD_SUBCOMMAND)
    {
        return pipectl_process::run_guard(arguments.skip(1));
    }
    if std::env::var_os(MARK).is_none() {
        return hostile();
    }
    let filters: Vec<String> = arguments
        .filter_map(|argument| argument.into_string().ok())
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(&filters)),
        Err(error) => {
            eprintln!("no runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs itself again where everything ambient points elsewhere, and a secret lies in a variable: nothing of it may
/// reach a cluster or Helm.
fn hostile() -> ExitCode {
    let status = std::env::current_exe().and_then(|program| {
        std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(MARK, "1")
            .env("KUBECONFIG", "/hostile/kubeconfig")
            .env("KUBERNETES_SERVICE_HOST", "hostile.example")
            .env("KUBERNETES_SERVICE_PORT", "443")
            .env("HTTPS_PROXY", "http://127.0.0.1:1")
            .env("HELM_NAMESPACE", "hostile")
            .env("HELM_KUBETOKEN", "hostile")
            .env("HELM_KUBEAPISERVER", "https://hostile.example")
            .env("HELM_CONFIG_HOME", "/hostile/helm")
            .env("DB_PASSWORD", "hunter2hunter2")
            .status()
    });
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cannot run again: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(filters: &[String]) -> ExitCode {
    let wanted =
        |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter));
    let mut running = Vec::new();
    let plain = fake_helm::TESTS.iter().chain(gate::PLAIN);
    for (name, test) in plain.filter(|test| wanted(test.0)) {
        running.push((*name, tokio::spawn(tokio::time::timeout(LIMIT, test()))));
    }
    let clustered: Vec<Clustered> = objects::TESTS
        .iter()
        .chain(real_helm::TESTS)
        .chain(gate::TESTS)
        .filter(|test| wanted(test.0))
        .copied()
        .collect();
    let mut cluster = None;
    if !clustered.is_empty() {
        match Cluster::boot().await {
            Ok(booted) => {
                let booted = Arc::new(booted);
                for (name, test) in clustered {
                    running.push((
                        name,
                        tokio::spawn(tokio::time::timeout(LIMIT, test(Arc::clone(&booted)))),
                    ));
                }
                cluster = Some(booted);
            }
            Err(missing) => {
                for (name, _) in &clustered {
                    eprintln!("SKIPPED {name}: {missing}");
                }
            }
        }
    }
    let mut failed = 0u32;
    for (name, test) in running {
        match test.await {
            Ok(Ok(())) => println!("test {name} ... ok"),
            Ok(Err(_)) => {
                failed += 1;
                println!("test {name} ... FAILED: it hung");
            }
            Err(_) => {
                failed += 1;
                println!("test {name} ... FAILED");
            }
        }
    }
    if let Some(cluster) = cluster {
        // Disturbs everybody else, so it comes last.
        let name = "objects::watches_and_calls_survive_a_restart";
        if wanted(name) {
            let ended = tokio::spawn(objects::restart(Arc::clone(&cluster))).await;
            failed += u32::from(ended.is_err());
            println!(
                "test {name} ... {}",
                if ended.is_ok() { "ok" } else { "FAILED" }
            );
        }
        cluster.end().await;
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
