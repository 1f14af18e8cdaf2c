//! Charts: fetched once per repository, name and version, then used from the local file.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::releases::ChartRef,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::{
    archive,
    codes::{self, error},
    options::{is_loopback, mirrored},
    run::{Run, Runner},
};

/// Bound of fetching one chart.
const PULL_BOUND: Duration = Duration::from_secs(120);
/// A repository may be busy for a moment; then it is asked once more.
const PULLS: u32 = 2;

/// A chart on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartFile {
    /// The archive, or the directory for a chart given as one.
    pub path: PathBuf,
    /// SHA-256 of the archive, hexadecimal; `None` for a directory.
    pub sha256: Option<String>,
}

/// What is written beside a fetched archive.
#[derive(Debug, Serialize, Deserialize)]
struct Fetched {
    repository: String,
    name: String,
    version: String,
    file: String,
    sha256: String,
}

/// The charts of this run.
pub(super) struct Charts {
    known: Mutex<HashMap<ChartRef, Arc<OnceCell<ChartFile>>>>,
}

impl Charts {
    pub fn new() -> Self {
        Self {
            known: Mutex::default(),
        }
    }

    /// The chart as a local file, fetched at most once in this run.
    pub async fn file(&self, runner: &Runner, chart: &ChartRef) -> Result<ChartFile, PortError> {
        let cell = Arc::clone(
            self.known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(chart.clone())
                .or_default(),
        );
        cell.get_or_try_init(|| find(runner, chart)).await.cloned()
    }

    /// The CRDs in the chart's `crds/` folder, kept as JSON beside a fetched archive.
    pub async fn crds(&self, runner: &Runner, chart: &ChartRef) -> Result<Vec<Value>, PortError> {
        let file = self.file(runner, chart).await?;
        let kept = match &file.sha256 {
            Some(sha256) => Some(runner.directory("crds")?.join(format!("{sha256}.json"))),
            None => None,
        };
        if let Some(kept) = &kept
            && let Ok(bytes) = fs::read(kept)
            && let Ok(crds) = serde_json::from_slice(&bytes)
        {
            return Ok(crds);
        }
        let crds = archive::crds(&file.path)?;
        if let Some(kept) = &kept {
            // Only a shortcut: without it the next run unpacks the chart again.
            let _ = write_whole(kept, &serde_json::to_vec(&crds).unwrap_or_default());
        }
        Ok(crds)
    }
}

async fn find(runner: &Runner, chart: &ChartRef) -> Result<ChartFile, PortError> {
    let Some(repository) = &chart.repository else {
        return local(Path::new(&chart.name));
    };
    let version = chart
        .version
        .as_deref()
        .filter(|version| !version.is_empty());
    let version = version.ok_or_else(|| {
        error(
            Kind::Invalid,
            codes::BAD_SPEC,
            format!("chart {} of {repository} has no pinned version", chart.name),
        )
    })?;
    let address = mirrored(repository, &runner.options.mirrors);
    let key = Sha256::digest(format!("{address}\n{}\n{version}", chart.name));
    let place = runner.directory("charts")?.join(format!(
        "{}-{version}-{}",
        safe(&chart.name),
        &format!("{key:x}")[..12]
    ));
    // A repository on this machine is somebody's workbench: its charts change under the same version.
    if !is_loopback(&address)
        && let Some(file) = kept(&place)
    {
        return Ok(file);
    }
    fetch(runner, &address, &chart.name, version, &place).await
}

fn local(path: &Path) -> Result<ChartFile, PortError> {
    let unavailable = |source: io::Error| {
        error(
            Kind::NotFound,
            codes::CHART_UNAVAILABLE,
            format!("{}: {source}", path.display()),
        )
    };
    let data = fs::metadata(path).map_err(unavailable)?;
    let sha256 = if data.is_dir() {
        None
    } else {
        Some(digest(path).map_err(unavailable)?)
    };
    Ok(ChartFile {
        path: path.to_owned(),
        sha256,
    })
}

/// What an earlier run fetched, if it is still what it was.
fn kept(place: &Path) -> Option<ChartFile> {
    let record: Fetched = serde_json::from_slice(&fs::read(place.join("chart.json")).ok()?).ok()?;
    let path = place.join(&record.file);
    let sha256 = digest(&path).ok()?;
    (sha256 == record.sha256).then_some(ChartFile {
        path,
        sha256: Some(sha256),
    })
}

