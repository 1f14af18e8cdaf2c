//! A secret value goes to the cluster and nowhere else.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use crate::support::{Cluster, Kind, Outcome, Stranger, World, small, tiny};

/// Not a word that occurs by chance, and its form in a Secret's `data`.
const VALUE: &str = "Zq7-violet-anvil-93x";
const ENCODED: &str = "WnE3LXZpb2xldC1hbnZpbC05M3g=";

#[test]
fn secret_values_are_nowhere_but_in_the_cluster() {
    let world = World::new();
    let sandbox = world.sandbox("secretive");
    // As a Secret of the cluster, and as a value of a chart, which goes through helm.
    let text = tiny("busybox:1").replace(
        "  workloads:\n",
        r"  secrets:
    - name: token
      namespace: tiny
      data:
        token: {env: PIPELINE_TOKEN}
  workloads:
    - name: operator
      namespace: tiny
      charts:
        - name: extra
          repo: https://strimzi.io/charts/
          chart: strimzi-kafka-operator
          version: 1.2.0
          secretValues:
            - path: extra.token
              secretRef: {env: PIPELINE_TOKEN}
",
    );
    let file = world.file("secret.yaml", &text);
    let up = ["-vv", "up", &file, &sandbox.option()];

    // Without the value nothing is made up, and nothing is waited for.
    let without = world.events(&up).exits(1);
    assert!(
        without
            .events()
            .failures()
            .iter()
            .any(|(_, code)| code == "SEC001"),
        "{}",
        without.described()
    );

    let (seen, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let done = AtomicBool::new(false);
    let run = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                seen.fetch_or(in_any_command_line(), Ordering::Relaxed);
                looks.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        let run = world.events(&up).env("PIPELINE_TOKEN", VALUE).run();
        done.store(true, Ordering::Relaxed);
        run
    });
    let run = run.exits(0);
    assert!(
        !seen.load(Ordering::Relaxed),
        "the value stood in a command line"
    );
    assert!(
        looks.load(Ordering::Relaxed) > 20,
        "nobody looked at the command lines"
    );
    for text in [&run.stdout, &run.stderr] {
        assert!(
            !text.contains(VALUE) && !text.contains(ENCODED),
            "the value was printed\n{}",
            run.described()
        );
    }

    // It arrived.
    let cluster = sandbox.cluster();
    let secret = cluster
        .get(Kind::SECRET, "tiny", "token")
        .expect("the Secret");
    assert_eq!(secret["data"]["token"], ENCODED);
    // An unchanged value is no change; a changed one is.
    sandbox.count_anew();
    world
        .events(&["up", &file, &sandbox.option()])
        .env("PIPELINE_TOKEN", VALUE)
        .exits(0);
    assert_eq!(sandbox.calls().writes(), []);
    assert_eq!(sandbox.calls().helm().count(), 0);

    for command in [
        vec!["status", "tiny"],
        vec!["status", "tiny", "-o", "json"],
        vec!["list", "-o", "yaml"],
    ] {
        let shown = world
            .pipectl(&command)
            .env("PIPELINE_TOKEN", VALUE)
            .exits(0);
        assert!(
            !shown.stdout.contains(VALUE) && !shown.stdout.contains(ENCODED),
            "{}",
            shown.described()
        );
    }
    // A shell without the value can still look, and is told what it cannot compare.
    let plan = world.pipectl(&["plan", &file, &sandbox.option()]).exits(0);
    assert!(
        plan.stdout.contains("SEC001") && plan.stdout.contains("PIPELINE_TOKEN"),
        "{}",
        plan.described()
    );
    // The sandbox's own store is the cluster, and the pipeline file of the user's is not among what is looked at.
    let store = sandbox.directory().join("etcd");
    let mut searched = 0;
    for place in ["state", "cache", "config", "home"] {
        search(&world.root().join(place), &store, &mut searched);
    }
    assert!(searched > 10, "only {searched} files were looked at");
    world.events(&["down", "tiny", "--yes"]).exits(0);
    // What the chart brought along goes too, its definitions included.
    let definitions = cluster.list(Kind::DEFINITION, "", "");
    let left: Vec<&serde_json::Value> = definitions
        .iter()
        .map(|definition| &definition["metadata"]["name"])
        .filter(|name| name.to_string().contains("strimzi.io"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    search(&world.state().join("history"), &store, &mut searched);
}

/// Whether the value stands in the command line of any process.
fn in_any_command_line() -> bool {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            contains(&line, VALUE) || contains(&line, ENCODED)
        })
}

