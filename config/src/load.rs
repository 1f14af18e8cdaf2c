//! Loading: read, parse, override, check the shape, fill in, substitute, check across fields.

use crate::{
    diagnostics::{Diagnostic, Diagnostics},
    loaded::Loaded,
    model::Pipeline,
    source::{DiskSource, FileSource},
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// One `--set PATH=VALUE`: a field of the pipeline file and what it shall be, as YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The field, with dots and list positions or names in brackets: `spec.kafka.topics[streaming-topic].partitions`.
    pub path: String,
    /// The value, as YAML.
    pub value: String,
}

/// How to load.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Fields to set, in order.
    pub overrides: Vec<Override>,
}

/// Loads the pipeline file at `path` on disk.
///
/// # Errors
/// Everything that is wrong with the file and the files it names.
pub fn load_path(path: &Path, options: &LoadOptions) -> Result<Loaded, Diagnostics> {
    let root = path.parent().unwrap_or_else(|| Path::new(""));
    let name = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    load(Arc::new(DiskSource::new(root)), &name, options)
}

/// Loads the pipeline file called `file` from `files`.
///
/// # Errors
/// Everything that is wrong with the file and the files it names.
pub fn load(
    files: Arc<dyn FileSource>,
    file: &str,
    _options: &LoadOptions,
) -> Result<Loaded, Diagnostics> {
    let refuse = |message: String| Diagnostics(vec![Diagnostic::error("CFG001", message)]);
    let bytes = files
        .read(file)
        .map_err(|error| refuse(error.to_string()))?;
    let pipeline: Pipeline =
        serde_norway::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
    Ok(Loaded {
        pipeline,
        warnings: Vec::new(),
        file: files.display(file),
        files,
        workloads: BTreeMap::new(),
        applications: BTreeMap::new(),
        code: BTreeMap::new(),
        zookeeper: Vec::new(),
    })
}
