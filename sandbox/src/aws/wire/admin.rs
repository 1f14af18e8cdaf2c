//! What tests and audits see beside the services: the raw graph, counters, the fault plan.
//!
//! AWS has no such path in the services simulated here. Whoever asks has to know the sandbox's own key: it stands in the
//! `x-sandbox-key` header.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

use super::render::Reply;
use crate::aws::cloud::Cloud;
use crate::aws::world::faults::AwsFaultRule;

/// Where these paths begin.
pub(crate) const PREFIX: &str = "/_sandbox/";

/// Answer one request.
pub(crate) fn answer(cloud: &Cloud, parts: &Parts, body: &Bytes) -> Reply {
    let given = parts.headers.get("x-sandbox-key");
    let given = given.and_then(|value| value.to_str().ok());
    // Compared as digests: how long it takes tells nothing about the key.
    let digest = |text: &str| ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let wanted = cloud.default_credentials().secret_access_key;
    if given.map(|given| digest(given).as_ref() == digest(&wanted).as_ref()) != Some(true) {
        return text(
            StatusCode::FORBIDDEN,
            "the header x-sandbox-key has to carry the secret access key",
        );
    }
    match (&parts.method, parts.uri.path()) {
        (&Method::GET, "/_sandbox/inspect") => json(&cloud.with(|world| world.inspect())),
        (&Method::GET, "/_sandbox/counters") => json(&cloud.counters.list()),
        (&Method::DELETE, "/_sandbox/counters") => {
            cloud.counters.reset();
            text(StatusCode::OK, "reset")
        }
        (&Method::GET, "/_sandbox/faults") => {
            json(&cloud.with(|world| world.core.faults.list().to_vec()))
        }
        (&Method::PUT, "/_sandbox/faults") => {
            match serde_json::from_slice::<Vec<AwsFaultRule>>(body) {
                Ok(rules) => {
                    cloud.with(|world| world.core.faults.set(rules));
                    text(StatusCode::OK, "set")
                }
                Err(error) => text(StatusCode::BAD_REQUEST, &error.to_string()),
            }
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "inspect, counters and faults are here",
        ),
    }
}

fn json(value: &impl Serialize) -> Reply {
    let body = serde_json::to_vec_pretty(value).unwrap_or_default();
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    let kind = HeaderValue::from_static("application/json");
    reply.headers_mut().insert(header::CONTENT_TYPE, kind);
    reply
}

fn text(status: StatusCode, message: &str) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(format!("{message}\n"))));
    *reply.status_mut() = status;
    reply
}
