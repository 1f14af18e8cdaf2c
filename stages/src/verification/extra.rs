//! Checks of one's own, from the pipeline file, as far as they only read.

use pipectl_config::{ExtraCheckKind, ObjectReadyCheck, PodsReadyCheck};
use serde_json::{Value, json};

use super::{check::Check, look::Look};
use crate::{
    context::StepContext,
    error::{PortErrorKind, StepError},
    health::{condition, pods::selects},
    ports::objects::{Kind, ObjectRef},
};

pub(super) async fn reading(cx: &StepContext, look: &Look) -> Result<Vec<Check>, StepError> {
    let mut checks = Vec::new();
    for extra in &look.loaded.pipeline.spec.verification.extra {
        match &extra.check {
            ExtraCheckKind::ObjectReady(check) => {
                checks.push(object_ready(cx, &extra.name, check).await?);
            }
            ExtraCheckKind::PodsReady(check) => checks.push(pods_ready(look, &extra.name, check)),
            ExtraCheckKind::Http(_) => {}
        }
    }
    Ok(checks)
}

async fn object_ready(
    cx: &StepContext,
    name: &str,
    check: &ObjectReadyCheck,
) -> Result<Check, StepError> {
    let kind = Kind::of(&json!({"apiVersion": check.api_version, "kind": check.kind}));
    let at = ObjectRef {
        kind,
        namespace: check.namespace.clone(),
        name: check.name.clone(),
    };
    let live = match cx.ports.objects.get(&at).await {
        Err(error) if error.kind == PortErrorKind::NotServed => None,
        other => other.map_err(|error| error.during("read", &at))?,
    };
    let found = live
        .as_ref()
        .and_then(|live| condition(live, &check.condition));
    let seen = match (&live, found) {
        (None, _) => "it is not there".to_owned(),
        (_, None) => format!("no condition {}", check.condition),
        (_, Some(found)) => format!("{}={} {}", check.condition, found.status, found.message),
    };
    let namespace = check.namespace.as_ref();
    let in_namespace = namespace.map_or(String::new(), |namespace| format!(" -n {namespace}"));
    Ok(Check::new(
        format!("extra/{name}"),
        name,
        format!("{at}: {}=True", check.condition),
        seen.trim(),
        found.is_some_and(|found| found.is_true()),
    )
    .by(format!(
        "kubectl get {} {}{in_namespace} -o yaml",
        check.kind.to_lowercase(),
        check.name
    )))
}

fn pods_ready(look: &Look, name: &str, check: &PodsReadyCheck) -> Check {
    let selector = json!(check.selector);
    let ready = look
        .pods_in(&check.namespace)
        .filter(|pod: &&Value| {
            selects(&selector, &pod["metadata"]["labels"])
                && condition(pod, "Ready").is_some_and(|ready| ready.is_true())
        })
        .count();
    let labels: Vec<String> = check
        .selector
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    Check::new(
        format!("extra/{name}"),
        name,
        format!("at least {} pods ready", check.count),
        format!("{ready} pods ready"),
        ready >= usize::try_from(check.count).unwrap_or(usize::MAX),
    )
    .by(format!(
        "kubectl get pods -n {} -l {}",
        check.namespace,
        labels.join(",")
    ))
}
