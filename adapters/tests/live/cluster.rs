//! A bare control plane: etcd and the API server, no controllers.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use pipectl_adapters::kubernetes::{ConnectOptions, Kubernetes, KubernetesAdapter};
use pipectl_process::{GuardedChild, GuardedCommand};
use pipectl_stages::ports::objects::ObjectApi;
use tokio::sync::Mutex;

use crate::support::{guard, program};

const TOKEN: &str = "live-test-token";

pub struct Cluster {
    directory: tempfile::TempDir,
    etcd: Mutex<GuardedChild>,
    api: Mutex<GuardedChild>,
    etcd_port: u16,
    pub api_port: u16,
    pub helm: Option<PathBuf>,
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

fn start(program: &Path, arguments: &[String], log: &Path) -> GuardedChild {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .expect("a log file");
    GuardedCommand::new(&guard(), program)
        .args(arguments)
        .grace(Duration::from_secs(1))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the program starts")
}

impl Cluster {
    /// Boots, or says which program is missing.
    pub async fn boot() -> Result<Self, String> {
        let missing = |name: &str| format!("no program {name}; set PIPECTL_SANDBOX_BIN");
        let etcd = program("etcd").ok_or_else(|| missing("etcd"))?;
        program("kube-apiserver").ok_or_else(|| missing("kube-apiserver"))?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (etcd_port, api_port) = (free_port(), free_port());
        let address = format!("http://127.0.0.1:{etcd_port}");
        let arguments = [
            format!("--data-dir={}", directory.path().join("etcd").display()),
            format!("--listen-client-urls={address}"),
            format!("--advertise-client-urls={address}"),
            "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
            "--unsafe-no-fsync".to_owned(),
            "--log-level=error".to_owned(),
        ];
        let etcd = start(&etcd, &arguments, &directory.path().join("etcd.log"));
        let key = rcgen::KeyPair::generate().expect("a key");
        fs::write(directory.path().join("sa.key"), key.serialize_pem()).expect("written");
        fs::write(directory.path().join("sa.pub"), key.public_key_pem()).expect("written");
        fs::write(
            directory.path().join("tokens.csv"),
            format!("{TOKEN},admin,admin-uid,\"system:masters\"\npoor,nobody,nobody-uid\n"),
        )
        .expect("the tokens are written");
        let api = Self::start_api(directory.path(), etcd_port, api_port);
        let cluster = Self {
            directory,
            etcd: Mutex::new(etcd),
            api: Mutex::new(api),
            etcd_port,
            api_port,
            helm: program("helm"),
        };
        cluster.answers().await;
        Ok(cluster)
    }

    fn start_api(directory: &Path, etcd_port: u16, api_port: u16) -> GuardedChild {
        let file = |name: &str| directory.join(name).display().to_string();
        let arguments = [
            format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
            format!("--secure-port={api_port}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--cert-dir={}", file("certs")),
            format!("--token-auth-file={}", file("tokens.csv")),
            format!("--service-account-key-file={}", file("sa.pub")),
            format!("--service-account-signing-key-file={}", file("sa.key")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ];
        let api = program("kube-apiserver").expect("found before");
        start(&api, &arguments, &directory.join("api.log"))
    }

    /// Ends the API server and starts it again on the same port and data.
    pub async fn restart_api(&self) {
        let mut api = self.api.lock().await;
        let _ = api.terminate().await;
        *api = Self::start_api(self.directory.path(), self.etcd_port, self.api_port);
    }

    /// Waits until the API server has made its namespaces.
    pub async fn answers(&self) {
        let started = std::time::Instant::now();
        while started.elapsed() < Duration::from_secs(90) {
            if self.directory.path().join("certs/apiserver.crt").is_file()
                && Kubernetes::connect(self.options()).await.is_ok()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = fs::read_to_string(self.directory.path().join("api.log")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        panic!("the API server never answered: {last:?}");
    }

    /// The CA that signed the server's certificate: the last one in its chain.
    pub fn ca(&self) -> PathBuf {
        let chain = fs::read_to_string(self.directory.path().join("certs/apiserver.crt"))
            .expect("the server's certificate");
        let start = chain.rfind("-----BEGIN").expect("a certificate");
        self.whole("ca.crt", &chain[start..])
    }

    /// A kubeconfig with these parts instead of the right ones.
    pub fn kubeconfig(
        &self,
        name: &str,
        server: Option<&str>,
        ca: Option<&Path>,
        user: &str,
    ) -> PathBuf {
        let server = server.map_or_else(
            || format!("https://127.0.0.1:{}", self.api_port),
            str::to_owned,
        );
        let ca = ca.map_or_else(|| self.ca(), Path::to_path_buf);
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: live\n\
             clusters: [{{name: live, cluster: {{server: '{server}', certificate-authority: '{}'}}}}]\n\
             contexts: [{{name: live, context: {{cluster: live, user: live}}}}]\n\
             users: [{{name: live, user: {user}}}]\n",
            ca.display()
        );
        self.whole(name, &text)
    }

    /// Several tests write the same file at once: each into a file of its own first.
    fn whole(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        let thread = std::thread::current().id();
        let own = self.directory.path().join(format!("{name}.{thread:?}"));
        fs::write(&own, text).expect("the file is written");
        fs::rename(&own, &path).expect("the file is moved");
        path
    }

    pub fn options(&self) -> ConnectOptions {
        let user = format!("{{token: {TOKEN}}}");
        ConnectOptions::new(self.kubeconfig("config", None, None, &user))
    }

    /// A connection that may change things.
    pub async fn pinned(&self) -> KubernetesAdapter {
        let adapter = Kubernetes::connect(self.options()).await.expect("connects");
        let identity = adapter.identity().await.expect("has an identity");
        adapter.pin(identity).await.expect("is the one it is");
        adapter
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub async fn end(&self) {
        let _ = self.api.lock().await.terminate().await;
        let _ = self.etcd.lock().await.terminate().await;
    }
}
