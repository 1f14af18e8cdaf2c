//! Trouble in the platform itself: seen early, said in words with evidence, and mended by the next `up`.

use serde_json::Value;

use crate::support::{Outcome, World, tiny};

#[test]
fn pods_that_cannot_run_end_the_wait_with_evidence() {
    let world = World::new();
    let sandbox = world.sandbox("troubled");
    let option = sandbox.option();
    let up = |name: &str, text: &str| {
        let file = world.file(name, text);
        world.events(&["up", &file, &option]).run()
    };

    let error = fails(&up("image.yaml", &tiny("busybox:does-not-exist")), "POD001");
    assert!(says(&error, "busybox:does-not-exist"), "{error:#}");

    // Mended in the file, the same environment comes up.
    up("image.yaml", &tiny("busybox:1")).exits(0);

    for (failure, code) in [("crash", "POD002"), ("oom", "POD004")] {
        let annotated = format!("annotations: {{sandbox.pipectl.dev/fail: {failure}}}");
        let error = fails(
            &up(
                "crash.yaml",
                &tiny("busybox:1").replace("annotations: {}", &annotated),
            ),
            code,
        );
        assert!(says(&error, "web"), "{error:#}");
    }

    // No node is large enough.
    let huge = r#"containers: [{resources: {requests: {memory: "400Gi"}}, name: web"#;
    let error = fails(
        &up(
            "huge.yaml",
            &tiny("busybox:1").replace("containers: [{name: web", huge),
        ),
        "POD003",
    );
    assert!(says(&error, "emory"), "{error:#}");
    up("image.yaml", &tiny("busybox:1")).exits(0);
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
            "  verification:\n    extra:\n      - name: mine\n        check:\n          objectReady: {{apiVersion: apps/v1, kind: Deployment, namespace: tiny, name: {name}, condition: Available}}\n"
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
