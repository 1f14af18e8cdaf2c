//! Collects findings with their places.

use crate::{
    diagnostics::{Diagnostic, Diagnostics, Severity, codes},
    yaml::{SourceText, Span},
};

/// More findings than anyone reads at once; a file of another kind entirely would give thousands.
const MAX_FINDINGS: usize = 100;

/// The texts that were read and what was found in them.
#[derive(Debug, Default)]
pub(crate) struct Report {
    texts: Vec<SourceText>,
    findings: Vec<((usize, usize, usize), Diagnostic)>,
    dropped: usize,
}

impl Report {
    /// Takes a text in; its number goes into the spans of what is read from it.
    pub(crate) fn add_text(&mut self, text: SourceText) -> usize {
        self.texts.push(text);
        self.texts.len() - 1
    }

    pub(crate) fn text_name(&self, text: usize) -> &str {
        &self.texts[text].name
    }

    /// The same texts and nothing found, for a look ahead whose findings do not count.
    pub(crate) fn scratch(&self) -> Self {
        Self {
            texts: self.texts.clone(),
            ..Self::default()
        }
    }

    /// Keeps a value out of every excerpt.
    pub(crate) fn hide(&mut self, span: Span) {
        self.texts[span.text].hide(span);
    }

    /// A finding at a place.
    pub(crate) fn push(&mut self, span: Span, diagnostic: Diagnostic) {
        let location = self.texts[span.text].locate(span);
        self.keep(
            (span.text, location.line, location.column),
            diagnostic.at(location),
        );
    }

    /// A finding about a text as a whole.
    pub(crate) fn push_whole(&mut self, text: usize, diagnostic: Diagnostic) {
        let location = self.texts[text].whole();
        self.keep((text, 0, 0), diagnostic.at(location));
    }

    fn keep(&mut self, order: (usize, usize, usize), diagnostic: Diagnostic) {
        if self.findings.len() >= MAX_FINDINGS {
            self.dropped += 1;
            return;
        }
        // The same value may be reached twice, through an alias or by two checks.
        if !self
            .findings
            .iter()
            .any(|(_, present)| *present == diagnostic)
        {
            self.findings.push((order, diagnostic));
        }
    }

    /// Whether something with this code was found.
    pub(crate) fn has(&self, code: &str) -> bool {
        self.findings
            .iter()
            .any(|(_, finding)| finding.code == code)
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.dropped > 0
            || self
                .findings
                .iter()
                .any(|(_, finding)| finding.severity == Severity::Error)
    }

    /// Everything that was found, in the order of the texts and their lines.
    pub(crate) fn finish(mut self) -> Diagnostics {
        self.findings.sort_by_key(|(order, _)| *order);
        let mut all: Vec<Diagnostic> = self
            .findings
            .into_iter()
            .map(|(_, finding)| finding)
            .collect();
        if self.dropped > 0 {
            all.push(
                Diagnostic::error(
                    codes::TOO_MANY,
                    format!("{} more findings are not shown", self.dropped),
                )
                .help("correct these first and run again"),
            );
        }
        Diagnostics(all)
    }
}
