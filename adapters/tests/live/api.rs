//! An API server that knows who it is and shows release records from a file, over plain HTTP.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use pipectl_adapters::kubernetes::{ConnectOptions, Kubernetes, KubernetesAdapter};
use pipectl_stages::ports::objects::ObjectApi;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// One release record as its labels tell it.
pub fn record(revision: u32, status: &str, environment_uid: Option<&str>) -> Value {
    let mut labels = json!({"owner": "helm", "name": "operator", "status": status, "version": revision.to_string(),
        "pipectl.dev/digest": "d1"});
    if let Some(uid) = environment_uid {
        labels["pipectl.dev/environment-uid"] = uid.into();
    }
    json!({"metadata": {"name": format!("sh.helm.release.v1.operator.v{revision}"), "namespace": "ops", "labels": labels}})
}

/// Writes the records that the server shows from now on.
pub fn records(directory: &Path, records: &[Value]) {
    let own = directory.join("records.new");
    fs::write(&own, Value::from(records.to_vec()).to_string()).expect("written");
    fs::rename(own, directory.join("records.json")).expect("moved");
}

/// A server as a test may change it while it runs.
#[derive(Clone)]
pub struct Server {
    pub address: String,
    /// UID of its `kube-system`.
    pub uid: Arc<Mutex<String>>,
    /// The only bearer token that it takes; empty: it asks for none.
    pub token: Arc<Mutex<String>>,
    /// Methods and paths as they came.
    pub asked: Arc<Mutex<Vec<String>>>,
    records: PathBuf,
}

impl Server {
    /// Starts one that reads its records from `directory`.
    pub async fn start(directory: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = Self {
            address: format!("http://{address}"),
            uid: Arc::new(Mutex::new("fake-system".to_owned())),
            token: Arc::default(),
            asked: Arc::default(),
            records: directory.join("records.json"),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, serving.clone()));
            }
        });
        server
    }
}

/// A connection to a server of its own that reads its records from `directory`; pinned.
pub async fn connected(directory: &Path) -> Arc<KubernetesAdapter> {
    let address = Server::start(directory).await.address;
    let kubeconfig = directory.join("kubeconfig");
    fs::write(
        &kubeconfig,
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: fake\n\
             clusters: [{{name: fake, cluster: {{server: '{address}'}}}}]\n\
             contexts: [{{name: fake, context: {{cluster: fake, user: fake}}}}]\n\
             users: [{{name: fake, user: {{token: x}}}}]\n"
        ),
    )
    .expect("written");
    let adapter = Kubernetes::connect(ConnectOptions::new(kubeconfig).context("fake"))
        .await
        .expect("connects");
    let identity = adapter.identity().await.expect("an identity");
    adapter.pin(identity).await.expect("pinned");
    Arc::new(adapter)
}

async fn serve(stream: TcpStream, server: Server) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut first, mut length, mut bearer) = (String::new(), 0usize, String::new());
        if stream.read_line(&mut first).await.unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("authorization")
            {
                bearer = value.trim().trim_start_matches("Bearer ").to_owned();
            }
        }
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let path = first.split(' ').nth(1).unwrap_or_default();
        let request = first.trim().trim_end_matches(" HTTP/1.1").to_owned();
        server.asked.lock().expect("not poisoned").push(request);
        let token = server.token.lock().expect("not poisoned").clone();
        let (code, answer) = if token.is_empty() || token == bearer {
            answer(path, &server)
        } else {
            (
                401,
                json!({"kind": "Status", "status": "Failure", "reason": "Unauthorized", "code": 401}),
            )
        };
        let answer = answer.to_string();
        let text = format!(
            "HTTP/1.1 {code} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(path: &str, server: &Server) -> (u16, Value) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let answer = match path {
        "/api/v1/namespaces/kube-system" => {
            json!({"metadata": {"uid": *server.uid.lock().expect("not poisoned")}})
        }
        "/version" => json!({"gitVersion": "v1.35.4"}),
        "/api" => {
            json!({"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": ""}, "versions": [
            {"version": "v1", "resources": [{"resource": "secrets", "scope": "Namespaced",
                "responseKind": {"group": "", "version": "v1", "kind": "Secret"}, "verbs": ["get", "list", "delete"]}]}]}]})
        }
        "/apis" => json!({"kind": "APIGroupDiscoveryList", "items": []}),
        "/api/v1/namespaces/ops/secrets" | "/api/v1/secrets" => {
            let known: Vec<Value> = fs::read(&server.records)
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .unwrap_or_default();
            json!({"kind": "PartialObjectMetadataList", "metadata": {}, "items": selected(&known, query)})
        }
        _ => {
            return (
                404,
                json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}),
            );
        }
    };
    (200, answer)
}

/// `labelSelector=owner%3Dhelm%2Cname%3Doperator`.
fn selected(records: &[Value], query: &str) -> Vec<Value> {
    let selector = query
        .split('&')
        .find_map(|part| part.strip_prefix("labelSelector="))
        .unwrap_or_default()
        .replace("%3D", "=")
        .replace("%2C", ",")
        .replace("%2F", "/");
    records
        .iter()
        .filter(|record| {
            selector.split(',').all(|part| {
                part.split_once('=')
                    .is_some_and(|(key, value)| record["metadata"]["labels"][key] == value)
            })
        })
        .cloned()
        .collect()
}