fn search(directory: &Path, except: &Path, searched: &mut usize) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path == except {
            continue;
        }
        if path.is_dir() {
            search(&path, except, searched);
        } else if let Ok(content) = fs::read(&path) {
            *searched += 1;
            for form in [VALUE, ENCODED] {
                assert!(
                    !contains(&content, form),
                    "the value stands in {}",
                    path.display()
                );
            }
        }
    }
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle.as_bytes())
}

/// In the account it is kept by somebody else, and its next value is applied by the next `up`.
#[test]
fn a_secret_of_the_account_comes_into_the_cluster_and_so_does_its_next_value() {
    const NEXT: &str = "Zq8-violet-anvil-94x";
    let world = World::new();
    let sandbox = world.sandbox_on_aws("vaulted", 1);
    let text = small("vaulted")
        + r"  secrets:
    - name: token
      namespace: vaulted
      data:
        token: {awsSecretsManager: {id: team/token, key: token}}
";
    let file = world.file("vaulted.yaml", &text);
    let up = ["-vv", "up", &file, &sandbox.option()];

    let before = sandbox.account();
    let without = world.events(&up).exits(1);
    let missing = ("account/secrets".to_owned(), "AWS024".to_owned());
    assert_eq!(
        without.events().failures(),
        [missing],
        "{}",
        without.described()
    );
    let made = sandbox.account().changed_since(&before);
    assert!(made.is_empty(), "something was made: {made:?}");

    let stranger = Stranger::of(&sandbox);
    let kept = |value: &str| serde_json::json!({ "token": value }).to_string();
    stranger.secret("team/token", &kept(VALUE));
    let quiet = |run: &Outcome| {
        for text in [&run.stdout, &run.stderr] {
            let shown = [VALUE, ENCODED, NEXT]
                .iter()
                .any(|form| text.contains(form));
            assert!(!shown, "the value was printed\n{}", run.described());
        }
    };
    quiet(&world.events(&up).exits(0));
    let cluster = Cluster::open(&world.environment("vaulted").join("kubeconfig"));
    let live = |cluster: &Cluster| {
        let secret = cluster.get(Kind::SECRET, "vaulted", "token");
        secret.expect("the Secret")["data"]["token"].clone()
    };
    assert_eq!(live(&cluster), ENCODED);

    sandbox.count_anew();
    quiet(&world.events(&up).exits(0));
    assert_eq!(sandbox.aws_calls().changes(), [].into());
    assert_eq!(sandbox.calls().writes(), []);

    stranger.change_secret("team/token", &kept(NEXT));
    let plan = world.pipectl(&["plan", &file, &sandbox.option()]).exits(0);
    assert!(plan.stdout.contains("token"), "{}", plan.described());
    quiet(&plan);
    sandbox.count_anew();
    quiet(&world.events(&up).exits(0));
    assert_ne!(live(&cluster), ENCODED);
    // A run that changes something takes the lease in the account, and nothing else is written there.
    let written = sandbox.aws_calls().changes();
    assert_eq!(written.keys().collect::<Vec<_>>(), ["ssm:PutParameter"]);

    // The account holds the value, and an audit of it does not show it.
    quiet(
        &world
            .pipectl(&["sandbox", "inspect", "--name", "vaulted", "-o", "json"])
            .exits(0),
    );
    quiet(&world.pipectl(&["status", "vaulted"]).exits(0));
    let account = sandbox.directory();
    let mut searched = 0;
    for place in ["state", "cache", "config", "home"] {
        search(&world.root().join(place), &account, &mut searched);
    }
    // The journal, the lease and the kubeconfig at least.
    assert!(searched > 2, "only {searched} files were looked at");
    world.events(&["down", "vaulted", "--yes"]).exits(0);
    stranger.remove_secret("team/token");
    sandbox.account().assert_empty();
}
