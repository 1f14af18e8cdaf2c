//! Whether a request comes from whom it says.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, StatusCode};

use super::error::ApiError;
use super::query::pairs;
use super::sigv4::Claim;
use crate::aws::service::{Protocol, Service};
use crate::aws::world::World;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Caller;

/// Who made a presigned `GetCallerIdentity` URL, as tokens for EKS clusters carry one; `headers` are those beside `Host` that were
/// signed with it (`x-k8s-aws-id`).
///
/// # Errors
/// When the URL is anything else, was not signed with a key of the sandbox, or has expired.
pub(crate) fn presigned(
    world: &World,
    url: &str,
    headers: &[(&str, &str)],
) -> Result<Caller, ApiError> {
    let sts = &crate::aws::sts::SERVICE;
    let unsigned = || denied(sts, Denial::Signature);
    let mut request = Request::get(url).body(()).map_err(|_| unsigned())?;
    let host = request.uri().authority().map(ToString::to_string);
    let host = HeaderValue::try_from(host.unwrap_or_default()).map_err(|_| unsigned())?;
    request.headers_mut().insert("host", host);
    for (name, value) in headers {
        let name = HeaderName::try_from(*name).map_err(|_| unsigned())?;
        let value = HeaderValue::try_from(*value).map_err(|_| unsigned())?;
        request.headers_mut().insert(name, value);
    }
    let (parts, ()) = request.into_parts();
    let query = pairs(parts.uri.query().unwrap_or_default());
    let mut actions = query.iter().filter(|(name, _)| name == "Action");
    let asks = actions
        .next()
        .is_some_and(|(_, action)| action == "GetCallerIdentity");
    let claim = Claim::of(&parts)
        .filter(|claim| asks && claim.service == sts.name && claim.expires.is_some());
    authenticate(sts, world, &claim.ok_or_else(unsigned)?, &parts, b"")
}

/// How far the clocks of a client and AWS may differ (AWS: signing requests; 5 minutes).
const SKEW: Duration = Duration::from_secs(300);

/// How long a presigned request holds, whatever its `X-Amz-Expires` says: only Amazon S3 heeds that, and S3 is not simulated
/// (aws-sdk-go#2167, aws-iam-authenticator#258). Tokens for clusters live by it.
const PRESIGNED: Duration = Duration::from_secs(900);

/// Who calls.
pub(crate) fn authenticate(
    service: &Service,
    world: &World,
    claim: &Claim,
    parts: &Parts,
    body: &[u8],
) -> Result<Caller, ApiError> {
    let now = world.core.clock.now();
    let (secret, caller, expires) = match world.core.keys.session(&claim.key) {
        Some(session) if claim.token.as_deref() == Some(&session.token) => (
            session.secret.clone(),
            session.caller.clone(),
            Some(session.expires),
        ),
        Some(_) => return Err(denied(service, Denial::Unknown)),
        None => {
            let (secret, caller) = world
                .core
                .keys
                .find(&claim.key)
                .ok_or_else(|| denied(service, Denial::Unknown))?;
            (secret, caller, None)
        }
    };
    if !claim.is_signed_with(&secret, parts, body) {
        return Err(denied(service, Denial::Signature));
    }
    let signed: Option<Time> = jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", &claim.signed_at)
        .and_then(|parsed| parsed.to_datetime())
        .and_then(|datetime| datetime.to_zoned(jiff::tz::TimeZone::UTC))
        .map(|zoned| Time(zoned.timestamp().as_millisecond()))
        .ok();
    let signed = signed.ok_or_else(|| denied(service, Denial::Signature))?;
    let lasts = claim.expires.map_or(SKEW, |_| PRESIGNED);
    if signed.after(lasts) < now || signed > now.after(SKEW) {
        return Err(denied(service, Denial::Late));
    }
    if expires.is_some_and(|expires| expires <= now) {
        return Err(denied(service, Denial::Expired));
    }
    Ok(caller)
}

/// Why a request is not believed.
pub(crate) enum Denial {
    /// Nobody has that key.
    Unknown,
    /// The signature does not fit.
    Signature,
    /// It was signed too long ago.
    Late,
    /// The credentials have expired.
    Expired,
}

/// The same trouble has another code and status in each protocol.
pub(crate) fn denied(service: &Service, denial: Denial) -> ApiError {
    let (code, message, status) = match (service.protocol, denial) {
        (Protocol::Ec2 { .. }, Denial::Unknown | Denial::Signature) => (
            "AuthFailure",
            "AWS was not able to validate the provided access credentials",
            StatusCode::UNAUTHORIZED,
        ),
        (Protocol::Ec2 { .. }, Denial::Late | Denial::Expired) => (
            "RequestExpired",
            "Request has expired.",
            StatusCode::BAD_REQUEST,
        ),
        (Protocol::Query { .. }, Denial::Unknown) => (
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
            StatusCode::FORBIDDEN,
        ),
        (Protocol::Query { .. }, Denial::Signature) => (
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and \
             signing method. Consult the service documentation for details.",
            StatusCode::FORBIDDEN,
        ),
        (Protocol::Query { .. }, Denial::Late) => (
            "SignatureDoesNotMatch",
            "Signature expired.",
            StatusCode::FORBIDDEN,
        ),
        (Protocol::Query { .. }, Denial::Expired) => (
            "ExpiredToken",
            "The security token included in the request is expired",
            StatusCode::FORBIDDEN,
        ),
        (_, Denial::Unknown) => (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            json_status(service),
        ),
        (_, Denial::Signature) => (
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and \
             signing method. Consult the service documentation for details.",
            json_status(service),
        ),
        (_, Denial::Late) => (
            "InvalidSignatureException",
            "Signature expired.",
            json_status(service),
        ),
        (_, Denial::Expired) => (
            "ExpiredTokenException",
            "The security token included in the request is expired",
            json_status(service),
        ),
    };
    ApiError::new(code, message).status(status)
}

fn json_status(service: &Service) -> StatusCode {
    match service.protocol {
        Protocol::RestJson => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    }
}
