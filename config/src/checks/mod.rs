//! Checks across fields: what the shape of each value cannot say.
//!
//! Every check names the sections that it reads. Where the shape check has found something wrong in one of them, the check is
//! left out, since it would report consequences of a finding as findings of their own.

mod clients;
mod duplicates;
mod kafka;
mod names;
mod namespaces;
mod network;
mod objects;
mod secrets;
mod settings;
mod spark;
mod tags;
mod versions;

use crate::{
    diagnostics::Diagnostic,
    manifests::ObjectNode,
    model::Pipeline,
    report::Report,
    yaml::{Node, Path, Segment, Span},
};

/// The objects that manifests and inline lists contain, in the order of the pipeline's own lists.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub workloads: Vec<Vec<ObjectNode>>,
    pub applications: Vec<Vec<ObjectNode>>,
    pub zookeeper: Vec<ObjectNode>,
}

/// What checks look at, and where findings go.
pub(crate) struct Context<'a> {
    pub pipeline: &'a Pipeline,
    pub tree: &'a Node,
    pub objects: &'a Objects,
    pub report: &'a mut Report,
    pub wrong: &'a [Path],
}

impl Context<'_> {
    /// A finding about the value at a path.
    fn at(&mut self, path: &Path, diagnostic: Diagnostic) {
        self.report.push(self.tree.span_at(path), diagnostic);
    }

    /// A finding about the key at a path.
    fn at_key(&mut self, path: &Path, diagnostic: Diagnostic) {
        self.report.push(self.tree.key_span_at(path), diagnostic);
    }

    fn at_span(&mut self, span: Span, diagnostic: Diagnostic) {
        self.report.push(span, diagnostic);
    }

    /// Whether the file itself says something at a path.
    fn is_set(&self, path: &Path) -> bool {
        self.tree.find(path).is_some()
    }

    /// The objects of workloads and applications, with the namespace of those that name none.
    fn owned_objects(&self) -> Vec<(&str, &ObjectNode)> {
        let spec = &self.pipeline.spec;
        let workloads = spec
            .workloads
            .iter()
            .map(|workload| workload.namespace.as_str())
            .zip(&self.objects.workloads);
        let applications = spec
            .spark_applications
            .iter()
            .map(|app| app.namespace.as_str())
            .zip(&self.objects.applications);
        workloads
            .chain(applications)
            .flat_map(|(namespace, objects)| objects.iter().map(move |object| (namespace, object)))
            .collect()
    }
}

type Check = (&'static [&'static str], fn(&mut Context<'_>));

const CHECKS: &[Check] = &[
    (
        &["strimzi", "kafka", "cluster", "provider"],
        versions::check,
    ),
    (&["kafka"], kafka::pools),
    (&["kafka"], kafka::replication),
    (&["kafka"], kafka::listeners),
    (&["kafka"], kafka::topics),
    (&["kafka", "strimzi"], kafka::watched),
    (
        &[
            "kafka",
            "strimzi",
            "sparkOperator",
            "namespaces",
            "nodeGroups",
            "workloads",
            "sparkApplications",
            "secrets",
            "verification",
            "provider",
        ],
        names::check,
    ),
    (&["cluster", "network", "provider"], network::aws),
    (&["cluster", "network"], network::ranges),
    (&["nodeGroups"], network::node_groups),
    (&["network"], duplicates::places),
    (&["tags", "addons", "provider"], tags::check),
    (
        &["provider", "network", "cluster", "addons", "nodeGroups"],
        network::without_effect,
    ),
    (&["namespaces"], namespaces::system),
    (
        &[
            "strimzi",
            "kafka",
            "sparkOperator",
            "namespaces",
            "workloads",
            "sparkApplications",
            "secrets",
            "verification",
        ],
        namespaces::declared,
    ),
    (
        &[
            "kafka",
            "namespaces",
            "nodeGroups",
            "addons",
            "workloads",
            "sparkApplications",
            "sparkOperator",
            "strimzi",
            "secrets",
            "verification",
        ],
        duplicates::check,
    ),
    (&["sparkOperator", "sparkApplications"], spark::watched),
    (&["sparkApplications"], spark::applications),
    (
        &["strimzi", "sparkOperator", "workloads"],
        spark::archived_chart,
    ),
    (&["workloads", "sparkApplications"], objects::check),
    (
        &[
            "kafka",
            "workloads",
            "sparkApplications",
            "strimzi",
            "sparkOperator",
        ],
        clients::check,
    ),
    (
        &["strimzi", "sparkOperator", "workloads"],
        settings::addresses,
    ),
    (&["kafka"], settings::resources),
    (&["timeouts", "verification", "ttl"], settings::waits),
    (&["workloads"], settings::empty_workloads),
    (&[], secrets::check),
];

/// Runs every check whose sections are in order.
pub(crate) fn run(context: &mut Context<'_>) {
    for (sections, check) in CHECKS {
        let concerns = |wrong: &Path| match wrong.segments() {
            [Segment::Key(spec), Segment::Key(section), ..] if spec == "spec" => {
                sections.contains(&section.as_str())
            }
            _ => false,
        };
        if !context.wrong.iter().any(concerns) {
            check(context);
        }
    }
}
