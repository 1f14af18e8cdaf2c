//! The sandbox's programs, built once for all tests in the user's own cache, by the program itself and under its lock.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
};

use super::loudly;

/// The directory with the sandbox's programs. Builds them where they are missing, which takes minutes and is said.
pub fn directory() -> &'static PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        loudly(
            "e2e: pipectl sandbox install (builds Kubernetes, etcd, KWOK and Helm at first use, several minutes)",
        );
        // With the user's own surroundings: this is where Go, its proxies and the shared cache are.
        let output = Command::new(env!("CARGO_BIN_EXE_pipectl"))
            .args(["sandbox", "install"])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("pipectl can be started");
        assert!(
            output.status.success(),
            "pipectl sandbox install: {}; without its programs no end-to-end test can run",
            output.status
        );
        let text = String::from_utf8(output.stdout).expect("a path in UTF-8");
        PathBuf::from(text.trim_end())
    })
}
