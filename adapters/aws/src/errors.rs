//! From what an SDK answered to [`PortError`]: by the SDK's types, the API's error *code* and the HTTP status, never by
//! message.
//!
//! The codes are those of each service's API reference ("Errors" of its actions, and its page of common errors).

use std::{error::Error as StdError, fmt::Write as _};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::RequestId;
use aws_smithy_runtime_api::client::{
    endpoint::error::ResolveEndpointError,
    orchestrator::HttpResponse,
    result::{DispatchFailure, SdkError},
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::{account::Quota, families::Families},
};

use crate::{call::FencePassed, codes};

/// Longest quotation of AWS's words; an encoded authorisation message is about a kilobyte and must stay whole to be of use.
const CAUSE_LIMIT: usize = 4_000;

/// The error with the code table's own hint.
pub(crate) fn error(kind: Kind, code: &str, cause: impl Into<String>) -> PortError {
    let error = PortError::new(kind, code, shorten(cause.into()));
    match codes::hint(code) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// An answer that lacks what the API says it always has.
pub(crate) fn unclear(operation: &str, missing: &str) -> PortError {
    error(
        Kind::Other,
        codes::ANSWER_UNCLEAR,
        format!("the answer to {operation} has no {missing}"),
    )
}

/// What failed, for any operation of any service.
pub(crate) fn translate<E>(failed: SdkError<E, HttpResponse>) -> PortError
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
{
    // What stands in the way before anything is sent is wrapped differently by each SDK layer, and told apart by its type.
    if let Some(fence) = find::<FencePassed>(&failed) {
        return error(Kind::Cancelled, codes::DEADLINE, fence.to_string());
    }
    if let Some(credentials) = find::<CredentialsError>(&failed) {
        return from_credentials(credentials);
    }
    match &failed {
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => from_answer(&failed),
        SdkError::TimeoutError(_) => error(Kind::Timeout, codes::TIMEOUT, chain(&failed)),
        SdkError::DispatchFailure(failure) => from_dispatch(failure, &failed),
        // A parameter that cannot be sent at all (missing, or not fit for a URL), or an endpoint that no rule knows.
        SdkError::ConstructionFailure(_) => error(Kind::Invalid, codes::INVALID, chain(&failed)),
        _ => error(Kind::Other, codes::ANSWER_UNCLEAR, chain(&failed)),
    }
}

/// As [`translate`], for a creation whose service says `ResourceInUseException` when a thing of that name exists (EKS does for
/// clusters, node groups, add-ons, access entries and pod identity associations).
pub(crate) fn translate_creation<E>(failed: SdkError<E, HttpResponse>) -> PortError
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
{
    let exists = failed.code() == Some("ResourceInUseException");
    let translated = translate(failed);
    if exists {
        error(Kind::AlreadyExists, codes::ALREADY_EXISTS, translated.cause)
    } else {
        translated
    }
}

/// What an answer says of a part of the call that failed, when the call as a whole did not.
pub(crate) fn stated(code: &str, message: &str) -> PortError {
    let (kind, own) = sort(code, 400);
    error(kind, own, format!("{code}: {message}"))
}

fn from_answer<E>(failed: &SdkError<E, HttpResponse>) -> PortError
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
{
    let status = failed
        .raw_response()
        .map_or(0, |answer| answer.status().as_u16());
    let code = failed.code().unwrap_or_default();
    let (kind, own) = sort(code, status);
    let mut cause = match (code, failed.message()) {
        ("", Some(message)) => format!("HTTP status {status}: {message}"),
        ("", None) => format!("HTTP status {status}: {}", chain(failed)),
        (code, Some(message)) => format!("{code}: {}", speakable(code, message)),
        (code, None) => format!("{code} (HTTP status {status})"),
    };
    let request = failed.request_id().or_else(|| failed.meta().request_id());
    if let Some(request) = request {
        cause = shorten(cause);
        let _ = write!(cause, " (request {request})");
    }
    let mut translated = error(kind, own, cause);
    if let Some(quota) = quota_behind(code) {
        translated = translated.with_hint(format!(
            "release {} that nobody needs, or have quota {} raised: aws service-quotas request-service-quota-increase \
             --service-code {} --quota-code {} --desired-value N; then run the command again",
            quota.what(),
            quota.code(),
            quota.service(),
            quota.code(),
        ));
    }
    translated
}

/// After a signature that does not fit, AWS quotes the request it had expected, session token included: only the first line
/// is repeated.
fn speakable<'a>(code: &str, message: &'a str) -> &'a str {
    match code {
        "SignatureDoesNotMatch" | "InvalidSignatureException" | "IncompleteSignature" => {
            message.lines().next().unwrap_or_default()
        }
        _ => message,
    }
}

/// What a code means; where it is not known, what the HTTP status does.
fn sort(code: &str, status: u16) -> (Kind, &'static str) {
    by_code(code)
        .or_else(|| by_form(code))
        .unwrap_or_else(|| by_status(status))
}

