//! Loading from memory.

use pipectl_config::{Diagnostics, LoadOptions, Loaded, load, source::MemorySource};
use std::sync::Arc;

/// A pipeline file with this `spec`, which is indented as it would be in the file.
pub fn file(spec: &str) -> String {
    format!("apiVersion: pipectl.dev/v1\nkind: Pipeline\nmetadata:\n  name: demo\nspec:\n{spec}")
}

/// Loads a pipeline file with other files beside it.
pub fn load_with(text: impl Into<Vec<u8>>, files: &[(&str, &str)]) -> Result<Loaded, Diagnostics> {
    let source = MemorySource::new("").with("pipeline.yaml", text);
    let source = files.iter().fold(source, |source, (path, content)| {
        source.with(*path, *content)
    });
    load(Arc::new(source), "pipeline.yaml", &LoadOptions::default())
}

/// What is wrong with a pipeline file, as a terminal shows it: errors, or else warnings.
pub fn findings_with(text: impl Into<Vec<u8>>, files: &[(&str, &str)]) -> String {
    match load_with(text, files) {
        Ok(loaded) => Diagnostics(loaded.warnings).render(false),
        Err(diagnostics) => diagnostics.render(false),
    }
}

/// What is wrong with a pipeline file that has this `spec`.
pub fn findings(spec: &str) -> String {
    findings_with(file(spec), &[])
}
