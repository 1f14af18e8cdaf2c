//! Chart archives in memory.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A gzipped tar archive of `files` (path in the chart and content) below the folder `name`.
///
/// The same files give the same bytes: no times, no owners.
pub(super) fn pack(name: &str, files: &[(String, Vec<u8>)]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        archive.append_data(&mut header, format!("{name}/{path}"), content.as_slice())?;
    }
    let mut gzip = archive.into_inner()?;
    gzip.flush()?;
    gzip.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn archives_unpack_to_what_was_packed_and_are_the_same_each_time() {
        let files = vec![("Chart.yaml".to_owned(), b"name: x\n".to_vec())];
        let packed = pack("x", &files).unwrap();
        assert_eq!(packed, pack("x", &files).unwrap());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_str(), Some("x/Chart.yaml"));
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        assert_eq!(text, "name: x\n");
    }
}
