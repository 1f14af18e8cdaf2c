//! Loading: read, parse, override, substitute, check the shape, fill in, read what the file names, check across fields.

use crate::{
    checks::{self, Context, Objects},
    diagnostics::{Diagnostic, Diagnostics, Location, codes},
    loaded::Loaded,
    manifests::{ObjectNode, Reader},
    model::{CodeConfigMap, Kafka, Pipeline},
    normalize,
    overrides::{self, Override},
    report::Report,
    schema::{kafka_schema, pipeline_schema},
    secrets::{hide_secrets, literal_secrets},
    shape::check_shape,
    source::{DiskSource, FileSource, SourceError},
    substitute::Substitutions,
    yaml::{Content, Node, Path, SourceText, at, parse_documents},
};
use std::{collections::BTreeMap, sync::Arc};

/// How to load.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Fields to set, in order.
    pub overrides: Vec<Override>,
    /// Whether the platform runs in the sandbox on this machine, whatever the file says; decided before anything that
    /// depends on the provider is filled in or checked. See [`Provider::in_sandbox`](crate::Provider::in_sandbox).
    pub sandbox: bool,
}

/// Loads the pipeline file at `path` on disk.
///
/// # Errors
/// Everything that is wrong with the file and the files it names.
pub fn load_path(path: &std::path::Path, options: &LoadOptions) -> Result<Loaded, Diagnostics> {
    let root = path.parent().unwrap_or_else(|| std::path::Path::new(""));
    let name = path.file_name().map_or_else(
        || ".".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    load(Arc::new(DiskSource::new(root)), &name, options)
}

/// Loads the pipeline file called `file` from `files`.
///
/// # Errors
/// Everything that is wrong with the file and the files it names.
pub fn load(
    files: Arc<dyn FileSource>,
    file: &str,
    options: &LoadOptions,
) -> Result<Loaded, Diagnostics> {
    let text = read_text(files.as_ref(), file)?;
    let name = files.display(file);
    let mut report = Report::default();
    report.add_text(SourceText::new(&name, &text));
    let Some(mut tree) = parse(&text, &mut report) else {
        return Err(report.finish());
    };
    overrides::apply(&mut tree, &options.overrides, &mut report);
    hide_secrets(&tree, &mut report);

    let substitutions = substitute(&mut tree, &mut report);
    let (value, wrong) = check_shape(&tree, pipeline_schema(), &mut report);
    let pipeline = value.and_then(|value| match serde_json::from_value::<Pipeline>(value) {
        Ok(pipeline) => Some(pipeline),
        Err(error) => {
            // The shape check is made from the same types, so that this is a last resort; still a finding and never a panic.
            report.push_whole(0, Diagnostic::error(codes::WRONG_TYPE, error.to_string()));
            None
        }
    });
    let Some(mut pipeline) = pipeline else {
        return Err(report.finish());
    };
    if options.sandbox {
        pipeline.spec.provider = pipeline.spec.provider.in_sandbox();
    }
    normalize::complete(&mut pipeline, &tree);

    let contents = read_contents(
        &pipeline,
        &tree,
        files.as_ref(),
        &substitutions,
        &wrong,
        &mut report,
    );
    checks::run(&mut Context {
        pipeline: &pipeline,
        tree: &tree,
        objects: &contents.objects,
        report: &mut report,
        wrong: &wrong,
    });
    if report.has_errors() {
        return Err(report.finish());
    }
    // Namespaces are made from spec.namespaces alone, so that who deletes them is never in doubt.
    let manifests = |objects: &[ObjectNode]| {
        objects
            .iter()
            .filter(|object| object.kind() != "Namespace")
            .map(ObjectNode::to_manifest)
            .collect::<Vec<_>>()
    };
    let workloads = pipeline
        .spec
        .workloads
        .iter()
        .zip(&contents.objects.workloads);
    let applications = pipeline
        .spec
        .spark_applications
        .iter()
        .zip(&contents.objects.applications);
    let mut literals = literal_secrets(&tree);
    let objects = &contents.objects;
    for object in objects
        .workloads
        .iter()
        .chain(&objects.applications)
        .flatten()
    {
        literals.extend(literal_secrets(&object.node));
    }
    Ok(Loaded {
        literal_secrets: literals
            .into_iter()
            .map(|secret| (secret.name, secret.value))
            .collect(),
        workloads: workloads
            .map(|(workload, objects)| (workload.name.clone(), manifests(objects)))
            .collect(),
        applications: applications
            .map(|(app, objects)| {
                (
                    (app.namespace.clone(), app.name.clone()),
                    manifests(objects),
                )
            })
            .collect(),
        code: contents.code,
        zookeeper: manifests(&contents.objects.zookeeper),
        warnings: report.finish().0,
        file: name,
        pipeline,
        files,
    })
}

fn read_text(files: &dyn FileSource, file: &str) -> Result<String, Diagnostics> {
    let name = files.display(file);
    let refuse = |diagnostic: Diagnostic| Diagnostics(vec![diagnostic.at(Location::file(&name))]);
    let bytes = files.read(file).map_err(|error| {
        refuse(match &error {
            SourceError::Missing => {
                Diagnostic::error(codes::UNREADABLE, format!("there is no file {name}"))
                    .help("check the name; without a file, pipectl takes the built-in blueprint")
            }
            SourceError::IsDirectory => Diagnostic::error(
                codes::IS_DIRECTORY,
                format!("{name} is a directory, not a pipeline file"),
            )
            .help(format!(
                "name the file in it, such as {}/pipeline.yaml",
                name.trim_end_matches('/')
            )),
            SourceError::TooLarge(_) => {
                Diagnostic::error(codes::LIMITS, format!("{name} is not read: {error}"))
                    .help("a pipeline file has some kilobytes; is this the right file?")
            }
            SourceError::NotAFile | SourceError::Io(_) => {
                Diagnostic::error(codes::UNREADABLE, format!("cannot read {name}: {error}"))
            }
        })
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let position = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..position]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        let message = format!("{name} is not UTF-8 text: byte {position}, on line {line}");
        refuse(Diagnostic::error(codes::NOT_TEXT, message).help("save the file as UTF-8"))
    })
}

