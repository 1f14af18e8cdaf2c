//! From a request to the action that it asks for, and back.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use serde_json::{Map, Value};

use super::authenticate::{Denial, authenticate, denied};
use super::error::ApiError;
use super::params::Params;
use super::query;
use super::render::{Reply, failure, rest_xml_failure, success};
use super::sigv4::Claim;
use crate::aws::authorize;
use crate::aws::cloud::Cloud;
use crate::aws::service::{Action, Protocol, Service};
use crate::aws::world::World;
use crate::aws::world::faults::{AwsFaultEffect, AwsFaultMoment, Verdict};
use crate::aws::world::scene::{Caller, Invocation, Place};
use crate::aws::world::zones;

/// What the client gets.
pub(crate) enum Answer {
    Reply(Reply),
    /// Nothing: the connection ends.
    Reset,
}

/// A request that is understood.
struct Call {
    action: &'static Action,
    tree: Value,
}

/// Answer one request.
pub(crate) async fn answer(cloud: &Cloud, parts: &Parts, body: &Bytes) -> Answer {
    let request_id = uuid::Uuid::new_v4().to_string();
    let claim = Claim::of(parts);
    let named = claim.as_ref().map(|claim| claim.service.clone());
    let Some(service) = named.as_deref().and_then(Service::named) else {
        let what = match named.or_else(|| host_service(parts)) {
            Some(name) if claim.is_none() && Service::named(&name).is_some() => {
                return unsigned(&name, &request_id);
            }
            Some(name) => format!("the service {name}"),
            None => "a service for a request without a signature".to_owned(),
        };
        let error = ApiError::not_simulated(what);
        return Answer::Reply(match claim {
            Some(claim) if REST_XML.contains(&claim.service.as_str()) => {
                rest_xml_failure(&request_id, &error)
            }
            _ => failure(guessed(parts), None, &request_id, &error),
        });
    };
    let agent = agent(parts);
    let refuse = |action: &str, mutating: bool, error: &ApiError| {
        cloud
            .counters
            .add(&agent, service.name, action, mutating, false);
        Answer::Reply(failure(
            service.protocol,
            service.invalid,
            &request_id,
            error,
        ))
    };
    let call = match understand(service, parts, body) {
        Ok(call) => call,
        Err((action, error)) => return refuse(&action, false, &error),
    };
    let action = call.action;
    let verdict = cloud.with(|world| world.core.faults.judge(service.name, action.name));
    if !verdict.delay.is_zero() {
        tokio::time::sleep(verdict.delay).await;
    }
    let reset = || {
        let (name, mutating) = (action.name, action.mutating);
        cloud
            .counters
            .add(&agent, service.name, name, mutating, false);
        Answer::Reset
    };
    let before = match planned(service, &verdict, AwsFaultMoment::Before) {
        Some(Struck::Reset) => return reset(),
        Some(Struck::Error(error)) => Some(error),
        None => None,
    };
    let Some(claim) = claim else {
        return Answer::Reset;
    };
    let work = |world: &mut World| {
        let caller = authenticate(service, world, &claim, parts, body)?;
        if let Some(error) = before {
            return Err(error);
        }
        act(world, &claim, &caller, service, &call, verdict.stale)
    };
    let result = if action.mutating {
        cloud.change(work)
    } else {
        cloud.with(work)
    };
    match planned(service, &verdict, AwsFaultMoment::After) {
        Some(Struck::Reset) => return reset(),
        Some(Struck::Error(error)) => return refuse(action.name, action.mutating, &error),
        None => {}
    }
    match result {
        Ok(tree) => {
            let (name, mutating) = (action.name, action.mutating);
            cloud
                .counters
                .add(&agent, service.name, name, mutating, true);
            Answer::Reply(success(service.protocol, name, &request_id, &tree))
        }
        Err(error) => refuse(action.name, action.mutating, &error),
    }
}

