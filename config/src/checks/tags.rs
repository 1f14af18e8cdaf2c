//! Tags that AWS refuses, or that pipectl and others set themselves.

use super::Context;
use crate::{
    diagnostics::{Diagnostic, codes},
    model::{Addon, AddonName, JsonObject, Provider},
    yaml::{Path, at},
};
use serde_json::Value;
use std::collections::HashMap;

/// The longest key and value, in characters (IAM API reference: `Tag`; the same for EC2, EKS, KMS and Systems Manager).
const KEY: usize = 128;
const VALUE: usize = 256;
/// How many tags of the pipeline's own every resource has room for. AWS takes 50 (Tagging AWS resources: tag naming limits and
/// requirements; IAM user guide: IAM and STS quotas). A claim's volume gets two of pipectl's and up to eight of the CSI
/// driver's (aws-ebs-csi-driver: `docs/tagging.md`), a subnet eight of pipectl's, everything else fewer.
const MOST: usize = 40;
/// Keys that pipectl sets, without case: keys of IAM roles differ by more than that (IAM user guide: case sensitivity of tags).
const OWN: [&str; 1] = ["name"];
/// What pipectl's own keys begin with, and those by which EKS and controllers in the cluster know what is theirs; the CSI
/// driver does not start when it is told to set one of the latter (aws-ebs-csi-driver: `validateExtraTags`).
const OWN_PREFIXES: [(&str, &str); 3] = [
    ("pipectl.dev/", "pipectl"),
    ("kubernetes.io", "Kubernetes"),
    ("eks:", "EKS"),
];
/// Keys of the CSI driver's own (aws-ebs-csi-driver: `validateExtraTags`).
const OF_VOLUMES: [&str; 3] = [
    "csivolumename",
    "csivolumesnapshotname",
    "ebs.csi.aws.com/cluster",
];
const CHARACTERS: &str = "AWS takes letters, digits, spaces and _ . : / = + - @";

/// Whether every service takes a character in a tag (IAM API reference, `Tag`: `[\p{L}\p{Z}\p{N}_.:/=+\-@]`; EC2 takes more).
fn is_taken(character: char) -> bool {
    let separator = character.is_whitespace() && !character.is_control();
    character.is_alphanumeric() || separator || "_.:/=+-@".contains(character)
}

/// What is wrong with a key: the sentence, and what to do.
fn key_problem(key: &str, volumes: bool) -> Option<(String, String)> {
    let plain = key.to_lowercase();
    let length = key.chars().count();
    if key.is_empty() {
        let help = format!("AWS takes keys of 1 to {KEY} characters");
        return Some(("a tag has no key".to_owned(), help));
    }
    if length > KEY {
        let help = format!("AWS takes keys of at most {KEY} characters");
        return Some((format!("a tag's key has {length} characters"), help));
    }
    if plain.starts_with("aws:") {
        let help = "use another key; what begins with aws: AWS alone can set".to_owned();
        return Some((format!("AWS refuses the tag '{key}'"), help));
    }
    if let Some(bad) = key.chars().find(|character| !is_taken(*character)) {
        let message = format!("AWS refuses '{bad}' in the tag '{key}'");
        return Some((message, CHARACTERS.to_owned()));
    }
    let prefix = OWN_PREFIXES
        .iter()
        .find(|(prefix, _)| plain.starts_with(prefix));
    let owner = match prefix {
        Some((_, owner)) => Some(*owner),
        None if OWN.contains(&plain.as_str()) => Some("pipectl"),
        None if volumes && OF_VOLUMES.contains(&plain.as_str()) => Some("the EBS CSI driver"),
        None => None,
    };
    if let Some(owner) = owner {
        let message = format!("the tag '{key}' is set by {owner}");
        return Some((message, "use another key".to_owned()));
    }
    if volumes && key.contains('=') {
        let help =
            "the EBS CSI driver is told its tags as KEY=VALUE; leave '=' out of the key".to_owned();
        return Some((format!("volumes cannot have the tag '{key}'"), help));
    }
    None
}

fn value_problem(key: &str, value: &str) -> Option<(String, String)> {
    let length = value.chars().count();
    if length > VALUE {
        let message = format!("the value of the tag '{key}' has {length} characters");
        return Some((message, format!("AWS takes at most {VALUE}")));
    }
    if let Some(bad) = value.chars().find(|character| !is_taken(*character)) {
        let message = format!("AWS refuses '{bad}' in the value of the tag '{key}'");
        return Some((message, CHARACTERS.to_owned()));
    }
    None
}

fn refused((message, help): (String, String)) -> Diagnostic {
    Diagnostic::error(codes::AWS_NAME, message).help(help)
}

