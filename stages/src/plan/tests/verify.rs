use serde_json::json;

use super::{streaming, world_up};
use crate::{
    findings::{CheckResult, Finding, Verdict},
    plan::up,
    step::Readiness,
    testing::World,
};

fn checks(world: &World) -> Vec<CheckResult> {
    let findings = world.heard.findings.lock().unwrap();
    findings
        .iter()
        .filter_map(|finding| match finding {
            Finding::Check(check) => Some(check.clone()),
            Finding::Absence(_) => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn every_check_passes_or_says_why_it_cannot_be_made() {
    let world = world_up(&streaming(&[])).await;
    let lines: Vec<String> = checks(&world)
        .iter()
        .map(|check| {
            format!(
                "{:?} {}: expected {}, seen {}",
                check.verdict, check.name, check.expected, check.seen
            )
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    for check in checks(&world) {
        assert!(check.command.is_some(), "{}", check.name);
        assert_eq!(
            check.verdict == Verdict::NotCheckable,
            check.seen.starts_with("not checkable here")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_address_in_a_live_client_is_found() {
    let loaded = streaming(&[]);
    let mut world = world_up(&loaded).await;
    world.heard.findings.lock().unwrap().clear();
    world.cluster.edit("Deployment", "was", |was| {
        was["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] =
            json!("wrong-kafka-bootstrap.kafka.svc:9092");
    });
    let steps = up(&loaded);
    let verification = steps
        .iter()
        .find(|step| *step.id() == crate::verification::checks())
        .unwrap();
    world.ensure(verification).await.unwrap();
    let failed: Vec<CheckResult> = checks(&world)
        .into_iter()
        .filter(|check| check.verdict == Verdict::Failed)
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].name, "was → Kafka");
    assert_eq!(failed[0].seen, "wrong-kafka-bootstrap.kafka.svc:9092");
    let Readiness::Failed(error) = world.readiness(verification).await.unwrap() else {
        panic!("verification must fail");
    };
    assert_eq!(error.code, "VER001");
    assert!(error.evidence[0].contains("wrong-kafka-bootstrap"));
}

#[tokio::test(start_paused = true)]
async fn a_missing_executor_and_a_wrong_port_are_found() {
    let loaded = streaming(&[]);
    let mut world = world_up(&loaded).await;
    world.heard.findings.lock().unwrap().clear();
    world.cluster.erase("Pod", "spark-kafka-consumer-exec-2");
    world
        .cluster
        .edit("Service", "was-service-external", |service| {
            service["spec"]["ports"][0]["nodePort"] = json!(30081);
        });
    let steps = up(&loaded);
    let verification = steps
        .iter()
        .find(|step| *step.id() == crate::verification::checks())
        .unwrap();
    world.ensure(verification).await.unwrap();
    let failed: Vec<String> = checks(&world)
        .into_iter()
        .filter(|check| check.verdict == Verdict::Failed)
        .map(|check| check.name)
        .collect();
    assert_eq!(
        failed,
        [
            "service was/was-service-external",
            "executors of spark-kafka-consumer"
        ]
    );
}