/// The one document of the file; `None` after a finding that leaves nothing to check.
fn parse(text: &str, report: &mut Report) -> Option<Node> {
    let (documents, errors) = parse_documents(text, 0);
    let fatal = errors
        .iter()
        .any(|error| error.code != codes::DUPLICATE_KEY);
    for error in errors {
        let mut diagnostic = Diagnostic::error(error.code, error.message);
        diagnostic.help = error.help;
        report.push(error.span, diagnostic);
    }
    if fatal {
        return None;
    }
    let mut documents = documents.into_iter().filter(|document| !document.is_null());
    let Some(tree) = documents.next() else {
        let diagnostic = Diagnostic::error(codes::EMPTY, "the pipeline file is empty");
        report.push_whole(0, diagnostic.help("the smallest pipeline has apiVersion: pipectl.dev/v1, kind: Pipeline and metadata: {name: NAME}"));
        return None;
    };
    if let Some(second) = documents.next() {
        let diagnostic = Diagnostic::error(
            codes::SEVERAL_DOCUMENTS,
            "a second document begins here; a pipeline file has one",
        );
        report.push(
            second.own_span(),
            diagnostic.help("put manifests into files of their own and name them in a workload"),
        );
    }
    if !matches!(tree.content, Content::Map(_)) {
        let diagnostic = Diagnostic::error(
            codes::FORMAT,
            format!("a pipeline is a mapping, not {}", tree.describe()),
        );
        report.push(
            tree.own_span(),
            diagnostic.help("begin with apiVersion: pipectl.dev/v1"),
        );
        return None;
    }
    Some(tree)
}

