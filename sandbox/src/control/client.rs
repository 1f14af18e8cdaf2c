//! The other processes' side of the control endpoint.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Endpoint, HandedOut, SandboxStatus, WantedUser};
use crate::aws::{AwsFaultRule, CallCount};
use crate::files::Layout;
use crate::proxy::counters::Count;
use crate::proxy::faults::FaultRule;
use crate::supervisor::StartOptions;

/// Every call is local and small.
const LIMIT: Duration = Duration::from_secs(5);

/// Speaks to one supervisor.
pub(crate) struct ControlClient {
    endpoint: Endpoint,
}

impl ControlClient {
    /// The supervisor that wrote down where it listens; whether it still lives shows at the first call.
    pub(crate) fn open(layout: &Layout) -> Option<Self> {
        let text = std::fs::read(layout.control()).ok()?;
        Some(Self {
            endpoint: serde_json::from_slice(&text).ok()?,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.endpoint.pid
    }

    pub(crate) async fn status(&self) -> Result<SandboxStatus, String> {
        self.read(Method::GET, "/v1/status").await
    }

    pub(crate) async fn stop(&self) -> Result<(), String> {
        self.call(Method::POST, "/v1/stop", Bytes::new())
            .await
            .map(drop)
    }

    pub(crate) async fn counters(&self) -> Result<Vec<Count>, String> {
        self.read(Method::GET, "/v1/counters").await
    }

    pub(crate) async fn reset_counters(&self) -> Result<(), String> {
        self.call(Method::DELETE, "/v1/counters", Bytes::new())
            .await
            .map(drop)
    }

    pub(crate) async fn faults(&self) -> Result<Vec<FaultRule>, String> {
        self.read(Method::GET, "/v1/faults").await
    }

    pub(crate) async fn set_faults(&self, rules: &[FaultRule]) -> Result<(), String> {
        let body = serde_json::to_vec(rules).map_err(|error| error.to_string())?;
        self.call(Method::PUT, "/v1/faults", Bytes::from(body))
            .await
            .map(drop)
    }

    /// The raw graph of the simulated AWS.
    pub(crate) async fn inspect_aws(&self) -> Result<serde_json::Value, String> {
        self.read(Method::GET, "/v1/aws/inspect").await
    }

    /// Calls of the simulated AWS.
    pub(crate) async fn aws_calls(&self) -> Result<Vec<CallCount>, String> {
        self.read(Method::GET, "/v1/aws/calls").await
    }

    pub(crate) async fn reset_aws_calls(&self) -> Result<(), String> {
        self.call(Method::DELETE, "/v1/aws/calls", Bytes::new())
            .await
            .map(drop)
    }

    pub(crate) async fn aws_faults(&self) -> Result<Vec<AwsFaultRule>, String> {
        self.read(Method::GET, "/v1/aws/faults").await
    }

    pub(crate) async fn set_aws_faults(&self, rules: &[AwsFaultRule]) -> Result<(), String> {
        let body = serde_json::to_vec(rules).map_err(|error| error.to_string())?;
        self.call(Method::PUT, "/v1/aws/faults", Bytes::from(body))
            .await
            .map(drop)
    }

    /// A user of the simulated AWS under a policy.
    pub(crate) async fn aws_user(&self, wanted: &WantedUser) -> Result<HandedOut, String> {
        let body = serde_json::to_vec(wanted).map_err(|error| error.to_string())?;
        let answer = self
            .call(Method::PUT, "/v1/aws/user", Bytes::from(body))
            .await?;
        serde_json::from_slice(&answer).map_err(|error| error.to_string())
    }

    /// Wish for the plain cluster; returns before it is there.
    pub(crate) async fn want_cluster(&self, options: &StartOptions) -> Result<(), String> {
        let body = serde_json::to_vec(options).map_err(|error| error.to_string())?;
        self.call(Method::POST, "/v1/cluster", Bytes::from(body))
            .await
            .map(drop)
    }

    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
    ) -> Result<T, String> {
        let body = self.call(method, path, Bytes::new()).await?;
        serde_json::from_slice(&body).map_err(|error| error.to_string())
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, String> {
        match tokio::time::timeout(LIMIT, self.exchange(method, path, body)).await {
            Ok(Ok((StatusCode::OK | StatusCode::ACCEPTED, body))) => Ok(body),
            Ok(Ok((status, body))) => Err(format!("{status}: {}", String::from_utf8_lossy(&body))),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", LIMIT.as_secs())),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(self.endpoint.address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends by itself when the exchange is over.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "sandbox")
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", self.endpoint.token),
            )
            .body(Full::new(body))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}
