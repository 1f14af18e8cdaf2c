//! The error codes of the way to AWS.

pub(crate) const UNREACHABLE: &str = "AWS001";
pub(crate) const TIMEOUT: &str = "AWS002";
pub(crate) const NO_CREDENTIALS: &str = "AWS003";
pub(crate) const CREDENTIALS_REFUSED: &str = "AWS004";
pub(crate) const FORBIDDEN: &str = "AWS005";
pub(crate) const ACCOUNT_NOT_READY: &str = "AWS006";
pub(crate) const OPTIONS: &str = "AWS007";
pub(crate) const NOT_FOUND: &str = "AWS010";
pub(crate) const ALREADY_EXISTS: &str = "AWS011";
pub(crate) const CONFLICT: &str = "AWS012";
pub(crate) const INVALID: &str = "AWS013";
pub(crate) const IN_USE: &str = "AWS014";
pub(crate) const UNSUPPORTED: &str = "AWS015";
pub(crate) const THROTTLED: &str = "AWS016";
pub(crate) const SERVER_ERROR: &str = "AWS017";
pub(crate) const NOT_SERVED: &str = "AWS018";
pub(crate) const ANSWER_UNCLEAR: &str = "AWS019";
pub(crate) const DEADLINE: &str = "AWS020";
pub(crate) const QUOTA: &str = "AWS021";
pub(crate) const CAPACITY: &str = "AWS022";
pub(crate) const FOREIGN: &str = "AWS023";
pub(crate) const SECRET_MISSING: &str = "AWS024";
pub(crate) const SECRET_NOT_GIVEN: &str = "AWS025";
pub(crate) const SECRET_LOCKED: &str = "AWS026";
pub(crate) const SECRET_BINARY: &str = "AWS027";

/// Every code of this adapter: code, meaning, what a person can do.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        UNREACHABLE,
        "no connection to AWS, or it broke and did not come back in time",
        "check the network, the proxy settings and that the region's name is right, then run the command again",
    ),
    (
        TIMEOUT,
        "AWS gave no complete answer within the call's bound",
        "run the command again; it looks at what has become of the call before it goes on",
    ),
    (
        NO_CREDENTIALS,
        "no AWS credentials were found, or the place that should give them failed",
        "run `aws sso login`, set AWS_PROFILE, or name a profile in the pipeline file; `aws sts get-caller-identity` shows whether it works",
    ),
    (
        CREDENTIALS_REFUSED,
        "AWS does not accept the credentials: they have expired, are unknown or do not fit the account",
        "renew them (`aws sso login`, or a new session), check the profile and this machine's clock, then run the command again",
    ),
    (
        FORBIDDEN,
        "the identity is known to AWS but may not do this",
        "give it the permission that the message names; when the message is encoded: aws sts decode-authorization-message --encoded-message TEXT",
    ),
    (
        ACCOUNT_NOT_READY,
        "the account may not use this service or region (yet)",
        "enable the region or service for the account in the AWS console; a new account can take hours to be verified",
    ),
    (
        OPTIONS,
        "the connection to AWS cannot be set up from what the pipeline file or command line says",
        "correct the setting that the message names",
    ),
    (
        NOT_FOUND,
        "the resource, or something that the call names, does not exist",
        "run the command again: what was made a moment ago may not be visible everywhere yet, what is gone is made anew",
    ),
    (
        ALREADY_EXISTS,
        "a resource of that name exists already",
        "choose another name, or remove the existing one if nobody needs it",
    ),
    (
        CONFLICT,
        "something else is changing the resource at the moment, or it is in a state that does not allow this",
        "wait until the other change has ended, then run the command again",
    ),
    (
        INVALID,
        "AWS refused the request's content",
        "change what the message names in the pipeline file",
    ),
    (
        IN_USE,
        "something else still needs the resource",
        "remove what uses it first, then run the command again; `pipectl down` names what holds what is in its way",
    ),
    (
        UNSUPPORTED,
        "the zone, region or instance type does not support this",
        "choose other zones or instance types in the pipeline file; the message names those that do where AWS knows them",
    ),
    (
        THROTTLED,
        "AWS asked for patience for longer than the call may take",
        "run the command again later; look for something else in the account that calls the same service very often",
    ),
    (
        SERVER_ERROR,
        "AWS failed to handle the call",
        "run the command again; if it persists, look at the AWS Health Dashboard and name the request id to AWS support",
    ),
    (
        NOT_SERVED,
        "the other side does not have this action",
        "check the region and the endpoint; in the sandbox, the action or parameter is not simulated",
    ),
    (
        ANSWER_UNCLEAR,
        "the answer was not what this call can return",
        "check that the endpoint is AWS's and not a proxy's login page, then run the command again",
    ),
    (
        DEADLINE,
        "the run's right to change the environment had run out, so the call was not sent",
        "run the command again; it continues where it was",
    ),
    (
        QUOTA,
        "a quota of the account is used up",
        "release what is not needed, or have the quota raised (console: Service Quotas), then run the command again",
    ),
    (
        CAPACITY,
        "AWS has no capacity left for this at the moment",
        "add instance types or zones to the node group, or run the command again later",
    ),
    (
        FOREIGN,
        "what is there is not what pipectl put there",
        "look at it with the AWS CLI; pipectl changes nothing that it cannot recognise as its own",
    ),
    (
        SECRET_MISSING,
        "AWS Secrets Manager has no secret of that name or ARN in this account and region, or the secret has no value yet",
        "create it (aws secretsmanager create-secret --name NAME --secret-string file://FILE), correct `id` in the pipeline file, or name a secret of another region by its ARN",
    ),
    (
        SECRET_NOT_GIVEN,
        "AWS Secrets Manager does not give the secret out in the state that it is in; most often it is marked for deletion",
        "bring it back (aws secretsmanager restore-secret --secret-id ID), or name another one in the pipeline file",
    ),
    (
        SECRET_LOCKED,
        "AWS Secrets Manager cannot decrypt the secret with its KMS key",
        "see that the secret's KMS key is there and enabled, and that its policy allows kms:Decrypt to this identity",
    ),
    (
        SECRET_BINARY,
        "the secret in AWS Secrets Manager is binary, and only text can be taken",
        "keep it as text (--secret-string); binary values belong into base64",
    ),
];

/// The hint of a code.
pub(crate) fn hint(code: &str) -> Option<String> {
    CODES
        .iter()
        .find(|row| row.0 == code)
        .map(|row| row.2.to_owned())
}

#[cfg(test)]
mod tests {
    use super::CODES;

    #[test]
    fn codes_are_in_order_and_say_something() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (code, meaning, hint) in CODES {
            assert_eq!(code.len(), 6);
            assert!(code.starts_with("AWS"));
            assert!(meaning.len() > 10 && hint.len() > 10);
        }
    }
}
