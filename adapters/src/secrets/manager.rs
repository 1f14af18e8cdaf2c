//! Which part of a secret in AWS Secrets Manager is meant.

use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::secrets::SecretValue,
};
use serde_json::Value;

use super::{KEY_UNUSABLE, NOT_TEXT, error};

/// The whole secret, or what stands under a key of its JSON. No error quotes any of it.
pub(super) fn part(
    id: &str,
    text: &SecretValue,
    key: Option<&str>,
) -> Result<SecretValue, PortError> {
    let value = match key {
        None => text.clone(),
        Some(key) => under(id, text.expose(), key)?,
    };
    if value.expose().contains('\0') {
        return Err(error(
            Kind::Invalid,
            NOT_TEXT,
            format!("secret {id}: holds a NUL character"),
        ));
    }
    Ok(value)
}

fn under(id: &str, text: &str, key: &str) -> Result<SecretValue, PortError> {
    let unusable = |why: &str| {
        error(
            Kind::Invalid,
            KEY_UNUSABLE,
            format!("secret {id}, key {key}: {why}"),
        )
    };
    let document: Value =
        serde_json::from_str(text).map_err(|_| unusable("the secret is not JSON"))?;
    let fields = document
        .as_object()
        .ok_or_else(|| unusable("the secret is not a JSON object"))?;
    match fields.get(key) {
        None => Err(unusable("the secret has no such key")),
        Some(Value::String(text)) if text.is_empty() => Err(unusable("it is empty")),
        Some(Value::String(text)) => Ok(SecretValue::new(text.clone())),
        Some(Value::Bool(flag)) => Ok(SecretValue::new(flag.to_string())),
        // Others would not come out as they were written.
        Some(Value::Number(number)) if !number.is_f64() => Ok(SecretValue::new(number.to_string())),
        Some(_) => Err(unusable(
            "it is neither a text nor a whole number nor a truth value",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{"user": "me", "port": 5432, "tls": true, "empty": "", "nothing": null,
        "share": 0.1, "long": 123456789012345678901234567890, "nested": {"user": "hush"}, "odd": "a\u0000b"}"#;

    fn taken(text: &str, key: Option<&str>) -> Result<String, PortError> {
        part("db", &SecretValue::new(text.to_owned()), key).map(|value| value.expose().to_owned())
    }

    #[test]
    fn a_key_gives_what_stands_there_as_it_was_written() {
        for (key, wanted) in [("user", "me"), ("port", "5432"), ("tls", "true")] {
            assert_eq!(taken(DOCUMENT, Some(key)).unwrap(), wanted);
        }
        assert_eq!(taken(DOCUMENT, None).unwrap(), DOCUMENT);
        assert_eq!(taken("plain", None).unwrap(), "plain");
    }

    #[test]
    fn what_cannot_be_taken_is_said_without_a_word_of_the_secret() {
        let keys = ["host", "empty", "nothing", "share", "long", "nested"];
        let keyed = keys.map(|key| (DOCUMENT, key));
        let shapeless = [
            ("hush", "user"),
            ("[\"hush\"]", "user"),
            ("\"hush\"", "user"),
        ];
        for (text, key) in keyed.into_iter().chain(shapeless) {
            let error = taken(text, Some(key)).unwrap_err();
            assert_eq!(error.code, KEY_UNUSABLE, "{key}");
            assert!(!error.cause.contains("hush"), "{error}");
            assert!(error.cause.contains("db") && error.cause.contains(key));
        }
        assert_eq!(taken(DOCUMENT, Some("odd")).unwrap_err().code, NOT_TEXT);
    }
}
