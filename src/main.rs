//! Parse, run, exit code; nothing else.

use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    // The two hidden roles come before anything else: a guard must start in milliseconds, a supervisor brings its own
    // runtime.
    if args
        .first()
        .is_some_and(|first| first == pipectl_process::GUARD_SUBCOMMAND)
    {
        return pipectl_process::run_guard(args.into_iter().skip(1));
    }
    if args.len() >= 2 && args[..2] == pipectl_sandbox::supervisor::SUPERVISE {
        return pipectl_sandbox::supervise(args.into_iter().skip(2));
    }
    pipectl::cli::main()
}
