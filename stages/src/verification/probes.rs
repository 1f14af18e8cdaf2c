//! Probes that need a running program: a message produced and consumed, an HTTP request answered.

use std::time::Duration;

use pipectl_config::{ExtraCheckKind, Kafka};
use pipectl_kinds::strimzi::CLUSTER_LABEL;
use serde_json::Value;

use super::{check::Check, look::Look};
use crate::{
    context::StepContext,
    error::{PortError, PortErrorKind},
    findings::Verdict,
    health::{condition, pods::selects},
    ports::{
        objects::ObjectRef,
        probes::{Probe, ProbeOutput},
    },
};

/// Bound of one probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

/// Exit code of a shell that does not know a program (POSIX).
const UNKNOWN_PROGRAM: i32 = 127;

/// Why something cannot be probed.
const SIMULATED: &str = "its pods are simulated, no program runs in them";
const NO_WAY: &str = "there is no way to run a program inside a pod from here";

/// All probes. `changed`: whether anything changed since the last verification; only then messages are written.
pub(super) async fn all(cx: &StepContext, look: &Look, changed: bool) -> Vec<Check> {
    let mut checks = Vec::new();
    let wanted = &look.loaded.pipeline.spec.verification.checks;
    if wanted.produce_consume
        && let Some(kafka) = look.declared_kafka()
    {
        checks.extend(produce_consume(cx, look, kafka, changed).await);
    }
    if wanted.services {
        for page in pages(look) {
            checks.push(http(cx, look, &page).await);
        }
    }
    checks
}

/// Runs a shell command in a pod.
async fn run(cx: &StepContext, pod: &Value, script: String) -> Result<ProbeOutput, PortError> {
    let Some(probes) = cx.ports.objects.probes() else {
        return Err(PortError::new(PortErrorKind::NotServed, "STG004", NO_WAY));
    };
    let probe = Probe {
        pod: ObjectRef::of(pod),
        container: None,
        command: vec!["sh".to_owned(), "-c".to_owned(), script],
        input: None,
        timeout: PROBE_TIMEOUT,
    };
    probes.run(&probe).await
}

fn ready_pods<'a>(look: &'a Look, namespace: &str, selector: &'a Value) -> Option<&'a Value> {
    look.pods_in(namespace).find(|pod| {
        selects(selector, &pod["metadata"]["labels"])
            && condition(pod, "Ready").is_some_and(|ready| ready.is_true())
    })
}

/// A message goes into the first topic from one broker's pod and comes out again.
async fn produce_consume(
    cx: &StepContext,
    look: &Look,
    kafka: &Kafka,
    changed: bool,
) -> Option<Check> {
    let topic = &kafka.topics.first()?.name;
    let (id, title) = (
        "kafka/produce-consume",
        format!("a message goes through topic {topic}"),
    );
    let expected = "the message that was produced is consumed";
    let broker = look.pods_in(&kafka.namespace).find(|pod| {
        let labels = &pod["metadata"]["labels"];
        labels[CLUSTER_LABEL] == kafka.name.as_str()
            && labels["strimzi.io/broker-role"] != "false"
            && labels["strimzi.io/pool-name"].is_string()
            && condition(pod, "Ready").is_some_and(|ready| ready.is_true())
    });
    let Some(broker) = broker else {
        return Some(Check::new(id, title, expected, "no broker is ready", false));
    };
    let name = broker["metadata"]["name"].as_str().unwrap_or_default();
    let bootstrap = kafka.bootstrap_address();
    let by = format!(
        "kubectl exec -n {} {name} -- bin/kafka-console-consumer.sh --bootstrap-server {bootstrap} --topic {topic} --max-messages 1",
        kafka.namespace
    );
    if look.simulated(broker) {
        return Some(Check::open(id, title, expected, SIMULATED).by(by));
    }
    if kafka.client_listener().is_some_and(|listener| listener.tls) {
        let why = "the listener asks for certificates that the broker's tools do not have";
        return Some(Check::open(id, title, expected, why).by(by));
    }
    if !changed && let Some(last) = last_passed(cx, id) {
        // Nothing changed since: a probe that writes is not repeated, its evidence stays.
        return Some(last);
    }
    // The mark is random enough by the run's id; the timestamp bounds what the consumer reads.
    let mark = format!("pipectl-probe-{}", cx.run);
    let script = format!(
        "cd /opt/kafka 2>/dev/null; echo '{mark}' | bin/kafka-console-producer.sh --bootstrap-server {bootstrap} --topic {topic} >/dev/null && \
         bin/kafka-console-consumer.sh --bootstrap-server {bootstrap} --topic {topic} --from-beginning --timeout-ms 15000 2>/dev/null | grep -m1 '{mark}'"
    );
    Some(
        match run(cx, broker, script).await {
            Ok(output) if output.stdout.contains(&mark) => {
                Check::new(id, title, expected, "it was consumed", true)
            }
            Ok(output) => {
                let last = output
                    .stderr
                    .lines()
                    .last()
                    .unwrap_or("nothing was consumed")
                    .to_owned();
                Check::new(id, title, expected, last, false)
            }
            Err(error) if error.kind == PortErrorKind::NotServed => {
                Check::open(id, title, expected, NO_WAY)
            }
            Err(error) => Check::new(id, title, expected, error.cause, false),
        }
        .by(by),
    )
}

