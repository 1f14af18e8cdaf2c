//! Tokens for the API servers of EKS clusters.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use pipectl_stages::error::{PortError, PortErrorKind as Kind};
use serde_json::json;

use crate::{client::Aws, codes, errors};

/// The header that ties a token to one cluster.
const CLUSTER: &str = "x-k8s-aws-id";

/// What a token begins with.
const PREFIX: &str = "k8s-aws-v1.";

/// What the URL says about its own life. STS takes it for 15 minutes whatever stands here; old authenticators take no
/// more than this (kubernetes-sigs/aws-iam-authenticator, `pkg/token/token.go`).
const SAYS: Duration = Duration::from_secs(60);

/// How long a token is used: a minute less than it is valid.
const USED: SignedDuration = SignedDuration::from_mins(14);

/// A bearer token for the API server of one EKS cluster.
#[derive(Clone)]
pub struct ClusterToken {
    /// `k8s-aws-v1.` and a presigned request in base64; a secret.
    pub token: String,
    /// Until when it should be used: 14 minutes, or as long as the credentials behind it last.
    pub expires: Timestamp,
}

impl fmt::Debug for ClusterToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterToken")
            .field("token", &"(not shown)")
            .field("expires", &self.expires)
            .finish()
    }
}

impl ClusterToken {
    /// As a credential program answers it (`client.authentication.k8s.io/v1`: Kubernetes documentation, client-go credential
    /// plugins); holds the token.
    #[must_use]
    pub fn exec_credential(&self) -> serde_json::Value {
        // Whole seconds: RFC 3339 as client-go and kube read it.
        let expires = self.expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        json!({
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "spec": {"interactive": false},
            "status": {"expirationTimestamp": expires, "token": self.token},
        })
    }
}

impl Aws {
    /// A token for the API server of the cluster of that name: a presigned `GetCallerIdentity` request to STS in the
    /// connection's region, as the AWS CLI makes it. Nothing is sent, apart from what finding credentials takes.
    ///
    /// # Errors
    /// `Unauthorized` when there are no credentials, `Invalid` when the name cannot be that of a cluster.
    pub async fn token(&self, cluster: &str) -> Result<ClusterToken, PortError> {
        let invalid = |cause: String| errors::error(Kind::Invalid, codes::OPTIONS, cause);
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if cluster.is_empty() || !cluster.bytes().all(fits) {
            return Err(invalid(format!("{cluster:?} is not the name of a cluster")));
        }
        let none = || {
            let cause = "no credentials are set up";
            errors::error(Kind::Unauthorized, codes::NO_CREDENTIALS, cause)
        };
        let credentials = self.config().credentials_provider().ok_or_else(none)?;
        let credentials = credentials.provide_credentials().await;
        let credentials = credentials.map_err(|failed| errors::from_credentials(&failed))?;
        let ends = credentials
            .expiry()
            .and_then(|at| Timestamp::try_from(at).ok());

        let signed_at = SystemTime::now();
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(SAYS);
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region())
            .name("sts")
            .time(signed_at)
            .settings(settings)
            .build()
            .map_err(|failed| invalid(failed.to_string()))?
            .into();
        let endpoint = self.sts_endpoint().await?;
        let url = format!(
            "{}/?Action=GetCallerIdentity&Version=2011-06-15",
            endpoint.trim_end_matches('/')
        );
        let headers = [(CLUSTER, cluster)].into_iter();
        let request = SignableRequest::new("GET", url.as_str(), headers, SignableBody::empty())
            .map_err(|failed| invalid(errors::chain(&failed)))?;
        let (instructions, _) = sign(request, &params)
            .map_err(|failed| invalid(errors::chain(&failed)))?
            .into_parts();
        let mut signed = http::Request::get(url.as_str())
            .body(())
            .map_err(|failed| invalid(failed.to_string()))?;
        instructions.apply_to_request_http1x(&mut signed);

        let now = Timestamp::try_from(signed_at).unwrap_or_else(|_| Timestamp::now());
        let expires = now.saturating_add(USED).unwrap_or(now);
        Ok(ClusterToken {
            token: format!(
                "{PREFIX}{}",
                URL_SAFE_NO_PAD.encode(signed.uri().to_string())
            ),
            expires: ends.map_or(expires, |ends| ends.min(expires)),
        })
    }

    /// The address of STS in this region; that of the other side's own endpoint where there is one.
    async fn sts_endpoint(&self) -> Result<String, PortError> {
        if let Some(own) = &self.options().endpoint {
            return Ok(own.url.clone());
        }
        let invalid = |cause: String| errors::error(Kind::Invalid, codes::OPTIONS, cause);
        let params = Params::builder()
            .region(self.region().to_owned())
            .use_global_endpoint(false)
            .build()
            .map_err(|failed| invalid(failed.to_string()))?;
        let resolver = DefaultResolver::new();
        let found = resolver.resolve_endpoint(&params).await;
        found
            .map(|endpoint| endpoint.url().to_owned())
            .map_err(|failed| invalid(failed.to_string()))
    }
}
