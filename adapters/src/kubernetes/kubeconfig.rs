//! Kubeconfig files: reading exactly the one that was named, and writing pipectl's own.
//!
//! Neither KUBECONFIG nor `~/.kube/config` nor a pod's service account is ever looked at.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use pipectl_stages::error::{PortError, PortErrorKind as Kind};

use super::{codes, errors};

/// Reads the file and settles the context: the named one, else the file's current one.
pub(super) fn read(file: &Path, context: Option<&str>) -> Result<(Kubeconfig, String), PortError> {
    // kube reads the file itself, but tells a missing file and bad YAML apart only in words.
    fs::metadata(file).map_err(|source| {
        errors::error(
            Kind::NotFound,
            codes::KUBECONFIG_UNREADABLE,
            format!("{}: {source}", file.display()),
        )
    })?;
    // Relative paths inside are meant from the file's own directory, whatever the current one will be later.
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    let kubeconfig = Kubeconfig::read_from(&absolute).map_err(|source| from_kube(file, &source))?;
    let named = context
        .map(str::to_owned)
        .or_else(|| kubeconfig.current_context.clone())
        .filter(|name| !name.is_empty());
    match named {
        Some(name) if kubeconfig.contexts.iter().any(|known| known.name == name) => {
            Ok((kubeconfig, name))
        }
        wanted => {
            let known: Vec<&str> = kubeconfig
                .contexts
                .iter()
                .map(|context| context.name.as_str())
                .collect();
            let cause = match wanted {
                Some(name) => format!("no context {name} in {}", file.display()),
                None => format!(
                    "no context named, and none is current in {}",
                    file.display()
                ),
            };
            Err(errors::error(
                Kind::NotFound,
                codes::CONTEXT_MISSING,
                format!("{cause}; there are: {}", known.join(", ")),
            ))
        }
    }
}

/// The client configuration of one context.
pub(super) async fn config(file: &Path, context: Option<&str>) -> Result<kube::Config, PortError> {
    let (kubeconfig, context) = read(file, context)?;
    let options = KubeConfigOptions {
        context: Some(context),
        ..KubeConfigOptions::default()
    };
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|source| from_kube(file, &source))?;
    // A proxy from the environment can never reach this machine's own loopback.
    if is_loopback(&config.cluster_url) {
        config.proxy_url = None;
    }
    Ok(config)
}

