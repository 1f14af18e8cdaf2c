//! Values that look like secrets.

use super::Context;
use crate::{
    diagnostics::{Diagnostic, codes},
    secrets::literal_secrets,
    yaml::Content,
};

pub(super) fn check(context: &mut Context<'_>) {
    let mut found = literal_secrets(context.tree);
    let mut written_out = Vec::new();
    for (_, object) in context.owned_objects() {
        let filled = ["data", "stringData"]
            .into_iter()
            .filter_map(|section| object.field(&[section]))
            .find(|node| matches!(&node.content, Content::Map(values) if !values.is_empty()));
        match filled {
            Some(values) if object.kind() == "Secret" => {
                let message = format!("Secret '{}' is written out here", object.name());
                written_out.push((values.span, message));
            }
            _ => found.extend(literal_secrets(&object.node)),
        }
    }
    for (span, message) in written_out {
        let diagnostic = Diagnostic::error(codes::SECRET_OBJECT, message)
            .help("list it under spec.secrets, with secretRef: {env: NAME}, {file: PATH} or {awsSecretsManager: {id: ID}} for each value");
        context.at_span(span, diagnostic);
    }
    for secret in found {
        let message = format!(
            "{} looks like a secret that is written out here",
            secret.name
        );
        let diagnostic = Diagnostic::warning(codes::SECRET_LITERAL, message)
            .help("keep it elsewhere: secretRef: {env: NAME}, {file: PATH} or {awsSecretsManager: {id: ID}}; for manifests, list it under spec.secrets");
        context.at_span(secret.span, diagnostic);
    }
}
