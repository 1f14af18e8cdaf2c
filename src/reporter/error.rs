//! The one form in which every error of a step, a port or the state is shown.

use pipectl_stages::StepError;

use super::theme::{Theme, Tone, pad, wrap};

/// Columns of the labels (`cause`, `so far`, `help`).
const LABEL: usize = 9;

/// The error as a block of lines, ending with a line end, fitted to the terminal on standard error if there is one.
/// `so_far` says what is done and kept.
#[must_use]
pub fn render(error: &StepError, so_far: Option<&str>, color: bool) -> String {
    let term = console::Term::stderr();
    let width = if term.is_term() {
        usize::from(term.size().1).max(40)
    } else {
        usize::MAX
    };
    let mut text = lines(error, so_far, &Theme { width, color }).join("\n");
    text.push('\n');
    text
}

/// The error as lines.
#[must_use]
pub fn lines(error: &StepError, so_far: Option<&str>, theme: &Theme) -> Vec<String> {
    let head = theme.paint(Tone::Bad, &format!("error[{}]", error.code));
    let what = format!(": cannot {} {}", error.doing, error.resource);
    let mut lines = vec![format!("{head}{}", theme.paint(Tone::Strong, &what))];
    let mut block = |label: &str, text: &str| lines.extend(labelled(label, text, theme));
    block("cause", &error.cause);
    for evidence in &error.evidence {
        block("seen", evidence);
    }
    if !error.left_behind.is_empty() {
        block(
            "left",
            &format!("may exist: {}", error.left_behind.join(", ")),
        );
    }
    block("so far", so_far.unwrap_or_default());
    block("help", error.hint.as_deref().unwrap_or_default());
    block("more", &format!("pipectl explain {}", error.code));
    lines
}

/// A labelled paragraph with a hanging indent; nothing when there is no text. Line ends of the text are kept.
#[must_use]
fn labelled(label: &str, text: &str, theme: &Theme) -> Vec<String> {
    let room = theme.width.saturating_sub(2 + LABEL).max(20);
    let mut label = label;
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        for line in wrap(paragraph, room) {
            lines.push(format!(
                "  {}{line}",
                theme.paint(Tone::Faint, &pad(label, LABEL))
            ));
            label = "";
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_now() {
        let mut error = StepError::new(
            "KFK003",
            "wait for",
            "Kafka kafka/streaming-cluster",
            "pod streaming-cluster-broker-pool-1 cannot be scheduled: 0/3 nodes are available: 3 Insufficient memory",
        )
        .with_hint("give the node group more memory, or the brokers less, then run: pipectl up")
        .with_evidence(vec!["FailedScheduling 4 times, last 20s ago".to_owned()]);
        error.left_behind = vec!["PersistentVolumeClaim kafka/data-1".to_owned()];
        let text = lines(
            &error,
            Some("kafka 3 of 5 steps done and kept; spark still going on"),
            &Theme::plain(),
        );
        assert_snapshot!(text.join("\n"), @r"
        error[KFK003]: cannot wait for Kafka kafka/streaming-cluster
          cause    pod streaming-cluster-broker-pool-1 cannot be scheduled: 0/3 nodes
                   are available: 3 Insufficient memory
          seen     FailedScheduling 4 times, last 20s ago
          left     may exist: PersistentVolumeClaim kafka/data-1
          so far   kafka 3 of 5 steps done and kept; spark still going on
          help     give the node group more memory, or the brokers less, then run:
                   pipectl up
          more     pipectl explain KFK003
        ");
    }
}
