//! Values on this machine: environment variables, files and pipes.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
    time::Duration,
};

use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::secrets::SecretValue,
};

use super::{
    FILE_EMPTY, FILE_FORBIDDEN, FILE_MISSING, FILE_UNREADABLE, NOT_TEXT, VARIABLE_MISSING, error,
};

/// Largest file that is taken as a secret; Kubernetes' own bound of a Secret is 1 MiB.
const FILE_LIMIT: u64 = 1024 * 1024;

/// How long a pipe may take to give its value; a person may be asked for a passphrase meanwhile.
pub(super) const FILE_PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn from_variable(name: &str, value: Option<OsString>) -> Result<SecretValue, PortError> {
    let value = value.filter(|value| !value.is_empty()).ok_or_else(|| {
        error(
            Kind::NotFound,
            VARIABLE_MISSING,
            format!("environment variable {name} is not set or empty"),
        )
    })?;
    value.into_string().map(SecretValue::new).map_err(|_| {
        error(
            Kind::Invalid,
            NOT_TEXT,
            format!("environment variable {name} is not UTF-8"),
        )
    })
}

/// Reads in a thread of its own: a pipe whose other end nobody opens would stop everything else.
pub(super) async fn from_file(path: &Path, patience: Duration) -> Result<SecretValue, PortError> {
    let shown = path.display();
    let read = tokio::task::spawn_blocking({
        let path = path.to_owned();
        move || read_file(&path)
    });
    match tokio::time::timeout(patience, read).await {
        Ok(Ok(value)) => value,
        Ok(Err(source)) => Err(error(
            Kind::Other,
            FILE_UNREADABLE,
            format!("{shown}: {source}"),
        )),
        // The thread ends with its pipe, or with the program.
        Err(_) => Err(error(
            Kind::Timeout,
            FILE_UNREADABLE,
            format!(
                "{shown}: nobody wrote its end within {} s",
                patience.as_secs()
            ),
        )),
    }
}