/// Do it.
fn act(
    world: &mut World,
    claim: &Claim,
    caller: &Caller,
    service: &'static Service,
    call: &Call,
    stale: Duration,
) -> Result<Value, ApiError> {
    let params = Params::new(&call.tree);
    if zones::region(&claim.region).is_none() {
        return Err(ApiError::not_simulated(format!(
            "the region {}",
            claim.region
        )));
    }
    if let Some(name) = params
        .names()
        .find(|name| !ENVELOPE.contains(name) && !call.action.accepts.contains(name))
    {
        let what = format!("parameter {name} of {} {}", service.name, call.action.name);
        return Err(ApiError::not_simulated(what));
    }
    let invocation = Invocation {
        service: service.name,
        action: call.action.name,
    };
    let place = Place {
        account: caller.account.clone(),
        region: claim.region.clone(),
    };
    let now = world.core.clock.now();
    let stale = world.core.clock.scaled(stale);
    let mut scene = world.scene(&place, caller, &invocation, now);
    scene.view = now.before(stale);
    authorize::check(&scene, service, call.action.name, params)?;
    if matches!(service.protocol, Protocol::Ec2 { .. }) && params.flag("DryRun")? == Some(true) {
        let message = "Request would have succeeded, but DryRun flag is set.";
        return Err(
            ApiError::new("DryRunOperation", message).status(StatusCode::PRECONDITION_FAILED)
        );
    }
    (call.action.handler)(&mut scene, params)
}

/// Services that are not simulated and whose clients read errors in an XML of their own.
const REST_XML: [&str; 3] = ["s3", "route53", "cloudfront"];

/// What every request of the form protocols carries.
const ENVELOPE: [&str; 3] = ["Action", "Version", "DryRun"];

/// Which action with which parameters, or the name of the action that is not there.
fn understand(
    service: &'static Service,
    parts: &Parts,
    body: &Bytes,
) -> Result<Call, (String, ApiError)> {
    let unknown = |action: &str| {
        let error = ApiError::not_simulated(format!("{} {action}", service.name));
        (action.to_owned(), error)
    };
    let bad = |message: String| {
        (
            String::new(),
            ApiError::new("SerializationException", message),
        )
    };
    let text = String::from_utf8_lossy(body);
    let json = || match text.trim() {
        "" => Ok(Value::Object(Map::new())),
        text => serde_json::from_str(text).map_err(|error| bad(error.to_string())),
    };
    match service.protocol {
        Protocol::Ec2 { .. } | Protocol::Query { .. } => {
            let mut pairs = query::pairs(parts.uri.query().unwrap_or_default());
            pairs.retain(|(name, _)| !name.starts_with("X-Amz-"));
            pairs.extend(query::pairs(&text));
            let tree = query::tree(&pairs).map_err(|name| {
                let message = format!("The parameter {name} is both a value and a structure");
                (
                    String::new(),
                    ApiError::new("MalformedQueryString", message),
                )
            })?;
            let name = Params::new(&tree).text("Action").unwrap_or_default();
            let action = service.action(name).ok_or_else(|| unknown(name))?;
            Ok(Call { action, tree })
        }
        Protocol::Json { target, .. } => {
            let header = parts.headers.get("x-amz-target");
            let header = header
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default();
            let name = header.rsplit('.').next().unwrap_or_default();
            let ours = header
                .strip_suffix(name)
                .and_then(|start| start.strip_suffix('.'));
            let action = service
                .action(name)
                .filter(|_| ours == Some(target))
                .ok_or_else(|| unknown(header))?;
            let tree = json()?;
            Ok(Call { action, tree })
        }
        Protocol::RestJson => {
            let (method, path) = (parts.method.as_str(), parts.uri.path());
            let (action, found) = service
                .route(method, path)
                .ok_or_else(|| unknown(&format!("{method} {path}")))?;
            let mut tree = json()?;
            let Some(map) = tree.as_object_mut() else {
                return Err(bad("the body is no object".to_owned()));
            };
            for (name, value) in query::pairs(parts.uri.query().unwrap_or_default()) {
                gather(map, name, value);
            }
            map.extend(found.into_iter().map(|(name, value)| (name, value.into())));
            Ok(Call { action, tree })
        }
    }
}

/// A name given several times is a list.
fn gather(map: &mut Map<String, Value>, name: String, value: String) {
    match map.get_mut(&name) {
        None => {
            map.insert(name, value.into());
        }
        Some(Value::Array(items)) => items.push(value.into()),
        Some(first) => *first = Value::Array(vec![first.take(), value.into()]),
    }
}

