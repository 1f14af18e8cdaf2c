//! The program against the simulated AWS at its default time scale: the streaming blueprint up, up again, and down.
//!
//! What AWS itself takes is the floor of `up`: a control plane, then nodes in it. Pods that start inside the cluster do not
//! follow the time scale and are told apart.

use std::{collections::BTreeMap, path::Path, time::Duration};

use pipectl_sandbox::{CallCount, Count, Sandbox};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{
    program::{PIPECTL, Run, run},
    sandbox::calls,
    table::{Problem, Table},
};

const NAME: &str = "bench-aws";
const ROUNDS: usize = 3;
/// The stages whose steps wait for AWS; only these are held against its own times.
const ON_AWS: &[&str] = &["account", "network", "cluster", "addons", "nodes"];
/// The waits, one after the other, that nothing can shorten: a cluster, and a node that joins it.
const FLOOR: &[&str] = &[
    "cluster-active",
    "nodegroup-launches",
    "instance-running",
    "node-joins",
    "nodegroup-settles",
];

/// Starts a sandbox with nothing but the simulated AWS, measures in it, and ends it whatever happened.
///
/// # Errors
/// When the sandbox cannot be started, or a run fails.
pub fn measure(table: &mut Table, runtime: &Runtime) -> Result<(), Problem> {
    let home = tempfile::tempdir()?;
    let root = home.path().join("pipectl/sandbox").join(NAME);
    let sandbox = Sandbox::in_directory(NAME, root, Path::new(PIPECTL));
    let start = ["sandbox", "start", "--name", NAME, "--no-cluster"];
    let start = run(home.path(), start);
    let bench = Bench {
        home: home.path(),
        sandbox: &sandbox,
        runtime,
    };
    let measured = start.and_then(|_| bench.blueprint(table));
    let stopped = runtime.block_on(sandbox.stop());
    measured?;
    stopped?;
    Ok(())
}

struct Bench<'a> {
    home: &'a Path,
    sandbox: &'a Sandbox,
    runtime: &'a Runtime,
}

/// What is known of the rounds of one command.
#[derive(Default)]
struct Rounds {
    runs: Vec<Run>,
    aws: Vec<Vec<CallCount>>,
    kubernetes: Vec<Vec<Count>>,
}

impl Bench<'_> {
    fn blueprint(&self, table: &mut Table) -> Result<(), Problem> {
        let commands: [(&str, &[&str]); 3] = [
            ("up", &["up", "--sandbox=bench-aws"]),
            ("no-op up", &["up", "--sandbox=bench-aws"]),
            ("down", &["down", "--yes", "streaming"]),
        ];
        let mut rounds: [Rounds; 3] = Default::default();
        let mut memory = Vec::new();
        let mut scale = 1.0;
        for _ in 0..ROUNDS {
            for (place, (_, arguments)) in commands.iter().enumerate() {
                self.run(arguments, &mut rounds[place])?;
                if place == 0 {
                    let status = self.runtime.block_on(self.sandbox.status())?;
                    let status = status.ok_or("the sandbox does not run any more")?;
                    #[expect(clippy::cast_precision_loss, reason = "megabytes need no precision")]
                    memory.push(status.total_memory() as f64 / 1e6);
                    scale = status.aws.map_or(1.0, |aws| f64::from(aws.time_scale));
                }
            }
        }
        times(table, &rounds[0].runs, scale)?;
        for ((name, _), rounds) in commands.iter().zip(&rounds) {
            let took = rounds.runs.iter().map(|run| run.took).collect();
            table.millis(&format!("blueprint on AWS: {name}"), "", took);
        }
        for ((name, _), rounds) in commands.iter().zip(&rounds) {
            #[expect(clippy::cast_precision_loss, reason = "megabytes need no precision")]
            let most = rounds.runs.iter().map(|run| run.memory as f64 / 1e6);
            table.numbers(
                &format!("blueprint on AWS: {name}, MB resident"),
                "< 80",
                most.collect(),
            );
        }
        table.numbers("the sandbox with its cluster, MB", "", memory);
        for ((name, _), rounds) in commands.iter().zip(&rounds) {
            let what = format!("blueprint on AWS: {name}");
            let aim = if *name == "no-op up" { "0" } else { "" };
            for (sort, changes) in [("reads", false), ("changes", true)] {
                let sums = rounds.aws.iter().map(|counts| {
                    let of_sort = counts.iter().filter(|count| count.mutating == changes);
                    of_sort.map(|count| count.calls).sum::<u64>()
                });
                #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
                let sums = sums.map(|sum| sum as f64).collect();
                let aim = if changes { aim } else { "" };
                table.numbers(&format!("{what}: AWS calls, {sort}"), aim, sums);
            }
            calls(table, &what, &rounds.kubernetes);
        }
        Ok(())
    }

    /// One run, and the calls that it made.
    fn run(&self, arguments: &[&str], rounds: &mut Rounds) -> Result<(), Problem> {
        self.runtime.block_on(self.sandbox.reset_counters())?;
        self.runtime.block_on(self.sandbox.reset_aws_calls())?;
        let said = ["--output", "json"];
        let run = run(self.home, arguments.iter().copied().chain(said))?;
        rounds.runs.push(run);
        let aws = self.runtime.block_on(self.sandbox.aws_calls())?;
        rounds.aws.push(aws);
        let kubernetes = self.runtime.block_on(self.sandbox.counters())?;
        rounds.kubernetes.push(kubernetes);
        Ok(())
    }
}