async fn fetch(
    runner: &Runner,
    address: &str,
    name: &str,
    version: &str,
    place: &Path,
) -> Result<ChartFile, PortError> {
    let unusable = |source: io::Error| {
        error(
            Kind::Other,
            codes::HOME,
            format!("{}: {source}", place.display()),
        )
    };
    let mut unique = place.as_os_str().to_owned();
    unique.push(format!(".{}", std::process::id()));
    let fetching = PathBuf::from(unique);
    let _ = fs::remove_dir_all(&fetching);
    fs::create_dir_all(&fetching).map_err(unusable)?;
    let pulled = pull(runner, address, name, version, &fetching).await;
    let settled = pulled.and_then(|()| {
        let file = archive_in(&fetching).map_err(unusable)?.ok_or_else(|| {
            error(
                Kind::Other,
                codes::OUTPUT,
                format!("`helm pull {name}` left no chart archive"),
            )
        })?;
        let record = Fetched {
            repository: address.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            sha256: digest(&fetching.join(&file)).map_err(unusable)?,
            file,
        };
        let text = serde_json::to_vec_pretty(&record).unwrap_or_default();
        fs::write(fetching.join("chart.json"), text).map_err(unusable)?;
        settle(&fetching, place).map_err(unusable)
    });
    let _ = fs::remove_dir_all(&fetching);
    settled?;
    kept(place).ok_or_else(|| {
        error(
            Kind::Other,
            codes::HOME,
            format!(
                "{}: the chart that was just fetched is not there",
                place.display()
            ),
        )
    })
}

async fn pull(
    runner: &Runner,
    address: &str,
    name: &str,
    version: &str,
    into: &Path,
) -> Result<(), PortError> {
    let mut attempt = 1;
    loop {
        let mut run = if address.starts_with("oci://") {
            let run = Run::new(["pull".to_owned(), format!("{address}/{name}")], PULL_BOUND);
            if is_loopback(address) {
                run.args(["--plain-http"])
            } else {
                run
            }
        } else {
            Run::new(["pull", name, "--repo", address], PULL_BOUND)
        };
        run = run
            .args(["--version", version, "--destination"])
            .args([into]);
        if let Some(ca) = &runner.options.ca_file {
            run = run.args(["--ca-file"]).args([ca]);
        }
        match runner.output(run).await {
            Ok(_) => return Ok(()),
            Err(failed) if failed.code == codes::FAILED && attempt < PULLS => {
                attempt += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(failed) if failed.code == codes::FAILED => {
                return Err(error(
                    Kind::NotFound,
                    codes::CHART_UNAVAILABLE,
                    format!("chart {name} {version} of {address}: {}", failed.cause),
                ));
            }
            Err(other) => return Err(other),
        }
    }
}

/// Puts a fetched chart where it belongs; one that another process put there meanwhile gives way.
fn settle(fetched: &Path, place: &Path) -> io::Result<()> {
    for _ in 0..3 {
        match fs::rename(fetched, place) {
            Ok(()) => return Ok(()),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) =>
            {
                match fs::remove_dir_all(place) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from(io::ErrorKind::ResourceBusy))
}

fn archive_in(directory: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if Path::new(&name)
            .extension()
            .is_some_and(|ending| ending == "tgz")
        {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn digest(path: &Path) -> io::Result<String> {
    Ok(format!("{:x}", Sha256::digest(fs::read(path)?)))
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut unique = path.as_os_str().to_owned();
    unique.push(format!(".{}", std::process::id()));
    fs::write(&unique, bytes)?;
    fs::rename(&unique, path)
}

/// A chart name as part of a file name.
fn safe(name: &str) -> String {
    name.chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() || letter == '-' {
                letter
            } else {
                '_'
            }
        })
        .collect()
}

/// The objects of a YAML stream, empty documents left out.
pub(super) fn documents(text: &[u8]) -> Result<Vec<Value>, PortError> {
    serde_norway::Deserializer::from_slice(text)
        .map(Value::deserialize)
        .filter(|document| !matches!(document, Ok(Value::Null)))
        .collect::<Result<Vec<Value>, _>>()
        .map_err(|source| {
            error(
                Kind::Invalid,
                codes::OUTPUT,
                format!("Helm's YAML: {source}"),
            )
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_documents_are_left_out() {
        let text = b"---\n# Source: a.yaml\n---\na: 1\n---\n\n---\nb: [x]\n";
        assert_eq!(
            documents(text).unwrap(),
            [json!({"a": 1}), json!({"b": ["x"]})]
        );
        assert!(documents(b"").unwrap().is_empty());
        assert_eq!(documents(b"a: [").unwrap_err().code, codes::OUTPUT);
    }

    #[test]
    fn a_changed_archive_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a-1.tgz"), "archive").unwrap();
        let record = Fetched {
            repository: "r".to_owned(),
            name: "a".to_owned(),
            version: "1".to_owned(),
            file: "a-1.tgz".to_owned(),
            sha256: digest(&dir.path().join("a-1.tgz")).unwrap(),
        };
        fs::write(
            dir.path().join("chart.json"),
            serde_json::to_vec(&record).unwrap(),
        )
        .unwrap();
        assert_eq!(kept(dir.path()).unwrap().sha256, Some(record.sha256));
        fs::write(dir.path().join("a-1.tgz"), "torn").unwrap();
        assert_eq!(kept(dir.path()), None);
    }
}
