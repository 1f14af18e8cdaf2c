//! A guard alone, and a parent for one: what this crate's tests start and kill.
//!
//! `pipectl-guard __guard ...` is a guard; `pipectl-guard PROGRAM ARGS...` runs a program under a guard of its own.

use std::process::ExitCode;

use pipectl_process::{GUARD_SUBCOMMAND, GuardedCommand, run_guard};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let Some(first) = args.next() else {
        return ExitCode::FAILURE;
    };
    if first == GUARD_SUBCOMMAND {
        return run_guard(args);
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return ExitCode::FAILURE;
    };
    runtime.block_on(async {
        let Ok(guard) = std::env::current_exe() else {
            return ExitCode::FAILURE;
        };
        match GuardedCommand::new(&guard, first).args(args).spawn() {
            Ok(mut child) => match child.wait().await {
                Ok(status) if status.success() => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            },
            Err(_) => ExitCode::FAILURE,
        }
    })
}