/// Tags of one list: each by itself, and keys that differ in their case alone.
fn list<'a>(
    context: &mut Context<'_>,
    base: &Path,
    tags: impl Iterator<Item = (&'a String, &'a str)>,
    volumes: bool,
) {
    let mut seen: HashMap<String, &str> = HashMap::new();
    // What stands for nothing is still there, and was told already.
    let left = context.report.has(codes::UNKNOWN_SUBSTITUTION);
    for (key, value) in tags {
        let path = base.key(key);
        if let Some(problem) = key_problem(key, volumes) {
            context.at_key(&path, refused(problem));
        } else if let Some(first) = seen.insert(key.to_lowercase(), key) {
            let message = format!("the tags '{first}' and '{key}' differ in their case alone");
            let help = "remove one; IAM takes them for the same key".to_owned();
            context.at_key(&path, refused((message, help)));
        }
        if left && value.contains("${") {
            continue;
        }
        if let Some(problem) = value_problem(key, value) {
            context.at(&path, refused(problem));
        }
    }
}

pub(super) fn check(context: &mut Context<'_>) {
    let spec = &context.pipeline.spec;
    if !matches!(spec.provider, Provider::Eks(_)) {
        return;
    }
    let base = at!["spec", "tags"];
    let is_driver = |addon: &Addon| addon.name == AddonName::AwsEbsCsiDriver;
    let tags = spec.tags.iter().map(|(key, value)| (key, value.as_str()));
    list(context, &base, tags, spec.addons.iter().any(is_driver));
    if spec.tags.len() > MOST {
        too_many(context, &base, spec.tags.len());
    }
    for (index, addon) in spec.addons.iter().enumerate() {
        if is_driver(addon) {
            let path = at!["spec", "addons", index, "configuration"];
            of_volumes(context, &path, &addon.configuration);
        }
    }
}

fn too_many(context: &mut Context<'_>, path: &Path, count: usize) {
    let message = format!("{count} tags are more than every resource has room for");
    let help = format!(
        "keep at most {MOST}; AWS takes 50, of which up to ten are set by pipectl and the EBS CSI driver"
    );
    context.at_key(path, refused((message, help)));
}

/// Tags that the EBS CSI driver is told to set on volumes beside those of the pipeline.
fn of_volumes(context: &mut Context<'_>, configuration: &Path, settings: &JsonObject) {
    let mut no_mapping = |path: &Path| {
        let message = format!("'{path}' takes a mapping");
        let finding = Diagnostic::error(codes::WRONG_TYPE, message);
        context.at_key(path, finding.help("pipectl adds the tags of volumes there"));
    };
    let path = configuration.key("controller");
    let controller = match settings.get("controller") {
        None => return,
        Some(Value::Object(controller)) => controller,
        Some(_) => return no_mapping(&path),
    };
    let path = path.key("extraVolumeTags");
    let tags = match controller.get("extraVolumeTags") {
        None => return,
        Some(Value::Object(tags)) => tags,
        Some(_) => return no_mapping(&path),
    };
    let texts = || {
        tags.iter()
            .filter_map(|(key, value)| Some((key, value.as_str()?)))
    };
    for (key, _) in tags.iter().filter(|(_, value)| !value.is_string()) {
        let message = format!("the value of the tag '{key}' is no text");
        let finding = Diagnostic::error(codes::WRONG_TYPE, message).help("put it in quotes");
        context.at_key(&path.key(key), finding);
    }
    list(context, &path, texts(), true);
    let pipeline = &context.pipeline.spec.tags;
    for (key, value) in texts() {
        if let Some(other) = pipeline.get(key).filter(|other| *other != value) {
            let message = format!("the tag '{key}' is '{other}' in spec.tags and '{value}' here");
            let help = "remove one; volumes get the tags of the pipeline, too".to_owned();
            context.at_key(&path.key(key), refused((message, help)));
        }
    }
    let all = pipeline.len()
        + tags
            .keys()
            .filter(|key| !pipeline.contains_key(*key))
            .count();
    if all > MOST && pipeline.len() <= MOST {
        too_many(context, &path, all);
    }
}

#[cfg(test)]
mod tests {
    use super::{key_problem, value_problem};

    #[test]
    fn keys_that_every_service_takes() {
        for key in [
            "team",
            "Cost Center",
            "équipe",
            "a/b:c+d-e@f",
            &"k".repeat(128),
        ] {
            assert_eq!(key_problem(key, true), None, "{key}");
        }
        assert_eq!(key_problem("a=b", false), None);
        for key in [
            "",
            &"k".repeat(129),
            "aws:team",
            "AWS:team",
            "a*b",
            "a\tb",
            "name",
            "pipectl.dev/made",
            "kubernetes.io/cluster/x",
            "eks:cluster-name",
            "CSIVolumeName",
            "a=b",
        ] {
            assert!(key_problem(key, true).is_some(), "{key}");
        }
    }

    #[test]
    fn values_that_every_service_takes() {
        for value in ["", "a=b", "1 2", &"ü".repeat(256)] {
            assert_eq!(value_problem("key", value), None, "{value}");
        }
        for value in ["a,b", "a\nb", "#1", &"v".repeat(257)] {
            assert!(value_problem("key", value).is_some(), "{value}");
        }
    }
}