/// Makes the substitutions everywhere but in the `kafka` section, which they come from.
fn substitute(tree: &mut Node, report: &mut Report) -> Substitutions {
    let kafka = tree.find(&at!["spec", "kafka"]).and_then(|node| {
        // Findings about the section come from the check of the whole file.
        let (value, _) = check_shape(node, kafka_schema(), &mut report.scratch());
        serde_json::from_value::<Kafka>(value?).ok()
    });
    let name = tree
        .find(&at!["metadata", "name"])
        .and_then(Node::text)
        .unwrap_or_default()
        .to_owned();
    let substitutions = Substitutions::new(&name, kafka.as_ref());
    let Content::Map(entries) = &mut tree.content else {
        return substitutions;
    };
    for (key, node) in entries {
        match &mut node.content {
            Content::Map(sections) if key.text == "spec" => {
                for (key, node) in sections {
                    if key.text != "kafka" {
                        substitutions.apply(node, report);
                    }
                }
            }
            _ => substitutions.apply(node, report),
        }
    }
    substitutions
}

/// What the files that a pipeline names contain.
#[derive(Default)]
struct Contents {
    objects: Objects,
    code: BTreeMap<(String, String), BTreeMap<String, String>>,
}

fn read_contents(
    pipeline: &Pipeline,
    tree: &Node,
    files: &dyn FileSource,
    substitutions: &Substitutions,
    wrong: &[Path],
    report: &mut Report,
) -> Contents {
    let mut contents = Contents::default();
    let file = report.text_name(0).to_owned();
    let mut reader = Reader {
        files,
        substitutions,
        report,
    };
    // Positions in a list with a wrong item would point at other items.
    let intact = |path: &Path| !wrong.iter().any(|wrong| wrong.starts_with(path));
    let read_objects = |reader: &mut Reader<'_>, base: &Path, manifests: &[String]| {
        let mut objects = Vec::new();
        for (index, manifest) in manifests.iter().enumerate() {
            let span = tree.span_at(&base.key("manifests").index(index));
            objects.extend(reader.objects(manifest, span));
        }
        if let Some(Content::List(items)) = tree
            .find(&base.key("objects"))
            .map(|node| node.content.clone())
        {
            items
                .into_iter()
                .for_each(|item| reader.object(item, &file, &mut objects));
        }
        objects
    };
    let workloads = at!["spec", "workloads"];
    if intact(&workloads) {
        for (index, workload) in pipeline.spec.workloads.iter().enumerate() {
            let base = workloads.index(index);
            let objects = if workload.enabled {
                read_objects(&mut reader, &base, &workload.manifests)
            } else {
                Vec::new()
            };
            contents.objects.workloads.push(objects);
        }
    }
    let applications = at!["spec", "sparkApplications"];
    if intact(&applications) {
        for (index, app) in pipeline.spec.spark_applications.iter().enumerate() {
            let base = applications.index(index);
            contents
                .objects
                .applications
                .push(read_objects(&mut reader, &base, &app.manifests));
            if let Some(code) = &app.code {
                let files = base.key("code").key("files");
                let texts = code.files.iter().enumerate().filter_map(|(index, file)| {
                    let text = reader.text(file, tree.span_at(&files.index(index)))?;
                    Some((CodeConfigMap::key(file).to_owned(), text))
                });
                contents
                    .code
                    .insert((app.namespace.clone(), app.name.clone()), texts.collect());
            }
        }
    }
    if let Some(kafka) = &pipeline.spec.kafka
        && let (true, Some(manifest)) = (kafka.zookeeper.enabled, &kafka.zookeeper.manifest)
    {
        let span = tree.span_at(&at!["spec", "kafka", "zookeeper", "manifest"]);
        contents.objects.zookeeper = reader.objects(manifest, span);
    }
    contents
}