#[expect(clippy::too_many_lines, reason = "a table, best read in one piece")]
fn by_code(code: &str) -> Option<(Kind, &'static str)> {
    Some(match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "EC2ThrottledException"
        | "TooManyRequestsException"
        | "SlowDown"
        | "PriorRequestNotComplete" => (Kind::Throttled, codes::THROTTLED),

        "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => (Kind::Unauthorized, codes::CREDENTIALS_REFUSED),

        "UnauthorizedOperation"
        | "AccessDenied"
        | "AccessDeniedException"
        | "NotAuthorized"
        | "AuthorizationError"
        | "OperationNotPermitted"
        | "InsufficientPrivilegesException" => (Kind::Forbidden, codes::FORBIDDEN),
        "OptInRequired" | "PendingVerification" | "Blocked" | "SubscriptionRequiredException" => {
            (Kind::Forbidden, codes::ACCOUNT_NOT_READY)
        }

        // AWS's own words for "no such thing", where they do not end in NotFound.
        "NoSuchEntity"
        | "NoSuchEntityException"
        | "NoSuchResourceException"
        | "AccessPointNotFound"
        | "Gateway.NotAttached"
        | "InvalidAddress.NotFound"
        // EC2, of tags for an address that it does not know (yet).
        | "InvalidID" => (Kind::NotFound, codes::NOT_FOUND),

        // A subnet of that range: it may be the one that an attempt before made.
        "InvalidSubnet.Conflict"
        | "DuplicateLoadBalancerName"
        | "DuplicateTargetGroupName"
        | "DuplicateListener" => (Kind::AlreadyExists, codes::ALREADY_EXISTS),

        "DependencyViolation"
        | "DeleteConflict"
        | "DeleteConflictException"
        | "ResourceInUse"
        | "ResourceInUseException"
        | "VolumeInUse"
        | "InvalidGroup.InUse"
        | "InvalidIPAddress.InUse"
        | "InvalidNetworkInterface.InUse"
        | "InvalidPlacementGroup.InUse"
        | "InvalidSnapshot.InUse" => (Kind::InUse, codes::IN_USE),

        "ConcurrentModification"
        | "ConcurrentModificationException"
        | "ConflictException"
        | "IdempotentParameterMismatch"
        | "IncorrectState"
        | "IncorrectInstanceState"
        | "InvalidState"
        | "InvalidStateTransition"
        | "OperationAbortedException"
        | "ResourceBusyException"
        | "ResourcePropagationDelayException"
        | "TooManyUpdates"
        | "ClientInvalidParameterException" => (Kind::Conflict, codes::CONFLICT),

        "Unsupported"
        | "UnsupportedOperation"
        | "UnsupportedOperationException"
        | "UnsupportedAvailabilityZoneException"
        | "UnsupportedHostConfiguration"
        | "InstanceTypeNotSupported" => (Kind::Invalid, codes::UNSUPPORTED),

        "NotSimulated"
        | "InvalidAction"
        | "UnknownOperationException"
        | "UnknownOperation"
        | "UnrecognizedOperationException"
        | "UnsupportedProtocol"
        | "ServiceNotSupportedException" => (Kind::NotServed, codes::NOT_SERVED),

        "RequestTimeout" | "RequestTimeoutException" | "DependencyTimeoutException" => {
            (Kind::Timeout, codes::TIMEOUT)
        }

        "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalServiceError"
        | "InternalServiceException"
        | "KMSInternalException"
        | "ServerException"
        | "ServiceException"
        | "ServiceFailure"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "Unavailable" => (Kind::ServerError, codes::SERVER_ERROR),

        "InsufficientInstanceCapacity"
        | "InsufficientHostCapacity"
        | "InsufficientReservedInstanceCapacity"
        | "InsufficientAddressCapacity"
        | "InsufficientCapacity"
        | "InsufficientCapacityOnHost"
        | "InsufficientVolumeCapacity"
        | "SpotMaxPriceTooLow"
        | "Ec2SubnetInvalidConfiguration"
        | "InsufficientFreeAddressesInSubnet"
        | "InsufficientFreeAddresses" => (Kind::Exhausted, codes::CAPACITY),

        "LimitExceeded"
        | "LimitExceededException"
        | "MaxSpotInstanceCountExceeded"
        | "TooManyLoadBalancers"
        | "TooManyTargetGroups"
        | "VcpuLimitExceeded"
        | "InstanceLimitExceeded" => (Kind::Exhausted, codes::QUOTA),

        "ValidationError"
        | "ValidationException"
        | "InvalidInput"
        | "InvalidInputException"
        | "InvalidRequestException"
        | "InvalidParameterException"
        | "InvalidParameterValue"
        | "InvalidParameterCombination"
        | "InvalidParameter"
        | "MissingParameter"
        | "MalformedPolicyDocument"
        | "MalformedPolicyDocumentException"
        | "MalformedQueryString"
        | "UnknownParameter"
        | "KMSInvalidStateException"
        | "BadRequestException"
        | "SerializationException"
        | "ClientException" => (Kind::Invalid, codes::INVALID),
        _ => return None,
    })
}