fn read_file(path: &Path) -> Result<SecretValue, PortError> {
    let shown = path.display();
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => {
            error(Kind::NotFound, FILE_MISSING, format!("{shown}: {source}"))
        }
        io::ErrorKind::PermissionDenied => {
            let owner = fs::metadata(path)
                .map(|data| format!(" (owner {}, mode {:04o})", data.uid(), data.mode() & 0o7777))
                .unwrap_or_default();
            error(
                Kind::Forbidden,
                FILE_FORBIDDEN,
                format!("{shown}: {source}{owner}"),
            )
        }
        _ => error(Kind::Invalid, FILE_UNREADABLE, format!("{shown}: {source}")),
    };
    let unfit = || {
        error(
            Kind::Invalid,
            FILE_UNREADABLE,
            format!("{shown}: not a plain file or pipe of at most 1 MiB"),
        )
    };
    // Pipes are welcome (`<(pass show x)`), directories and devices are not; opening a device may already do something.
    let kind = fs::metadata(path).map_err(failed)?.file_type();
    if !kind.is_file() && !kind.is_fifo() {
        return Err(unfit());
    }
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(FILE_LIMIT + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(unfit());
    }
    let mut text = String::from_utf8(bytes)
        .map_err(|_| error(Kind::Invalid, NOT_TEXT, format!("{shown}: not UTF-8")))?;
    if text.contains('\0') {
        return Err(error(
            Kind::Invalid,
            NOT_TEXT,
            format!("{shown}: holds a NUL character"),
        ));
    }
    // Editors end a file with a line end; the secret has none.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err(error(
            Kind::Invalid,
            FILE_EMPTY,
            format!("{shown}: holds no value"),
        ));
    }
    Ok(SecretValue::new(text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::{ffi::OsStringExt, fs::PermissionsExt};

    use pipectl_stages::ports::secrets::{SecretApi, SecretSource};

    use super::*;
    use crate::secrets::Secrets;

    fn file(content: &[u8]) -> (tempfile::TempDir, SecretSource) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, content).unwrap();
        (dir, SecretSource::File(path))
    }

    async fn value(content: &[u8]) -> Result<String, String> {
        let (_dir, source) = file(content);
        match Secrets::default().resolve(&source).await {
            Ok(value) => Ok(value.expose().to_owned()),
            Err(error) => Err(error.code),
        }
    }

    #[tokio::test]
    async fn one_line_end_is_removed_and_no_more() {
        for (content, expected) in [
            ("geheim\n", "geheim"),
            ("geheim\r\n", "geheim"),
            ("geheim\n\n", "geheim\n"),
            ("geheim", "geheim"),
            (" geheim ", " geheim "),
        ] {
            assert_eq!(value(content.as_bytes()).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn files_that_cannot_be_secrets_are_told_apart() {
        assert_eq!(value(&[0xff, 0xfe]).await.unwrap_err(), NOT_TEXT);
        assert_eq!(value(b"a\0b").await.unwrap_err(), NOT_TEXT);
        assert_eq!(value(b"").await.unwrap_err(), FILE_EMPTY);
        assert_eq!(value(b"\n").await.unwrap_err(), FILE_EMPTY);
        let limit = usize::try_from(FILE_LIMIT).unwrap();
        assert_eq!(value(&vec![b'x'; limit]).await.unwrap().len(), limit);
        assert_eq!(
            value(&vec![b'x'; limit + 1]).await.unwrap_err(),
            FILE_UNREADABLE
        );
        let dir = tempfile::tempdir().unwrap();
        let resolve = |path: std::path::PathBuf| async move {
            Secrets::default()
                .resolve(&SecretSource::File(path))
                .await
                .unwrap_err()
        };
        assert_eq!(resolve(dir.path().to_owned()).await.code, FILE_UNREADABLE);
        // An endless one, and one that looks empty.
        for device in ["/dev/zero", "/dev/null"] {
            assert_eq!(resolve(device.into()).await.code, FILE_UNREADABLE);
        }
        assert_eq!(resolve(dir.path().join("none")).await.code, FILE_MISSING);
    }

    #[tokio::test]
    async fn a_pipe_is_read_once_and_its_value_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let writer = std::thread::spawn({
            let path = path.clone();
            move || fs::write(path, "geheim\n").unwrap()
        });
        let secrets = Secrets::default();
        let source = SecretSource::File(path);
        let (one, other) = tokio::join!(secrets.resolve(&source), secrets.resolve(&source));
        assert_eq!(one.unwrap().expose(), "geheim");
        assert_eq!(other.unwrap().expose(), "geheim");
        writer.join().unwrap();
        let again = secrets.clone().resolve(&source).await.unwrap();
        assert_eq!(again.expose(), "geheim");
    }

    #[tokio::test]
    async fn a_pipe_into_which_nobody_writes_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let answer = from_file(&path, Duration::from_millis(50)).await;
        // The reader's thread is let go, so that the test can end.
        drop(fs::OpenOptions::new().read(true).write(true).open(&path));
        assert_eq!(answer.unwrap_err().kind, Kind::Timeout);
    }

    #[tokio::test]
    async fn a_file_of_somebody_else_is_a_permission_error() {
        let (_dir, source) = file(b"geheim");
        let SecretSource::File(path) = &source else {
            panic!()
        };
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        match Secrets::default().resolve(&source).await {
            Err(error) => {
                assert_eq!(
                    (error.code.as_str(), error.kind),
                    (FILE_FORBIDDEN, Kind::Forbidden)
                );
                assert!(error.cause.contains("mode 0000"), "{error}");
            }
            // The superuser may read everything.
            Ok(value) => assert_eq!(value.expose(), "geheim"),
        }
    }

    #[test]
    fn variables() {
        assert_eq!(
            from_variable("X", Some("v\n".into())).unwrap().expose(),
            "v\n"
        );
        assert_eq!(from_variable("X", None).unwrap_err().code, VARIABLE_MISSING);
        assert_eq!(
            from_variable("X", Some(OsString::new())).unwrap_err().code,
            VARIABLE_MISSING
        );
        let odd = OsString::from_vec(vec![0xff]);
        assert_eq!(from_variable("X", Some(odd)).unwrap_err().code, NOT_TEXT);
    }
}