enum Struck {
    Error(ApiError),
    Reset,
}

/// What the fault plan has for this moment.
fn planned(service: &Service, verdict: &Verdict, moment: AwsFaultMoment) -> Option<Struck> {
    let before = moment == AwsFaultMoment::Before;
    match verdict.effect.as_ref()? {
        AwsFaultEffect::Throttle if before => Some(Struck::Error(throttled(service))),
        AwsFaultEffect::Internal { status, when } if *when == moment => {
            Some(Struck::Error(internal(service, *status)))
        }
        AwsFaultEffect::Error {
            code,
            message,
            status,
        } if before => {
            let status = status.and_then(|status| StatusCode::from_u16(status).ok());
            let error = ApiError::new(code.clone(), message.clone());
            Some(Struck::Error(
                error.status(status.unwrap_or(StatusCode::BAD_REQUEST)),
            ))
        }
        AwsFaultEffect::Reset { when } if *when == moment => Some(Struck::Reset),
        AwsFaultEffect::ExpireCredentials if before => {
            Some(Struck::Error(denied(service, Denial::Expired)))
        }
        _ => None,
    }
}

fn throttled(service: &Service) -> ApiError {
    match service.protocol {
        Protocol::Ec2 { .. } => ApiError::new("RequestLimitExceeded", "Request limit exceeded.")
            .status(StatusCode::SERVICE_UNAVAILABLE),
        Protocol::Query { .. } => ApiError::new("Throttling", "Rate exceeded"),
        Protocol::RestJson => ApiError::new("TooManyRequestsException", "Too Many Requests")
            .status(StatusCode::TOO_MANY_REQUESTS),
        Protocol::Json { .. } => ApiError::new("ThrottlingException", "Rate exceeded"),
    }
}

fn internal(service: &Service, status: u16) -> ApiError {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let unavailable = status == StatusCode::SERVICE_UNAVAILABLE;
    let code = match (service.protocol, unavailable) {
        (Protocol::Ec2 { .. }, true) => "Unavailable",
        (Protocol::Ec2 { .. }, false) => "InternalError",
        (Protocol::Query { .. }, true) => "ServiceUnavailable",
        (Protocol::Query { .. }, false) => "InternalFailure",
        (Protocol::RestJson, true) => "ServiceUnavailableException",
        (Protocol::RestJson, false) => "ServerException",
        (Protocol::Json { .. }, true) => "ServiceUnavailableException",
        (Protocol::Json { .. }, false) => "InternalServerError",
    };
    ApiError::new(code, "An internal error has occurred").status(status)
}

/// A request to a service that we have, without a signature.
fn unsigned(name: &str, request_id: &str) -> Answer {
    let Some(service) = Service::named(name) else {
        return Answer::Reset;
    };
    let (code, message) = match service.protocol {
        Protocol::Ec2 { .. } => (
            "AuthFailure",
            "AWS was not able to validate the provided access credentials",
        ),
        Protocol::Query { .. } => (
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        ),
        _ => (
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        ),
    };
    let error = ApiError::new(code, message).status(StatusCode::FORBIDDEN);
    Answer::Reply(failure(
        service.protocol,
        service.invalid,
        request_id,
        &error,
    ))
}

/// The service in a host name such as `ec2.us-west-2.amazonaws.com`.
fn host_service(parts: &Parts) -> Option<String> {
    let host = parts.headers.get("host")?.to_str().ok()?;
    let first = host.split('.').next()?;
    host.contains("amazonaws.com").then(|| first.to_owned())
}

/// The protocol of a request whose service we don't know.
fn guessed(parts: &Parts) -> Protocol {
    let kind = parts.headers.get("content-type");
    let kind = kind
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if parts.headers.contains_key("x-amz-target") {
        Protocol::Json {
            target: "",
            version: "1.1",
        }
    } else if kind.starts_with("application/x-www-form-urlencoded") {
        Protocol::Query { xmlns: "" }
    } else {
        Protocol::RestJson
    }
}

fn agent(parts: &Parts) -> String {
    let agent = parts.headers.get("user-agent");
    let agent = agent
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    agent
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}
