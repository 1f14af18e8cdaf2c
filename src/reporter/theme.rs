//! How wide, how colourful: everything that depends on where the words go.

use console::{Style, measure_text_width, truncate_str};

/// What the place where words go can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Columns; lines are cut or wrapped to this.
    pub width: usize,
    /// Whether colour underlines what the words say.
    pub color: bool,
}

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Well done.
    Good,
    /// Going on.
    Busy,
    /// Went wrong.
    Bad,
    /// Beside the point.
    Faint,
    /// The point.
    Strong,
}

impl Theme {
    /// No colour, eighty columns: what logs and snapshots get.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            width: 80,
            color: false,
        }
    }

    /// The text in the tone, where there is colour.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let style = Style::new().force_styling(true);
        let style = match tone {
            Tone::Good => style.green(),
            Tone::Busy => style.cyan(),
            Tone::Bad => style.red().bold(),
            Tone::Faint => style.dim(),
            Tone::Strong => style.bold(),
        };
        style.apply_to(text).to_string()
    }

    /// `left` and `right` at the two ends of a line; `left` is cut where both do not fit.
    #[must_use]
    pub fn ends(&self, left: &str, right: &str) -> String {
        let right_width = measure_text_width(right);
        if right_width == 0 {
            return cut(left, self.width);
        }
        let left = cut(left, self.width.saturating_sub(right_width + 1));
        let gap = self
            .width
            .saturating_sub(right_width + measure_text_width(&left))
            .max(1);
        format!("{left}{}{right}", " ".repeat(gap))
    }
}

/// The text, not wider than `width` columns; what was cut off shows as `…`.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    truncate_str(text, width, "…").into_owned()
}

/// The text, padded to `width` columns.
#[must_use]
pub fn pad(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(measure_text_width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// The words of `text` on lines of at most `width` columns; a word that is longer has a line of its own.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if measure_text_width(line) + 1 + measure_text_width(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_not_characters() {
        let theme = Theme {
            width: 20,
            color: false,
        };
        let line = theme.ends("스트리밍 파이프라인", "1m 02s");
        assert_eq!(measure_text_width(&line), 20, "{line:?}");
        assert!(line.contains("…") && line.ends_with(" 1m 02s"), "{line:?}");
    }

    #[test]
    fn colour_takes_no_columns() {
        let theme = Theme {
            width: 12,
            color: true,
        };
        let line = theme.ends(&theme.paint(Tone::Good, "done"), "3s");
        assert_eq!(measure_text_width(&line), 12);
        assert!(line.contains("\u{1b}["));
    }

    #[test]
    fn wrapping_keeps_every_word() {
        let lines = wrap("a bb ccc-that-is-long dd", 6);
        assert_eq!(lines, ["a bb", "ccc-that-is-long", "dd"]);
    }
}