/// Where the time of `up` went. Nodes are ready when the cluster says so, which is work of the cluster in real time, so that this
/// part of what is held against AWS's own times follows no scale.
fn times(table: &mut Table, runs: &[Run], scale: f64) -> Result<(), Problem> {
    let floor = floor(scale)?;
    let mut makespan = Vec::new();
    let mut path = Vec::new();
    let mut inside = Vec::new();
    let mut to_path = Vec::new();
    let mut sum = Vec::new();
    let mut to_sum = Vec::new();
    let mut on_aws = Vec::new();
    let mut to_floor = Vec::new();
    for run in runs {
        let finished = finished(run)?;
        let all = finished["took_ms"].as_u64().ok_or("a run without an end")?;
        let links = finished["critical_path"].as_array();
        let links = links.ok_or("a run without a critical path")?;
        let time = |part: &Value, field: &str| part[field].as_u64().unwrap_or(0);
        // Waiting for a place among the calls is no part of what the graph demands.
        let demanded = |link: &Value| time(link, "took_ms") - time(link, "queued_ms");
        let longest: u64 = links.iter().map(demanded).sum();
        let links = links.iter().filter(|link| !waits_for_aws(link));
        let in_cluster: u64 = links.map(demanded).sum();
        let timings = finished["timings"].as_array();
        let timings = timings.ok_or("a run without timings")?;
        let steps: u64 = timings
            .iter()
            .map(|timing| time(timing, "ended_ms").saturating_sub(time(timing, "started_ms")))
            .sum();
        let last = timings
            .iter()
            .filter(|timing| waits_for_aws(timing))
            .map(|timing| time(timing, "ready_ms"))
            .max();
        let last = last.ok_or("a run without steps on AWS")?;
        makespan.push(Duration::from_millis(all));
        path.push(Duration::from_millis(longest));
        inside.push(Duration::from_millis(in_cluster));
        to_path.push(ratio(all, longest));
        sum.push(Duration::from_millis(steps));
        to_sum.push(ratio(all, steps));
        on_aws.push(Duration::from_millis(last));
        to_floor.push(Duration::from_millis(last).as_secs_f64() / floor.as_secs_f64());
    }
    let what = "up on AWS";
    table.millis(&format!("{what}: makespan"), "", makespan);
    table.millis(&format!("{what}: its critical path"), "", path);
    table.millis(&format!("{what}: of that inside the cluster"), "", inside);
    table.ratios(
        &format!("{what}: makespan to critical path"),
        "<= 1.05",
        to_path,
    );
    table.millis(&format!("{what}: sum of its steps"), "", sum);
    table.ratios(&format!("{what}: makespan to sum of steps"), "", to_sum);
    table.millis(&format!("{what}: until all of AWS is ready"), "", on_aws);
    table.millis(
        &format!("{what}: control plane and nodes by AWS's times"),
        "",
        vec![floor],
    );
    table.ratios(
        &format!("{what}: until ready to AWS's own times"),
        "<= 1.05",
        to_floor,
    );
    Ok(())
}

/// Whether a step waits for AWS; the storage class is an object in the cluster.
fn waits_for_aws(part: &Value) -> bool {
    let step = part["step"].as_str().unwrap_or_default();
    let stage = step.split('/').next().unwrap_or_default();
    ON_AWS.contains(&stage) && step != "addons/storage-class"
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of some minutes")]
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}

/// The last event of a run.
fn finished(run: &Run) -> Result<Value, Problem> {
    let mut events = run
        .output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let finished = events.rfind(|event| event["type"] == "run_finished");
    finished.ok_or_else(|| "the run said nothing of its end".into())
}

/// How long AWS takes for a cluster and its first nodes, at this time scale, by the table of the simulator.
fn floor(scale: f64) -> Result<Duration, Problem> {
    let text = include_str!("../../sandbox/src/aws/data/latency.json");
    let table: BTreeMap<String, Value> = serde_json::from_str(text)?;
    let seconds = |wait: &&str| {
        table
            .get(*wait)
            .and_then(|figure| figure["seconds"].as_f64())
    };
    let waits: Option<Vec<f64>> = FLOOR.iter().map(seconds).collect();
    let waits = waits.ok_or("the table of the simulator has other names")?;
    Ok(Duration::from_secs_f64(
        waits.iter().sum::<f64>() / scale.max(1.0),
    ))
}
