//! The CRDs inside a chart.
//!
//! Read from the chart itself: `helm show crds` prints one file behind the other without a separator, so files that do
//! not begin with `---` (Strimzi's do not) come out as one broken document.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Component, Path},
};

use flate2::read::GzDecoder;
use pipectl_stages::error::{PortError, PortErrorKind as Kind};
use serde_json::Value;

use super::{
    charts::documents,
    codes::{self, error},
};

/// What a chart's CRDs may unpack to; Strimzi's eleven have 1 MB.
const BYTES: u64 = 64 * 1024 * 1024;

/// The objects in the `crds/` folders of a chart and of its subcharts, by file name as Helm orders them.
pub(super) fn crds(chart: &Path) -> Result<Vec<Value>, PortError> {
    let read = if chart.is_dir() {
        in_directory(chart)
    } else {
        in_archive(chart)
    };
    let files = read.map_err(|source| {
        error(
            Kind::Invalid,
            codes::OUTPUT,
            format!("chart {}: {source}", chart.display()),
        )
    })?;
    let mut objects = Vec::new();
    for (name, content) in files {
        let found = documents(&content).map_err(|mut failed| {
            failed.cause = format!("{name} in chart {}: {}", chart.display(), failed.cause);
            failed
        })?;
        objects.extend(found);
    }
    Ok(objects)
}

fn in_archive(chart: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(chart)?).take(BYTES));
    let mut files = BTreeMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        // The first part is the chart's own name.
        let inside: std::path::PathBuf = path.components().skip(1).collect();
        if entry.header().entry_type().is_file() && is_crd_file(&inside) {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            files.insert(inside.display().to_string(), content);
        }
    }
    Ok(files)
}

fn in_directory(chart: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut left = vec![chart.to_path_buf()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                left.push(path);
            } else if let Ok(inside) = path.strip_prefix(chart)
                && is_crd_file(inside)
            {
                files.insert(inside.display().to_string(), fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

/// `crds/...` of the chart, or of a chart in `charts/NAME/`, as YAML or JSON.
fn is_crd_file(inside: &Path) -> bool {
    let parts: Vec<_> = inside
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    let mut parts = parts.as_slice();
    while let ["charts", _, rest @ ..] = parts {
        parts = rest;
    }
    let known = inside
        .extension()
        .is_some_and(|ending| ending == "yaml" || ending == "yml" || ending == "json");
    known && matches!(parts, ["crds", _, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(files: &[(&str, &str)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let encoder =
            flate2::write::GzEncoder::new(file.reopen().unwrap(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(encoder);
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive
                .append_data(&mut header, name, content.as_bytes())
                .unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
        file
    }

    #[test]
    fn files_without_separators_stay_apart_and_only_crds_count() {
        let file = chart(&[
            ("op/Chart.yaml", "name: op\n"),
            ("op/templates/x.yaml", "kind: No\n"),
            ("op/crds/b.yaml", "kind: B\n---\nkind: C\n"),
            ("op/crds/a.json", r#"{"kind":"A"}"#),
            ("op/charts/sub/crds/d.yml", "kind: D"),
            ("op/crds/README.md", "words"),
        ]);
        let kinds: Vec<_> = crds(file.path())
            .unwrap()
            .iter()
            .map(|crd| crd["kind"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(kinds, ["D", "A", "B", "C"]);
    }

    #[test]
    fn a_broken_file_is_named() {
        let file = chart(&[("op/crds/a.yaml", "a: [")]);
        let failed = crds(file.path()).unwrap_err();
        assert!(failed.cause.contains("crds/a.yaml"), "{}", failed.cause);
    }
}
