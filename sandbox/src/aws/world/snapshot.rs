//! The graph in a file.

use std::path::Path;

use serde_json::Value;

use super::World;
use crate::error::SandboxError;
use crate::files;

/// The world of that file; none when there is no file.
///
/// # Errors
/// When it can't be read, or was written by another version of the simulator.
pub(crate) fn load(path: &Path) -> Result<Option<World>, SandboxError> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(SandboxError::io("read", path))?,
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| SandboxError::io("understand", path)(std::io::Error::other(error)))
}

/// Write the world; readers of the file see the old or the new.
///
/// # Errors
/// When it can't be written.
pub(crate) fn save(world: &World, path: &Path) -> Result<(), SandboxError> {
    let bytes = serde_json::to_vec(world)
        .map_err(|error| SandboxError::io("write", path)(std::io::Error::other(error)))?;
    files::write_private(path, &bytes)
}

/// A tree without its empty branches; nothing when nothing is left.
pub(crate) fn without_empty(tree: Value) -> Option<Value> {
    match tree {
        Value::Null => None,
        Value::Object(map) => {
            let kept: serde_json::Map<String, Value> = map
                .into_iter()
                .filter_map(|(name, value)| Some((name, without_empty(value)?)))
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let kept: Vec<Value> = items.into_iter().filter_map(without_empty).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        other => Some(other),
    }
}
