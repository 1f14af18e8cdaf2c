//! From a kubeconfig to a client.

use std::{path::PathBuf, time::Duration};

use http::{HeaderValue, header};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt},
};
use pipectl_stages::error::{PortError, PortErrorKind as Kind};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, ServiceExt, util::MapErrLayer};

use crate::Redactor;

use super::{KubernetesAdapter, call::CallBounds, codes, errors, kubeconfig};

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The kubeconfig file; always explicit.
    pub kubeconfig: PathBuf,
    /// The context in it; `None`: the file's current one.
    pub context: Option<String>,
    /// HTTP user agent; starts with `pipectl/`.
    pub user_agent: String,
    /// Bounds of every call.
    pub bounds: CallBounds,
    /// How long a watch may be broken until its content is no longer answered.
    pub stale_after: Duration,
    /// How long changes are gathered until `changes()` counts up.
    pub debounce: Duration,
    /// Ends calls under way when the run is cancelled.
    pub cancel: CancellationToken,
    /// Secret values that no quoted answer may show.
    pub redactor: Redactor,
    /// The kubeconfig is one that pipectl wrote, and its credential program is pipectl itself: it answers with tokens,
    /// never with a client certificate, so it is run once a token and not once more to see; and it runs without the
    /// variables that Helm does not get either.
    pub own_program: bool,
}

impl ConnectOptions {
    /// The usual settings for this file.
    #[must_use]
    pub fn new(kubeconfig: impl Into<PathBuf>) -> Self {
        Self {
            kubeconfig: kubeconfig.into(),
            context: None,
            user_agent: concat!("pipectl/", env!("CARGO_PKG_VERSION")).to_owned(),
            bounds: CallBounds::default(),
            stale_after: Duration::from_secs(15),
            debounce: Duration::from_millis(20),
            cancel: CancellationToken::new(),
            redactor: Redactor::default(),
            own_program: false,
        }
    }

    /// With this context instead of the file's current one.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self
    }

    /// With the run's cancellation.
    #[must_use]
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }
}

/// The way in.
#[derive(Debug, Clone, Copy)]
pub struct Kubernetes;

impl Kubernetes {
    /// Connects and asks the API server who it is, so that every kind of wrong kubeconfig shows here.
    ///
    /// # Errors
    /// `K8S001`–`K8S003` for the file, `K8S004` unreachable, `K8S005` another CA, `K8S006` or `K8S008` credentials not
    /// accepted, `K8S007` when the namespace `kube-system` may not be read.
    pub async fn connect(options: ConnectOptions) -> Result<KubernetesAdapter, PortError> {
        let adapter = Self::open(options).await?;
        adapter.introduced().await?;
        Ok(adapter)
    }

    /// Makes a client; nobody is asked anything yet but the kubeconfig's credential program.
    ///
    /// # Errors
    /// `K8S001`–`K8S003` for the file, `K8S008` when the credential program fails, `K8S018` when it does not end.
    pub(crate) async fn open(options: ConnectOptions) -> Result<KubernetesAdapter, PortError> {
        let mut config =
            kubeconfig::config(&options.kubeconfig, options.context.as_deref()).await?;
        config.connect_timeout = Some(Duration::from_secs(5));
        let server = config.cluster_url.to_string();
        let server = server.trim_end_matches('/').to_owned();
        let ca_sha256 = ca_digest(&config);
        let agent = HeaderValue::from_str(&options.user_agent).map_err(|_| {
            errors::error(
                Kind::Invalid,
                codes::KUBECONFIG_UNUSABLE,
                "the user agent holds characters that HTTP headers cannot",
            )
        })?;
        config.headers.push((header::USER_AGENT, agent));
        let own_program = options.own_program;
        if let Some(exec) = config.auth_info.exec.as_mut().filter(|_| own_program) {
            exec.drop_env = Some(kept_from_programs(&options.redactor));
        }
        // Building runs the kubeconfig's credential program, which blocks.
        let runtime = tokio::runtime::Handle::current();
        let built = tokio::task::spawn_blocking(move || {
            let _runtime = runtime.enter();
            build(config, own_program)
        });
        let built = tokio::select! {
            () = options.cancel.cancelled() => Err(errors::error(
                Kind::Cancelled,
                codes::CANCELLED,
                "the credential program was not waited for",
            )),
            built = tokio::time::timeout(options.bounds.total, built) => built.map_err(|_| errors::error(
                Kind::Timeout,
                codes::TIMEOUT,
                format!("the credential program did not end within {} s", options.bounds.total.as_secs()),
            )),
        }?;
        let client = built
            .map_err(|source| errors::error(Kind::Other, codes::CREDENTIALS, source.to_string()))?
            .map_err(|source| {
                let mut error = errors::from_client(&source).error;
                error.cause = options.redactor.text(&error.cause);
                error
            })?;
        Ok(KubernetesAdapter::new(client, server, ca_sha256, &options))
    }
}

/// Names of our variables that a program of ours does not get.
fn kept_from_programs(redactor: &Redactor) -> Vec<String> {
    std::env::vars_os()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            crate::helm::withheld(&name, &value.to_string_lossy(), redactor).then_some(name)
        })
        .collect()
}

/// kube's own stack leaves Nagle's algorithm on and repeats by itself; here calls have bounds and repetitions of their
/// own. One HTTP/1.1 connection per call under way, kept for the next ones: dozens of calls at once do not queue.
fn build(config: Config, only_tokens: bool) -> Result<Client, kube::Error> {
    if config.proxy_url.is_some() {
        let mut config = config;
        config.default_retry = false;
        return Ok(ClientBuilder::try_from(config)?.build());
    }
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_keepalive(Some(Duration::from_secs(30)));
    // kube runs the credential program here to see whether it answers with a client certificate.
    let mut for_tls = config.clone();
    if only_tokens {
        for_tls.auth_info.exec = None;
    }
    let https = for_tls.rustls_https_connector_with_connector(connector)?;
    let http: HttpClient<_, Body> = HttpClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(60))
        .build(https);
    let service = tower::ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .layer(MapErrLayer::new(BoxError::from))
        .service(http);
    Ok(Client::new(
        service.map_err(BoxError::from),
        config.default_namespace,
    ))
}

/// SHA-256 over the CA certificates (DER) that the kubeconfig trusts; empty when it names none and the system's are
/// trusted.
fn ca_digest(config: &Config) -> String {
    let Some(certificates) = config.root_cert.as_ref().filter(|list| !list.is_empty()) else {
        return String::new();
    };
    let mut digest = Sha256::new();
    for certificate in certificates {
        digest.update(certificate);
    }
    format!("{:x}", digest.finalize())
}
