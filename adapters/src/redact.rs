//! Keeps secret values out of quoted words.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock},
};

/// Values shorter than this are not looked for: they would tear every text apart.
const SHORTEST: usize = 4;

/// What stands in a secret's place.
const COVER: &str = "‹secret›";

/// The secret values of this run. Clones share them: what resolves a secret adds it, what quotes others' words asks.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<BTreeSet<String>>>);

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(…)")
    }
}

impl Redactor {
    /// Remembers a secret value, and the form that it has in a Secret's `data`. Of a value of several lines, each
    /// line counts as well: programs quote lines.
    pub fn add(&self, secret: &str) {
        let forms = secret
            .lines()
            .map(str::trim)
            .chain([secret.trim()])
            .filter(|form| form.len() >= SHORTEST)
            .flat_map(|form| [form.to_owned(), base64(form.as_bytes())])
            .chain([base64(secret.as_bytes())])
            .filter(|form| form.len() >= SHORTEST);
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(forms);
    }

    /// The text with every known secret value covered, longer ones first.
    #[must_use]
    pub fn cover(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<&String> = known
            .iter()
            .filter(|secret| text.contains(secret.as_str()))
            .collect();
        found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        found.into_iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), COVER)
        })
    }

    /// Whether this is a secret value.
    #[must_use]
    pub fn knows(&self, value: &str) -> bool {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(value.trim())
    }
}

/// RFC 4648 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0usize, |word, byte| word << 8 | usize::from(*byte));
        for place in 0..4 {
            if place <= chunk.len() {
                text.push(char::from(ALPHABET[word >> (18 - 6 * place) & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_standards() {
        // The test vectors of RFC 4648, section 10.
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn values_lines_and_encoded_forms_are_covered() {
        let redactor = Redactor::default();
        redactor.add("hunter2hunter2\n");
        redactor.add("first line\nsecond line");
        redactor.add("abc");
        let encoded = base64(b"hunter2hunter2");
        let text = redactor.clone().cover(&format!(
            "password hunter2hunter2, {encoded}; second line: abc"
        ));
        assert_eq!(text, "password ‹secret›, ‹secret›; ‹secret›: abc");
        assert!(redactor.knows("hunter2hunter2"));
        assert!(!format!("{redactor:?}").contains("hunter"));
    }
}
