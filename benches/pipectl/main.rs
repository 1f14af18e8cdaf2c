//! How fast pipectl is, and how much it asks: prints one table, asserts nothing.
//!
//!     cargo bench --bench pipectl                    # as it is shipped
//!     cargo bench --bench pipectl --profile dev      # as `cargo run` builds it
//!     cargo bench --bench pipectl -- engine program  # parts of it: engine, journal, program, sandbox, aws
//!
//! | file | what |
//! | --- | --- |
//! | `engine.rs` | the engine over ten thousand steps, the fold, the append |
//! | `program.rs` | the program itself: start-up |
//! | `sandbox.rs` | the program against a sandbox: 250 objects, the streaming blueprint, its calls and memory |
//! | `aws.rs` | the program against the simulated AWS: the streaming blueprint, its makespan, calls and memory |
//! | `table.rs` | the table |
#![expect(
    clippy::print_stdout,
    reason = "a table of measurements is what this program is for"
)]

mod aws;
mod engine;
mod program;
mod sandbox;
mod table;

use table::{Problem, Table};

fn main() -> Result<(), Problem> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test` starts bench programs too, to see that they start; it means no measurement by it.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let parts: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wanted = |part: &str| parts.is_empty() || parts.contains(&part);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("profile {profile}, {cores} cores, load {}\n", load());

    let mut table = Table::begin();
    if wanted("engine") {
        engine::measure(&mut table, &runtime)?;
    }
    if wanted("journal") {
        engine::append(&mut table, &runtime)?;
    }
    if wanted("program") {
        program::measure(&mut table)?;
    }
    if wanted("sandbox") {
        sandbox::measure(&mut table, &runtime)?;
    }
    if wanted("aws") {
        aws::measure(&mut table, &runtime)?;
    }
    Ok(())
}

/// What else the machine does: the load of the last minute, which explains odd figures.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ')
        .next()
        .filter(|word| !word.is_empty())
        .unwrap_or("unknown")
        .to_owned()
}
