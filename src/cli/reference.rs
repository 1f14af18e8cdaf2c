//! The generated part of the documentation: the command line, the exit codes and the error codes.

use crate::exit::Exit;
use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};

use super::{args::Cli, explain};

/// How a person refreshes the generated pages.
pub const REFRESH: &str = "UPDATE_DOCS=1 cargo test -p pipectl --lib reference";

/// Variables that no option names.
const VARIABLES: &[(&str, &str)] = &[
    (
        "AWS_PROFILE`, `AWS_ACCESS_KEY_ID`, ...",
        "AWS's standard chain of credentials, for provider `eks` without a profile of its own. Never looked at with `--sandbox`, and the region always comes from the pipeline file.",
    ),
    (
        "AWS_ENDPOINT_URL",
        "An endpoint of one's own instead of AWS, as `pipectl sandbox env` exports it for any AWS tool.",
    ),
    (
        "PIPECTL_TIME_SCALE",
        "How much faster than on AWS time passes at `AWS_ENDPOINT_URL`: waits, polling and bounds shrink alike. Without an endpoint of one's own it means nothing.",
    ),
    (
        "PIPECTL_HELM",
        "The helm to use instead of the one on `PATH`.",
    ),
    (
        "PIPECTL_LOG",
        "Which log lines go to standard error, e.g. `pipectl=debug`.",
    ),
    (
        "XDG_STATE_HOME`, `XDG_CACHE_HOME",
        "Where records and what was fetched are kept, below `pipectl/`.",
    ),
];

/// `docs/reference/cli.md`.
#[must_use]
pub fn command_line() -> String {
    let mut page = String::from("# Command line\n\n");
    let _ = writeln!(
        page,
        "Generated from the program; refresh with `{REFRESH}`.\n"
    );
    let mut root = Cli::command();
    root.build();
    let shared: Vec<&Arg> = root.get_arguments().filter(|arg| !is_own(arg)).collect();
    page.push_str("## Options of every command\n\n");
    options(&mut page, shared.iter().copied());
    for command in visible(&root) {
        section(&mut page, command, "pipectl");
    }
    page.push_str("## Environment variables\n\n| variable | meaning |\n| --- | --- |\n");
    for (name, meaning) in VARIABLES {
        let _ = writeln!(page, "| `{name}` | {meaning} |");
    }
    page.push('\n');
    page.push_str("## Exit codes\n\n| code | name | meaning |\n| --- | --- | --- |\n");
    for (number, name, meaning) in Exit::TABLE {
        let _ = writeln!(page, "| {number} | {name} | {meaning} |");
    }
    page.push('\n');
    page.push_str(AS_DATA);
    page
}

/// What programs read of a command that came to nothing.
const AS_DATA: &str = "\
With `--output json` (or `yaml`), a command that ends before it has anything else to print says why in one object on standard output:
`{\"version\": 1, \"type\": \"error\", \"exit\": 8, \"error\": {...}}`, the error in the form of those inside events (`code`, `doing`, `resource`,
`cause`, `hint`, ...); where there are several, `further` lists the rest. Standard error has the same for a person.
";

/// `docs/reference/errors.md`.
#[must_use]
pub fn errors() -> String {
    let mut page = String::from("# Error codes\n\n");
    let _ = writeln!(
        page,
        "Every error has one; `pipectl explain CODE` prints the same. Generated; refresh with `{REFRESH}`.\n"
    );
    page.push_str("| code | meaning | what to do |\n| --- | --- | --- |\n");
    for (code, entry) in explain::all() {
        let _ = writeln!(
            page,
            "| {code} | {} | {} |",
            cell(&entry.meaning),
            cell(&entry.hint)
        );
    }
    page
}

fn section(page: &mut String, command: &Command, parent: &str) {
    let name = format!("{parent} {}", command.get_name());
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    let _ = writeln!(page, "## {name}\n\n{about}\n");
    if command.has_subcommands() {
        for inner in visible(command) {
            section(page, inner, &name);
        }
        return;
    }
    let mut usage = command.clone();
    let usage = usage.render_usage().to_string();
    let _ = writeln!(
        page,
        "    {}\n",
        usage.trim_start_matches("Usage: ").replace('\n', "\n    ")
    );
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_global_set() && is_own(arg))
        .collect();
    if !own.is_empty() {
        options(page, own.into_iter());
    }
}

fn options<'a>(page: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    page.push_str("| option | meaning |\n| --- | --- |\n");
    for argument in arguments.filter(|argument| !argument.is_hide_set()) {
        let mut words = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let defaults: Vec<_> = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy())
            .collect();
        if !defaults.is_empty() && argument.get_action().takes_values() {
            let _ = write!(words, " [default: {}]", defaults.join(", "));
        }
        if let Some(variable) = argument.get_env() {
            let _ = write!(words, " [env: {}]", variable.to_string_lossy());
        }
        let choices: Vec<_> = argument
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| value.get_name().to_owned())
            .collect();
        if !choices.is_empty()
            && argument.get_action().takes_values()
            && argument.get_id() != "shell"
        {
            let _ = write!(words, " [one of: {}]", choices.join(", "));
        }
        let _ = writeln!(page, "| `{argument}` | {} |", cell(&words));
    }
    page.push('\n');
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
}

/// Whether an argument is a command's own, as opposed to help and version, which every command has.
fn is_own(argument: &Arg) -> bool {
    !argument.is_global_set() && argument.get_id() != "help" && argument.get_id() != "version"
}

/// Text inside a table: one line, bars and angle brackets kept from being markup.
fn cell(text: &str) -> String {
    text.replace('\n', " ")
        .replace('|', "\\|")
        .replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::panic, reason = "a stale page is the failure")]
    fn held(file: &str, page: &str) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("docs/reference")
            .join(file);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, page).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != page {
            panic!("docs/reference/{file} is stale; run: {REFRESH}");
        }
    }

    #[test]
    fn the_command_line_page_is_fresh() {
        held("cli.md", &command_line());
    }

    #[test]
    fn the_error_page_is_fresh() {
        held("errors.md", &errors());
    }

    #[test]
    fn every_code_is_known_once_and_says_something() {
        for (code, entry) in explain::all() {
            assert!(
                !entry.meaning.is_empty() && !entry.hint.is_empty(),
                "{code}"
            );
        }
    }
}