/// The recorded result of a check, if it passed.
fn last_passed(cx: &StepContext, id: &str) -> Option<Check> {
    let recorded = cx.recorded()?["checks"].clone();
    let checks: Vec<Check> = serde_json::from_value(recorded).ok()?;
    checks
        .into_iter()
        .find(|check| check.id == id && check.verdict == Verdict::Passed)
}

/// A page that a service should answer.
struct Page {
    id: String,
    title: String,
    namespace: String,
    service: String,
    port: u64,
    path: String,
    status: u16,
}

/// The pages behind the workloads' readiness probes, through the services in front of them, and those of one's own.
fn pages(look: &Look) -> Vec<Page> {
    let mut pages = Vec::new();
    for deployment in &look.deployments {
        let namespace = deployment["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default();
        let template = &deployment["spec"]["template"];
        let containers = template["spec"]["containers"].as_array();
        let path = containers
            .into_iter()
            .flatten()
            .find_map(|container| container["readinessProbe"]["httpGet"]["path"].as_str());
        let service = look.services.iter().find(|service| {
            service["metadata"]["namespace"] == namespace
                && selects(
                    &service["spec"]["selector"],
                    &template["metadata"]["labels"],
                )
        });
        if let (Some(path), Some(service)) = (path, service) {
            let name = service["metadata"]["name"].as_str().unwrap_or_default();
            pages.push(Page {
                id: format!("http/{namespace}/{name}"),
                title: format!("{name} answers {path}"),
                namespace: namespace.to_owned(),
                service: name.to_owned(),
                port: service["spec"]["ports"][0]["port"].as_u64().unwrap_or(80),
                path: path.to_owned(),
                status: 200,
            });
        }
    }
    for extra in &look.loaded.pipeline.spec.verification.extra {
        if let ExtraCheckKind::Http(check) = &extra.check {
            pages.push(Page {
                id: format!("extra/{}", extra.name),
                title: extra.name.clone(),
                namespace: check.namespace.clone(),
                service: check.service.clone(),
                port: u64::from(check.port),
                path: check.path.clone(),
                status: check.status,
            });
        }
    }
    pages
}

/// Asks for a page from inside one of the service's own pods.
async fn http(cx: &StepContext, look: &Look, page: &Page) -> Check {
    let url = format!(
        "http://{}.{}.svc:{}{}",
        page.service, page.namespace, page.port, page.path
    );
    let expected = format!("status {}", page.status);
    let by = format!(
        "kubectl run probe --rm -i --restart=Never --image=curlimages/curl -n {} -- -s -o /dev/null -w '%{{http_code}}' {url}",
        page.namespace
    );
    let service = look
        .services
        .iter()
        .find(|service| super::look::named(service, &page.namespace, &page.service));
    let pod =
        service.and_then(|service| ready_pods(look, &page.namespace, &service["spec"]["selector"]));
    let Some(pod) = pod else {
        let why = "no ready pod behind the service";
        return Check::new(&page.id, &page.title, expected, why, false).by(by);
    };
    if look.simulated(pod) {
        return Check::open(&page.id, &page.title, expected, SIMULATED).by(by);
    }
    let script = format!(
        "if command -v curl >/dev/null; then curl -s -o /dev/null -m 10 -w '%{{http_code}}' '{url}'; \
         elif command -v wget >/dev/null; then wget -q -S -T 10 -O /dev/null '{url}' 2>&1 | sed -n 's/.*HTTP[^ ]* \\([0-9]*\\).*/\\1/p' | tail -1; \
         else exit {UNKNOWN_PROGRAM}; fi"
    );
    match run(cx, pod, script).await {
        Ok(output) if output.exit_code == UNKNOWN_PROGRAM => Check::open(
            &page.id,
            &page.title,
            expected,
            "the image has neither curl nor wget",
        ),
        Ok(output) => {
            let seen = output.stdout.trim();
            let seen = if seen.is_empty() { "no answer" } else { seen };
            Check::equal(&page.id, &page.title, expected, format!("status {seen}"))
        }
        Err(error) if error.kind == PortErrorKind::NotServed => {
            Check::open(&page.id, &page.title, expected, NO_WAY)
        }
        Err(error) => Check::new(&page.id, &page.title, expected, error.cause, false),
    }
    .by(by)
}
