//! Preparing the programs, with a `go` that only pretends: what is asked of it, what is recorded, what is said when it fails.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A machine with an empty cache and, if at all, a `go` of ours.
struct Machine {
    directory: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("bin")).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `go env GOVERSION` says `version`, `go build` does `build`.
    fn with_go(self, version: &str, build: &str) -> Self {
        let script =
            format!("#!/bin/sh\nif [ \"$1\" = env ]; then echo {version}; exit; fi\n{build}\n");
        executable(&self.path("bin/go"), &script);
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipectl-sandbox"));
        command
            .arg("install")
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            )
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("XDG_STATE_HOME", self.path("state"));
        command
    }

    fn install(&self) -> Output {
        self.command().output().unwrap()
    }

    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// A `go build` that notes how it was called and writes the file that it was asked for.
    fn with_working_go(self) -> Self {
        let calls = self.path("calls");
        let build = format!(
            "for last; do :; done\n\
             echo \"$GOTOOLCHAIN $CGO_ENABLED $GOFLAGS $last\" >> {}\n\
             [ -f go.mod ] && [ -f go.sum ] || exit 9\n\
             while [ \"$1\" != -o ]; do shift; done\n\
             echo program > \"$2\"; chmod 755 \"$2\"",
            calls.display()
        );
        self.with_go("go1.26.4", &build)
    }
}

fn executable(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_go_the_two_ways_out_are_named() {
    let machine = Machine::new();
    let output = machine
        .command()
        .env("PATH", machine.path("bin"))
        .output()
        .unwrap();
    let text = stderr(&output);
    assert!(!output.status.success());
    assert!(
        text.contains("error[SBX001]") && text.contains("install Go 1.26"),
        "{text}"
    );
    assert!(text.contains("PIPECTL_SANDBOX_BIN"), "{text}");
}

#[test]
fn an_old_go_is_named_with_its_version() {
    let output = Machine::new().with_go("go1.22.3", "exit 1").install();
    let text = stderr(&output);
    assert!(
        text.contains("error[SBX002]") && text.contains("go1.22.3"),
        "{text}"
    );
    assert!(text.contains("PIPECTL_SANDBOX_BIN"), "{text}");
}

#[test]
fn a_build_that_fails_shows_its_end_and_leaves_no_program() {
    let machine = Machine::new().with_go("go1.26.0", "echo no route to the modules >&2; exit 4");
    let output = machine.install();
    let text = stderr(&output);
    assert!(
        text.contains("error[SBX003]") && text.contains("no route to the modules"),
        "{text}"
    );
    let built = std::fs::read_dir(machine.path("cache/pipectl/sandbox-bin"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert!(!built.join("etcd").exists());
}

#[test]
fn programs_are_built_once_from_pinned_modules_with_the_local_toolchain() {
    let machine = Machine::new().with_working_go();
    let output = machine.install();
    assert!(output.status.success(), "{}", stderr(&output));
    let calls = machine.calls();
    assert_eq!(calls.len(), 6, "{calls:?}");
    assert!(
        calls
            .iter()
            .all(|call| call.starts_with("local 0 -mod=readonly -trimpath ")),
        "{calls:?}"
    );

    let directory = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    let manifest = std::fs::read(directory.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    for program in [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kwok",
        "helm",
    ] {
        let entry = &manifest["programs"][program];
        assert_eq!(
            entry["pin"].as_str().map(str::len),
            Some(64),
            "{program}: {entry}"
        );
        assert_eq!(entry["go"], "go1.26.4");
        // SHA-256 of "program\n".
        assert_eq!(
            entry["sha256"], "fba13a37a73d657dc0f1e671f0dc714f9891dd4da15ec45bd2a6f83e0434648e",
            "{program}"
        );
    }

    assert!(machine.install().status.success());
    assert_eq!(machine.calls().len(), 6, "nothing is built twice");
    std::fs::write(directory.join("kwok"), "something else").unwrap();
    assert!(machine.install().status.success());
    assert_eq!(
        machine.calls().len(),
        7,
        "what was changed is built again, and nothing else"
    );
}

#[test]
fn two_installations_at_once_build_once() {
    let machine = Machine::new().with_working_go();
    let mut children = [
        machine.command().spawn().unwrap(),
        machine.command().spawn().unwrap(),
    ];
    assert!(
        children
            .iter_mut()
            .all(|child| child.wait().unwrap().success())
    );
    assert_eq!(machine.calls().len(), 6);
}

#[test]
fn a_directory_of_the_users_is_taken_as_it_is_or_refused_by_name() {
    let machine = Machine::new();
    let own = machine.path("own");
    std::fs::create_dir(&own).unwrap();
    for program in [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "helm",
    ] {
        executable(&own.join(program), "#!/bin/sh\n");
    }
    let output = machine
        .command()
        .env("PIPECTL_SANDBOX_BIN", &own)
        .output()
        .unwrap();
    let text = stderr(&output);
    assert!(
        text.contains("error[SBX004]") && text.contains("no executable kwok"),
        "{text}"
    );
    executable(&own.join("kwok"), "#!/bin/sh\n");
    let output = machine
        .command()
        .env("PIPECTL_SANDBOX_BIN", &own)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        own.to_str().unwrap()
    );
    assert!(
        !machine.path("cache").exists(),
        "nothing is built beside it"
    );
}
