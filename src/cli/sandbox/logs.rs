//! `pipectl sandbox logs`: what a component of the sandbox, or of one of its EKS clusters, has written.

use std::{
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use pipectl_sandbox::{EksStatus, Sandbox};

use super::unreadable;
use crate::{cli::output::Output, exit::Exit, failure::Failure};

/// How much of a log's end is read at most.
const LOG_BYTES: u64 = 4 * 1024 * 1024;

/// Prints the last lines of a log, or the names there are.
pub(super) async fn run(
    sandbox: &Sandbox,
    component: Option<&str>,
    tail: usize,
    output: Output,
) -> Result<Exit, Failure> {
    let clusters = sandbox.status().await?.map(|status| status.eks);
    let clusters = clusters.unwrap_or_default();
    let known = || {
        let of_clusters = clusters
            .iter()
            .map(|cluster| format!("{}/COMPONENT", cluster.name));
        let own = Sandbox::log_names().into_iter().map(str::to_owned);
        own.chain(of_clusters).collect::<Vec<_>>().join(", ")
    };
    let Some(component) = component else {
        output.line(known());
        return Ok(Exit::Ok);
    };
    let Some(path) = path(sandbox, &clusters, component) else {
        return Err(Failure::problem(
            Exit::BadInput,
            "CLI011",
            "show",
            format!("the log of {component}"),
            "there is no such component",
        )
        .hint(format!("there are: {}", known())));
    };
    let text = read_end(&path).map_err(|error| unreadable(&path, &error))?;
    let lines: Vec<_> = text.lines().collect();
    for line in &lines[lines.len().saturating_sub(tail)..] {
        output.line(line);
    }
    Ok(Exit::Ok)
}

/// The file of `etcd`, or, for an EKS cluster that is there, of `CLUSTER/etcd`.
fn path(sandbox: &Sandbox, clusters: &[EksStatus], component: &str) -> Option<PathBuf> {
    let Some((cluster, component)) = component.split_once('/') else {
        return sandbox.log_path(component);
    };
    let cluster = clusters.iter().find(|known| known.name == cluster)?;
    sandbox.eks_log_path(&cluster.id, component)
}

fn read_end(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
