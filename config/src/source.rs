//! Where a pipeline's files come from: a directory on disk, the program itself (blueprints), or memory.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

/// The largest file that is read, in bytes. A pipeline file or manifest is some kilobytes; anything far beyond is a mistake.
pub const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// There is no such file.
    #[error("no such file")]
    Missing,
    /// It is a directory.
    #[error("it is a directory")]
    IsDirectory,
    /// It is larger than [`MAX_FILE_BYTES`].
    #[error("it has {0} bytes, more than the {MAX_FILE_BYTES} that are read")]
    TooLarge(u64),
    /// It is neither a file nor a directory.
    #[error("it is neither a file nor a directory")]
    NotAFile,
    /// The system refuses.
    #[error("{0}")]
    Io(String),
}

/// Files by path, relative to the pipeline file's directory and with forward slashes.
pub trait FileSource: fmt::Debug + Send + Sync {
    /// The bytes of a file.
    ///
    /// # Errors
    /// Why the file could not be read.
    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError>;

    /// The names of the files directly in a directory, sorted; `None` when the path is no directory.
    ///
    /// # Errors
    /// Why the directory could not be listed.
    fn list(&self, path: &str) -> Result<Option<Vec<String>>, SourceError>;

    /// The path as a person would write it, for messages.
    fn display(&self, path: &str) -> String;

    /// The path on disk, for files that other programs open (a kubeconfig); `None` for files that are not on disk.
    fn disk_path(&self, path: &str) -> Option<PathBuf>;
}

/// Files below a directory on disk.
#[derive(Debug, Clone)]
pub struct DiskSource {
    root: PathBuf,
}

impl DiskSource {
    /// Files below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

fn io_error(error: &std::io::Error) -> SourceError {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => SourceError::Missing,
        std::io::ErrorKind::IsADirectory => SourceError::IsDirectory,
        _ => SourceError::Io(error.to_string()),
    }
}

impl FileSource for DiskSource {
    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let path = self.path(path);
        let metadata = std::fs::metadata(&path).map_err(|error| io_error(&error))?;
        if metadata.is_dir() {
            return Err(SourceError::IsDirectory);
        }
        if !metadata.is_file() {
            // A pipe or device could block or never end.
            return Err(SourceError::NotAFile);
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(SourceError::TooLarge(metadata.len()));
        }
        std::fs::read(&path).map_err(|error| io_error(&error))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<String>>, SourceError> {
        let path = self.path(path);
        let metadata = std::fs::metadata(&path).map_err(|error| io_error(&error))?;
        if !metadata.is_dir() {
            return Ok(None);
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&path).map_err(|error| io_error(&error))? {
            let entry = entry.map_err(|error| io_error(&error))?;
            let is_file = std::fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file());
            if let (true, Some(name)) = (is_file, entry.file_name().to_str()) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(Some(names))
    }

    fn display(&self, path: &str) -> String {
        let path = self.path(path);
        let shown = path.strip_prefix(Path::new(".")).unwrap_or(&path);
        shown.display().to_string()
    }

    fn disk_path(&self, path: &str) -> Option<PathBuf> {
        Some(self.path(path))
    }
}

/// Files in memory: blueprints that are part of the program, and tests.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    label: String,
    files: BTreeMap<String, Vec<u8>>,
}

impl MemorySource {
    /// No files yet; `label` goes before their names in messages, such as `blueprint streaming: `.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            files: BTreeMap::new(),
        }
    }

    /// With one more file.
    #[must_use]
    pub fn with(mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }
}

impl FileSource for MemorySource {
    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let path = normal(path);
        match self.files.get(&path) {
            Some(bytes) if bytes.len() as u64 > MAX_FILE_BYTES => {
                Err(SourceError::TooLarge(bytes.len() as u64))
            }
            Some(bytes) => Ok(bytes.clone()),
            None if self.list(&path)?.is_some() => Err(SourceError::IsDirectory),
            None => Err(SourceError::Missing),
        }
    }

    fn list(&self, path: &str) -> Result<Option<Vec<String>>, SourceError> {
        let path = normal(path);
        if self.files.contains_key(&path) {
            return Ok(None);
        }
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}/")
        };
        let below: Vec<&str> = self
            .files
            .keys()
            .filter_map(|file| file.strip_prefix(&prefix))
            .collect();
        if below.is_empty() {
            return Err(SourceError::Missing);
        }
        Ok(Some(
            below
                .into_iter()
                .filter(|name| !name.contains('/'))
                .map(str::to_owned)
                .collect(),
        ))
    }

    fn display(&self, path: &str) -> String {
        format!("{}{}", self.label, normal(path))
    }

    fn disk_path(&self, _path: &str) -> Option<PathBuf> {
        None
    }
}

/// Drops `./` and doubled slashes, so that a path has one spelling.
fn normal(path: &str) -> String {
    path.split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect::<Vec<_>>()
        .join("/")
}
