//! What a connection to an AWS account is made from.

use std::fmt;

/// An endpoint that is not AWS's own, with the key that it knows: the sandbox's, or any other that speaks AWS's protocols.
#[derive(Clone)]
pub struct OwnEndpoint {
    /// Its address, `http://...` or `https://...`; every service is spoken to there.
    pub url: String,
    /// The access key's id.
    pub access_key_id: String,
    /// The access key's secret.
    pub secret_access_key: String,
}

impl fmt::Debug for OwnEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnEndpoint")
            .field("url", &self.url)
            .field("access_key_id", &self.access_key_id)
            .field("secret_access_key", &"(not shown)")
            .finish()
    }
}

/// Which account and region, reached how.
#[derive(Debug, Clone)]
pub struct AwsOptions {
    /// The region that every call goes to; never taken from the environment.
    pub region: String,
    /// The profile whose credentials are used. Named, it alone counts: credentials in the environment are not looked
    /// at. `None`: AWS's default chain (environment, default profile, web identity, container, instance). Of no
    /// meaning with an own endpoint.
    pub profile: Option<String>,
    /// A role that is assumed with those credentials; the session renews itself.
    pub role_arn: Option<String>,
    /// Set, only this endpoint and this key are used: no profile, environment variable or instance metadata is consulted.
    pub endpoint: Option<OwnEndpoint>,
    /// How much faster than AWS the other side's time passes; 1 on AWS. It shortens the pauses between attempts.
    pub time_scale: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_not_shown() {
        let options = AwsOptions {
            region: "us-west-2".to_owned(),
            profile: None,
            role_arn: None,
            endpoint: Some(OwnEndpoint {
                url: "http://127.0.0.1:1".to_owned(),
                access_key_id: "AKIDEXAMPLE".to_owned(),
                secret_access_key: "hush-hush".to_owned(),
            }),
            time_scale: 1.0,
        };
        let shown = format!("{options:?}");
        assert!(shown.contains("AKIDEXAMPLE"), "{shown}");
        assert!(!shown.contains("hush"), "{shown}");
    }
}
