//! The way into a cluster that comes to be while pipectl runs: what leads nowhere before, whom it lets in, and what the
//! credential program is told.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::FutureExt;
use pipectl_adapters::{
    Redactor,
    entrance::{ExecEntry, Gate, GateOptions},
    helm::HelmOptions,
    kubernetes::CallBounds,
};
use pipectl_stages::{
    error::PortErrorKind,
    ports::{
        entrance::{Door, EntranceApi},
        objects::{ApplyOptions, ClusterIdentity, Kind, ObjectRef, Selection},
        releases::{ChartRef, ReleaseSpec},
    },
};
use serde_json::json;

use crate::{
    api::{Server, record, records},
    cluster::Cluster,
    support::guard,
};

pub const PLAIN: &[crate::Plain] = &[
    ("gate::nothing_leads_anywhere_before", || before().boxed()),
    (
        "gate::one_program_run_a_token_and_nothing_of_ours_in_it",
        || one_run().boxed(),
    ),
    ("gate::a_token_that_ran_out_is_renewed", || {
        renewed().boxed()
    }),
    ("gate::who_is_not_known_yet_is_let_in_later", || {
        known_later().boxed()
    }),
    ("gate::another_cluster_is_refused", || foreign().boxed()),
    (
        "gate::a_cluster_that_is_not_the_recorded_one_is_refused",
        || not_the_recorded_one().boxed(),
    ),
    ("gate::a_lease_that_ran_out_changes_nothing", || {
        lease_ran_out().boxed()
    }),
    ("gate::a_program_that_fails_says_why", || fails().boxed()),
];

pub const TESTS: &[crate::Clustered] = &[("gate::leads_into_a_real_cluster", |cluster| {
    real(cluster).boxed()
})];

/// Gives a token, and writes down that it was asked and with which variables.
const PROGRAM: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo run >> "$here/runs"
env > "$here/env"
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s","expirationTimestamp":"%s"}}' "$1" "$2"
"#;

const NEVER: &str = "2999-01-01T00:00:00Z";
const LONG_AGO: &str = "2020-01-01T00:00:00Z";
const TOKEN: &str = "token-of-the-gate";

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            directory: tempfile::tempdir().expect("a directory"),
        };
        place.script("token", PROGRAM);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        path
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.path("runs")).map_or(0, |text| text.lines().count())
    }

    fn options(&self, token: &str, until: &str) -> GateOptions {
        let mut helm = HelmOptions::new(guard(), self.path("cache"));
        helm.redactor = Redactor::new();
        helm.redactor.register("db", "hunter2hunter2");
        GateOptions {
            kubeconfig: self.path("state/kubeconfig"),
            exec: ExecEntry {
                command: self.path("token"),
                args: vec![token.to_owned(), until.to_owned()],
                env: vec![("PIPECTL_GATE".to_owned(), "open".to_owned())],
            },
            context: "mine".to_owned(),
            expected: None,
            bounds: CallBounds {
                attempts: 2,
                ..CallBounds::default()
            },
            helm,
        }
    }

    fn gate(&self) -> Arc<Gate> {
        Gate::new(self.options(TOKEN, NEVER))
    }
}

fn door(server: &str) -> Door {
    Door {
        cluster: "mine".to_owned(),
        arn: "arn:aws:eks:us-west-2:111122223333:cluster/mine".to_owned(),
        region: "us-west-2".to_owned(),
        server: server.to_owned(),
        ca: String::new(),
    }
}

fn secret() -> ObjectRef {
    ObjectRef {
        kind: Kind::new("", "v1", "Secret"),
        namespace: Some("ops".to_owned()),
        name: "a".to_owned(),
    }
}

fn asked(server: &Server) -> usize {
    server.asked.lock().expect("not poisoned").len()
}

fn set(value: &std::sync::Mutex<String>, to: &str) {
    to.clone_into(&mut value.lock().expect("not poisoned"));
}

async fn before() {
    let place = Place::new();
    let mut options = place.options(TOKEN, NEVER);
    options.helm.program = place.script(
        "helm",
        "#!/bin/sh\n[ \"$1\" = version ] && echo v3.22.0\n[ \"$1\" = template ] && printf 'kind: A\\n---\\nkind: B\\n'\nexit 0\n",
    );
    let gate = Gate::new(options);
    assert_eq!(gate.entered(), None);
    let error = gate.objects().get(&secret()).await.expect_err("no cluster");
    assert_eq!(error.kind, PortErrorKind::Unreachable);
    assert!(error.cause.contains("mine"), "{error}");
    let error = gate.objects().identity().await.expect_err("no cluster");
    assert_eq!(error.kind, PortErrorKind::Unreachable);
    let releases = gate.releases();
    let error = releases.find("ops", "operator").await.expect_err("none");
    assert_eq!(error.kind, PortErrorKind::Unreachable);
    let spec = ReleaseSpec {
        name: "operator".to_owned(),
        namespace: "ops".to_owned(),
        chart: ChartRef {
            repository: None,
            name: place.path("chart").display().to_string(),
            version: None,
        },
        values: json!({}),
        digest: "d1".to_owned(),
        environment_uid: "u1".to_owned(),
        timeout: Duration::from_secs(20),
    };
    let error = releases.install(&spec).await.expect_err("no cluster");
    assert_eq!(error.kind, PortErrorKind::Unreachable);
    fs::create_dir_all(place.path("chart")).expect("a chart's directory");
    let rendered = releases.render(&spec).await.expect("needs no cluster");
    assert_eq!(rendered, [json!({"kind": "A"}), json!({"kind": "B"})]);
    assert_eq!(place.runs(), 0);
    assert!(!place.path("state").exists(), "nothing is written yet");
}

