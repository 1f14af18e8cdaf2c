//! The Helm adapter with a script in Helm's place: what it is told, what it is not told, and how it is ended.

mod releases;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use pipectl_adapters::{
    Redactor,
    helm::{HelmAdapter, HelmOptions},
};
use pipectl_stages::{
    error::{PortError, PortErrorKind},
    ports::releases::{ChartRef, ReleaseApi, ReleaseSpec, ReleaseStatus},
};
use serde_json::{Value, json};

use crate::{
    api::{connected, record},
    support::guard,
};

pub const TESTS: &[crate::Plain] = &[
    ("fake_helm::is_told_everything_but_secrets", || {
        told_everything().boxed()
    }),
    ("fake_helm::a_chart_is_fetched_once", || {
        fetched_once().boxed()
    }),
    (
        "fake_helm::a_workbench_repository_is_asked_in_every_run",
        || workbench().boxed(),
    ),
    ("fake_helm::charts_that_cannot_be_had_say_so", || {
        unavailable().boxed()
    }),
    ("fake_helm::programs_that_will_not_do", || {
        will_not_do().boxed()
    }),
    ("fake_helm::a_silent_run_is_ended_at_its_bound", || {
        releases::ended_at_its_bound().boxed()
    }),
    ("fake_helm::cancelling_ends_a_run", || {
        releases::cancelled().boxed()
    }),
    ("fake_helm::a_lease_that_ran_out_starts_nothing", || {
        releases::lease_ran_out().boxed()
    }),
    (
        "fake_helm::heartbeats_prolong_a_run_beyond_its_first_deadline",
        || releases::prolonged().boxed(),
    ),
    (
        "fake_helm::a_lease_that_is_not_prolonged_ends_a_run",
        || releases::not_prolonged().boxed(),
    ),
    ("fake_helm::last_words_are_quoted_without_secrets", || {
        releases::last_words().boxed()
    }),
    ("fake_helm::half_made_releases_are_repaired", || {
        releases::repaired().boxed()
    }),
    ("fake_helm::releases_of_others_are_left_alone", || {
        releases::left_alone().boxed()
    }),
    ("fake_helm::uninstall_goes_by_the_records", || {
        releases::uninstalled().boxed()
    }),
    ("fake_helm::crds_and_rendered_objects", || {
        documents().boxed()
    }),
];

