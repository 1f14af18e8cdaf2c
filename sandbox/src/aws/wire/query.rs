//! Forms and query strings, as lists of pairs and as trees.

use serde_json::{Map, Value};

/// Percent-decoded text; what is no valid escape stays as it is.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(escape.unwrap_or(bytes[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encoded as signatures want it: all but unreserved characters, and slashes only when asked for.
pub(crate) fn encode(text: &str, slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (byte == b'/' && !slashes) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The pairs of a form or query string, decoded; `+` is a space.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let plain = |text: &str| decode(&text.replace('+', " "));
            (plain(name), plain(value))
        })
        .collect()
}

/// `Filter.1.Name=x` as a tree of objects; a list is an object with numbers as names.
///
/// # Errors
/// The name that is both a value and a branch.
pub(crate) fn tree(pairs: &[(String, String)]) -> Result<Value, String> {
    let mut root = Map::new();
    for (name, value) in pairs {
        let mut at = &mut root;
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                at.insert(part.to_owned(), Value::String(value.clone()));
                break;
            }
            let next = at.entry(part).or_insert_with(|| Value::Object(Map::new()));
            at = next.as_object_mut().ok_or_else(|| name.clone())?;
        }
    }
    Ok(Value::Object(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        let text = "a b/ü+%&=~";
        assert_eq!(decode(&encode(text, true)), text);
        assert_eq!(encode("a/b c", false), "a/b%20c");
        assert_eq!(decode("100%"), "100%");
    }

    #[test]
    fn dotted_names_become_a_tree() {
        let tree = tree(&pairs("Filter.1.Name=vpc-id&Filter.1.Value.1=a+b&Action=X")).unwrap();
        let wanted = serde_json::json!({
            "Filter": {"1": {"Name": "vpc-id", "Value": {"1": "a b"}}}, "Action": "X"
        });
        assert_eq!(tree, wanted);
        assert!(super::tree(&pairs("A=1&A.1=2")).is_err());
    }
}
