//! The blueprint on AWS, from nothing to nothing, while everything ambient points elsewhere.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::support::{Cluster, Kind, Outcome, Run, Sandbox, World};

#[test]
fn the_blueprint_on_aws_in_hostile_surroundings() {
    let world = World::new();
    let sandbox = world.sandbox_on_aws("cloud", 1);
    let ambient = Ambient::new(&world);
    let option = sandbox.option();
    let secret = sandbox.variable("AWS_SECRET_ACCESS_KEY");
    assert!(secret.len() > 20, "that is no key");
    let said = |outcome: Outcome| {
        for text in [&outcome.stdout, &outcome.stderr] {
            assert!(
                !text.contains(&secret),
                "the secret key was printed\n{}",
                outcome.described()
            );
        }
        outcome
    };

    // Up: everything verified, in one run.
    let up = ["-vv", "up", &option];
    let first = said(ambient.around(world.events(&up)).exits(0));
    assert_eq!(first.events().outcome(), Some("succeeded"));
    let account = sandbox.account();
    let counts = account.counts();
    for (kind, count) in [("vpcs", 1), ("subnets", 6), ("clusters", 1), ("roles", 3)] {
        assert_eq!(counts.get(kind), Some(&count), "{kind} of {counts:#?}");
    }
    said(
        ambient
            .around(world.pipectl(&["status", "--check"]))
            .exits(0),
    );
    let status = ambient.around(world.pipectl(&["status", "-o", "json"]));
    assert_eq!(said(status.exits(0)).json()["phase"], "up");
    let planned = world.pipectl(&["plan", "--detailed-exitcode", &option]);
    said(ambient.around(planned).exits(0));
    let listed = ambient.around(world.pipectl(&["list", &option, "-o", "json"]));
    assert_eq!(said(listed.exits(0)).json()[0]["name"], "streaming");

    // Again: nothing is changed, anywhere.
    sandbox.count_anew();
    said(ambient.around(world.events(&up)).exits(0));
    let (aws, kubernetes) = (sandbox.aws_calls(), sandbox.calls());
    assert_eq!(aws.changes(), [].into(), "changes of a no-op");
    assert!(aws.0.len() > 10, "who looked at AWS? {aws:#?}");
    assert_eq!(kubernetes.writes(), []);
    assert_eq!(kubernetes.helm().count(), 0);
    assert_eq!(
        sandbox.account().changed_since(&account),
        [].into(),
        "a no-op changed the account"
    );

    // What the control plane has written is at hand, and its keeper's status shows no key.
    let name = "cloud";
    let log = [
        "sandbox",
        "logs",
        "--name",
        name,
        "pipectl-streaming/kube-apiserver",
    ];
    assert!(said(world.pipectl(&log).exits(0)).stdout.lines().count() > 10);
    said(
        world
            .pipectl(&["sandbox", "status", "--name", name, "-o", "json"])
            .exits(0),
    );

    the_way_in(&world, &ambient);
    keeps_no_secret(&world, &sandbox, &secret);

    // Down: nothing is left, and none of what was ambient was ever asked.
    let down = ambient.around(world.events(&["-vv", "down", "--yes"]));
    let down = said(down.exits(0));
    assert_eq!(down.events().absence()["remaining"], json!([]));
    sandbox.account().assert_empty();
    world.assert_nothing_recorded();
    ambient.assert_untouched();
    keeps_no_secret(&world, &sandbox, &secret);
}

/// `pipectl token` and `pipectl kubeconfig`, for programs that know nothing of pipectl.
fn the_way_in(world: &World, ambient: &Ambient) {
    let printed = ambient.around(world.pipectl(&["kubeconfig", "streaming"]));
    let printed = printed.exits(0);
    let kubeconfig = PathBuf::from(printed.stdout.trim_end());
    let text = fs::read_to_string(&kubeconfig).expect("the kubeconfig");
    for secret in ["token:", "client-key", "password", "k8s-aws-v1."] {
        assert!(!text.contains(secret), "{secret} in\n{text}");
    }
    // A plain client runs what the kubeconfig names, and is let in.
    let cluster = Cluster::open(&kubeconfig);
    assert_eq!(cluster.list(Kind::NODE, "", "").len(), 3);
    assert!(cluster.get(Kind::NAMESPACE, "", "kafka").is_some());

    let token = ambient.around(world.pipectl(&["token", "--env", "streaming"]));
    let credential = token.exits(0).json();
    assert_eq!(credential["apiVersion"], "client.authentication.k8s.io/v1");
    assert_eq!(credential["kind"], "ExecCredential");
    let expires = credential["status"]["expirationTimestamp"].as_str();
    assert!(
        expires.is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
        "{credential:#}"
    );
    let token = credential["status"]["token"].as_str().expect("a token");
    let by_token = Cluster::with_token(&kubeconfig, token);
    assert!(by_token.get(Kind::NAMESPACE, "", "kafka").is_some());
    // It is the token that is believed, and not the way by which it comes.
    let forged = &token[..token.len() - 8];
    assert!(!Cluster::with_token(&kubeconfig, forged).lets_in());
    // The environment's record is not needed for it: the kubeconfig's own words say which cluster is meant.
    let journal = world.environment("streaming");
    let aside = world.root().join("aside");
    fs::rename(&journal, &aside).expect("the record");
    let found = Cluster::open(&aside.join(kubeconfig.file_name().expect("a name")));
    assert!(found.get(Kind::NAMESPACE, "", "kafka").is_some());
    fs::rename(&aside, &journal).expect("the record");
}