/// What the form of a code says: EC2 composes its own (`InvalidSubnetID.NotFound`, `RouteAlreadyExists`,
/// `NatGatewayLimitExceeded`), and every service has a `...NotFoundException`.
fn by_form(code: &str) -> Option<(Kind, &'static str)> {
    let stem = code.strip_suffix("Exception").unwrap_or(code);
    let ends = |forms: &[&str]| forms.iter().any(|form| stem.ends_with(form));
    Some(if ends(&["NotFound"]) {
        (Kind::NotFound, codes::NOT_FOUND)
    } else if ends(&["AlreadyExists", ".Duplicate", "AlreadyAssociated"]) {
        (Kind::AlreadyExists, codes::ALREADY_EXISTS)
    } else if ends(&[".InUse"]) {
        (Kind::InUse, codes::IN_USE)
    } else if ends(&["LimitExceeded"]) {
        (Kind::Exhausted, codes::QUOTA)
    } else {
        return None;
    })
}

fn by_status(status: u16) -> (Kind, &'static str) {
    match status {
        401 => (Kind::Unauthorized, codes::CREDENTIALS_REFUSED),
        403 => (Kind::Forbidden, codes::FORBIDDEN),
        404 => (Kind::NotFound, codes::NOT_FOUND),
        408 | 504 => (Kind::Timeout, codes::TIMEOUT),
        409 => (Kind::Conflict, codes::CONFLICT),
        429 => (Kind::Throttled, codes::THROTTLED),
        501 => (Kind::NotServed, codes::NOT_SERVED),
        400..=499 => (Kind::Invalid, codes::INVALID),
        500.. => (Kind::ServerError, codes::SERVER_ERROR),
        _ => (Kind::Other, codes::ANSWER_UNCLEAR),
    }
}

/// The quota that a code is about, where the code alone tells.
fn quota_behind(code: &str) -> Option<Quota> {
    Some(match code {
        "AddressLimitExceeded" => Quota::Addresses,
        "VpcLimitExceeded" => Quota::Vpcs,
        "InternetGatewayLimitExceeded" => Quota::InternetGateways,
        "NatGatewayLimitExceeded" => Quota::NatGatewaysPerZone,
        // Of which families does not say; nearly always it is these.
        "VcpuLimitExceeded" => Quota::OnDemandCpus(Families::Standard),
        "MaxSpotInstanceCountExceeded" => Quota::SpotCpus(Families::Standard),
        _ => return None,
    })
}

/// What a credentials provider could not do.
pub(crate) fn from_credentials(failed: &CredentialsError) -> PortError {
    let words = chain(failed);
    match failed {
        // The source is there and did not answer: another attempt may help.
        CredentialsError::ProviderTimedOut(_) => error(Kind::Timeout, codes::TIMEOUT, words),
        CredentialsError::InvalidConfiguration(_) => {
            error(Kind::Unauthorized, codes::OPTIONS, words).with_hint(
                "check the profile's name and its entries in ~/.aws/config and ~/.aws/credentials",
            )
        }
        _ => error(Kind::Unauthorized, codes::NO_CREDENTIALS, words),
    }
}

fn from_dispatch<E>(failure: &DispatchFailure, failed: &SdkError<E, HttpResponse>) -> PortError
where
    E: StdError + Send + Sync + 'static,
{
    let words = chain(failed);
    if failure.is_timeout() {
        error(Kind::Timeout, codes::TIMEOUT, words)
    } else if failure.is_user() {
        error(Kind::Invalid, codes::OPTIONS, words)
    } else {
        error(Kind::Unreachable, codes::UNREACHABLE, words)
    }
}

/// The first error of this type among the error and what lies below it.
fn find<'a, T: StdError + 'static>(failed: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    layers(failed).find_map(|layer| layer.downcast_ref::<T>())
}

fn layers<'a>(
    failed: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(failed), |layer| {
        let layer: &'a (dyn StdError + 'static) = *layer;
        layer.source()
    })
    .take(16)
}

/// An error with its sources in one line, each said once.
pub(crate) fn chain(failed: &(dyn StdError + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    for layer in layers(failed) {
        // Of an address that is none, the SDK quotes the whole request; what lies below says what is wrong with it.
        if layer.is::<ResolveEndpointError>() && layer.source().is_some() {
            continue;
        }
        let text = layer.to_string();
        if !words.iter().any(|said| said.contains(&text)) {
            words.push(text);
        }
    }
    shorten(words.join(": "))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_told_without_the_request() {
        let source = std::io::Error::other("endpoint must contain scheme");
        let failed = ResolveEndpointError::from_source("to request `Request { body }`", source);
        assert_eq!(chain(&failed), "endpoint must contain scheme");
        let alone = ResolveEndpointError::message("no rule matched");
        assert_eq!(chain(&alone), "no rule matched");
    }
}
