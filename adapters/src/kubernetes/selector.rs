//! Label selectors in the API's own syntax, as far as equality and existence go.

use serde_json::Value;

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    Equal(String, String),
    NotEqual(String, String),
    Exists(String),
    Absent(String),
}

/// All of these must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selector(Option<Vec<Requirement>>);

impl Selector {
    /// `None` for an empty text. A selector with sets (`in (...)`) is kept as one that matches nothing here: it is the
    /// server that selects, this one only decides whether an object we applied ourselves is shown before the watch
    /// brings it.
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return None;
        }
        if text.contains(['(', ')']) {
            return Some(Self(None));
        }
        let requirements = text
            .split(',')
            .map(|part| {
                let part = part.trim();
                if let Some((key, value)) = part.split_once("!=") {
                    Requirement::NotEqual(key.trim().to_owned(), value.trim().to_owned())
                } else if let Some((key, value)) = part.split_once('=') {
                    let value = value.strip_prefix('=').unwrap_or(value);
                    Requirement::Equal(key.trim().to_owned(), value.trim().to_owned())
                } else if let Some(key) = part.strip_prefix('!') {
                    Requirement::Absent(key.trim().to_owned())
                } else {
                    Requirement::Exists(part.to_owned())
                }
            })
            .collect();
        Some(Self(Some(requirements)))
    }

    /// Whether an object's `metadata.labels` match.
    pub fn matches(&self, labels: &Value) -> bool {
        let Some(requirements) = &self.0 else {
            return false;
        };
        requirements.iter().all(|requirement| match requirement {
            Requirement::Equal(key, value) => labels[key].as_str() == Some(value),
            Requirement::NotEqual(key, value) => labels[key].as_str() != Some(value),
            Requirement::Exists(key) => labels[key].is_string(),
            Requirement::Absent(key) => !labels[key].is_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requirements_hold_together() {
        let labels = json!({"a": "1", "b/c": "2"});
        for (text, matches) in [
            ("a=1", true),
            ("a==1", true),
            ("a=2", false),
            ("a=1,b/c=2", true),
            ("a=1, b/c=3", false),
            ("a!=1", false),
            ("x!=1", true),
            ("a", true),
            ("x", false),
            ("!a", false),
            ("!x", true),
            ("a in (1,2)", false),
        ] {
            assert_eq!(
                Selector::parse(text).unwrap().matches(&labels),
                matches,
                "{text}"
            );
        }
        assert_eq!(Selector::parse(" "), None);
        assert!(!Selector::parse("a=1").unwrap().matches(&Value::Null));
    }
}