async fn one_run() {
    let place = Place::new();
    let server = Server::start(place.directory.path()).await;
    set(&server.token, TOKEN);
    records(place.directory.path(), &[record(1, "deployed", Some("u1"))]);
    let gate = place.gate();
    let changes = gate.objects().changes();
    let door = door(&server.address);
    let identity = gate.enter(&door).await.expect("lets in");
    assert_eq!(identity.kube_system_uid, "fake-system");
    assert_eq!(gate.entered(), Some(door.clone()));
    assert_eq!(gate.identity(), Some(identity.clone()));
    let release = gate.releases().find("ops", "operator").await;
    let release = release.expect("readable").expect("there");
    assert_eq!(release.environment_uid.as_deref(), Some("u1"));
    let secrets = Selection {
        kind: Kind::new("", "v1", "Secret"),
        namespace: Some("ops".to_owned()),
        labels: Some("owner=helm".to_owned()),
    };
    let found = gate.objects().list_metadata(&secrets).await;
    assert_eq!(found.expect("readable").len(), 1);
    let told = crate::support::eventually("the waiters are woken", || async {
        changes.has_changed().expect("alive").then_some(())
    });
    told.await;
    assert_eq!(place.runs(), 1);

    let sofar = asked(&server);
    assert_eq!(gate.enter(&door).await, Ok(identity));
    assert_eq!(asked(&server), sofar, "entering again asks nobody");

    let env = fs::read_to_string(place.path("env")).expect("the program ran");
    let has = |name: &str| {
        env.lines()
            .any(|line| line.starts_with(&format!("{name}=")))
    };
    assert!(has("PATH") && has("PIPECTL_GATE"), "{env}");
    for name in ["KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HELM_KUBETOKEN"] {
        assert!(!has(name), "{name} in {env}");
    }
    assert!(!env.contains("hunter2hunter2"), "{env}");

    let file = place.path("state/kubeconfig");
    let mode = fs::metadata(&file).expect("written").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&file).expect("readable");
    assert!(text.contains("interactiveMode: Never"), "{text}");
    assert!(!text.contains("token:"), "{text}");
    let written = fs::metadata(&file)
        .expect("there")
        .modified()
        .expect("time");
    let other = place.gate();
    other.enter(&door).await.expect("lets in");
    let again = fs::metadata(&file)
        .expect("there")
        .modified()
        .expect("time");
    assert_eq!(written, again, "the same kubeconfig is not written again");
    assert_eq!(place.runs(), 2);
}

async fn renewed() {
    let place = Place::new();
    let server = Server::start(place.directory.path()).await;
    set(&server.token, TOKEN);
    let gate = Gate::new(place.options(TOKEN, LONG_AGO));
    gate.enter(&door(&server.address)).await.expect("lets in");
    let runs = place.runs();
    gate.objects().identity().await.expect("answers");
    assert!(place.runs() > runs, "{runs}");
}

async fn known_later() {
    let place = Place::new();
    let server = Server::start(place.directory.path()).await;
    set(&server.token, "somebody else's");
    let gate = place.gate();
    let door = door(&server.address);
    for _ in 0..3 {
        let error = gate.enter(&door).await.expect_err("not known yet");
        assert_eq!(error.kind, PortErrorKind::Unauthorized);
        assert_eq!(gate.entered(), None);
        let error = gate.objects().identity().await.expect_err("not inside");
        assert_eq!(error.kind, PortErrorKind::Unreachable);
    }
    set(&server.token, TOKEN);
    gate.enter(&door).await.expect("known now");
    assert_eq!(place.runs(), 1, "looking again runs no program again");

    let closed = place.gate();
    let nobody = self::door("http://127.0.0.1:1");
    let error = closed.enter(&nobody).await.expect_err("nobody there");
    assert_eq!(error.kind, PortErrorKind::Unreachable);
    assert!(error.cause.contains("127.0.0.1:1"), "{error}");
}

