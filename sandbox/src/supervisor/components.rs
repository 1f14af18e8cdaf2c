//! The command lines of the real components.
//!
//! Flags are those of the components' own references for Kubernetes 1.35, etcd 3.6 and KWOK 0.8. Everything listens on
//! loopback. What only costs start-up time or memory on a single machine is off, each with its reason.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::credentials::Credentials;
use crate::error::SandboxError;
use crate::files::Layout;
use crate::tools::Program;

/// Where everything listens, on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) etcd: u16,
    pub(crate) api: u16,
    pub(crate) kubelet: u16,
    pub(crate) egress: u16,
}

/// In what control planes differ.
#[derive(Clone, Debug)]
pub(crate) struct Flavour {
    /// Addresses of services.
    pub(crate) service_range: String,
    /// Who issues service account tokens.
    pub(crate) issuer: String,
    /// Where the API server asks whom a bearer token belongs to that it does not know itself.
    pub(crate) token_webhook: Option<String>,
}

impl Default for Flavour {
    /// The range that EKS takes when the VPC is in 10.0.0.0/8 is 172.20.0.0/16, else 10.100.0.0/16 (EKS user guide,
    /// "kubernetesNetworkConfig"); the sandbox's VPC is 10.0.0.0/16.
    fn default() -> Self {
        Self {
            service_range: "172.20.0.0/16".to_owned(),
            issuer: "https://kubernetes.default.svc".to_owned(),
            token_webhook: None,
        }
    }
}

impl Flavour {
    /// The address of the service `kubernetes`: the first of the range.
    fn first_service(&self) -> String {
        let network = self.service_range.split('/').next().unwrap_or_default();
        network
            .rsplit_once('.')
            .map_or_else(|| network.to_owned(), |(start, _)| format!("{start}.1"))
    }
}

/// Builds each component's arguments and writes the files that those name.
pub(crate) struct Components<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) credentials: &'a Credentials,
    pub(crate) ports: Ports,
    pub(crate) flavour: &'a Flavour,
}

fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}

