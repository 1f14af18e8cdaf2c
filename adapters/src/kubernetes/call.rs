//! One call to the API server: its bound, its repetitions, its answer as JSON.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pipectl_stages::error::{PortError, PortErrorKind as Kind};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Redactor;

use super::{
    codes,
    errors::{self, Failure},
};

/// What a path segment or query value may hold unencoded (RFC 3986: unreserved).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Server-side apply. JSON is YAML, and the API server takes it as such.
pub(super) const APPLY: &str = "application/apply-patch+yaml";
/// RFC 6902.
pub(super) const JSON_PATCH: &str = "application/json-patch+json";
/// Plain JSON.
pub(super) const JSON: &str = "application/json";
/// A list that carries metadata alone.
pub(super) const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// `text` as a path segment or query value.
pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// How often and how long a call is tried.
#[derive(Debug, Clone, Copy)]
pub struct CallBounds {
    /// The whole call with all its repetitions.
    pub total: Duration,
    /// One attempt. A change that was sent just before the lease ran out must have ended when the next holder begins,
    /// so this is no longer than the lease's margin (15 s).
    pub attempt: Duration,
    /// Attempts altogether, the first one included.
    pub attempts: u32,
    /// Pause after the first failed attempt; each further one is twice as long, up to 2 s, each with up to half of
    /// itself as jitter.
    pub first_pause: Duration,
}

impl Default for CallBounds {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(30),
            attempt: Duration::from_secs(15),
            attempts: 6,
            first_pause: Duration::from_millis(100),
        }
    }
}

/// A request that can be sent more than once.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub method: Method,
    pub path: String,
    pub accept: &'static str,
    pub content: Option<(&'static str, Bytes)>,
    /// Whether a 500 without a reason is repeated like any other trouble of the server, or left to the caller.
    pub repeats_unexplained: bool,
    /// Whether a conflict is the server's race and repeated, or what a precondition of the call says.
    pub repeats_conflicts: bool,
}

impl Call {
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            accept: JSON,
            content: None,
            repeats_unexplained: true,
            repeats_conflicts: true,
        }
    }

    pub fn accept(mut self, accept: &'static str) -> Self {
        self.accept = accept;
        self
    }

    pub fn with(method: Method, path: String, kind: &'static str, body: Bytes) -> Self {
        Self {
            method,
            path,
            accept: JSON,
            content: Some((kind, body)),
            repeats_unexplained: true,
            repeats_conflicts: true,
        }
    }

    /// A conflict comes back after the first attempt: the call has a precondition that no repetition makes true.
    pub fn unless_conflict(mut self) -> Self {
        self.repeats_conflicts = false;
        self
    }

    /// A 500 without a reason comes back after the first attempt.
    pub fn unless_unexplained(mut self) -> Self {
        self.repeats_unexplained = false;
        self
    }
}

/// Is asked before every attempt of a call whether it may be sent.
#[async_trait]
pub(super) trait Permit: Send + Sync {
    /// `before` is why the attempt before failed, where there was one. What is refused is not sent.
    async fn ask(&self, before: Option<&Failure>) -> Result<(), PortError>;
}

/// A call that changes nothing.
struct Always;

#[async_trait]
impl Permit for Always {
    async fn ask(&self, _: Option<&Failure>) -> Result<(), PortError> {
        Ok(())
    }
}

/// The way to the API server.
#[derive(Clone)]
pub(super) struct Transport {
    pub client: Client,
    pub bounds: CallBounds,
    pub cancel: CancellationToken,
    pub redactor: Redactor,
}

impl Transport {
    /// The answer's JSON, after as many attempts as the bounds allow.
    pub async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Failure> {
        let body = self.send(call).await?;
        serde_json::from_slice(&body).map_err(|source| {
            Failure::new(
                Kind::Other,
                codes::ANSWER_UNCLEAR,
                format!("answer to {} {}: {source}", call.method, call.path),
            )
        })
    }

    /// The answer's body, after as many attempts as the bounds allow. Ends at once when the run is cancelled.
    pub async fn send(&self, call: &Call) -> Result<Bytes, Failure> {
        self.send_if(call, &Always).await
    }

    /// As [`Self::send`], with the permit's leave before every attempt.
    pub async fn send_if(&self, call: &Call, permit: &dyn Permit) -> Result<Bytes, Failure> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Failure::new(
                Kind::Cancelled,
                codes::CANCELLED,
                format!("{} {} was given up", call.method, call.path),
            )),
            answer = self.repeat(call, permit) => answer.map_err(|mut failure| {
                failure.error.cause = self.redactor.text(&failure.error.cause);
                failure
            }),
        }
    }

    async fn repeat(&self, call: &Call, permit: &dyn Permit) -> Result<Bytes, Failure> {
        let end = Instant::now() + self.bounds.total;
        let mut pause = self.bounds.first_pause;
        let mut attempt = 1;
        let mut before = None;
        loop {
            permit.ask(before.as_ref()).await?;
            let bound = self
                .bounds
                .attempt
                .min(end.saturating_duration_since(Instant::now()));
            let failure = match tokio::time::timeout(bound, self.once(call)).await {
                Ok(Ok(body)) => return Ok(body),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::new(
                    Kind::Timeout,
                    codes::TIMEOUT,
                    format!(
                        "no answer to {} {} within {} s",
                        call.method,
                        call.path,
                        bound.as_secs()
                    ),
                ),
            };
            let wait = failure.retry_after.unwrap_or_else(|| jittered(pause));
            let left_to_caller = (failure.unexplained && !call.repeats_unexplained)
                || (failure.is(Kind::Conflict) && !call.repeats_conflicts);
            if !failure.transient
                || left_to_caller
                || attempt >= self.bounds.attempts
                || Instant::now() + wait >= end
            {
                return Err(failure);
            }
            tracing::debug!(
                method = %call.method, path = call.path, attempt, code = failure.error.code,
                wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "call repeated"
            );
            tokio::time::sleep(wait).await;
            attempt += 1;
            pause = (pause * 2).min(Duration::from_secs(2));
            before = Some(failure);
        }
    }

    async fn once(&self, call: &Call) -> Result<Bytes, Failure> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(call.path.as_str())
            .header(header::ACCEPT, HeaderValue::from_static(call.accept));
        if let Some((kind, _)) = &call.content {
            request = request.header(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        let body = call
            .content
            .as_ref()
            .map_or_else(Body::empty, |(_, bytes)| Body::from(bytes.clone()));
        let request = request.body(body).map_err(|source| {
            Failure::new(
                Kind::Invalid,
                codes::INVALID,
                format!("{}: {source}", call.path),
            )
        })?;
        let answer = self
            .client
            .send(request)
            .await
            .map_err(|source| errors::from_client(&source))?;
        let (head, body) = answer.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|source| errors::from_client(&source))?
            .to_bytes();
        if head.status.is_success() {
            Ok(body)
        } else {
            Err(errors::from_answer(
                head.status.as_u16(),
                &body,
                retry_after(&head.headers),
            ))
        }
    }
}

/// `Retry-After` in seconds; the API server never sends a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// `pause` and up to half as much again, so that callers that failed together do not come back together.
pub(super) fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0u8);
    #[expect(clippy::cast_precision_loss, reason = "jitter needs no precision")]
    let share = random as f64 / u64::MAX as f64;
    pause + pause.mul_f64(share / 2.0)
}