/// The secret key stands in the sandbox's own directory alone, and no token anywhere.
fn keeps_no_secret(world: &World, sandbox: &Sandbox<'_>, secret: &str) {
    let mut searched = 0;
    for place in ["state", "cache", "config", "home", "work"] {
        let place = world.root().join(place);
        search(&place, &sandbox.directory(), secret, &mut searched);
    }
    assert!(searched > 0, "nothing was searched");
}

fn search(directory: &Path, except: &Path, secret: &str, searched: &mut usize) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path == except {
            continue;
        }
        if path.is_dir() {
            search(&path, except, secret, searched);
        } else if let Ok(content) = fs::read(&path) {
            *searched += 1;
            for text in [secret, "k8s-aws-v1."] {
                assert!(
                    !content
                        .windows(text.len())
                        .any(|window| window == text.as_bytes()),
                    "{text} stands in {}",
                    path.display()
                );
            }
        }
    }
}

/// Somebody else's AWS and cluster, to which everything around a run points: nobody may knock there.
struct Ambient {
    door: TcpListener,
    kubeconfig: PathBuf,
    profile: PathBuf,
    marker: PathBuf,
}

impl Ambient {
    fn new(world: &World) -> Self {
        let door = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        door.set_nonblocking(true).expect("a listener");
        let place = world.root().join("elsewhere");
        fs::create_dir_all(&place).expect("a directory");
        let marker = place.join("asked");
        let profile = place.join("config");
        let text = format!(
            "[default]\nregion = eu-north-1\ncredential_process = touch {0}\n\
             [profile other]\nregion = eu-north-1\ncredential_process = touch {0}\n",
            marker.display()
        );
        fs::write(&profile, text).expect("a file");
        let ambient = Self {
            kubeconfig: place.join("kubeconfig"),
            door,
            profile,
            marker,
        };
        fs::write(&ambient.kubeconfig, ambient.cluster().to_string()).expect("a file");
        ambient
    }

    fn address(&self) -> String {
        let port = self.door.local_addr().expect("an address").port();
        format!("http://127.0.0.1:{port}")
    }

    fn cluster(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "other",
            "clusters": [{"name": "other", "cluster": {"server": self.address()}}],
            "users": [{"name": "other", "user": {"token": "t"}}],
            "contexts": [{"name": "other", "context": {"cluster": "other", "user": "other"}}],
        })
    }

    fn around<'w>(&self, mut run: Run<'w>) -> Run<'w> {
        for service in ["", "_EC2", "_EKS", "_STS", "_IAM", "_SSM"] {
            run = run.env(&format!("AWS_ENDPOINT_URL{service}"), self.address());
        }
        run.env("AWS_PROFILE", "other")
            .env("AWS_CONFIG_FILE", &self.profile)
            .env("AWS_SHARED_CREDENTIALS_FILE", &self.profile)
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "of-somebody-else")
            .env("AWS_SESSION_TOKEN", "of-somebody-else")
            .env("AWS_REGION", "eu-north-1")
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", self.address())
            .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", self.address())
            .env("PIPECTL_TIME_SCALE", "1")
            .env("HTTP_PROXY", self.address())
            .env("HTTPS_PROXY", self.address())
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("KUBECONFIG", &self.kubeconfig)
    }

    fn assert_untouched(&self) {
        let knocked = self.door.accept();
        assert!(
            knocked
                .as_ref()
                .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
            "somebody else's AWS or cluster was asked: {knocked:?}"
        );
        assert!(!self.marker.exists(), "the ambient profile was consulted");
        let kubeconfig = fs::read_to_string(&self.kubeconfig).expect("the ambient kubeconfig");
        assert_eq!(
            kubeconfig,
            self.cluster().to_string(),
            "the ambient kubeconfig was changed"
        );
    }
}
