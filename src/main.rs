//! Parse, run, exit code; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == pipectl_process::GUARD_SUBCOMMAND) {
        return pipectl_process::run_guard(args);
    }
    ExitCode::SUCCESS
}