async fn foreign() {
    let place = Place::new();
    let (first, moved, other) = tokio::join!(
        Server::start(place.directory.path()),
        Server::start(place.directory.path()),
        Server::start(place.directory.path())
    );
    set(&other.uid, "another-system");
    let gate = place.gate();
    gate.enter(&door(&first.address)).await.expect("lets in");
    let mut elsewhere = door(&other.address);
    elsewhere.arn.push_str("-2");
    let error = gate.enter(&elsewhere).await.expect_err("another ARN");
    assert_eq!(
        (error.kind, error.code.as_str()),
        (PortErrorKind::Foreign, "K8S021")
    );
    assert_eq!(asked(&other), 0);
    let error = gate.enter(&door(&other.address)).await;
    let error = error.expect_err("the same ARN, and another cluster");
    assert_eq!(
        (error.kind, error.code.as_str()),
        (PortErrorKind::Foreign, "K8S021")
    );
    assert_eq!(gate.entered(), Some(door(&first.address)));
    // A cluster may be reached at another address than before.
    gate.enter(&door(&moved.address))
        .await
        .expect("the same one");
    let sofar = asked(&moved);
    gate.objects().identity().await.expect("answers");
    assert!(asked(&moved) > sofar);
}

async fn not_the_recorded_one() {
    let place = Place::new();
    let server = Server::start(place.directory.path()).await;
    let mut options = place.options(TOKEN, NEVER);
    options.expected = Some(ClusterIdentity {
        kube_system_uid: "recorded-system".to_owned(),
        ca_sha256: String::new(),
        server: String::new(),
        version: String::new(),
    });
    let gate = Gate::new(options);
    let error = gate.enter(&door(&server.address)).await;
    assert_eq!(error.expect_err("another one").kind, PortErrorKind::Foreign);
    assert_eq!(gate.entered(), None);
    set(&server.uid, "recorded-system");
    gate.enter(&door(&server.address))
        .await
        .expect("this is it");
}

async fn lease_ran_out() {
    let place = Place::new();
    let server = Server::start(place.directory.path()).await;
    let gate = place.gate();
    gate.fence_effects(Arc::new(|| Duration::ZERO));
    gate.enter(&door(&server.address))
        .await
        .expect("looking is allowed");
    let error = gate.objects().delete(&secret(), None).await;
    assert_eq!(error.expect_err("too late").kind, PortErrorKind::Cancelled);
    let deletes = |server: &Server| {
        let asked = server.asked.lock().expect("not poisoned");
        asked
            .iter()
            .filter(|line| line.starts_with("DELETE"))
            .count()
    };
    assert_eq!(deletes(&server), 0);
    gate.fence_effects(Arc::new(|| Duration::MAX));
    let _ = gate.objects().delete(&secret(), None).await;
    assert_eq!(deletes(&server), 1);
}

async fn fails() {
    let place = Place::new();
    place.script(
        "token",
        "#!/bin/sh\necho 'secret-token'\necho 'no credentials: hunter2hunter2' >&2\nexit 3\n",
    );
    let gate = place.gate();
    let error = gate.enter(&door("http://127.0.0.1:1")).await;
    let error = error.expect_err("no token");
    assert_eq!(error.code, "K8S008");
    assert!(error.cause.contains("no credentials"), "{error}");
    for hidden in ["hunter2", "secret-token", "PIPECTL_GATE"] {
        assert!(!error.cause.contains(hidden), "{error}");
    }
}

async fn real(cluster: Arc<Cluster>) {
    let place = Place::new();
    let gate = Gate::new(place.options("live-test-token", NEVER));
    let mut changes = gate.objects().changes();
    let pem = fs::read(cluster.ca()).expect("the CA");
    let door = Door {
        ca: STANDARD.encode(pem),
        ..door(&format!("https://127.0.0.1:{}", cluster.api_port))
    };
    let identity = gate.enter(&door).await.expect("lets in");
    assert_eq!(identity.ca_sha256.len(), 64);
    let objects = gate.objects();
    let selection = Selection {
        kind: Kind::new("", "v1", "ConfigMap"),
        namespace: Some("default".to_owned()),
        labels: Some("app=gate".to_owned()),
    };
    assert!(objects.list(&selection).await.expect("listed").is_empty());
    changes.mark_unchanged();
    // Somebody else's change, so that only the watch can bring it.
    let other = cluster.pinned().await;
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "gate", "namespace": "default", "labels": {"app": "gate"}},
    });
    let applied =
        pipectl_stages::ports::objects::ObjectApi::apply(&other, &object, ApplyOptions::default());
    applied.await.expect("applied");
    tokio::time::timeout(Duration::from_secs(30), async {
        while objects.list(&selection).await.expect("listed").is_empty() {
            changes.changed().await.expect("alive");
        }
    })
    .await
    .expect("a receiver of before sees what happens inside");
    let at = ObjectRef::of(&object);
    objects.delete(&at, None).await.expect("deleted");
    assert_eq!(place.runs(), 1);
    assert!(Path::new(&place.path("state/kubeconfig")).is_file());
}
