//! Findings as text.

use super::Diagnostic;

pub(super) fn render(diagnostic: &Diagnostic, _color: bool) -> String {
    format!("error[{}]: {}\n", diagnostic.code, diagnostic.message)
}

pub(super) fn render_all(diagnostics: &[Diagnostic], color: bool) -> String {
    diagnostics
        .iter()
        .map(|diagnostic| render(diagnostic, color))
        .collect()
}
