//! The command line itself: what needs no cluster.

use std::collections::BTreeSet;

use crate::support::World;

#[test]
fn help_and_version() {
    let world = World::new();
    let version = world.pipectl(&["--version"]).exits(0);
    assert_eq!(
        version.stdout,
        format!("pipectl {}\n", env!("CARGO_PKG_VERSION"))
    );
    let help = world.pipectl(&["--help"]).exits(0);
    let commands = [
        "up",
        "down",
        "status",
        "plan",
        "list",
        "validate",
        "kubeconfig",
        "explain",
        "blueprint",
        "schema",
        "forget",
        "sandbox",
        "completions",
    ];
    for command in commands {
        assert!(
            help.stdout.contains(&format!("  {command} ")),
            "{command} is not in the help"
        );
        world.pipectl(&[command, "--help"]).exits(0);
    }
    for code in ["0 ok", "6 held", "130 cancelled"] {
        assert!(
            help.stdout.contains(code),
            "exit code {code} is not in the help"
        );
    }
    for command in [
        "install", "start", "stop", "status", "reset", "env", "logs", "calls", "faults",
    ] {
        world.pipectl(&["sandbox", command, "--help"]).exits(0);
    }
    world.pipectl(&[]).exits(2);
    world.pipectl(&["uup"]).exits(2).says("up");
}

#[test]
fn every_code_is_explained() {
    let world = World::new();
    let all = world.pipectl(&["explain"]).exits(0);
    let codes: BTreeSet<&str> = all
        .stdout
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    for prefix in [
        "CFG", "CLI", "ENG", "FEN", "HLM", "K8S", "KFK", "POD", "SBX", "SPK", "STA", "STG", "VER",
        "DWN",
    ] {
        assert!(
            codes.iter().any(|code| code.starts_with(prefix)),
            "no code of {prefix}"
        );
    }
    // Whatever the command line itself can say is among them.
    for code in [
        "CLI001", "CLI003", "CLI004", "CLI005", "CLI008", "CLI011", "CLI013", "CLI014", "CLI016",
        "CLI017", "FEN001",
    ] {
        assert!(codes.contains(code), "{code} is not explained");
    }
    let explained = world.pipectl(&["explain", "cfg014"]).exits(0);
    assert!(
        explained.stdout.starts_with("CFG014\n") && explained.stdout.contains("help"),
        "{}",
        explained.described()
    );
    for code in codes {
        let explained = world.pipectl(&["explain", code]).exits(0);
        assert!(
            explained.stdout.contains("help"),
            "{}",
            explained.described()
        );
    }
    world
        .pipectl(&["explain", "CFG999"])
        .exits(3)
        .complains("CLI009");
}

#[test]
fn blueprints_are_complete() {
    let world = World::new();
    let listed = world.pipectl(&["blueprint", "list"]).exits(0);
    assert!(listed.stdout.contains("streaming"));
    let shown = world.pipectl(&["blueprint", "show", "streaming"]).exits(0);
    world
        .pipectl(&["blueprint", "show", "nobody"])
        .exits(3)
        .complains("CLI001");

    let directory = world.directory().join("new");
    let path = directory.display().to_string();
    world
        .pipectl(&["blueprint", "export", "streaming", &path])
        .exits(0);
    assert_eq!(
        std::fs::read_to_string(directory.join("pipeline.yaml")).expect("the pipeline"),
        shown.stdout
    );
    world
        .pipectl(&["validate", &format!("{path}/pipeline.yaml")])
        .exits(0);
    // Where a pipeline.yaml lies, it is the one that is meant.
    world.pipectl(&["validate"]).directory(&directory).exits(0);
    std::fs::write(directory.join("pipeline.yaml"), "kind: Nothing\n").expect("a file");
    world
        .pipectl(&["validate"])
        .directory(&directory)
        .exits(3)
        .complains("CFG009");
    world
        .pipectl(&["validate", "--blueprint", "streaming"])
        .directory(&directory)
        .exits(0);
    world
        .pipectl(&["blueprint", "export", "streaming", &path])
        .exits(3)
        .complains("CLI010");
}

#[test]
fn what_needs_no_environment() {
    let world = World::new();
    assert_eq!(
        world.pipectl(&["list", "-o", "json"]).exits(0).json(),
        serde_json::json!([])
    );
    world.pipectl(&["list"]).exits(0).says("pipectl up");
    let quiet = world.pipectl(&["list", "--quiet"]).exits(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    for shell in ["bash", "zsh", "fish"] {
        let script = world.pipectl(&["completions", shell]).exits(0);
        assert!(script.stdout.contains("pipectl"), "{shell}");
    }
    let status = world
        .pipectl(&["sandbox", "status", "-o", "json"])
        .exits(0)
        .json();
    assert!(status.is_null(), "{status:#}");
    let logs = world.pipectl(&["sandbox", "logs"]).exits(0);
    assert!(logs.stdout.contains("kube-apiserver"));
    world.pipectl(&["sandbox", "stop"]).exits(0);
    world
        .pipectl(&["sandbox", "env"])
        .exits(8)
        .complains("SBX009");
    // Without a home nothing is guessed.
    let homeless = world
        .pipectl(&["list"])
        .without("HOME")
        .without("XDG_STATE_HOME")
        .exits(8);
    let _ = homeless.complains("CLI013");
    // Colour is for those who want it.
    let plain = world
        .pipectl(&["explain", "CFG999"])
        .env("CLICOLOR_FORCE", "1")
        .env("NO_COLOR", "1")
        .exits(3);
    assert!(!plain.stderr.contains('\u{1b}'), "{}", plain.described());
    let colourful = world
        .pipectl(&["--color", "always", "explain", "CFG999"])
        .exits(3);
    assert!(
        colourful.stderr.contains('\u{1b}'),
        "{}",
        colourful.described()
    );
    // Looking has left nothing behind.
    assert!(
        !world.state().exists(),
        "a look made {}",
        world.state().display()
    );
}
