//! Finds values that look like secrets, hides them from error excerpts, and advises to keep them elsewhere.

use crate::{
    report::Report,
    yaml::{Content, Node, Path, Segment, Span},
};

/// Words in the names of things that are secret.
const WORDS: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "sasljaas",
];

/// Endings that make a name one of a place or setting, not of a secret: `secretName`, `tokenUrl`, `passwordFile`.
const HARMLESS_ENDINGS: [&str; 16] = [
    "name", "ref", "file", "path", "url", "uri", "key", "keys", "type", "enabled", "mount",
    "provider", "seconds", "ttl", "class", "id",
];

/// Whether a field or variable of this name usually holds a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let folded: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|character| character.to_ascii_lowercase())
        .collect();
    let Some((end, word)) = WORDS
        .iter()
        .filter_map(|word| folded.rfind(word).map(|at| (at + word.len(), word)))
        .max()
    else {
        return false;
    };
    let _ = word;
    !HARMLESS_ENDINGS
        .iter()
        .any(|ending| folded.len() > end && folded[end..].ends_with(ending))
}

/// Whether a value has the shape of a known kind of credential, whatever it is called.
pub(crate) fn is_secret_shape(value: &str) -> bool {
    let aws = |text: &str| {
        text.len() == 20
            && ["AKIA", "ASIA"]
                .iter()
                .any(|prefix| text.starts_with(prefix))
            && text
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    value.contains("PRIVATE KEY-----")
        || ["ghp_", "github_pat_", "xoxb-", "xoxp-", "glpat-"]
            .iter()
            .any(|prefix| value.starts_with(prefix) && value.len() > 20)
        || value
            .split(|character: char| !character.is_ascii_alphanumeric())
            .any(aws)
}

/// Whether a text, in a place of this name, is a secret written out: not a reference, a switch or nothing.
fn is_literal_secret(name: Option<&str>, value: &str) -> bool {
    if is_secret_shape(value) {
        return true;
    }
    let reference = value.is_empty()
        || value.contains("${")
        || value.contains("$(")
        || matches!(value, "true" | "false" | "null");
    !reference && name.is_some_and(is_secret_name)
}

/// A secret that is written out.
pub(crate) struct LiteralSecret {
    /// What it is called.
    pub name: String,
    pub span: Span,
    /// Its value.
    pub value: String,
}

/// Every value below `node` that looks like a secret: by the key it has, by the `name` beside a `value`, or by its shape.
pub(crate) fn literal_secrets(node: &Node) -> Vec<LiteralSecret> {
    let mut found = Vec::new();
    collect(node, None, &mut found);
    found
}

fn collect(node: &Node, name: Option<&str>, found: &mut Vec<LiteralSecret>) {
    match &node.content {
        Content::Scalar { text, .. } => {
            if !node.is_null() && is_literal_secret(name, text) {
                found.push(LiteralSecret {
                    name: name.unwrap_or("value").to_owned(),
                    span: node.span,
                    value: text.clone(),
                });
            }
        }
        Content::List(items) => items.iter().for_each(|item| collect(item, name, found)),
        Content::Map(entries) => {
            // `secretRef` says where a secret is, and a Kubernetes Secret's own fields are handled as a whole.
            let variable = node.get("value").and(node.get("name")).and_then(Node::text);
            for (key, value) in entries {
                match key.text.as_str() {
                    "secretRef" | "secretKeyRef" | "valueFrom" | "envFrom" => {}
                    "value" if variable.is_some() => collect(value, variable, found),
                    key if matches!(value.content, Content::Scalar { .. }) => {
                        collect(value, Some(key), found)
                    }
                    _ => collect(value, None, found),
                }
            }
            if node.get("kind").and_then(Node::text) == Some("Secret") {
                for section in ["data", "stringData"] {
                    if let Some(Content::Map(values)) = node.get(section).map(|node| &node.content)
                    {
                        for (key, value) in values {
                            if !found.iter().any(|secret| secret.span == value.span) {
                                found.push(LiteralSecret {
                                    name: key.text.clone(),
                                    span: value.span,
                                    value: value.text().unwrap_or_default().to_owned(),
                                });
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Hides what looks like a secret from every excerpt of the text that the tree was read from.
pub(crate) fn hide_secrets(node: &Node, report: &mut Report) {
    for secret in literal_secrets(node) {
        report.hide(secret.span);
    }
    // Where a reference belongs, someone may have written the secret itself.
    node.visit(&Path::default(), &mut |path, node| {
        if matches!(node.content, Content::Scalar { .. }) && is_place_of_reference(path) {
            report.hide(node.span);
        }
    });
}

/// Whether `secretRef: ...` or a value of `spec.secrets[...].data` is at this path.
fn is_place_of_reference(path: &Path) -> bool {
    match path.segments() {
        [
            Segment::Key(spec),
            Segment::Key(secrets),
            _,
            Segment::Key(data),
            _,
        ] => spec == "spec" && secrets == "secrets" && data == "data",
        [.., Segment::Key(last)] => last == "secretRef",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_secret_name, is_secret_shape, literal_secrets};
    use crate::yaml::parse_documents;

    #[test]
    fn names_of_secrets_are_told_from_names_of_places() {
        for name in [
            "DB_PASSWORD",
            "password",
            "apiKey",
            "AWS_SECRET_ACCESS_KEY",
            "authToken",
            "client-secret",
            "sasl.jaas.config",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "secretName",
            "PASSWORD_FILE",
            "tokenUrl",
            "KAFKA_BOOTSTRAP_SERVERS",
            "secretKeyRef",
            "serviceAccountTokenPath",
            "tokenTtl",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn shapes_of_credentials_are_known() {
        assert!(is_secret_shape(concat!("AKIA", "ABCDEFGHIJKLMNOP")));
        assert!(is_secret_shape("-----BEGIN RSA PRIVATE KEY-----\nabc"));
        assert!(!is_secret_shape("AKIA-like text"));
    }

    #[test]
    fn secrets_are_found_by_key_and_by_the_name_beside_the_value() {
        let text = "env:\n  DB_PASSWORD: one\n  HOST: x\nlist:\n  - name: API_TOKEN\n    value: two\n  - name: OTHER_TOKEN\n    valueFrom: {secretKeyRef: {name: a, key: token}}\n  - {name: PASSWORD, value: '$(REF)'}\npassword: {secretRef: {env: X}}\n";
        let (documents, _) = parse_documents(text, 0);
        let names: Vec<String> = literal_secrets(&documents[0])
            .into_iter()
            .map(|secret| secret.name)
            .collect();
        assert_eq!(names, ["DB_PASSWORD", "API_TOKEN"]);
    }
}
