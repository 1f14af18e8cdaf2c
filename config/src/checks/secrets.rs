//! Values that look like secrets.

use super::Context;
use crate::{
    diagnostics::{Diagnostic, codes},
    secrets::literal_secrets,
};

pub(super) fn check(context: &mut Context<'_>) {
    let mut found = literal_secrets(context.tree);
    for (_, object) in context.owned_objects() {
        found.extend(literal_secrets(&object.node));
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
