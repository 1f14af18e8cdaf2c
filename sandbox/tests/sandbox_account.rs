//! A sandbox is an AWS account from the start; its own cluster is there when somebody wants it.

#[path = "support/account.rs"]
mod account;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use account::{Account, is_empty};
use pipectl_sandbox::{
    AwsFaultEffect, AwsFaultRule, ClusterBoot, Phase, Program, Sandbox, SandboxStatus,
    StartOptions, Survivor,
};

/// A sandbox in a directory of its own; whatever happens to the test, nothing of it stays.
struct Own {
    sandbox: Sandbox,
    directory: tempfile::TempDir,
}

impl Own {
    fn new(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_pipectl-sandbox"));
        Self {
            sandbox: Sandbox::in_directory(name, directory.path().join(name), program),
            directory,
        }
    }

    fn processes(&self) -> Vec<u32> {
        Account::processes(self.directory.path())
    }

    /// Names of the variables that its users get.
    fn variables(&self, status: &SandboxStatus) -> Vec<String> {
        let variables = self.sandbox.env(status).unwrap();
        variables.into_iter().map(|(name, _)| name).collect()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        for pid in self.processes() {
            Account::kill(pid);
        }
    }
}

fn without_cluster() -> StartOptions {
    StartOptions {
        cluster: false,
        ..StartOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_without_a_cluster_gets_one_when_somebody_wants_it() {
    let own = Own::new("later");
    let sandbox = &own.sandbox;
    let started = sandbox.start(&without_cluster(), &|_| {}).await.unwrap();
    assert_eq!(started.phase, Phase::Running);
    assert_eq!(started.cluster, None);
    assert_eq!(started.components().count(), 0);
    assert_eq!(own.processes().len(), 1, "the supervisor alone");
    let settings = sandbox.settings(&started).unwrap();
    assert_eq!(settings.cluster, None);
    assert_eq!(settings.aws.time_scale, 60);
    let shown = format!("{settings:?}");
    assert!(!shown.contains(&settings.aws.secret_access_key), "{shown}");
    let variables = own.variables(&started);
    assert!(!variables.contains(&"KUBECONFIG".to_owned()));
    for needed in ["AWS_ENDPOINT_URL", "AWS_CONFIG_FILE", "PIPECTL_TIME_SCALE"] {
        assert!(variables.contains(&needed.to_owned()), "{variables:?}");
    }

    let options = StartOptions {
        nodes: 2,
        ..StartOptions::default()
    };
    let none = |_| {};
    let (one, two) = tokio::join!(
        sandbox.ensure_cluster(&options, &none),
        sandbox.ensure_cluster(&options, &none)
    );
    let (one, two) = (one.unwrap().cluster.unwrap(), two.unwrap().cluster.unwrap());
    assert_eq!(one.api, two.api);
    assert_eq!(one.nodes, 2);
    assert_eq!(one.components.len(), 5);
    let guards = |cluster: &pipectl_sandbox::ClusterStatus| {
        let components = cluster.components.iter();
        components
            .map(|component| component.guard_pid)
            .collect::<Vec<_>>()
    };
    assert_eq!(guards(&one), guards(&two), "one boot serves both");
    let status = sandbox.status().await.unwrap().unwrap();
    assert_eq!(status.pid, started.pid);
    assert!(own.variables(&status).contains(&"KUBECONFIG".to_owned()));
    let entrance = sandbox.settings(&status).unwrap().cluster.unwrap();
    assert_eq!(entrance.kubeconfig, sandbox.kubeconfig_path());
    assert!(entrance.kubeconfig.exists());

    assert!(sandbox.stop().await.unwrap());
    assert_eq!(own.processes(), Vec::<u32>::new());
    // Its kubeconfig is in somebody's hands now.
    let again = sandbox.last_options().unwrap();
    assert!(again.cluster);
    let again = sandbox.start(&again, &|_| {}).await.unwrap();
    let cluster = again.cluster.unwrap();
    assert_eq!((cluster.api, cluster.nodes), (one.api, 2));
    assert!(sandbox.stop().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_names_and_kills_what_does_not_end() {
    let own = Own::new("stuck");
    let sandbox = &own.sandbox;
    let layout = sandbox.layout();
    std::fs::create_dir_all(layout.logs()).unwrap();
    // As a component: it holds its log, and its command line names the sandbox's directory. It waits for input for ever.
    let log = std::fs::File::create(layout.log("etcd")).unwrap();
    log.lock_shared().unwrap();
    let mut stuck = std::process::Command::new("cat")
        .arg0("etcd")
        .arg("-")
        .arg(layout.data())
        .stdin(Stdio::piped())
        .stdout(log)
        .spawn()
        .unwrap();
    // Somebody else's, who only looks at the sandbox's files.
    let mut other = std::process::Command::new("cat")
        .arg("-")
        .arg(layout.data())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let killed = std::sync::Mutex::new(Vec::new());
    let told = |survivor: &Survivor| killed.lock().unwrap().push(survivor.clone());
    assert!(sandbox.stop_with(&told).await.unwrap());
    let killed = killed.into_inner().unwrap();
    let expected = Survivor {
        program: "etcd".to_owned(),
        pid: stuck.id(),
    };
    assert_eq!(killed, [expected]);
    assert!(!stuck.wait().unwrap().success());
    assert_eq!(other.try_wait().unwrap(), None, "it is left alone");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_cannot_be_kept_running_leaves_the_account_alone() {
    let own = Own::new("fails");
    let sandbox = &own.sandbox;
    let options = StartOptions::default();
    let started = sandbox.start(&options, &|_| {}).await.unwrap();
    let status = async || sandbox.status().await.unwrap().unwrap();
    let component = |status: &SandboxStatus| {
        let cluster = status.cluster.clone()?;
        let mut all = cluster.components.into_iter();
        all.find(|component| component.program == Program::Kwok)
    };
    Account::until("the cluster is given up", async || {
        let now = status().await;
        if let Some(guard) = component(&now).and_then(|component| component.guard_pid) {
            let children = format!("/proc/{guard}/task/{guard}/children");
            let children = std::fs::read_to_string(children).unwrap_or_default();
            for pid in children.split_whitespace() {
                Account::kill(pid.parse().unwrap());
            }
        }
        matches!(now.cluster_boot, Some(ClusterBoot::Failed(_)))
    })
    .await;
    let now = status().await;
    assert_eq!((now.pid, now.phase), (started.pid, Phase::Running));
    assert!(now.cluster.is_none() && now.aws == started.aws);
    sandbox.inspect_aws().await.unwrap();
    let again = sandbox.ensure_cluster(&options, &|_| {}).await.unwrap();
    assert_eq!(again.cluster.unwrap().api, started.cluster.unwrap().api);
    assert!(sandbox.stop().await.unwrap());
    assert_eq!(own.processes(), Vec::<u32>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_faults_strike_and_a_reset_leaves_nothing_but_the_key() {
    let Some(account) = Account::new("counted") else {
        return;
    };
    account.start().await;
    let sandbox = &account.sandbox;
    account.client("account.py", &["empty", "make"]).await;
    let calls = sandbox.aws_calls().await.unwrap();
    let made = calls
        .iter()
        .find(|call| call.action == "CreateVpc")
        .unwrap();
    assert!(made.mutating && made.calls == 1 && made.failed == 0);
    assert!(made.agent.starts_with("Boto3/"), "{made:?}");
    sandbox.reset_aws_calls().await.unwrap();
    assert!(sandbox.aws_calls().await.unwrap().is_empty());

    let rule = AwsFaultRule {
        service: Some("ec2".to_owned()),
        action: Some("CreateVpc".to_owned()),
        count: Some(1),
        effect: AwsFaultEffect::Error {
            code: "UnauthorizedOperation".to_owned(),
            message: "not today".to_owned(),
            status: Some(403),
        },
        ..AwsFaultRule::default()
    };
    sandbox.set_aws_faults(&[rule]).await.unwrap();
    account.client("account.py", &["denied"]).await;
    assert_eq!(sandbox.aws_faults().await.unwrap()[0].hits, 1);
    sandbox.set_aws_faults(&[]).await.unwrap();
    assert!(sandbox.aws_faults().await.unwrap().is_empty());

    let before = account.status().await.aws;
    assert!(!is_empty(&sandbox.inspect_aws().await.unwrap()));
    assert!(sandbox.reset().await.unwrap());
    account.start().await;
    assert_eq!(
        account.status().await.aws,
        before,
        "what was handed out stays right"
    );
    assert!(is_empty(&sandbox.inspect_aws().await.unwrap()));
    account.client("account.py", &["empty"]).await;
}