impl Components<'_> {
    pub(crate) fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.api)
    }

    fn config(&self, name: &str) -> PathBuf {
        self.layout.config().join(name)
    }

    fn write(&self, name: &str, content: &str) -> Result<PathBuf, SandboxError> {
        let path = self.config(name);
        crate::files::write_private(&path, content.as_bytes())?;
        Ok(path)
    }

    pub(crate) fn arguments(&self, program: Program) -> Result<Vec<String>, SandboxError> {
        let directory = self.layout.config();
        fs::create_dir_all(&directory).map_err(SandboxError::io("create", &directory))?;
        match program {
            Program::Etcd => self.etcd(),
            Program::KubeApiserver => self.api_server(),
            Program::KubeControllerManager => self.controller_manager(),
            Program::KubeScheduler => self.scheduler(),
            Program::Kwok => self.kwok(),
            Program::Helm => Ok(Vec::new()),
        }
    }

    fn etcd(&self) -> Result<Vec<String>, SandboxError> {
        // etcd takes its own server certificate for its gateway's client side too; the gateway is off.
        let identity = self.credentials.server("etcd", &[])?;
        let client = format!("https://127.0.0.1:{}", self.ports.etcd);
        // One member: nobody ever connects to its peer port, so any free one will do.
        let peer = "https://127.0.0.1:0";
        let ca = self.credentials.ca();
        Ok(vec![
            flag("name", "sandbox"),
            flag("data-dir", self.layout.data().display()),
            flag("listen-client-urls", &client),
            flag("advertise-client-urls", &client),
            flag("listen-peer-urls", peer),
            flag("initial-advertise-peer-urls", peer),
            flag("initial-cluster", format!("sandbox={peer}")),
            flag("cert-file", identity.certificate.display()),
            flag("key-file", identity.key.display()),
            flag("trusted-ca-file", ca.display()),
            flag("client-cert-auth", true),
            flag("peer-cert-file", identity.certificate.display()),
            flag("peer-key-file", identity.key.display()),
            flag("peer-trusted-ca-file", ca.display()),
            flag("peer-client-cert-auth", true),
            flag("enable-grpc-gateway", false),
            // A sandbox may lose its last second when the machine loses power.
            "--unsafe-no-fsync".to_owned(),
            // A sole member need not wait a second for votes.
            flag("heartbeat-interval", 50),
            flag("election-timeout", 250),
            flag("log-level", "warn"),
            flag("quota-backend-bytes", 2_u64 << 30),
            flag("auto-compaction-mode", "periodic"),
            flag("auto-compaction-retention", "10m"),
        ])
    }

    fn api_server(&self) -> Result<Vec<String>, SandboxError> {
        let first = self.flavour.first_service();
        let names = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            first.as_str(),
        ];
        let serving = self.credentials.server("kube-apiserver", &names)?;
        let etcd = self
            .credentials
            .client("etcd-client", "kube-apiserver-etcd-client", &[])?;
        let kubelet = self.credentials.client(
            "kubelet-client",
            "kube-apiserver-kubelet-client",
            &["system:masters"],
        )?;
        // Pods are simulated: calls to services and nodes go to the supervisor, which knows who answers for them.
        let outgoing =
            self.credentials
                .client("egress-client", "kube-apiserver-egress-client", &[])?;
        let egress = json!({
            "apiVersion": "apiserver.k8s.io/v1beta1",
            "kind": "EgressSelectorConfiguration",
            "egressSelections": [{
                "name": "cluster",
                "connection": {
                    "proxyProtocol": "HTTPConnect",
                    // Plain HTTP passes the server's own check and then crashes it.
                    "transport": { "tcp": {
                        "url": format!("https://127.0.0.1:{}", self.ports.egress),
                        "tlsConfig": {
                            "caBundle": self.credentials.ca(),
                            "clientCert": outgoing.certificate,
                            "clientKey": outgoing.key,
                        },
                    } },
                },
            }],
        });
        let egress = self.write(
            "egress.yaml",
            &serde_norway::to_string(&egress).unwrap_or_default(),
        )?;
        let ca = self.credentials.ca();
        let key = self.credentials.service_account_key();
        let mut arguments = self.token_webhook()?;
        arguments.extend([
            flag("bind-address", "127.0.0.1"),
            flag("secure-port", self.ports.api),
            // Documentation address (RFC 5737): nobody connects to it, and a machine without a network has no other.
            flag("advertise-address", "192.0.2.1"),
            // Endpoints of the service `kubernetes` may not be loopback, and pods that would use them don't exist.
            flag("endpoint-reconciler-type", "none"),
            flag("tls-cert-file", serving.certificate.display()),
            flag("tls-private-key-file", serving.key.display()),
            flag("client-ca-file", ca.display()),
            flag("token-auth-file", self.credentials.token_file().display()),
            flag("anonymous-auth", false),
            flag("authorization-mode", "RBAC"),
            flag("service-account-issuer", &self.flavour.issuer),
            flag(
                "service-account-key-file",
                self.credentials.service_account_certificate().display(),
            ),
            flag("service-account-signing-key-file", key.display()),
            flag("service-cluster-ip-range", &self.flavour.service_range),
            flag(
                "etcd-servers",
                format!("https://127.0.0.1:{}", self.ports.etcd),
            ),
            flag("etcd-cafile", ca.display()),
            flag("etcd-certfile", etcd.certificate.display()),
            flag("etcd-keyfile", etcd.key.display()),
            flag("kubelet-client-certificate", kubelet.certificate.display()),
            flag("kubelet-client-key", kubelet.key.display()),
            flag("kubelet-preferred-address-types", "InternalIP"),
            flag("egress-selector-config-file", egress.display()),
            flag("allow-privileged", true),
            flag("profiling", false),
            // One user at a time: fair queueing only delays the first answer; throttling is a fault of the proxy's.
            flag("enable-priority-and-fairness", false),
            flag("shutdown-delay-duration", "0s"),
        ]);
        Ok(arguments)
    }

    fn token_webhook(&self) -> Result<Vec<String>, SandboxError> {
        let Some(url) = &self.flavour.token_webhook else {
            return Ok(Vec::new());
        };
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "webhook",
            "clusters": [{ "name": "webhook", "cluster": { "server": url } }],
            "users": [{ "name": "webhook", "user": {} }],
            "contexts": [{ "name": "webhook", "context": { "cluster": "webhook", "user": "webhook" } }],
        });
        let config = self.write(
            "token-webhook.kubeconfig",
            &serde_norway::to_string(&config).unwrap_or_default(),
        )?;
        Ok(vec![
            flag("authentication-token-webhook-config-file", config.display()),
            flag("authentication-token-webhook-version", "v1"),
            // A removed access entry must not let anybody in for long.
            flag("authentication-token-webhook-cache-ttl", "2s"),
        ])
    }

    fn controller_manager(&self) -> Result<Vec<String>, SandboxError> {
        let kubeconfig = self.config("kube-controller-manager.kubeconfig");
        self.credentials.component_kubeconfig(
            &kubeconfig,
            &self.server(),
            "system:kube-controller-manager",
            &[],
        )?;
        Ok(vec![
            flag("kubeconfig", kubeconfig.display()),
            flag("leader-elect", false),
            flag("secure-port", 0),
            flag("profiling", false),
            flag(
                "service-account-private-key-file",
                self.credentials.service_account_key().display(),
            ),
            flag("root-ca-file", self.credentials.ca().display()),
            // One identity with every permission would hide a missing one; each controller has its own, as on EKS.
            flag("use-service-account-credentials", true),
            flag("kube-api-qps", 200),
            flag("kube-api-burst", 400),
        ])
    }

    fn scheduler(&self) -> Result<Vec<String>, SandboxError> {
        let kubeconfig = self.config("kube-scheduler.kubeconfig");
        self.credentials.component_kubeconfig(
            &kubeconfig,
            &self.server(),
            "system:kube-scheduler",
            &[],
        )?;
        let config = json!({
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": { "leaderElect": false },
            "clientConnection": { "kubeconfig": kubeconfig, "qps": 200, "burst": 400 },
            "enableProfiling": false,
        });
        let config = self.write(
            "kube-scheduler.yaml",
            &serde_norway::to_string(&config).unwrap_or_default(),
        )?;
        Ok(vec![
            flag("config", config.display()),
            flag("secure-port", 0),
        ])
    }

    fn kwok(&self) -> Result<Vec<String>, SandboxError> {
        let kubeconfig = self.config("kwok.kubeconfig");
        self.credentials.component_kubeconfig(
            &kubeconfig,
            &self.server(),
            "sandbox-kwok",
            &["system:masters"],
        )?;
        let serving = self.credentials.server("kwok", &[])?;
        let config = self.write("kwok.yaml", &crate::simulation::kwok_configuration())?;
        Ok(vec![
            flag("kubeconfig", kubeconfig.display()),
            flag("config", config.display()),
            flag("manage-all-nodes", false),
            flag(
                "manage-nodes-with-annotation-selector",
                "kwok.x-k8s.io/node=fake",
            ),
            flag("node-lease-duration-seconds", 40),
            flag(
                "server-address",
                format!("127.0.0.1:{}", self.ports.kubelet),
            ),
            flag("tls-cert-file", serving.certificate.display()),
            flag("tls-private-key-file", serving.key.display()),
            // The port that nodes name, as every kubelet's; the egress proxy leads it to the one above.
            flag("node-port", 10250),
        ])
    }
}
