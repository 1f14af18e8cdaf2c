//! What is changed in the pipeline file is changed on AWS, by the calls that it takes and no other.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Account, Cluster, Kind, Outcome, Sandbox, Stranger, World, small};

#[test]
fn changes_make_the_calls_that_they_take_and_down_tells_when_the_key_goes() {
    let world = World::new();
    let sandbox = world.sandbox_on_aws("changing", 1);
    let addons = "  addons: [{name: vpc-cni}, {name: coredns, version: v1.13.1-eksbuild.1}, {name: aws-ebs-csi-driver}, \
                  {name: eks-pod-identity-agent}]\n";
    let file = world.file("pipeline.yaml", &(small("changing") + addons));
    let mut house = House {
        world: &world,
        sandbox: &sandbox,
        command: vec!["up".to_owned(), file, sandbox.option()],
    };
    house.up();
    sandbox.account().assert_one_small();
    let cluster = Cluster::open(&world.environment("changing").join("kubeconfig"));
    assert_eq!(cluster.list(Kind::NODE, "", "").len(), 2);

    // One more add-on, which a person has installed by hand meanwhile: it is not taken over.
    let stranger = Stranger::of(&sandbox);
    stranger.addon("pipectl-changing", "kube-proxy");
    let more = addons.replace("}]", "}, {name: kube-proxy}]");
    world.file("pipeline.yaml", &(small("changing") + &more));
    let taken = house.run().exits(7);
    assert_eq!(
        taken.events().failures(),
        [("addons/kube-proxy".to_owned(), "ENG004".to_owned())],
        "{}",
        taken.described()
    );
    assert_eq!(sandbox.aws_calls().changes(), calls(&[]));
    stranger.remove_addon("pipectl-changing", "kube-proxy");
    assert_eq!(house.up(), calls(&[("eks:CreateAddon", 1)]));

    house.set("nodeGroups[default].size=3");
    assert_eq!(house.up(), calls(&[("eks:UpdateNodegroupConfig", 1)]));
    assert_eq!(cluster.list(Kind::NODE, "", "").len(), 3);

    house.set("addons[coredns].version=v1.13.2-eksbuild.1");
    assert_eq!(house.up(), calls(&[("eks:UpdateAddon", 1)]));
    let (_, made) = only(&sandbox.account(), "clusters");
    assert_eq!(made["addons"]["coredns"]["version"], "v1.13.2-eksbuild.1");

    // A tag for everything, and for the volumes that the driver will make.
    let before = sandbox.account().tagged("changing");
    house.set("tags.team=data");
    let mut wanted = calls(&[("eks:UpdateAddon", 1)]);
    for what in before.keys().filter(|what| !is_record(what)) {
        *wanted.entry(tags_it(what).to_owned()).or_default() += 1;
    }
    assert_eq!(house.up(), wanted, "{before:#?}");
    let after = sandbox.account().tagged("changing");
    assert_eq!(
        after.keys().collect::<Vec<_>>(),
        before.keys().collect::<Vec<_>>()
    );
    for (what, tags) in after.iter().filter(|(what, _)| !is_record(what)) {
        assert_eq!(tags["team"], json!("data"), "{what}: {tags:#}");
    }
    let (_, made) = only(&sandbox.account(), "clusters");
    let driver = made["addons"]["aws-ebs-csi-driver"]["configuration"].to_string();
    assert!(
        driver.contains("team") && driver.contains("data"),
        "{driver}"
    );
    assert_eq!(house.up(), calls(&[]));

    // A deleted key waits, and a person is told until when.
    let (key, _) = only(&sandbox.account(), "keys");
    let down = world.pipectl(&["down", "changing", "--yes"]).exits(0);
    sandbox.account().assert_empty();
    let account = sandbox.account();
    assert_eq!(account.all("aliases").count(), 0, "the alias goes at once");
    let (_, kept) = only(&account, "keys");
    let deletion = kept["deletion"].as_i64().expect("a time in milliseconds");
    let day = jiff::Timestamp::from_millisecond(deletion).expect("a time");
    let day = day.strftime("%Y-%m-%d").to_string();
    assert!(
        down.stdout
            .lines()
            .any(|line| line.contains(&key) && line.contains(&day)),
        "nothing is said of key {key} and {day}\n{}",
        down.described()
    );
}

/// An environment that is brought up again and again, each time with one change more.
struct House<'w> {
    world: &'w World,
    sandbox: &'w Sandbox<'w>,
    command: Vec<String>,
}

impl House<'_> {
    fn set(&mut self, change: &str) {
        self.command.extend(["--set".to_owned(), change.to_owned()]);
    }

    fn run(&self) -> Outcome {
        self.sandbox.count_anew();
        let words: Vec<&str> = self.command.iter().map(String::as_str).collect();
        self.world.events(&words).run()
    }

    /// Brings it up; answers the calls that changed something, but for those of the lease in the account: a run that changes
    /// something takes it, prolongs it every 40 seconds and gives it back, and one that changes nothing does not take it.
    #[track_caller]
    fn up(&self) -> BTreeMap<String, u64> {
        let run = self.run().exits(0);
        let calls = self.sandbox.aws_calls();
        assert_eq!(calls.refused(), [].into(), "AWS refused something");
        let mut changes = calls.changes();
        let writes = changes.remove("ssm:PutParameter").unwrap_or(0);
        assert_eq!(writes >= 2, !changes.is_empty(), "{}", run.described());
        changes
    }
}

fn calls(calls: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let calls = calls.iter();
    calls
        .map(|(call, times)| ((*call).to_owned(), *times))
        .collect()
}

/// The action that tags a resource.
fn tags_it(what: &str) -> &'static str {
    match what.split(' ').next().unwrap_or_default() {
        "clusters" => "eks:TagResource",
        "roles" => "iam:TagRole",
        "providers" => "iam:TagOpenIDConnectProvider",
        "keys" => "kms:TagResource",
        // The group of control-plane logs; security groups are another service's.
        "groups" if what.contains("/aws/eks/") => "logs:TagResource",
        _ => "ec2:CreateTags",
    }
}

/// Whether it is the environment's record in the account, which keeps the tags that it was made with.
fn is_record(what: &str) -> bool {
    what.starts_with("parameters")
}

/// The only resource of a kind.
#[track_caller]
fn only(account: &Account, kind: &str) -> (String, Value) {
    let all: Vec<_> = account.all(kind).collect();
    let [(id, one)] = all[..] else {
        panic!("one of {kind} was expected: {all:#?}");
    };
    (id.to_owned(), one.clone())
}
