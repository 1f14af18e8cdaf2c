//! One environment, two runs: the second is told who holds it.

use rustix::process::Signal;

use crate::support::{Kind, TINY, World, tiny};

#[test]
fn of_two_runs_at_once_one_is_told_who_works_on_it() {
    let world = World::new();
    let sandbox = world.sandbox("contended");
    let option = sandbox.option();
    let slow = tiny("busybox:1").replace(
        "annotations: {}",
        "annotations: {sandbox.pipectl.dev/start-after: 20m}",
    );
    let slow = world.file("slow.yaml", &slow);
    let mut first = world.events(&["up", &slow, &option]).start();
    first.until_step("step_waits", "workloads/web");

    sandbox.count_anew();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("the host's name");
    let host = host.trim();
    let held = [
        vec!["up", &slow, &option],
        vec!["down", TINY, "--yes"],
        vec!["forget", TINY, "--force", "--yes"],
    ];
    for arguments in held {
        let told = world.pipectl(&arguments).exits(6);
        let _ = told.complains("STA020").says(host);
    }
    // What lives is not forgotten by chance.
    world
        .pipectl(&["forget", TINY, "--yes"])
        .exits(7)
        .complains("CLI020");
    assert_eq!(
        sandbox.calls().writes(),
        [],
        "a run without the lease wrote something"
    );
    // Looking is always possible.
    let status = world
        .pipectl(&["status", TINY, "-o", "json"])
        .exits(0)
        .json();
    assert_eq!(status["phase"], "coming_up", "{status:#}");

    first.signal(Signal::INT);
    first.wait().exits(130);
    world.events(&["down", TINY, "--yes"]).exits(0);
}

#[test]
fn of_two_first_runs_at_once_one_makes_the_environment() {
    let world = World::new();
    let sandbox = world.sandbox("raced");
    let slow = tiny("busybox:1").replace(
        "annotations: {}",
        "annotations: {sandbox.pipectl.dev/start-after: 20m}",
    );
    let slow = world.file("slow.yaml", &slow);
    // Whoever gets the environment waits for a pod that never starts, and ends by itself.
    let (option, bound) = (sandbox.option(), ["--timeout", "6s"]);
    let up = || {
        world
            .events(&["up", &slow, &option, bound[0], bound[1]])
            .run()
    };
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(up);
        let other = up();
        (one.join(), other)
    });
    let one = one.expect("a run");
    let mut codes = [one.code(), other.code()];
    codes.sort_unstable();
    assert_eq!(codes, [6, 130], "{}{}", one.described(), other.described());
    let records =
        sandbox
            .cluster()
            .list(Kind::CONFIG_MAP, "kube-system", "pipectl.dev/environment");
    assert_eq!(records.len(), 1, "{records:#?}");
    world.events(&["down", TINY, "--yes"]).exits(0);
}
