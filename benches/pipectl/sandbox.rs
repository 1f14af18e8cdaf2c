//! The program against a sandbox of its own: many plain objects, and the streaming blueprint.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use pipectl_sandbox::{Count, Sandbox};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{
    program::{PIPECTL, Run, run},
    table::{Problem, Table},
};

const OBJECTS: usize = 250;
const TIMES: usize = 5;
const NAME: &str = "bench";

/// Starts a sandbox, measures in it, and ends it whatever happened.
///
/// # Errors
/// When the sandbox cannot be started, or a run fails.
pub fn measure(table: &mut Table, runtime: &Runtime) -> Result<(), Problem> {
    let home = tempfile::tempdir()?;
    let root = home.path().join("pipectl/sandbox").join(NAME);
    let sandbox = Sandbox::in_directory(NAME, root, Path::new(PIPECTL));
    let start = run(home.path(), ["sandbox", "start", "--name", NAME]);
    let measured = start.and_then(|start| {
        table.millis("start of a sandbox", "", vec![start.took]);
        let bench = Bench {
            home: home.path(),
            sandbox: &sandbox,
            runtime,
        };
        bench.objects(table)?;
        bench.blueprint(table)
    });
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

impl Bench<'_> {
    /// 250 config maps in one workload: the step alone, from its beginning to the last answer, and the whole program.
    fn objects(&self, table: &mut Table) -> Result<(), Problem> {
        let (mut first, mut again) = (Figures::default(), Figures::default());
        let (mut first_calls, mut again_calls) = (Vec::new(), Vec::new());
        for n in 0..TIMES {
            let file = self.write_pipeline(&format!("many-{n}"))?;
            first.add(&self.run(&["up", &file.display().to_string()], &mut first_calls)?)?;
            again.add(&self.run(&["up", &file.display().to_string()], &mut again_calls)?)?;
        }
        table.millis(
            &format!("first apply of {OBJECTS} objects: the step"),
            "<= 800",
            first.step,
        );
        table.millis(
            &format!("first apply of {OBJECTS} objects: the program"),
            "",
            first.program,
        );
        table.millis(
            &format!("no-op of {OBJECTS} objects: the step"),
            "<= 150",
            again.step,
        );
        table.millis(
            &format!("no-op of {OBJECTS} objects: the program"),
            "",
            again.program,
        );
        calls(
            table,
            &format!("first apply of {OBJECTS} objects"),
            &first_calls,
        );
        calls(table, &format!("no-op of {OBJECTS} objects"), &again_calls);
        Ok(())
    }

    /// The streaming blueprint up, up again, and down. `down` comes so soon after `up` that it may have to wait for
    /// Kubernetes' garbage collector, which learns of new kinds every 30 s only, to delete the pods of operators.
    fn blueprint(&self, table: &mut Table) -> Result<(), Problem> {
        const ROUNDS: usize = 3;
        let names = ["up", "no-op up", "down"];
        let mut runs: [Vec<Run>; 3] = Default::default();
        let mut counts: [Vec<Vec<Count>>; 3] = Default::default();
        for _ in 0..ROUNDS {
            for (index, arguments) in [&["up"][..], &["up"], &["down", "--yes", "streaming"]]
                .into_iter()
                .enumerate()
            {
                runs[index].push(self.run(arguments, &mut counts[index])?);
            }
        }
        for (index, name) in names.into_iter().enumerate() {
            let times = runs[index].iter().map(|run| run.took).collect();
            table.millis(&format!("streaming blueprint: {name}"), "", times);
            #[expect(clippy::cast_precision_loss, reason = "megabytes need no precision")]
            let memory = runs[index]
                .iter()
                .map(|run| run.memory as f64 / 1e6)
                .collect();
            table.numbers(
                &format!("streaming blueprint: {name}, MB resident"),
                "< 80",
                memory,
            );
        }
        for (index, name) in names.into_iter().enumerate() {
            calls(
                table,
                &format!("streaming blueprint: {name}"),
                &counts[index],
            );
        }
        Ok(())
    }

    /// One run in the sandbox, and the calls that it made there.
    fn run(&self, arguments: &[&str], counts: &mut Vec<Vec<Count>>) -> Result<Run, Problem> {
        self.runtime.block_on(self.sandbox.reset_counters())?;
        let place = if arguments[0] == "up" {
            // What happens inside a cluster is measured in the plain one.
            vec!["--sandbox=bench", "--set", "provider=sandbox"]
        } else {
            Vec::new()
        };
        let run = run(
            self.home,
            arguments
                .iter()
                .copied()
                .chain(place)
                .chain(["--output", "json"]),
        )?;
        counts.push(self.runtime.block_on(self.sandbox.counters())?);
        Ok(run)
    }

    fn write_pipeline(&self, name: &str) -> Result<PathBuf, Problem> {
        let mut text = format!(
            "apiVersion: pipectl.dev/v1\nkind: Pipeline\nmetadata: {{name: {name}}}\nspec:\n  provider: sandbox\n  \
             verification: {{enabled: false}}\n  namespaces: [{{name: {name}}}]\n  workloads:\n    - name: many\n      \
             namespace: {name}\n      objects:\n"
        );
        for n in 0..OBJECTS {
            writeln!(
                text,
                "        - {{apiVersion: v1, kind: ConfigMap, metadata: {{name: map-{n}, labels: {{app: many}}}}, data: \
                 {{number: \"{n}\", text: \"some words that a program reads at its start\"}}}}"
            )?;
        }
        let path = self.home.join(format!("{name}.yaml"));
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

/// Times of several runs.
#[derive(Default)]
struct Figures {
    step: Vec<Duration>,
    program: Vec<Duration>,
}

impl Figures {
    /// The step's own time is in the run's last event.
    fn add(&mut self, run: &Run) -> Result<(), Problem> {
        let mut events = run
            .output
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let finished = events.rfind(|event| event["type"] == "run_finished");
        let finished = finished.ok_or("the run said nothing of its end")?;
        let timings = finished["timings"].as_array();
        let step = timings
            .into_iter()
            .flatten()
            .find(|timing| timing["step"] == "workloads/many");
        let time = |field: &str| step.and_then(|step| step[field].as_u64());
        let (Some(started), Some(applied)) = (time("started_ms"), time("applied_ms")) else {
            return Err("the run has no times of its step".into());
        };
        self.step
            .push(Duration::from_millis(applied.saturating_sub(started)));
        self.program.push(run.took);
        Ok(())
    }
}

/// Calls by what they are, pipectl's own and Helm's.
pub fn calls(table: &mut Table, what: &str, runs: &[Vec<Count>]) {
    let sum = |wanted: &dyn Fn(&Count) -> bool| -> Vec<f64> {
        let sums = runs.iter().map(|counts| {
            counts
                .iter()
                .filter(|count| wanted(count))
                .map(|count| count.count)
                .sum::<u64>()
        });
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        sums.map(|sum| sum as f64).collect()
    };
    let ours = |count: &Count| count.agent.starts_with("pipectl/");
    for verb in ["get", "list", "watch"] {
        table.numbers(
            &format!("{what}: {verb} calls"),
            "",
            sum(&|count| ours(count) && count.verb == verb),
        );
    }
    table.numbers(
        &format!("{what}: calls that write"),
        "",
        sum(&|count| ours(count) && !count.is_read()),
    );
    table.numbers(
        &format!("{what}: Helm's calls"),
        "",
        sum(&|count| count.agent.starts_with("Helm/")),
    );
}
