//! Two environments and somebody else's things in one account and region.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Account, Stranger, World, small};

#[test]
fn two_environments_and_a_stranger_share_an_account() {
    let world = World::new();
    let sandbox = world.sandbox_on_aws("shared", 2);
    let option = sandbox.option();
    let stranger = Stranger::of(&sandbox);
    let vpc = stranger.vpc();
    stranger.subnet(&vpc, "us-west-2a", "10.0.0.0/24");
    stranger.group(&vpc, "pipectl-left-control-plane");
    stranger.role(
        "/",
        "pipectl-left-us-west-2-cluster-of-mine",
        "AmazonEKSClusterPolicy",
    );
    let strangers = sandbox.account();

    // Both at once, from nothing.
    let names = ["left", "right"];
    let files = names.map(|name| world.file(&format!("{name}.yaml"), &small(name)));
    std::thread::scope(|scope| {
        for file in &files {
            let (world, option) = (&world, &option);
            scope.spawn(move || world.events(&["up", file, option]).exits(0));
        }
    });
    for name in names {
        world.pipectl(&["status", name, "--check"]).exits(0);
    }
    let both = sandbox.account();
    assert_eq!(both.counts().get("vpcs"), Some(&3));
    assert_eq!(both.counts().get("clusters"), Some(&2));

    // One goes, and nothing of the other moves. Its record is lost, too: the account tells everything.
    let mut others = both.without(&of(&both, "left"));
    others.0.extend(strangers.0.clone());
    assert_eq!(others.counts().get("clusters"), Some(&1));
    fs::remove_dir_all(world.environment("left")).expect("the record");
    sandbox.count_anew();
    looked_at_without_a_record(&world, &option, &files[0]);
    assert_eq!(sandbox.aws_calls().changes(), [].into());
    let down = ["down", "--env", "left", &option, "--yes"];
    let down = world.events(&down).exits(0);
    assert_eq!(down.events().left(), Vec::<Value>::new());
    let absence = down.events().absence();
    assert!(
        absence["checked"].as_u64().is_some_and(|count| count > 25),
        "{absence:#}"
    );
    sandbox.account().assert_only(&others);
    world.pipectl(&["status", "right", "--check"]).exits(0);
    sandbox.count_anew();
    world.events(&["up", &files[1], &option]).exits(0);
    assert_eq!(sandbox.aws_calls().changes(), [].into());

    // Even without its record in the account, by tags alone.
    fs::remove_dir_all(world.environment("right")).expect("the record");
    stranger.forget_parameter("/pipectl/environments/right");
    // What a stranger put into its VPC stays, and so does the VPC; whoever runs `down` is told what holds it.
    let account = sandbox.account();
    let ours = |(_, vpc): &(&str, &Value)| vpc.to_string().contains("\"right\"");
    let (ours, _) = account.all("vpcs").find(ours).expect("the VPC of right");
    let group = stranger.group(ours, "of-somebody-else");
    let down = ["down", "--env", "right", &option, "--yes"];
    let held = world.events(&down).exits(5);
    let left = serde_json::to_string(&held.events().left()).expect("text");
    assert!(left.contains(ours) && left.contains(&group), "{left}");
    let left = sandbox.account().standing();
    assert_eq!(left.counts().get("clusters"), None);
    assert_eq!(left.counts().get("vpcs"), Some(&2));
    assert!(left.all("groups").any(|(id, _)| id == group));
    stranger.remove_group(&group);
    let down = world.events(&down).exits(0);
    assert_eq!(down.events().left(), Vec::<Value>::new());
    sandbox.account().assert_only(&strangers);
    world.assert_nothing_recorded();
}

/// Whoever looks at `left` is told what is there and that it would be taken up, and nothing is written down for that.
fn looked_at_without_a_record(world: &World, option: &str, file: &str) {
    let status = ["status", "left", option, "-o", "json"];
    let status = world.pipectl(&status).exits(0).json();
    assert_eq!(status["recorded"], false, "{status:#}");
    for kind in ["EKS cluster", "VPC"] {
        assert_eq!(status["holds"][kind], 1, "{status:#}");
    }
    let told = world.pipectl(&["status", "left", option, "--check"]);
    let told = told.exits(1).stdout;
    for words in ["1 EKS cluster", "nothing is recorded of it on this machine"] {
        assert!(told.contains(words), "{words} in {told}");
    }
    let nobody = ["status", "nobody", option];
    world.pipectl(&nobody).exits(3).complains("STA001");

    let plan = ["plan", file, option, "-o", "json"];
    let plan = world.pipectl(&plan).exits(0).json();
    let steps = plan.as_array().expect("steps");
    for step in steps {
        assert!(step["unknown"].is_null(), "{step:#}");
        let differences = step["differences"].as_array().expect("differences");
        let adopted = |one: &Value| one["change"] == "adopted";
        assert!(differences.iter().all(adopted), "{step:#}");
    }
    let control_plane = steps
        .iter()
        .find(|step| step["step"] == "cluster/control-plane")
        .expect("the control plane");
    assert_ne!(control_plane["differences"], json!([]));
    assert!(!world.environment("left").exists());
}

/// Words that mark what is an environment's: its name in tags and names, its VPC, its instances, and the profile of its nodes.
fn of(account: &Account, name: &str) -> Vec<String> {
    let mut words = vec![
        format!("pipectl-{name}-us-west-2"),
        format!("pipectl-{name}\""),
        format!("\"{name}\""),
        format!("alias/pipectl/{name}"),
        format!("/aws/eks/pipectl-{name}/"),
        format!("/pipectl/environments/{name}"),
    ];
    let own = |one: &Value| one.to_string().contains(&format!("\"{name}\""));
    for kind in ["vpcs", "keys"] {
        let found = account.all(kind).filter(|(_, one)| own(one));
        words.extend(found.map(|(id, _)| id.to_owned()));
    }
    words
}
