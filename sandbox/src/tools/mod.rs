//! The real programs that a sandbox runs: what they are, which versions, and where they come from.

mod build;
mod manifest;

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use build::{InstallEvent, InstallPhase, install};

use crate::error::SandboxError;

/// A program of somebody else's that the sandbox runs as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// The store behind the API server.
    Etcd,
    /// The Kubernetes API.
    KubeApiserver,
    /// Kubernetes' own controllers.
    KubeControllerManager,
    /// Kubernetes' scheduler.
    KubeScheduler,
    /// Nodes and pods without machines.
    Kwok,
    /// The package manager by which charts are installed.
    Helm,
}

impl Program {
    /// All programs, in the order in which they are built.
    pub const ALL: [Self; 6] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::Kwok,
        Self::Helm,
    ];

    /// Name of the executable file.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kwok => "kwok",
            Self::Helm => "helm",
        }
    }

    /// Version that the sandbox builds.
    #[must_use]
    pub fn version(self) -> &'static str {
        self.module().version
    }

    pub(crate) fn module(self) -> &'static Module {
        match self {
            Self::Etcd => &ETCD,
            Self::KubeApiserver | Self::KubeControllerManager | Self::KubeScheduler => &KUBERNETES,
            Self::Kwok => &KWOK,
            Self::Helm => &HELM,
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::KubeScheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kwok => "sigs.k8s.io/kwok/cmd/kwok",
            Self::Helm => "helm.sh/helm/v3/cmd/helm",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.file_name())
    }
}

/// A Go module that pins what a program is built from, every dependency with its checksum.
#[derive(Debug)]
pub(crate) struct Module {
    name: &'static str,
    version: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
    linker_flags: &'static str,
}

macro_rules! module {
    ($name:literal, $version:literal, $flags:expr) => {
        Module {
            name: $name,
            version: $version,
            go_mod: include_str!(concat!("../../tools/", $name, "/go.mod")),
            go_sum: include_str!(concat!("../../tools/", $name, "/go.sum")),
            linker_flags: $flags,
        }
    };
}

static ETCD: Module = module!("etcd", "3.6.16", "-s -w");
static KUBERNETES: Module = module!(
    "kubernetes",
    "1.35.4",
    // Without these the server calls itself v0.0.0-master, and clients that check versions go astray.
    "-s -w -X k8s.io/component-base/version.gitVersion=v1.35.4 -X k8s.io/component-base/version.gitMajor=1 \
     -X k8s.io/component-base/version.gitMinor=35 -X k8s.io/component-base/version.gitTreeState=clean"
);
static KWOK: Module = module!(
    "kwok",
    "0.8.0",
    "-s -w -X sigs.k8s.io/kwok/pkg/consts.Version=v0.8.0"
);
static HELM: Module = module!(
    "helm",
    "3.22.0",
    "-s -w -X helm.sh/helm/v3/internal/version.version=v3.22.0"
);

/// Flags of every build: the modules exactly as pinned, no paths of this machine, no version control.
const GO_FLAGS: &str = "-mod=readonly -trimpath -buildvcs=false";

impl Module {
    /// Identity of everything that decides the bytes of the programs, the compiler apart.
    pub(crate) fn pin(&self) -> String {
        let mut hash = Sha256::new();
        let target = concat!(env!("CARGO_PKG_NAME"), " 1");
        for part in [
            target,
            self.name,
            self.go_mod,
            self.go_sum,
            self.linker_flags,
            GO_FLAGS,
            std::env::consts::ARCH,
        ] {
            hash.update(part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        hex(&hash.finalize())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Identity of all programs together; names the directory that they are built into.
#[must_use]
pub fn pinned_hash() -> String {
    let mut hash = Sha256::new();
    for program in Program::ALL {
        hash.update(program.module().pin().as_bytes());
    }
    hex(&hash.finalize())[..16].to_owned()
}

/// A directory with all six programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    directory: PathBuf,
}

impl Programs {
    /// Path of one program.
    #[must_use]
    pub fn path(&self, program: Program) -> PathBuf {
        self.directory.join(program.file_name())
    }

    /// The directory itself, for `PATH`.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The programs in a directory that the user names (`PIPECTL_SANDBOX_BIN`).
    ///
    /// # Errors
    /// When one of the six is missing there or isn't executable.
    pub fn in_directory(directory: &Path) -> Result<Self, SandboxError> {
        let missing: Vec<Program> = Program::ALL
            .into_iter()
            .filter(|program| !is_executable(&directory.join(program.file_name())))
            .collect();
        if missing.is_empty() {
            Ok(Self {
                directory: directory.to_owned(),
            })
        } else {
            Err(SandboxError::BinariesIncomplete {
                directory: directory.to_owned(),
                missing,
            })
        }
    }

    /// The programs as they are on this machine now, without building any: from `PIPECTL_SANDBOX_BIN`, else those built
    /// before. `None` when they still have to be built.
    ///
    /// # Errors
    /// When `PIPECTL_SANDBOX_BIN` names a directory without them, or there is no cache directory.
    pub fn installed() -> Result<Option<Self>, SandboxError> {
        if let Some(directory) =
            std::env::var_os("PIPECTL_SANDBOX_BIN").filter(|value| !value.is_empty())
        {
            let directory =
                std::path::absolute(&directory).unwrap_or_else(|_| PathBuf::from(&directory));
            return Self::in_directory(&directory).map(Some);
        }
        let directory = build::directory()?;
        let complete = Program::ALL
            .into_iter()
            .all(|program| manifest::is_current(&directory, program));
        Ok(complete.then_some(Self { directory }))
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modules_pin_the_versions_that_are_reported() {
        for (program, requirement) in [
            (Program::Etcd, "go.etcd.io/etcd/server/v3 v"),
            (Program::KubeApiserver, "k8s.io/kubernetes v"),
            (Program::Kwok, "sigs.k8s.io/kwok v"),
            (Program::Helm, "helm.sh/helm/v3 v"),
        ] {
            let wanted = format!("{requirement}{}", program.version());
            assert!(program.module().go_mod.contains(&wanted), "{wanted}");
            assert!(
                program.module().go_sum.contains(&wanted),
                "checksum of {wanted}"
            );
        }
    }

    #[test]
    fn kubernetes_staging_modules_are_all_of_one_release() {
        let replaced: Vec<&str> = KUBERNETES
            .go_mod
            .lines()
            .filter(|line| line.contains("=>"))
            .collect();
        assert!(replaced.len() > 20);
        assert!(
            replaced.iter().all(|line| line.ends_with(" v0.35.4")),
            "{replaced:?}"
        );
    }

    #[test]
    fn a_directory_without_all_programs_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        for program in Program::ALL
            .into_iter()
            .filter(|program| *program != Program::Kwok)
        {
            let path = directory.path().join(program.file_name());
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let error = Programs::in_directory(directory.path()).unwrap_err();
        assert!(
            matches!(&error, SandboxError::BinariesIncomplete { missing, .. } if *missing == [Program::Kwok])
        );
        let kwok = directory.path().join("kwok");
        std::fs::write(&kwok, "").unwrap();
        assert!(
            Programs::in_directory(directory.path()).is_err(),
            "not executable"
        );
        std::fs::set_permissions(&kwok, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Programs::in_directory(directory.path()).is_ok());
    }
}
