//! Blueprints: complete example pipelines with their manifests, part of the program.

use crate::{
    diagnostics::Diagnostics,
    load::{LoadOptions, load},
    loaded::Loaded,
    source::MemorySource,
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The pipeline file of every blueprint.
const PIPELINE_FILE: &str = "pipeline.yaml";

/// A complete example pipeline with its manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blueprint {
    /// The blueprint's name.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub description: &'static str,
    files: &'static [(&'static str, &'static str)],
}

/// Lists a blueprint's files; a test holds the list against the directory.
macro_rules! files {
    ($directory:literal: $($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../blueprints/", $directory, "/", $file)))),*]
    };
}

const BLUEPRINTS: &[Blueprint] = &[Blueprint {
    name: "streaming",
    description: "A web application and a log generator write to Kafka; Spark Structured Streaming reads from there",
    files: files!("streaming":
        "pipeline.yaml",
        "code/user_activity_streaming.py",
        "manifests/log-generator.yaml",
        "manifests/spark-serviceaccount.yaml",
        "manifests/was-deployment.yaml",
        "manifests/was-service-external.yaml",
        "manifests/zookeeper.yaml",
    ),
}];

impl Blueprint {
    /// Every blueprint.
    pub fn list() -> &'static [Self] {
        BLUEPRINTS
    }

    /// The blueprint of this name.
    pub fn get(name: &str) -> Option<&'static Self> {
        BLUEPRINTS.iter().find(|blueprint| blueprint.name == name)
    }

    /// The blueprint's files: path and content.
    pub fn files(&self) -> &'static [(&'static str, &'static str)] {
        self.files
    }

    /// The blueprint's pipeline file.
    pub fn pipeline_file(&self) -> &'static str {
        self.files
            .iter()
            .find(|(path, _)| *path == PIPELINE_FILE)
            .map_or("", |(_, content)| content)
    }

    /// The blueprint's files as a place to load from.
    pub fn source(&self) -> MemorySource {
        let empty = MemorySource::new(format!("blueprint {}: ", self.name));
        self.files.iter().fold(empty, |source, (path, content)| {
            source.with(*path, *content)
        })
    }

    /// Loads the blueprint like a file on disk.
    ///
    /// # Errors
    /// What is wrong with the overrides; without any, a blueprint has no errors.
    pub fn load(&self, options: &LoadOptions) -> Result<Loaded, Diagnostics> {
        load(Arc::new(self.source()), PIPELINE_FILE, options)
    }

    /// Writes the blueprint's files below `directory`, which is created, and returns their paths. A file that exists already is
    /// never overwritten.
    ///
    /// # Errors
    /// What the system refuses; [`io::ErrorKind::AlreadyExists`] for a file that exists.
    pub fn write_to(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let paths: Vec<PathBuf> = self
            .files
            .iter()
            .map(|(path, _)| directory.join(path))
            .collect();
        // Looked at first, so that a refusal leaves nothing half-written.
        for path in &paths {
            if path.symlink_metadata().is_ok() {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    format!("{} exists already", path.display()),
                ));
            }
        }
        for (path, (_, content)) in paths.iter().zip(self.files) {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            let mut file = std::fs::File::create_new(path)?;
            io::Write::write_all(&mut file, content.as_bytes())?;
        }
        Ok(paths)
    }
}
