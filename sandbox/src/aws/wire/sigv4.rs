//! Signature Version 4: who calls which service in which region, and whether it is true.
//!
//! AWS: signing AWS API requests (create a signed request; authenticating with query parameters).

use http::request::Parts;
use ring::{digest, hmac};

use super::query::{encode, pairs};

/// What a signed request says of itself; nothing is checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Access key id.
    pub(crate) key: String,
    /// `YYYYMMDD` of the credential scope.
    date: String,
    /// Region of the credential scope.
    pub(crate) region: String,
    /// Service of the credential scope.
    pub(crate) service: String,
    /// When it was signed: `YYYYMMDDTHHMMSSZ`.
    pub(crate) signed_at: String,
    /// For how many seconds a presigned request holds.
    pub(crate) expires: Option<u64>,
    /// The session token of temporary credentials.
    pub(crate) token: Option<String>,
    signed_headers: Vec<String>,
    signature: String,
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

impl Claim {
    /// The claim of a request: from its `Authorization` header, or from its query when it is presigned.
    pub(crate) fn of(parts: &Parts) -> Option<Self> {
        let header = |name: &str| {
            let value = parts.headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        if let Some(authorization) = header("authorization") {
            let rest = authorization.strip_prefix(ALGORITHM)?;
            let field = |name: &str| {
                let mut fields = rest.split(',').map(str::trim);
                fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
            };
            return Self::scoped(
                field("Credential")?,
                field("SignedHeaders")?,
                field("Signature")?,
                header("x-amz-date")?,
                None,
                header("x-amz-security-token"),
            );
        }
        let query = pairs(parts.uri.query()?);
        let field = |name: &str| {
            let mut query = query.iter();
            query.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value.as_str()))
        };
        if field("X-Amz-Algorithm") != Some(ALGORITHM) {
            return None;
        }
        Self::scoped(
            field("X-Amz-Credential")?,
            field("X-Amz-SignedHeaders")?,
            field("X-Amz-Signature")?,
            field("X-Amz-Date")?.to_owned(),
            Some(field("X-Amz-Expires")?.parse().ok()?),
            field("X-Amz-Security-Token").map(str::to_owned),
        )
    }

    fn scoped(
        credential: &str,
        signed_headers: &str,
        signature: &str,
        signed_at: String,
        expires: Option<u64>,
        token: Option<String>,
    ) -> Option<Self> {
        let mut scope = credential.trim().split('/');
        let mut next = || scope.next().map(str::to_owned);
        let claim = Self {
            key: next()?,
            date: next()?,
            region: next()?,
            service: next()?,
            signed_at,
            expires,
            token,
            signed_headers: signed_headers.split(';').map(str::to_owned).collect(),
            signature: signature.trim().to_owned(),
        };
        (next()? == "aws4_request" && claim.signed_at.starts_with(&claim.date)).then_some(claim)
    }

    /// Whether the request was signed with this secret, and its body is the one that was signed.
    pub(crate) fn is_signed_with(&self, secret: &str, parts: &Parts, body: &[u8]) -> bool {
        let actual = hex(digest::digest(&digest::SHA256, body).as_ref());
        let declared = parts
            .headers
            .get("x-amz-content-sha256")
            .and_then(|value| value.to_str().ok());
        let payload = match declared {
            Some("UNSIGNED-PAYLOAD") => "UNSIGNED-PAYLOAD".to_owned(),
            Some(declared) if declared != actual => return false,
            _ => actual,
        };
        let canonical = self.canonical(parts, &payload);
        let scope = format!(
            "{}/{}/{}/aws4_request",
            self.date, self.region, self.service
        );
        let hashed = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let to_sign = format!("{ALGORITHM}\n{}\n{scope}\n{hashed}", self.signed_at);
        let mut key = mac(format!("AWS4{secret}").as_bytes(), &self.date);
        for part in [&self.region, &self.service, "aws4_request"] {
            key = mac(&key, part);
        }
        let wanted = hex(&mac(&key, &to_sign));
        // Compared as digests of a key that nobody knows: time tells nothing.
        let blind = |text: &str| mac(&key, text);
        blind(&wanted) == blind(&self.signature)
    }

    fn canonical(&self, parts: &Parts, payload: &str) -> String {
        let mut query: Vec<(String, String)> = parts
            .uri
            .query()
            .map(|query| query.replace('+', "%2B"))
            .map(|query| pairs(&query))
            .unwrap_or_default()
            .into_iter()
            .filter(|(name, _)| name != "X-Amz-Signature")
            .map(|(name, value)| (encode(&name, true), encode(&value, true)))
            .collect();
        query.sort();
        let query: Vec<String> = query.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let headers: String = self
            .signed_headers
            .iter()
            .map(|name| {
                let values = parts.headers.get_all(name).iter();
                let values: Vec<String> = values
                    .map(|value| {
                        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
                        text.split_whitespace().collect::<Vec<_>>().join(" ")
                    })
                    .collect();
                format!("{name}:{}\n", values.join(","))
            })
            .collect();
        // The path arrives encoded once, and is signed encoded twice (all services but S3).
        let path = encode(parts.uri.path(), false);
        format!(
            "{}\n{path}\n{}\n{headers}\n{}\n{payload}",
            parts.method,
            query.join("&"),
            self.signed_headers.join(";"),
        )
    }
}

/// Sign a request as a client does: the `Authorization` header for what has `host` and `x-amz-date` headers.
#[cfg(test)]
pub(crate) fn authorization(
    key: &str,
    secret: &str,
    region: &str,
    service: &str,
    parts: &Parts,
    body: &[u8],
) -> String {
    let signed_at = parts.headers["x-amz-date"].to_str().unwrap().to_owned();
    let claim = Claim {
        key: key.to_owned(),
        date: signed_at[..8].to_owned(),
        region: region.to_owned(),
        service: service.to_owned(),
        signed_at,
        expires: None,
        token: None,
        signed_headers: vec!["host".to_owned(), "x-amz-date".to_owned()],
        signature: String::new(),
    };
    let payload = hex(digest::digest(&digest::SHA256, body).as_ref());
    let canonical = claim.canonical(parts, &payload);
    let scope = format!("{}/{region}/{service}/aws4_request", claim.date);
    let hashed = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("{ALGORITHM}\n{}\n{scope}\n{hashed}", claim.signed_at);
    let mut signing = mac(format!("AWS4{secret}").as_bytes(), &claim.date);
    for part in [region, service, "aws4_request"] {
        signing = mac(&signing, part);
    }
    let signature = hex(&mac(&signing, &to_sign));
    format!(
        "{ALGORITHM} Credential={key}/{scope}, SignedHeaders=host;x-amz-date, Signature={signature}"
    )
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    /// The example of AWS's own documentation (IAM ListUsers, "create a signed request").
    #[test]
    fn the_documented_example_verifies() {
        let request =
            Request::get("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08")
                .header("host", "iam.amazonaws.com")
                .header(
                    "content-type",
                    "application/x-www-form-urlencoded; charset=utf-8",
                )
                .header("x-amz-date", "20150830T123600Z")
                .header(
                    "authorization",
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date, \
                 Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
                )
                .body(())
                .unwrap();
        let (parts, ()) = request.into_parts();
        let claim = Claim::of(&parts).unwrap();
        assert_eq!(
            (claim.service.as_str(), claim.region.as_str()),
            ("iam", "us-east-1")
        );
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert!(claim.is_signed_with(secret, &parts, b""));
        assert!(!claim.is_signed_with("another", &parts, b""));
        assert!(!claim.is_signed_with(secret, &parts, b"x"));
    }
}
