//! `pipectl sandbox calls`: the calls of clients, counted at both endpoints.

use pipectl_sandbox::{CallCount, Count, Sandbox};
use serde::Serialize;

use super::{super::args::DataFormat, Output};
use crate::{exit::Exit, failure::Failure};

/// What clients asked of both endpoints.
#[derive(Debug, Serialize)]
struct Calls {
    kubernetes: Vec<Count>,
    aws: Vec<CallCount>,
}

/// Shows the counts, and begins anew where that is asked for.
pub(super) async fn run(
    sandbox: &Sandbox,
    reset: bool,
    format: DataFormat,
    output: Output,
) -> Result<Exit, Failure> {
    let calls = Calls {
        kubernetes: sandbox.counters().await?,
        aws: sandbox.aws_calls().await?,
    };
    if reset {
        sandbox.reset_counters().await?;
        sandbox.reset_aws_calls().await?;
    }
    if format != DataFormat::Text {
        output.data(format, &calls);
        return Ok(Exit::Ok);
    }
    for count in &calls.kubernetes {
        let resource = match count.group.as_str() {
            "" => count.resource.clone(),
            group => format!("{}.{group}", count.resource),
        };
        output.line(format!(
            "{:>7} {:<18} {:<12} {resource}",
            count.count, count.agent, count.verb
        ));
    }
    for count in &calls.aws {
        let verb = if count.mutating { "change" } else { "read" };
        let failed = match count.failed {
            0 => String::new(),
            failed => format!("  ({failed} failed)"),
        };
        output.line(format!(
            "{:>7} {:<18} {verb:<12} {}:{}{failed}",
            count.calls, count.agent, count.service, count.action
        ));
    }
    Ok(Exit::Ok)
}
