//! Versions that go together: Strimzi, Kafka, Kubernetes, ZooKeeper.

use super::Context;
use crate::{
    compat::{
        StrimziRelease, strimzi_has_zookeeper, strimzi_release, strimzi_releases, strimzi_runs_on,
    },
    diagnostics::{Diagnostic, codes},
    model::{Kafka, Provider, Strimzi},
    units::Version,
    yaml::at,
};

pub(super) fn check(context: &mut Context<'_>) {
    let spec = &context.pipeline.spec;
    let Some(strimzi) = &spec.strimzi else { return };
    kubernetes(context, strimzi);
    let Some(kafka) = &spec.kafka else { return };
    zookeeper(context, strimzi, kafka);
    metadata_version(context, kafka);
    match strimzi_release(&strimzi.version) {
        Some(release) if !release.kafka.contains(&kafka.version) => {
            unsupported(context, release, kafka)
        }
        Some(_) => {}
        None => unknown(context, strimzi),
    }
}

fn kubernetes(context: &mut Context<'_>, strimzi: &Strimzi) {
    let spec = &context.pipeline.spec;
    let version = spec.cluster.kubernetes_version;
    // An existing cluster's version is known when it is asked, not before.
    if matches!(spec.provider, Provider::Existing(_)) || strimzi_runs_on(&strimzi.version, version)
    {
        return;
    }
    let message = format!("Strimzi {} fails on Kubernetes {version}", strimzi.version);
    let diagnostic = Diagnostic::error(codes::STRIMZI_KUBERNETES, message)
        .label("0.45.1 or newer runs on 1.33 and newer")
        .help("set strimzi.version to 0.45.1 or newer; 0.45.0 and older cannot read the version answer of Kubernetes 1.33 (strimzi-kafka-operator issue 11386)");
    context.at(&at!["spec", "strimzi", "version"], diagnostic);
}

fn zookeeper(context: &mut Context<'_>, strimzi: &Strimzi, kafka: &Kafka) {
    if !kafka.zookeeper.enabled {
        return;
    }
    if !strimzi_has_zookeeper(&strimzi.version) {
        let message = format!("Strimzi {} cannot use ZooKeeper", strimzi.version);
        let diagnostic = Diagnostic::error(codes::NO_ZOOKEEPER, message)
            .label("impossible since 0.46.0")
            .help("set zookeeper.enabled to false; the node pools' controllers take its place");
        context.at(&at!["spec", "kafka", "zookeeper", "enabled"], diagnostic);
    } else if kafka.zookeeper.manifest.is_none() {
        let diagnostic = Diagnostic::error(
            codes::MISSING_FIELD,
            "'manifest' is missing in spec.kafka.zookeeper",
        );
        context.at(
            &at!["spec", "kafka", "zookeeper", "enabled"],
            diagnostic.help("name the manifest file with ZooKeeper's objects"),
        );
    }
}

fn metadata_version(context: &mut Context<'_>, kafka: &Kafka) {
    let Some(metadata) = &kafka.metadata_version else {
        return;
    };
    let path = at!["spec", "kafka", "metadataVersion"];
    let core = metadata
        .split_once("-IV")
        .map_or(metadata.as_str(), |(core, _)| core);
    let numbers: Option<Vec<u32>> = core.split('.').map(|part| part.parse().ok()).collect();
    match numbers.as_deref() {
        Some([major, minor]) | Some([major, minor, _]) => {
            if (*major, *minor) > (kafka.version.major(), kafka.version.minor()) {
                let message = format!(
                    "Kafka {} cannot run with metadata version {metadata}",
                    kafka.version
                );
                let help = format!(
                    "remove metadataVersion, or set it to {}.{} or older",
                    kafka.version.major(),
                    kafka.version.minor()
                );
                context.at(
                    &path,
                    Diagnostic::error(codes::METADATA_VERSION, message).help(help),
                );
            }
        }
        _ => {
            let message = format!("'{metadata}' is not a metadata version");
            let diagnostic = Diagnostic::error(codes::METADATA_VERSION, message);
            context.at(
                &path,
                diagnostic
                    .help("write it as Kafka does, such as 4.2-IV1 or 4.2; or remove the field"),
            );
        }
    }
}

fn list(versions: &[Version]) -> String {
    versions
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The version that someone who wants `wanted` most likely takes: the newest of the same major version, else the release's default.
fn nearest<'a>(release: &'a StrimziRelease, wanted: &Version) -> &'a Version {
    let same_major = release
        .kafka
        .iter()
        .filter(|version| version.major() == wanted.major());
    same_major.max().unwrap_or(&release.default_kafka)
}

fn unsupported(context: &mut Context<'_>, release: &StrimziRelease, kafka: &Kafka) {
    let kubernetes = context.pipeline.spec.cluster.kubernetes_version;
    let others: Vec<Version> = strimzi_releases()
        .iter()
        .filter(|other| {
            other.kafka.contains(&kafka.version) && strimzi_runs_on(&other.strimzi, kubernetes)
        })
        .map(|other| other.strimzi.clone())
        .collect();
    let mut help = format!("set version to {}", nearest(release, &kafka.version));
    if let Some(newest) = others.last() {
        help += &format!(", or strimzi.version to {newest}");
    }
    let message = format!(
        "Strimzi {} does not support Kafka {}",
        release.strimzi, kafka.version
    );
    let label = format!("supported here: {}", list(&release.kafka));
    let diagnostic = Diagnostic::error(codes::KAFKA_VERSION, message)
        .label(label)
        .help(help);
    context.at(&at!["spec", "kafka", "version"], diagnostic);
}

fn unknown(context: &mut Context<'_>, strimzi: &Strimzi) {
    let known = strimzi_releases();
    let message = format!(
        "pipectl does not know Strimzi {}, nor which Kafka versions it runs",
        strimzi.version
    );
    let label = match (known.first(), known.last()) {
        (Some(first), Some(last)) => format!("known: {} to {}", first.strimzi, last.strimzi),
        _ => "not known".to_owned(),
    };
    context.at(
        &at!["spec", "strimzi", "version"],
        Diagnostic::warning(codes::UNKNOWN_STRIMZI, message).label(label),
    );
}
