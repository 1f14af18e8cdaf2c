//! From what the client or the API server answered to [`PortError`]: by type, `reason` and status code, never by
//! message.
//!
//! Reasons and causes are those of `metav1.Status`
//! (k8s.io/apimachinery/pkg/apis/meta/v1/types.go) and `NamespaceTerminating` of k8s.io/api/core/v1.

use std::{error::Error as StdError, time::Duration};

use kube::core::{
    Status,
    response::{self, StatusDetails},
};
use pipectl_stages::error::{PortError, PortErrorKind as Kind};

use super::codes;

/// Longest quotation of the other side's words; a validation error of a large object can be tens of kilobytes.
const CAUSE_LIMIT: usize = 2_000;

/// One failed call.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// What the caller gets.
    pub error: PortError,
    /// Whether the same call may succeed in a moment, by itself.
    pub transient: bool,
    /// What the server said about when.
    pub retry_after: Option<Duration>,
    /// Whether the server answered at all, with which status code.
    pub status: Option<u16>,
    /// The answer was an error without any reason: the API's way to say "some Go error".
    pub unexplained: bool,
}

impl Failure {
    pub(super) fn new(kind: Kind, code: &str, cause: impl Into<String>) -> Self {
        Self {
            error: PortError {
                kind,
                code: code.to_owned(),
                cause: shorten(cause.into()),
                hint: hint(code),
            },
            transient: matches!(
                kind,
                Kind::Unreachable | Kind::Throttled | Kind::Timeout | Kind::ServerError
            ),
            retry_after: None,
            status: None,
            unexplained: false,
        }
    }

    /// Nobody answered on this connection, or not in time: who answers on the next one is not known.
    pub(super) fn broke_the_connection(&self) -> bool {
        self.status.is_none() && (self.is(Kind::Unreachable) || self.is(Kind::Timeout))
    }

    pub(super) fn is(&self, kind: Kind) -> bool {
        self.error.kind == kind
    }
}

/// What was not even sent.
impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self {
            error,
            transient: false,
            retry_after: None,
            status: None,
            unexplained: false,
        }
    }
}

impl From<Failure> for PortError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// The error for `code` with the table's own hint.
pub(super) fn error(kind: Kind, code: &str, cause: impl Into<String>) -> PortError {
    Failure::new(kind, code, cause).error
}

fn hint(code: &str) -> Option<String> {
    codes::CODES
        .iter()
        .find(|row| row.0 == code)
        .map(|row| row.2.to_owned())
}

/// An error answer: its status code, its body and its `Retry-After`.
pub(super) fn from_answer(code: u16, body: &[u8], retry_after: Option<Duration>) -> Failure {
    let mut failure = match serde_json::from_slice::<Status>(body) {
        Ok(status) if status.status.is_some() || !status.reason.is_empty() => {
            from_status(&Status {
                code: if status.code == 0 { code } else { status.code },
                ..status
            })
        }
        // Not a metav1.Status: a path that no handler serves, or something in front of the API server.
        _ => from_plain(code, &String::from_utf8_lossy(body)),
    };
    failure.status = Some(code);
    failure.retry_after = retry_after.or(failure.retry_after);
    failure
}

fn from_plain(code: u16, text: &str) -> Failure {
    let words = match text.trim() {
        "" => format!("HTTP status {code} without a word"),
        text => text.to_owned(),
    };
    match code {
        401 => Failure::new(Kind::Unauthorized, codes::UNAUTHORIZED, words),
        403 => Failure::new(Kind::Forbidden, codes::FORBIDDEN, words),
        404 | 405 => Failure::new(Kind::NotServed, codes::NOT_SERVED, words),
        408 | 504 => Failure::new(Kind::Timeout, codes::TIMEOUT, words),
        429 => Failure::new(Kind::Throttled, codes::THROTTLED, words),
        500.. => Failure::new(Kind::ServerError, codes::SERVER_ERROR, words),
        _ => Failure::new(Kind::Other, codes::ANSWER_UNCLEAR, words),
    }
}

/// What a `metav1.Status` means.
pub(super) fn from_status(status: &Status) -> Failure {
    let words = if status.message.is_empty() {
        format!("{} ({})", status.reason, status.code)
    } else {
        status.message.clone()
    };
    // The client makes a Status of its own, with a reason of its own, from an answer that is none.
    let reason = match status.reason.as_str() {
        known if response::reason::is_known(known) => known,
        _ => "",
    };
    let (kind, code) = match (reason, status.code) {
        ("Unauthorized", _) | ("", 401) => (Kind::Unauthorized, codes::UNAUTHORIZED),
        _ if has_cause(status, "NamespaceTerminating") => (Kind::Terminating, codes::TERMINATING),
        ("Forbidden", _) | ("", 403) => (Kind::Forbidden, codes::FORBIDDEN),
        ("NotFound", _) | ("", 404) if !names_an_object(status.details.as_ref()) => {
            (Kind::NotServed, codes::NOT_SERVED)
        }
        ("NotFound", _) | ("", 404) => (Kind::NotFound, codes::NOT_FOUND),
        ("MethodNotAllowed", _) => (Kind::NotServed, codes::NOT_SERVED),
        ("AlreadyExists", _) => (Kind::AlreadyExists, codes::ALREADY_EXISTS),
        ("Conflict", _) | ("", 409) if has_cause(status, "FieldManagerConflict") => {
            (Kind::Conflict, codes::FIELD_CONFLICT)
        }
        // The place in a history or list that was asked for is gone: what is there now must be read anew.
        ("Conflict" | "Gone" | "Expired", _) | ("", 409 | 410) => {
            (Kind::Conflict, codes::CHANGED_MEANWHILE)
        }
        (
            "Invalid"
            | "BadRequest"
            | "RequestEntityTooLarge"
            | "UnsupportedMediaType"
            | "NotAcceptable",
            _,
        )
        | ("", 400 | 422) => (Kind::Invalid, codes::INVALID),
        ("TooManyRequests", _) | ("", 429) => (Kind::Throttled, codes::THROTTLED),
        ("Timeout" | "ServerTimeout", _) | ("", 504) => (Kind::Timeout, codes::TIMEOUT),
        ("InternalError" | "ServiceUnavailable" | "StorageReadError", _) => {
            (Kind::ServerError, codes::SERVER_ERROR)
        }
        (_, 500..) => (Kind::ServerError, codes::SERVER_ERROR),
        _ => (Kind::Other, codes::ANSWER_UNCLEAR),
    };
    let words = match code {
        codes::FIELD_CONFLICT => field_conflicts(status, &words),
        _ => words,
    };
    let mut failure = Failure::new(kind, code, words);
    // An optimistic-lock conflict inside a server-side apply is the server's race, not ours.
    failure.transient |= code == codes::CHANGED_MEANWHILE;
    failure.status = Some(status.code);
    failure.unexplained = status.reason.is_empty() && status.code == 500;
    failure.retry_after = status
        .details
        .as_ref()
        .filter(|details| details.retry_after_seconds > 0)
        .map(|details| Duration::from_secs(u64::from(details.retry_after_seconds)));
    failure
}