fn is_loopback(address: &http::Uri) -> bool {
    let host = address.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn from_kube(file: &Path, error: &KubeconfigError) -> PortError {
    let (kind, code) = match error {
        KubeconfigError::ReadConfig(..) => (Kind::NotFound, codes::KUBECONFIG_UNREADABLE),
        KubeconfigError::CurrentContextNotSet | KubeconfigError::LoadContext(_) => {
            (Kind::NotFound, codes::CONTEXT_MISSING)
        }
        _ => (Kind::Invalid, codes::KUBECONFIG_UNUSABLE),
    };
    // The parser's words may quote the line they complain about, and that line may be a token.
    let words = match error {
        KubeconfigError::Parse(_) => "not a kubeconfig in YAML".to_owned(),
        other => errors::chain(other),
    };
    errors::error(kind, code, format!("{}: {words}", file.display()))
}

/// Writes pipectl's own kubeconfig of an environment: one cluster, one user, one context out of `source`, paths made
/// absolute, readable by nobody else (mode 0600), replaced in one move. The source is not changed. Answers the
/// context's name.
///
/// # Errors
/// `K8S001` source missing, `K8S002` context missing, `K8S003` source unusable, `K8S009` destination not writable.
pub fn write_own_kubeconfig(
    source: &Path,
    context: Option<&str>,
    destination: &Path,
) -> Result<String, PortError> {
    let (mut kubeconfig, name) = read(source, context)?;
    kubeconfig.contexts.retain(|context| context.name == name);
    kubeconfig.contexts.truncate(1);
    let (cluster, user) = kubeconfig
        .contexts
        .iter()
        .find_map(|named| named.context.as_ref())
        .map(|context| (context.cluster.clone(), context.user.clone()))
        .unwrap_or_default();
    kubeconfig.clusters.retain(|known| known.name == cluster);
    kubeconfig.clusters.truncate(1);
    kubeconfig
        .auth_infos
        .retain(|known| Some(&known.name) == user.as_ref());
    kubeconfig.auth_infos.truncate(1);
    if kubeconfig.clusters.is_empty() {
        return Err(errors::error(
            Kind::Invalid,
            codes::KUBECONFIG_UNUSABLE,
            format!(
                "{}: context {name} names the cluster {cluster}, which is not in the file",
                source.display()
            ),
        ));
    }
    kubeconfig.current_context = Some(name.clone());
    kubeconfig.extensions = None;
    let text = serde_norway::to_string(&kubeconfig).map_err(|_| {
        errors::error(
            Kind::Invalid,
            codes::KUBECONFIG_UNUSABLE,
            format!("{}: cannot be written as YAML", source.display()),
        )
    })?;
    put(destination, text.as_bytes())?;
    Ok(name)
}

/// Puts this text in the file's place in one move, readable by nobody else. Where it is there already, nothing is
/// written.
///
/// # Errors
/// `K8S009` when it cannot be written.
pub(crate) fn put_where_it_differs(destination: &Path, content: &[u8]) -> Result<(), PortError> {
    let private = fs::metadata(destination).is_ok_and(|metadata| metadata.mode() & 0o077 == 0);
    if private && fs::read(destination).is_ok_and(|is| is == content) {
        return Ok(());
    }
    put(destination, content)
}

fn put(destination: &Path, content: &[u8]) -> Result<(), PortError> {
    replace(destination, content).map_err(|source| {
        errors::error(
            Kind::Other,
            codes::KUBECONFIG_UNWRITABLE,
            format!("{}: {source}", destination.display()),
        )
    })
}

fn replace(destination: &Path, content: &[u8]) -> io::Result<()> {
    let directory = destination
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    fs::create_dir_all(&directory)?;
    let name = destination
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let temporary = directory.join(format!(
        ".{}.{}",
        name.to_string_lossy(),
        std::process::id()
    ));
    let written = (|| {
        // A file left there by a dead process of the same id must not lend its mode.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, destination)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const SOURCE: &str = r"
apiVersion: v1
kind: Config
current-context: hostile
preferences: {}
clusters:
- name: other
  cluster: {server: 'https://other.example:6443'}
- name: mine
  cluster: {server: 'https://mine.example:6443', certificate-authority: pki/ca.crt}
contexts:
- name: hostile
  context: {cluster: other, user: other}
- name: mine
  context: {cluster: mine, user: me, namespace: work}
users:
- name: other
  user: {token: not-to-be-copied}
- name: me
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, command: bin/token, args: [a], interactiveMode: Never}
";

    fn source() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        fs::write(&file, SOURCE).unwrap();
        (dir, file)
    }

    #[test]
    fn own_kubeconfig_holds_one_context_and_is_private() {
        let (dir, file) = source();
        let own = dir.path().join("state/env/kubeconfig");
        let name = write_own_kubeconfig(&file, Some("mine"), &own).unwrap();
        assert_eq!(name, "mine");
        let text = fs::read_to_string(&own).unwrap();
        assert!(
            !text.contains("not-to-be-copied") && !text.contains("other"),
            "{text}"
        );
        let (copy, current) = read(&own, None).unwrap();
        assert_eq!(current, "mine");
        assert_eq!(
            copy.clusters[0]
                .cluster
                .as_ref()
                .unwrap()
                .certificate_authority,
            Some(dir.path().join("pki/ca.crt").display().to_string())
        );
        let exec = copy.auth_infos[0]
            .auth_info
            .as_ref()
            .unwrap()
            .exec
            .clone()
            .unwrap();
        assert_eq!(
            exec.command,
            Some(dir.path().join("bin/token").display().to_string())
        );
        assert_eq!(
            fs::metadata(&own).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), SOURCE);
        assert_eq!(fs::read_dir(own.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_wider_mode_is_narrowed_when_replaced() {
        let (dir, file) = source();
        let own = dir.path().join("own");
        fs::write(&own, "old").unwrap();
        fs::set_permissions(&own, fs::Permissions::from_mode(0o644)).unwrap();
        write_own_kubeconfig(&file, Some("mine"), &own).unwrap();
        assert_eq!(
            fs::metadata(&own).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn errors_are_told_apart_by_code() {
        let (dir, file) = source();
        let code = |file: &Path, context| read(file, context).unwrap_err().code;
        assert_eq!(
            code(&dir.path().join("none"), None),
            codes::KUBECONFIG_UNREADABLE
        );
        assert_eq!(code(&file, Some("nope")), codes::CONTEXT_MISSING);
        assert!(
            read(&file, Some("nope"))
                .unwrap_err()
                .cause
                .contains("hostile, mine")
        );
        let bad = dir.path().join("bad");
        fs::write(&bad, "users: [ {name: x, user: {token: geheim").unwrap();
        let error = read(&bad, None).unwrap_err();
        assert_eq!(error.code, codes::KUBECONFIG_UNUSABLE);
        assert!(!error.cause.contains("geheim"));
        let missing = write_own_kubeconfig(&file, Some("mine"), Path::new("/proc/no/such/file"));
        assert_eq!(missing.unwrap_err().code, codes::KUBECONFIG_UNWRITABLE);
    }

    #[test]
    fn loopback_is_never_proxied() {
        for (address, loopback) in [
            ("https://127.0.0.1:6443", true),
            ("https://[::1]:6443", true),
            ("https://localhost:6443", true),
            ("https://10.0.0.1:6443", false),
            ("https://mine.example", false),
        ] {
            assert_eq!(
                is_loopback(&address.parse().unwrap()),
                loopback,
                "{address}"
            );
        }
    }
}