/// Writes down what it was told, then does what the file `behave` says; pulls a chart when asked to pull.
const SCRIPT: &str = r#"#!/bin/sh
here=$(dirname "$0")
if [ "$1" = version ]; then cat "$here/version"; exit 0; fi
run=$(mktemp -d "$here/run.XXXXXX")
for argument in "$@"; do printf '%s\n' "$argument"; done > "$run/argv"
env > "$run/env"
case " $* " in *" --values - "*) cat > "$run/stdin";; esac
echo "$$" > "$run/pid"
printf '%s\n' "$1" >> "$here/order"
if [ "$1" = pull ]; then
  [ -f "$here/no-such-chart" ] && { echo "Error: no such chart" >&2; exit 1; }
  while [ $# -gt 0 ]; do [ "$1" = --destination ] && echo archive > "$2/operator-1.0.0.tgz"; shift; done
  exit 0
fi
[ -f "$here/behave" ] && . "$here/behave"
exit 0
"#;

struct Fake {
    directory: tempfile::TempDir,
    kubernetes: Arc<pipectl_adapters::kubernetes::KubernetesAdapter>,
}

impl Fake {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let helm = directory.path().join("helm");
        fs::write(&helm, SCRIPT).expect("written");
        fs::set_permissions(&helm, fs::Permissions::from_mode(0o755)).expect("executable");
        fs::write(directory.path().join("version"), "v3.22.0").expect("written");
        let kubernetes = connected(directory.path()).await;
        Self {
            directory,
            kubernetes,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn options(&self) -> HelmOptions {
        let mut options = HelmOptions::new(guard(), self.path("cache"));
        options.program = self.path("helm");
        options
    }

    fn helm(&self) -> HelmAdapter {
        self.with(|_| {})
    }

    fn with(&self, change: impl FnOnce(&mut HelmOptions)) -> HelmAdapter {
        let mut options = self.options();
        change(&mut options);
        HelmAdapter::new(Arc::clone(&self.kubernetes), options)
    }

    /// What the script does after writing down what it was told.
    fn behave(&self, script: &str) {
        fs::write(self.path("behave"), script).expect("written");
    }

    /// The subcommands so far, in order.
    fn order(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("order")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What was written down of every run of a subcommand: `argv`, `env`, `stdin` or `pid`.
    fn told(&self, subcommand: &str, what: &str) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.directory.path()).expect("readable") {
            let run = entry.expect("readable").path();
            let argv = fs::read_to_string(run.join("argv")).unwrap_or_default();
            if argv.lines().next() == Some(subcommand) {
                found.push(fs::read_to_string(run.join(what)).unwrap_or_default());
            }
        }
        found
    }

    /// A chart in a file, so that nothing is pulled.
    fn chart(&self) -> ChartRef {
        fs::write(self.path("operator.tgz"), "archive").expect("written");
        ChartRef {
            repository: None,
            name: self.path("operator.tgz").display().to_string(),
            version: None,
        }
    }

    fn spec(&self) -> ReleaseSpec {
        ReleaseSpec {
            name: "operator".to_owned(),
            namespace: "ops".to_owned(),
            chart: self.chart(),
            values: json!({"password": "hunter2hunter2", "replicas": 2, "padding": "x".repeat(300_000)}),
            digest: "d2".to_owned(),
            environment_uid: "env-1".to_owned(),
            timeout: Duration::from_secs(60),
        }
    }
}

fn repository(address: &str) -> ChartRef {
    ChartRef {
        repository: Some(address.to_owned()),
        name: "operator".to_owned(),
        version: Some("1.0.0".to_owned()),
    }
}

/// The script's way to leave a record behind.
fn leaves(fake: &Fake, left: &[Value]) -> String {
    fs::write(
        fake.path("left.json"),
        Value::from(left.to_vec()).to_string(),
    )
    .expect("written");
    "cp \"$here/left.json\" \"$here/records.json\"\n".to_owned()
}

async fn told_everything() {
    let fake = Fake::new().await;
    fake.behave(&leaves(&fake, &[record(1, "deployed", Some("env-1"))]));
    let redactor = Redactor::default();
    redactor.register("db", "hunter2hunter2");
    let spec = fake.spec();
    let release = fake
        .with(|options| options.redactor = redactor)
        .install(&spec)
        .await
        .expect("installed");
    assert_eq!(
        (release.revision, release.status),
        (1, ReleaseStatus::Deployed)
    );
    let (argv, env, stdin) = (
        &fake.told("upgrade", "argv")[0],
        &fake.told("upgrade", "env")[0],
        &fake.told("upgrade", "stdin")[0],
    );
    let kubeconfig = fake.path("kubeconfig");
    let expected = [
        "upgrade",
        "operator",
        &spec.chart.name,
        "--install",
        "--skip-crds",
        "--values",
        "-",
        "--output",
        "json",
        "--labels",
        "pipectl.dev/digest=d2,pipectl.dev/environment-uid=env-1",
        "--timeout",
        "60s",
        "--history-max",
        "5",
        "--namespace",
        "ops",
        "--kubeconfig",
        &kubeconfig.display().to_string(),
        "--kube-context",
        "fake",
    ];
    assert_eq!(argv.lines().collect::<Vec<_>>(), expected);
    assert_eq!(
        serde_json::from_str::<Value>(stdin).expect("values"),
        spec.values
    );
    // This process runs in a hostile environment, see main.rs; the secret is in one of its variables.
    assert!(std::env::var("KUBECONFIG").is_ok() && std::env::var("HELM_KUBETOKEN").is_ok());
    for hostile in ["hostile", "hunter2hunter2"] {
        assert!(
            !argv.contains(hostile) && !env.contains(hostile),
            "{hostile} reached Helm"
        );
    }
    let home = fake.path("cache/helm");
    for (name, part) in [
        ("HELM_CACHE_HOME", "cache"),
        ("HELM_CONFIG_HOME", "config"),
        ("HELM_DATA_HOME", "data"),
    ] {
        let line = format!("{name}={}", home.join(part).display());
        assert!(env.lines().any(|variable| variable == line), "{line}");
    }
    assert!(env.lines().any(|variable| variable.starts_with("PATH=")));
    assert!(
        !env.lines()
            .any(|variable| variable.starts_with("KUBECONFIG="))
    );
}

async fn fetched_once() {
    let fake = Fake::new().await;
    let mirrors = |options: &mut HelmOptions| {
        options.mirrors.insert(
            "https://charts.example".to_owned(),
            "https://mirror.example/c".to_owned(),
        );
        options.mirrors.insert(
            "oci://quay.example".to_owned(),
            "oci://mirror.example".to_owned(),
        );
    };
    let helm = fake.with(mirrors);
    let chart = repository("https://charts.example/stable/");
    let (one, other) = tokio::join!(helm.chart(&chart), helm.chart(&chart));
    let file = one.expect("fetched");
    assert_eq!(Ok(&file), other.as_ref());
    assert_eq!(fs::read_to_string(&file.path).expect("there"), "archive\n");
    assert_eq!(file.sha256.as_ref().map(String::len), Some(64));
    assert_eq!(fake.with(mirrors).chart(&chart).await.expect("kept"), file);
    assert_eq!(fake.order(), ["pull"]);
    let argv = &fake.told("pull", "argv")[0];
    assert!(
        argv.starts_with(
            "pull\noperator\n--repo\nhttps://mirror.example/c/stable\n--version\n1.0.0\n"
        ),
        "{argv}"
    );
    // A file that is not what was fetched is fetched again.
    fs::write(&file.path, "torn").expect("written");
    assert_eq!(
        fake.with(mirrors)
            .chart(&chart)
            .await
            .expect("fetched again"),
        file
    );
    assert_eq!(fake.order(), ["pull", "pull"]);
    fake.with(mirrors)
        .chart(&repository("oci://quay.example/x"))
        .await
        .expect("fetched");
    let pulls = fake.told("pull", "argv");
    assert!(
        pulls
            .iter()
            .any(|argv| argv.starts_with("pull\noci://mirror.example/x/operator\n--version")),
        "{pulls:?}"
    );
    assert!(pulls.iter().all(|argv| !argv.contains("--plain-http")));
}

async fn workbench() {
    let fake = Fake::new().await;
    let chart = repository("http://127.0.0.1:1/charts");
    let helm = fake.helm();
    helm.chart(&chart).await.expect("fetched");
    helm.chart(&chart).await.expect("known");
    assert_eq!(fake.order().len(), 1);
    fake.helm().chart(&chart).await.expect("fetched");
    assert_eq!(fake.order().len(), 2);
    fake.helm()
        .chart(&repository("oci://localhost:1/x"))
        .await
        .expect("fetched");
    assert!(
        fake.told("pull", "argv")
            .iter()
            .any(|argv| argv.contains("--plain-http"))
    );
}

async fn unavailable() {
    let fake = Fake::new().await;
    let mut unpinned = repository("https://charts.example");
    unpinned.version = None;
    assert_eq!(
        fake.helm()
            .chart(&unpinned)
            .await
            .expect_err("unpinned")
            .code,
        "HLM007"
    );
    let missing = ChartRef {
        repository: None,
        name: "/no/such/chart".to_owned(),
        version: None,
    };
    assert_eq!(
        fake.helm().chart(&missing).await.expect_err("missing").code,
        "HLM004"
    );
    fs::write(fake.path("no-such-chart"), "").expect("written");
    let error = fake
        .helm()
        .chart(&repository("https://charts.example"))
        .await
        .expect_err("none");
    assert_eq!(
        (error.kind, error.code.as_str()),
        (PortErrorKind::NotFound, "HLM004")
    );
    assert!(
        error.cause.contains("operator 1.0.0") && error.cause.contains("no such chart"),
        "{error}"
    );
    let left: Vec<_> = fs::read_dir(fake.path("cache/helm/charts"))
        .expect("there")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

async fn will_not_do() {
    let fake = Fake::new().await;
    let code = |answer: Result<(), PortError>| answer.map_err(|error| (error.kind, error.code));
    assert_eq!(code(fake.helm().check().await), Ok(()));
    let missing = |options: &mut HelmOptions| options.program = "/no/such/helm".into();
    let answer = fake.with(missing).check().await;
    assert!(
        answer
            .as_ref()
            .expect_err("missing")
            .hint
            .as_ref()
            .expect("a hint")
            .contains("PIPECTL_HELM")
    );
    assert_eq!(
        code(answer),
        Err((PortErrorKind::ToolMissing, "HLM001".to_owned()))
    );
    fs::write(fake.path("version"), "v3.12.9+gabc").expect("written");
    assert_eq!(
        code(fake.helm().check().await),
        Err((PortErrorKind::ToolMissing, "HLM002".to_owned()))
    );
    fs::write(fake.path("version"), "v4.1.1").expect("written");
    assert_eq!(code(fake.helm().check().await), Ok(()));
    fs::write(fake.path("version"), "welcome to my wrapper").expect("written");
    assert_eq!(
        code(fake.helm().check().await),
        Err((PortErrorKind::ToolMissing, "HLM011".to_owned()))
    );
}

async fn documents() {
    let fake = Fake::new().await;
    fake.behave("printf -- '---\\nkind: C\\n'");
    let helm = fake.helm();
    let kinds = |found: &[Value]| -> Vec<String> {
        found
            .iter()
            .map(|object| object["kind"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let chart = fake.chart();
    let file = fs::File::create(&chart.name).expect("made");
    let encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let mut archive = tar::Builder::new(encoder);
    let content = "kind: A\n---\n# nothing\n---\nkind: B\n";
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive
        .append_data(&mut header, "operator/crds/all.yaml", content.as_bytes())
        .expect("packed");
    drop(
        archive
            .into_inner()
            .expect("packed")
            .finish()
            .expect("packed"),
    );
    for _ in 0..2 {
        assert_eq!(
            kinds(&fake.helm().crds(&chart).await.expect("CRDs")),
            ["A", "B"]
        );
    }
    assert!(fake.order().is_empty());
    assert_eq!(
        kinds(&helm.render(&fake.spec()).await.expect("rendered")),
        ["C"]
    );
    let argv = &fake.told("template", "argv")[0];
    assert!(
        argv.contains("--kube-version\nv1.35.4") && !argv.contains("kubeconfig"),
        "{argv}"
    );
    assert!(Path::new(&fake.path("cache/helm/crds")).is_dir());
}
