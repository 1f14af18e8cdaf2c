//! What a value without quotes means.

use super::{Content, Node};
use serde_json::{Map, Number, Value};

/// What a value without quotes means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plain {
    Null,
    Bool(bool),
    Number(Number),
    Text,
}

/// Reads a scalar by YAML 1.2's core schema, with the one thing of YAML 1.1 that Kubernetes manifests rely on: `0644` is octal,
/// as `kubectl` reads it.
pub(crate) fn resolve_plain(text: &str, plain: bool) -> Plain {
    if !plain {
        return Plain::Text;
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Plain::Null,
        "true" | "True" | "TRUE" => Plain::Bool(true),
        "false" | "False" | "FALSE" => Plain::Bool(false),
        _ => number(text).map_or(Plain::Text, Plain::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let all = |part: &str, allowed: fn(&u8) -> bool| {
        !part.is_empty() && part.bytes().all(|byte| allowed(&byte))
    };
    let magnitude = if let Some(hex) = digits.strip_prefix("0x") {
        all(hex, u8::is_ascii_hexdigit).then(|| u64::from_str_radix(hex, 16).ok())?
    } else if let Some(octal) = digits.strip_prefix("0o") {
        all(octal, is_octal).then(|| u64::from_str_radix(octal, 8).ok())?
    } else if digits.len() > 1 && digits.starts_with('0') && all(digits, is_octal) {
        u64::from_str_radix(digits, 8).ok()
    } else if all(digits, u8::is_ascii_digit) {
        digits.parse().ok()
    } else {
        return float(text, digits);
    };
    match magnitude {
        Some(magnitude) if negative => 0i64.checked_sub_unsigned(magnitude).map(Number::from),
        Some(magnitude) => Some(Number::from(magnitude)),
        // Too large for 64 bits: as good as a floating-point number can say it.
        None => float(text, digits),
    }
}

fn is_octal(byte: &u8) -> bool {
    (b'0'..=b'7').contains(byte)
}

fn float(text: &str, digits: &str) -> Option<Number> {
    // Only what the core schema calls a float; Rust's parser would also take "inf" and "nan", which JSON cannot hold.
    let first = digits.bytes().next()?;
    let numeric = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let has_digit = digits.bytes().any(|byte| byte.is_ascii_digit());
    if !numeric || !has_digit || !(first.is_ascii_digit() || first == b'.') {
        return None;
    }
    text.parse().ok().and_then(Number::from_f64)
}

/// The value as JSON, for parts of the file whose fields pipectl does not know.
pub(crate) fn to_json(node: &Node) -> Value {
    match &node.content {
        Content::Scalar { text, plain } => match resolve_plain(text, *plain) {
            Plain::Null => Value::Null,
            Plain::Bool(value) => Value::Bool(value),
            Plain::Number(value) => Value::Number(value),
            Plain::Text => Value::String(text.clone()),
        },
        Content::List(items) => Value::Array(items.iter().map(to_json).collect()),
        Content::Map(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, value)| (key.text.clone(), to_json(value)))
                .collect::<Map<_, _>>(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{Plain, resolve_plain};
    use serde_json::Number;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, number) in [
            ("0", 0),
            ("42", 42),
            ("-7", -7),
            ("+3", 3),
            ("0x1f", 31),
            ("0o17", 15),
            ("0644", 420),
        ] {
            assert_eq!(
                resolve_plain(text, true),
                Plain::Number(Number::from(number)),
                "{text}"
            );
        }
        for (text, number) in [
            ("1.5", 1.5),
            ("-.5", -0.5),
            ("1e3", 1000.0),
            ("99999999999999999999", 1e20),
        ] {
            assert_eq!(
                resolve_plain(text, true),
                Plain::Number(Number::from_f64(number).unwrap()),
                "{text}"
            );
        }
        for text in [
            "1.2.3", "yes", "on", "inf", ".inf", "nan", "-", "1e", "0x", "089a", "a1", "3.5.1",
            "1e999",
        ] {
            assert_eq!(resolve_plain(text, true), Plain::Text, "{text}");
        }
        assert_eq!(resolve_plain("true", false), Plain::Text);
        assert_eq!(resolve_plain("~", true), Plain::Null);
    }
}
