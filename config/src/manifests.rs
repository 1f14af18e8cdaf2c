//! Reads what a pipeline names: manifest files, directories of them, program files.

use crate::{
    diagnostics::{Diagnostic, codes},
    loaded::ManifestObject,
    report::Report,
    secrets::hide_secrets,
    source::{FileSource, SourceError},
    substitute::Substitutions,
    yaml::{Content, Node, SourceText, Span, parse_documents, to_json},
};
use serde_json::Value;

/// A Kubernetes object with its places, for checks.
#[derive(Debug)]
pub(crate) struct ObjectNode {
    pub node: Node,
    /// The span to mark when the object as a whole is meant.
    pub span: Span,
    /// The file it stands in.
    pub file: String,
}

impl ObjectNode {
    pub(crate) fn field(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(&self.node, |node, key| node.get(key))
    }

    pub(crate) fn text(&self, path: &[&str]) -> Option<&str> {
        self.field(path)?.text()
    }

    pub(crate) fn kind(&self) -> &str {
        self.text(&["kind"]).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        self.text(&["metadata", "name"]).unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.text(&["metadata", "namespace"])
    }

    pub(crate) fn to_manifest(&self) -> ManifestObject {
        let object = match to_json(&self.node) {
            Value::Object(object) => object,
            _ => Default::default(),
        };
        ManifestObject {
            object,
            file: self.file.clone(),
            line: self.span.line,
        }
    }
}

/// Reads files that a pipeline names.
pub(crate) struct Reader<'a> {
    pub files: &'a dyn FileSource,
    pub substitutions: &'a Substitutions,
    pub report: &'a mut Report,
}

impl Reader<'_> {
    fn unreadable(&mut self, path: &str, span: Span, error: &SourceError) {
        let message = format!("cannot read {}: {error}", self.files.display(path));
        let help = match error {
            SourceError::Missing => "paths are relative to the pipeline file",
            SourceError::IsDirectory => "name the file in the directory",
            _ => "check the file",
        };
        self.report.push(
            span,
            Diagnostic::error(codes::MANIFEST_UNREADABLE, message).help(help),
        );
    }

    /// The text of a file, or a finding at the place that names it.
    pub(crate) fn text(&mut self, path: &str, span: Span) -> Option<String> {
        match self.files.read(path) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Some(text),
                Err(error) => {
                    let position = error.utf8_error().valid_up_to();
                    let message = format!(
                        "{} is not UTF-8 text (byte {position})",
                        self.files.display(path)
                    );
                    self.report
                        .push(span, Diagnostic::error(codes::NOT_TEXT, message));
                    None
                }
            },
            Err(error) => {
                self.unreadable(path, span, &error);
                None
            }
        }
    }

    /// The objects of a manifest file, or of all manifest files of a directory in the order of their names.
    pub(crate) fn objects(&mut self, path: &str, span: Span) -> Vec<ObjectNode> {
        match self.files.list(path) {
            Ok(Some(names)) => {
                let manifests: Vec<String> = names
                    .into_iter()
                    .filter(|name| {
                        [".yaml", ".yml", ".json"]
                            .iter()
                            .any(|ending| name.ends_with(ending))
                    })
                    .map(|name| format!("{}/{name}", path.trim_end_matches('/')))
                    .collect();
                if manifests.is_empty() {
                    let message = format!(
                        "{} has no .yaml, .yml or .json files",
                        self.files.display(path)
                    );
                    self.report
                        .push(span, Diagnostic::error(codes::MANIFEST_UNREADABLE, message));
                }
                manifests
                    .iter()
                    .flat_map(|path| self.file_objects(path, span))
                    .collect()
            }
            Ok(None) => self.file_objects(path, span),
            Err(error) => {
                self.unreadable(path, span, &error);
                Vec::new()
            }
        }
    }

    fn file_objects(&mut self, path: &str, span: Span) -> Vec<ObjectNode> {
        let Some(text) = self.text(path, span) else {
            return Vec::new();
        };
        let file = self.files.display(path);
        let number = self.report.add_text(SourceText::new(&file, &text));
        let (documents, errors) = parse_documents(&text, number);
        for error in errors {
            let mut diagnostic = Diagnostic::error(error.code, error.message);
            diagnostic.help = error.help;
            self.report.push(error.span, diagnostic);
        }
        let mut objects = Vec::new();
        for mut document in documents {
            hide_secrets(&document, self.report);
            self.substitutions.apply(&mut document, self.report);
            // An empty document is what a stray separator makes.
            if !document.is_null() {
                self.object(document, &file, &mut objects);
            }
        }
        objects
    }

    /// Takes an object in, or the items of a list; what is no object is a finding.
    pub(crate) fn object(&mut self, node: Node, file: &str, objects: &mut Vec<ObjectNode>) {
        let span = node.own_span();
        let object = ObjectNode {
            node,
            span,
            file: file.to_owned(),
        };
        if object.kind() == "List"
            && let Some((_, items)) = object.node.entry("items")
            && let Content::List(items) = items.content.clone()
        {
            items
                .into_iter()
                .for_each(|item| self.object(item, file, objects));
            return;
        }
        if !matches!(object.node.content, Content::Map(_)) {
            let message = format!(
                "a Kubernetes object is expected here, not {}",
                object.node.describe()
            );
            self.report
                .push(span, Diagnostic::error(codes::NOT_AN_OBJECT, message));
            return;
        }
        let fields: [&[&str]; 3] = [&["apiVersion"], &["kind"], &["metadata", "name"]];
        let missing: Vec<String> = fields
            .iter()
            .filter(|path| object.text(path).is_none_or(str::is_empty))
            .map(|path| path.join("."))
            .collect();
        if missing.is_empty() {
            objects.push(object);
        } else {
            let what = match object.kind() {
                "" => "this document".to_owned(),
                kind => format!("this {kind}"),
            };
            let message = format!("{what} has no {}", missing.join(" and no "));
            let help = if object.field(&["metadata", "generateName"]).is_some() {
                "give it a name instead of generateName, so that it can be found again".to_owned()
            } else if missing.len() < fields.len() {
                format!("add {}", missing.join(" and "))
            } else {
                "every document of a manifest is a Kubernetes object; remove what is not".to_owned()
            };
            self.report.push(
                span,
                Diagnostic::error(codes::NOT_AN_OBJECT, message).help(help),
            );
        }
    }
}
