//! Two machines, as far as records go: two state directories that know nothing of each other, and one account.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::{Run, World, small};

#[test]
fn a_second_machine_is_refused_while_the_first_works_and_follows_when_it_has_died() {
    let world = World::new();
    let sandbox = world.sandbox_on_aws("met", 1);
    let option = sandbox.option();
    let file = world.file("pipeline.yaml", &small("met"));
    // The sandbox is the same; what is recorded of environments is another's.
    let other: PathBuf = world.root().join("other");
    fs::create_dir_all(other.join("pipectl")).expect("a directory");
    let sandboxes = world.root().join("state/pipectl/sandbox");
    symlink(sandboxes, other.join("pipectl/sandbox")).expect("a link");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("the host's name");
    let host = host.trim();

    let mut first = world.events(&["up", &file, &option]).start();
    first.until_step("step_applied", "network/vpc");
    let at_work = |value: &Value| value["atWork"]["holder"].to_string().contains(host);
    for arguments in [
        vec!["up", &file, &option, "--adopt"],
        vec!["down", "met", &option, "--yes"],
    ] {
        let refused = there(world.pipectl(&arguments), &other).exits(6);
        let refused = refused.complains("STA020").says(host);
        assert!(refused.stderr.contains("until"), "{}", refused.described());
    }
    assert!(!other.join("pipectl/environments/met").exists());
    let listed = there(world.pipectl(&["list", &option, "-o", "json"]), &other);
    let listed = listed.exits(0).json();
    assert!(at_work(&listed[0]), "{listed:#}");
    let status = there(
        world.pipectl(&["status", "met", &option, "-o", "json"]),
        &other,
    );
    let status = status.exits(0).json();
    assert!(at_work(&status), "{status:#}");
    for command in [vec!["list", &option], vec!["status", "met", &option]] {
        let told = there(world.pipectl(&command), &other).exits(0).stdout;
        assert!(told.contains("at work") && told.contains(host), "{told}");
    }
    let status = world.pipectl(&["status", "met", "-o", "json"]);
    let status = status.exits(0).json();
    assert!(status["holder"]["holder"].to_string().contains(host));

    // Killed in the middle of its work; whoever comes next goes on with what it made.
    let ended = first.kill();
    assert_eq!(ended.code(), 137, "{}", ended.described());
    there(world.events(&["up", &file, &option, "--adopt"]), &other).exits(0);
    sandbox.account().assert_one_small();
    let listed = world.pipectl(&["list", &option, "-o", "json"]).exits(0);
    assert_eq!(listed.json()[0]["atWork"], Value::Null);

    // And the first one's machine finds it as the other left it.
    let gone = world.events(&["down", "met", "--yes"]).exits(0);
    assert_eq!(gone.events().left(), Vec::<Value>::new());
    sandbox.account().assert_empty();
}

/// The same run with its records elsewhere.
fn there<'w>(run: Run<'w>, state: &Path) -> Run<'w> {
    run.env("XDG_STATE_HOME", state)
}
