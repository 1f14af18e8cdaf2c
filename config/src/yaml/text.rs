//! The texts that values come from, and places in them.

use crate::{diagnostics::Location, secrets::is_secret_name};

/// Longer lines are cut around the mark, so that a minified file does not flood a terminal.
const MAX_LINE: usize = 120;

/// A place in one of the texts: lines from 1, columns in characters from 0, the end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    /// Which text: 0 is the file, others are `--set` arguments.
    pub text: usize,
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
}

/// A text with a name.
#[derive(Debug, Clone)]
pub(crate) struct SourceText {
    pub name: String,
    lines: Vec<String>,
    hidden: Vec<Span>,
}

impl SourceText {
    pub(crate) fn new(name: impl Into<String>, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self {
            name: name.into(),
            lines: text.lines().map(str::to_owned).collect(),
            hidden: Vec::new(),
        }
    }

    /// Keeps a value out of every excerpt.
    pub(crate) fn hide(&mut self, span: Span) {
        self.hidden.push(span);
    }

    /// The place as a person sees it.
    pub(crate) fn locate(&self, span: Span) -> Location {
        let line = self.shown_line(span.line);
        let start = span.column.min(line.len());
        let end = if span.end_line == span.line {
            span.end_column.min(line.len())
        } else {
            line.len()
        };
        let text: String = line[start..end.max(start)].iter().collect();
        let (line_text, mark_offset) = window(&line, start);
        Location {
            file: self.name.clone(),
            line: span.line.max(1),
            column: start + 1,
            // A trailing blank belongs to no value.
            text: text.trim_end().to_owned(),
            line_text,
            mark_offset,
        }
    }

    /// A line's characters, hidden values as dots.
    fn shown_line(&self, number: usize) -> Vec<char> {
        let line = self.lines.get(number.saturating_sub(1));
        let mut line: Vec<char> = line.map(|line| line.chars().collect()).unwrap_or_default();
        let length = line.len();
        let cover = |line: &mut [char], from: usize, to: usize| {
            line.iter_mut()
                .take(to)
                .skip(from)
                .for_each(|character| *character = '•');
        };
        for span in self
            .hidden
            .iter()
            .filter(|span| (span.line..=span.end_line).contains(&number))
        {
            let from = if span.line == number { span.column } else { 0 };
            let to = if span.end_line == number {
                span.end_column
            } else {
                length
            };
            cover(&mut line, from, to);
        }
        // A text that could not be parsed has no known values; there the key decides.
        if let Some((from, to)) = secret_value(&line) {
            cover(&mut line, from, to);
        }
        line
    }

    /// The file as a whole.
    pub(crate) fn whole(&self) -> Location {
        Location::file(&self.name)
    }
}

/// Where the value of a line like `password: hunter2` is, when its key is a secret's. Mappings and references stay visible.
fn secret_value(line: &[char]) -> Option<(usize, usize)> {
    let separator = line
        .iter()
        .position(|character| matches!(character, ':' | '='))?;
    let key: String = line[..separator].iter().collect();
    let value = separator
        + 1
        + line[separator + 1..]
            .iter()
            .position(|character| *character != ' ')?;
    let opens = matches!(line[value], '{' | '[' | '$' | '|' | '>');
    let key = key.trim_matches([' ', '-', '"', '\'', '{']);
    (!opens && is_secret_name(key)).then_some((value, line.len()))
}

/// The line, cut around `start` when it is too long, and where `start` is then.
fn window(line: &[char], start: usize) -> (String, usize) {
    if line.len() <= MAX_LINE {
        return (line.iter().collect(), start);
    }
    let from = start.saturating_sub(MAX_LINE / 2);
    let to = (from + MAX_LINE).min(line.len());
    let mut text: String = line[from..to].iter().collect();
    let mut offset = start - from;
    if from > 0 {
        text.insert(0, '…');
        offset += 1;
    }
    if to < line.len() {
        text.push('…');
    }
    (text, offset)
}
