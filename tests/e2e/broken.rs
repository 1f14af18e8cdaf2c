//! Trouble in the platform itself: seen early, said in words with evidence, and mended by the next `up`.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Outcome, World, tiny, tiny_named};

/// How long a run may take that gives a pod its time before it fails.
const LONG: Duration = Duration::from_secs(240);

/// All four at the same time, since each is given the time that a real registry, node or start-up may need.
#[test]
fn pods_that_cannot_run_end_the_wait_with_evidence() {
    let world = World::new();
    let sandbox = world.sandbox("troubled");
    let option = sandbox.option();
    let file = |name: &str, text: &str| world.file(&format!("{name}.yaml"), text);
    let failing = |name: &str, how: &str| {
        // Without a probe a pod counts as ready as soon as it runs, and crashes after that.
        let probed = "containers: [{readinessProbe: {tcpSocket: {port: 80}, initialDelaySeconds: 60}, name: web";
        let annotated = format!("annotations: {{sandbox.pipectl.dev/fail: {how}}}");
        let text = tiny_named(name, "busybox:1")
            .replace("annotations: {}", &annotated)
            .replace("containers: [{name: web", probed);
        file(name, &text)
    };
    let image = file("image", &tiny_named("image", "busybox:does-not-exist"));
    let crash = failing("crash", "crash");
    let oom = failing("oom", "oom");
    let huge = r#"containers: [{resources: {requests: {memory: "400Gi"}}, name: web"#;
    let huge = tiny_named("huge", "busybox:1").replace("containers: [{name: web", huge);
    let huge = file("huge", &huge);
    let up = |file: &str| {
        let run = world.events(&["up", file, &option]);
        run.limit(LONG).run()
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let error = fails(&up(&image), "POD001");
            assert!(says(&error, "busybox:does-not-exist"), "{error:#}");
            // Mended in the file, the same environment comes up.
            file("image", &tiny_named("image", "busybox:1"));
            up(&image).exits(0);
        });
        scope.spawn(|| assert!(says(&fails(&up(&crash), "POD002"), "web")));
        scope.spawn(|| assert!(says(&fails(&up(&oom), "POD004"), "web")));
        // No node is large enough, which new nodes may change for minutes; what is waited for is said at once.
        let mut run = world.events(&["up", &huge, &option]).start();
        run.until_event("the lack of memory", |event| {
            event["type"] == "step_waits"
                && event["waiting_for"]
                    .to_string()
                    .contains("no node takes it")
                && event["waiting_for"].to_string().contains("emory")
        });
        run.signal(Signal::INT);
        run.wait().exits(130);
    });
}

#[test]
fn what_the_api_refuses_is_said_and_the_rest_goes_on() {
    let world = World::new();
    let sandbox = world.sandbox("refusing");
    let cluster = sandbox.cluster();
    // A second workload that is right, beside one whose deployment the API cannot take.
    let text = tiny("busybox:1").replace(
        "selector: {matchLabels: {app: web}}",
        "selector: {matchLabels: {app: other}}",
    ) + "    - name: well\n      namespace: tiny\n      objects:\n        - apiVersion: v1\n          kind: ConfigMap\n          metadata: {name: well}\n";
    let file = world.file("refused.yaml", &text);
    let up = world.events(&["up", &file, &sandbox.option()]).exits(1);
    let error = fails(&up, "K8S014");
    assert_eq!(error["resource"], "Deployment tiny/web", "{error:#}");
    assert!(
        says(&error, "selector"),
        "the field that is wrong: {error:#}"
    );
    assert!(error["hint"].is_string(), "{error:#}");
    assert!(
        up.events()
            .steps("step_ready")
            .iter()
            .any(|step| step == "workloads/well"),
        "{}",
        up.described()
    );
    assert!(
        cluster
            .get(crate::support::Kind::CONFIG_MAP, "tiny", "well")
            .is_some()
    );

    let mended = world.file("refused.yaml", &tiny("busybox:1"));
    world.events(&["up", &mended, &sandbox.option()]).exits(0);
    // What the pipeline names no more is gone.
    assert!(
        cluster
            .get(crate::support::Kind::CONFIG_MAP, "tiny", "well")
            .is_none()
    );
}

#[test]
fn a_platform_that_stands_and_is_not_right_is_not_verified() {
    let world = World::new();
    let sandbox = world.sandbox("unverified");
    let checks = |name: &str| {
        format!(
            "  verification:\n    timeout: 5s\n    extra:\n      - name: mine\n        check:\n          objectReady: {{apiVersion: apps/v1, kind: Deployment, namespace: tiny, name: {name}, condition: Available}}\n"
        )
    };
    let file = world.file("tiny.yaml", &(tiny("busybox:1") + &checks("nobody")));
    let up = world.events(&["up", &file, &sandbox.option()]).exits(4);
    let events = up.events();
    assert!(
        events.failures().iter().any(|(_, code)| code == "VER001"),
        "{}",
        up.described()
    );
    let check = events
        .of("verification_result")
        .find(|event| event["check"]["name"] == "mine")
        .expect("the check");
    assert_eq!(check["check"]["verdict"], "failed");
    for part in ["expected", "seen", "command"] {
        assert!(
            check["check"][part]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{part}: {check:#}"
        );
    }
    let file = world.file("tiny.yaml", &(tiny("busybox:1") + &checks("web")));
    world.events(&["up", &file, &sandbox.option()]).exits(0);
}

/// The error by which the workload failed.
#[track_caller]
fn fails(up: &Outcome, code: &str) -> Value {
    assert_eq!(up.code(), 1, "{}", up.described());
    let events = up.events();
    let error = events.error_of("workloads/web");
    assert_eq!(error["code"], code, "{}", up.described());
    assert!(
        !error["cause"].as_str().unwrap_or_default().is_empty(),
        "{error:#}"
    );
    assert!(error["hint"].is_string(), "{error:#}");
    assert!(
        events
            .steps("step_withheld")
            .iter()
            .any(|step| step == "verification/checks"),
        "{}",
        up.described()
    );
    error
}

/// Whether cause or evidence has these words.
fn says(error: &Value, words: &str) -> bool {
    error["cause"].to_string().contains(words) || error["evidence"].to_string().contains(words)
}
