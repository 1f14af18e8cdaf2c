//! Findings as text, in the style of a compiler: the line, a mark under the text that is meant, the advice.

use super::{Diagnostic, Location, Severity};
use std::fmt::Write as _;
use unicode_width::UnicodeWidthChar as _;

const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const BLUE: &str = "\u{1b}[34m";
const BOLD: &str = "\u{1b}[1m";
const RESET: &str = "\u{1b}[0m";

/// The widest mark; what is longer is a paragraph, and its beginning says where.
const MAX_MARK: usize = 60;

struct Painter {
    color: bool,
}

impl Painter {
    fn paint(&self, style: &str, text: &str) -> String {
        if self.color {
            format!("{style}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }
}

/// One finding.
pub(super) fn render(diagnostic: &Diagnostic, color: bool) -> String {
    let painter = Painter { color };
    let (word, style) = match diagnostic.severity {
        Severity::Error => ("error", RED),
        Severity::Warning => ("warning", YELLOW),
    };
    let head = painter.paint(style, &format!("{word}[{}]", diagnostic.code));
    let message = painter.paint(BOLD, &format!(": {}", clean(&diagnostic.message)));
    let mut out = format!("{head}{message}\n");
    match &diagnostic.location {
        Some(location) => excerpt(&mut out, diagnostic, location, &painter, style),
        None => {
            if let Some(help) = &diagnostic.help {
                let _ = writeln!(out, "  {} help: {}", painter.paint(BLUE, "╰─"), clean(help));
            }
        }
    }
    out
}

fn excerpt(
    out: &mut String,
    diagnostic: &Diagnostic,
    location: &Location,
    painter: &Painter,
    style: &str,
) {
    let number = location.line.to_string();
    let gutter = number.len().max(2) + 1;
    let blank = " ".repeat(gutter);
    let bar = painter.paint(BLUE, "│");
    let start = painter.paint(BLUE, "╭─");
    if location.line == 0 {
        let _ = writeln!(out, "{blank}{start} {}", clean(&location.file));
    } else {
        let _ = writeln!(
            out,
            "{blank}{start} {}:{}:{}",
            clean(&location.file),
            location.line,
            location.column
        );
        let _ = writeln!(out, "{blank}{bar}");
        let _ = writeln!(
            out,
            "{} {bar} {}",
            painter.paint(BLUE, &format!("{number:>width$}", width = gutter - 1)),
            clean(&location.line_text)
        );
        let before = width(location.line_text.chars().take(location.mark_offset));
        let mark = width(location.text.chars()).clamp(1, MAX_MARK);
        let carets = "^".repeat(mark);
        let label = diagnostic
            .label
            .as_deref()
            .map(|label| format!(" {}", clean(label)))
            .unwrap_or_default();
        let _ = writeln!(
            out,
            "{blank}{bar} {}{}",
            " ".repeat(before),
            painter.paint(style, &format!("{carets}{label}"))
        );
    }
    let end = painter.paint(
        BLUE,
        if diagnostic.help.is_some() {
            "╰─"
        } else {
            "╵"
        },
    );
    match &diagnostic.help {
        Some(help) => {
            let _ = writeln!(out, "{blank}{end} help: {}", clean(help));
        }
        None => {
            let _ = writeln!(out, "{blank}{end}");
        }
    }
}

/// All findings, and a last line that counts the errors.
pub(super) fn render_all(diagnostics: &[Diagnostic], color: bool) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        out += &render(diagnostic, color);
        out.push('\n');
    }
    let errors: Vec<&Diagnostic> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .collect();
    if !errors.is_empty() {
        let mut files: Vec<&str> = errors
            .iter()
            .filter_map(|error| error.location.as_ref())
            .map(|location| location.file.as_str())
            .collect();
        files.sort_unstable();
        files.dedup();
        let count = if errors.len() == 1 {
            "1 error".to_owned()
        } else {
            format!("{} errors", errors.len())
        };
        let place = match files[..] {
            [] => String::new(),
            [file] => format!(" in {}", clean(file)),
            _ => format!(" in {} files", files.len()),
        };
        let _ = writeln!(out, "{count}{place}; nothing was changed");
    }
    out
}

fn width(characters: impl Iterator<Item = char>) -> usize {
    characters
        .map(|character| visible(character).width().unwrap_or(0))
        .sum()
}

/// A character as it may go to a terminal: no control characters, since a file must not be able to move the cursor or change
/// colours; tabs as one blank, so that marks stay aligned; nothing that reverses the direction of text.
fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        character if character.is_control() => '\u{fffd}',
        character => character,
    }
}

fn clean(text: &str) -> String {
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use crate::diagnostics::{Diagnostic, Diagnostics, Location};
    use insta::assert_snapshot;

    fn location(line: usize, offset: usize, text: &str, line_text: &str) -> Location {
        Location {
            file: "pipeline.yaml".to_owned(),
            line,
            column: offset + 1,
            text: text.to_owned(),
            line_text: line_text.to_owned(),
            mark_offset: offset,
        }
    }

    #[test]
    fn an_error_shows_its_line_its_mark_and_its_advice() {
        let finding = Diagnostic::error("CFG014", "Strimzi 0.47.0 does not support Kafka 3.7.0")
            .at(location(21, 13, "3.7.0", "    version: 3.7.0"))
            .label("supported here: 3.9.0, 3.9.1, 4.0.0")
            .help("set version to 3.9.1");
        assert_snapshot!(Diagnostics(vec![finding]).render(false), @r"
        error[CFG014]: Strimzi 0.47.0 does not support Kafka 3.7.0
           ╭─ pipeline.yaml:21:14
           │
        21 │     version: 3.7.0
           │              ^^^^^ supported here: 3.9.0, 3.9.1, 4.0.0
           ╰─ help: set version to 3.9.1

        1 error in pipeline.yaml; nothing was changed
        ");
    }

    #[test]
    fn wide_characters_keep_the_mark_aligned_and_control_characters_are_defused() {
        let finding = Diagnostic::warning("CFG041", "odd \u{1b}[31mtext\u{202e}").at(location(
            1003,
            6,
            "나쁨",
            "  이름: 나쁨\t\u{7}",
        ));
        assert_snapshot!(finding.render(false), @"
        warning[CFG041]: odd �[31mtext�
             ╭─ pipeline.yaml:1003:7
             │
        1003 │   이름: 나쁨 �
             │         ^^^^
             ╵
        ");
    }

    #[test]
    fn colour_only_adds_to_the_words() {
        let finding = Diagnostic::error("CFG001", "cannot read it")
            .at(Location::file("gone.yaml"))
            .help("check the name");
        let colored = finding.render(true);
        assert!(colored.contains("\u{1b}[1;31merror[CFG001]"));
        let mut plain = colored;
        for style in [
            super::RED,
            super::YELLOW,
            super::BLUE,
            super::BOLD,
            super::RESET,
        ] {
            plain = plain.replace(style, "");
        }
        assert_eq!(plain, finding.render(false));
    }
}