fn has_cause(status: &Status, reason: &str) -> bool {
    status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        .any(|cause| cause.reason == reason)
}

/// A `NotFound` that names no object speaks of the kind or path itself.
fn names_an_object(details: Option<&StatusDetails>) -> bool {
    details.is_some_and(|details| !details.name.is_empty())
}

/// Each cause is `conflict with "MANAGER" ...` on a field; its message is quoted with the field.
fn field_conflicts(status: &Status, words: &str) -> String {
    let lines: Vec<String> = status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect();
    if lines.is_empty() {
        words.to_owned()
    } else {
        lines.join("; ")
    }
}

/// What the client itself could not do.
pub(super) fn from_client(error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) => from_status(status),
        kube::Error::Auth(auth) => from_auth(auth),
        kube::Error::SerdeError(source) => {
            Failure::new(Kind::Other, codes::ANSWER_UNCLEAR, source.to_string())
        }
        kube::Error::RustlsTls(source) => {
            Failure::new(Kind::Invalid, codes::KUBECONFIG_UNUSABLE, chain(source))
        }
        kube::Error::HttpError(_)
        | kube::Error::BuildRequest(_)
        | kube::Error::InferKubeconfig(_)
        | kube::Error::ProxyProtocolUnsupported { .. }
        | kube::Error::ProxyProtocolDisabled { .. } => {
            Failure::new(Kind::Invalid, codes::KUBECONFIG_UNUSABLE, chain(error))
        }
        kube::Error::Service(source) => from_transport(source.as_ref()),
        other => from_transport(other),
    }
}

/// A credential program's own output is never quoted from its standard output, and neither is its call with its
/// variables: a token may be in it.
fn from_auth(error: &kube::client::AuthError) -> Failure {
    let words = match error {
        kube::client::AuthError::AuthExecRun { out, .. } => {
            let said = String::from_utf8_lossy(&out.stderr);
            let last: Vec<&str> = said.trim().lines().rev().take(3).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            format!(
                "the credential program ended with {}: {}",
                out.status,
                last.join(" | ")
            )
        }
        kube::client::AuthError::AuthExecParse(_) => {
            "the credential program's output is not an ExecCredential".to_owned()
        }
        other => chain(other),
    };
    Failure::new(Kind::Unauthorized, codes::CREDENTIALS, words)
}

/// A connection that could not be made or broke. A certificate that does not fit is told apart by type.
pub(super) fn from_transport(error: &(dyn StdError + 'static)) -> Failure {
    match find_rustls(error) {
        Some(tls @ rustls::Error::InvalidCertificate(_)) => {
            Failure::new(Kind::Foreign, codes::TLS_MISMATCH, tls.to_string())
        }
        // The server did not like the client's certificate.
        Some(tls @ rustls::Error::AlertReceived(alert)) if is_about_identity(*alert) => {
            Failure::new(Kind::Unauthorized, codes::UNAUTHORIZED, tls.to_string())
        }
        _ => match find_auth(error) {
            Some(auth) => from_auth(auth),
            None => Failure::new(Kind::Unreachable, codes::UNREACHABLE, chain(error)),
        },
    }
}

fn is_about_identity(alert: rustls::AlertDescription) -> bool {
    use rustls::AlertDescription as Alert;
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::AccessDenied
    )
}

fn find_rustls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    layers(error).find_map(|layer| layer.downcast_ref::<rustls::Error>())
}

fn find_auth<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a kube::client::AuthError> {
    layers(error).find_map(|layer| layer.downcast_ref::<kube::client::AuthError>())
}

/// The error and everything below it; an `io::Error` hides its own source from `source()` when it has a custom one.
fn layers<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |layer| {
        let layer: &'a (dyn StdError + 'static) = *layer;
        match layer.downcast_ref::<std::io::Error>() {
            Some(io) => io
                .get_ref()
                .map(|inner| inner as &(dyn StdError + 'static))
                .or_else(|| io.source()),
            None => layer.source(),
        }
    })
    .take(16)
}

/// An error with its sources in one line, each said once.
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    for layer in layers(error) {
        let text = layer.to_string();
        if !words.iter().any(|said| said.contains(&text)) {
            words.push(text);
        }
    }
    words.join(": ")
}

fn shorten(mut text: String) -> String {
    if text.len() > CAUSE_LIMIT {
        let end = (0..=CAUSE_LIMIT)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
