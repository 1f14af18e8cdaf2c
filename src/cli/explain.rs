//! `pipectl explain`: what an error code means and what to do.

use crate::exit::Exit;
use crate::failure::Failure;
use std::collections::BTreeMap;

use super::{args::ExplainArgs, output::Output};

/// What is known of one code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it means.
    pub meaning: String,
    /// What a person can do.
    pub hint: String,
}

/// Every code of the program, sorted.
#[must_use]
pub fn all() -> BTreeMap<String, Entry> {
    let plain = super::codes::CODES
        .iter()
        .chain(pipectl_stages::CODES)
        .chain(crate::engine::CODES)
        .chain(pipectl_aws::CODES)
        .copied()
        .chain(pipectl_adapters::codes());
    let mut entries: BTreeMap<String, Entry> = plain
        .map(|(code, meaning, hint)| {
            (
                code.to_owned(),
                Entry {
                    meaning: meaning.to_owned(),
                    hint: hint.to_owned(),
                },
            )
        })
        .collect();
    for info in pipectl_config::diagnostics::CODES {
        let entry = Entry {
            meaning: format!("{} {}", info.title, info.explanation),
            hint: format!("this is refused, for example: {}", info.example),
        };
        entries.insert(info.code.to_owned(), entry);
    }
    for entry in pipectl_state::CODES {
        entries.insert(
            entry.code.to_owned(),
            Entry {
                meaning: entry.meaning.to_owned(),
                hint: entry.hint.to_owned(),
            },
        );
    }
    for (code, meaning, hint) in pipectl_sandbox::error::CODES {
        entries.insert(
            (*code).to_owned(),
            Entry {
                meaning: (*meaning).to_owned(),
                hint: (*hint).to_owned(),
            },
        );
    }
    entries
}

/// Runs it.
///
/// # Errors
/// For a code that there isn't.
pub fn run(args: &ExplainArgs, output: Output) -> Result<Exit, Failure> {
    let entries = all();
    let Some(code) = &args.code else {
        for (code, entry) in &entries {
            output.line(format!("{code}  {}", entry.meaning));
        }
        return Ok(Exit::Ok);
    };
    let code = code.to_ascii_uppercase();
    let Some(entry) = entries.get(&code) else {
        return Err(Failure::problem(
            Exit::BadInput,
            "CLI009",
            "explain",
            &code,
            "there is no such code",
        )
        .hint("see `pipectl explain` for all of them"));
    };
    output.line(format!(
        "{code}\n\n  {}\n\n  help  {}",
        entry.meaning, entry.hint
    ));
    Ok(Exit::Ok)
}
