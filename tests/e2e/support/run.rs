//! Bounded runs of the real binary, with everything a person needs to know when one goes wrong.

use std::{
    ffi::{OsStr, OsString},
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read, Write as _},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use super::{Events, World};

/// No run takes longer than this, unless a test says so.
const LIMIT: Duration = Duration::from_secs(150);

/// How long the rest of a killed process's output is waited for.
const REST: Duration = Duration::from_secs(5);

/// A run of pipectl to be started.
#[must_use]
pub struct Run<'w> {
    world: &'w World,
    program: PathBuf,
    args: Vec<OsString>,
    envs: Vec<(OsString, Option<OsString>)>,
    directory: PathBuf,
    limit: Duration,
    input: Option<String>,
    on_aws: bool,
}

impl<'w> Run<'w> {
    pub(super) fn new(world: &'w World, args: &[&str]) -> Self {
        Self {
            world,
            program: env!("CARGO_BIN_EXE_pipectl").into(),
            args: args.iter().map(OsString::from).collect(),
            envs: Vec::new(),
            directory: world.directory().to_owned(),
            limit: LIMIT,
            input: None,
            on_aws: world.on_aws.load(Ordering::Relaxed),
        }
    }

    /// With the blueprint on the simulated AWS, as it is. Tests of what happens inside a cluster take it to the sandbox's plain
    /// one, which is there in seconds.
    pub fn on_aws(mut self) -> Self {
        self.on_aws = true;
        self
    }

    /// Whether this brings up, or plans, the blueprint: the one in the program, or one that was exported.
    fn takes_blueprint(&self) -> bool {
        let words: Vec<_> = self.args.iter().filter_map(|arg| arg.to_str()).collect();
        let verb = words.iter().any(|word| ["up", "plan"].contains(word));
        let named = words.iter().find(|word| word.ends_with(".yaml"));
        let file = self.directory.join(named.unwrap_or(&"pipeline.yaml"));
        let exported = fs::read_to_string(file).map_or(named.is_none(), |text| {
            text.contains("provider: {eks: {region: us-west-2}}")
        });
        verb && exported
    }

    /// Another argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Another environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.envs
            .push((name.into(), Some(value.as_ref().to_owned())));
        self
    }

    /// Without this variable.
    pub fn without(mut self, name: &str) -> Self {
        self.envs.push((name.into(), None));
        self
    }

    /// In another directory.
    pub fn directory(mut self, directory: &Path) -> Self {
        self.directory = directory.to_owned();
        self
    }

    /// With another bound of its duration.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// With this on standard input.
    pub fn input(mut self, text: &str) -> Self {
        self.input = Some(text.to_owned());
        self
    }

    /// With a preparation (a mount, say) that only this process sees, in user and mount namespaces of its own.
    pub fn in_namespace(self, preparation: &str) -> Self {
        let shell = [
            "-rm",
            "sh",
            "-c",
            &format!("{preparation} && exec \"$@\""),
            "sh",
        ]
        .map(OsString::from);
        self.through("unshare", shell)
    }

    /// With its standard output read by another command of the shell's, which must succeed like itself.
    pub fn piped_into(self, reader: &str) -> Self {
        let script = format!("{{ \"$@\" || echo \"exit code $?\" >&2; }} | {reader}");
        self.through("sh", ["-c", &script, "sh"].map(OsString::from))
    }

    fn through<const N: usize>(mut self, program: &str, before: [OsString; N]) -> Self {
        let mut args = Vec::from(before);
        args.push(self.program.into_os_string());
        args.append(&mut self.args);
        self.program = program.into();
        self.args = args;
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Outcome {
        self.start().wait()
    }

    /// Runs it to its end and holds it to an exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Outcome {
        self.run().exits(code)
    }

    /// Starts it.
    pub fn start(mut self) -> Running<'w> {
        if !self.on_aws && self.takes_blueprint() {
            self.args
                .extend(["--set", "provider=sandbox"].map(OsString::from));
        }
        let line = self.line();
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .current_dir(&self.directory)
            .env_clear()
            .envs(self.world.variables())
            .stdin(if self.input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // As under a shell with job control: what a terminal would signal is this group alone.
            .process_group(0);
        for (name, value) in &self.envs {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {line}: {error}"));
        if let (Some(text), Some(mut stdin)) = (&self.input, child.stdin.take()) {
            // A program that does not read its input has every right to.
            let _ = stdin.write_all(text.as_bytes());
        }
        let (sender, lines) = channel();
        let stdout = Gathered::lines(child.stdout.take(), sender);
        let stderr = Gathered::all(child.stderr.take());
        Running {
            world: self.world,
            line,
            child,
            stdout,
            stderr,
            lines,
            begun: Instant::now(),
            limit: self.limit,
        }
    }

    /// The command as a person would type it, with the variables that differ from the hermetic ones.
    fn line(&self) -> String {
        let mut line = String::new();
        for (name, value) in &self.envs {
            match value {
                Some(value) => {
                    let _ = write!(line, "{}={} ", name.display(), value.display());
                }
                None => {
                    let _ = write!(line, "-u {} ", name.display());
                }
            }
        }
        let _ = write!(line, "{}", self.program.display());
        for arg in &self.args {
            let _ = write!(line, " {}", arg.display());
        }
        line
    }
}

/// Output as it comes.
struct Gathered {
    text: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Gathered {
    fn lines(from: Option<impl Read + Send + 'static>, lines: Sender<String>) -> Self {
        Self::gather(from, move |line| {
            // Nobody listens any more when the test only waits for the end.
            let _ = lines.send(String::from_utf8_lossy(line).trim_end().to_owned());
        })
    }

    fn all(from: Option<impl Read + Send + 'static>) -> Self {
        Self::gather(from, |_| {})
    }

    fn gather(
        from: Option<impl Read + Send + 'static>,
        mut each: impl FnMut(&[u8]) + Send + 'static,
    ) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let (sender, ended) = channel();
        let copy = Arc::clone(&text);
        std::thread::spawn(move || {
            if let Some(from) = from {
                let mut from = BufReader::new(from);
                let mut line = Vec::new();
                while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                    copy.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .extend_from_slice(&line);
                    each(&line);
                    line.clear();
                }
            }
            let _ = sender.send(());
        });
        Self { text, ended }
    }

    /// All of it, once the stream ended; whoever else holds the stream open is not waited for for long.
    fn finish(self) -> String {
        let _ = self.ended.recv_timeout(REST);
        self.so_far()
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap_or_else(PoisonError::into_inner))
            .into_owned()
    }
}

/// A run under way.
pub struct Running<'w> {
    world: &'w World,
    line: String,
    child: Child,
    stdout: Gathered,
    stderr: Gathered,
    lines: Receiver<String>,
    begun: Instant,
    limit: Duration,
}

impl Running<'_> {
    /// Waits for an event that fits, and gives it.
    #[track_caller]
    pub fn until_event(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let left = self.limit.saturating_sub(self.begun.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if let Ok(event) = serde_json::from_str::<Value>(&line)
                        && fits(&event)
                    {
                        return event;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.give_up(&format!("no {what} came in time")),
                Err(RecvTimeoutError::Disconnected) => {
                    self.give_up(&format!("it ended before {what}"))
                }
            }
        }
    }

    /// Waits until a step has an event of this type.
    #[track_caller]
    pub fn until_step(&mut self, kind: &str, step: &str) -> Value {
        self.until_event(&format!("{kind} of {step}"), |event| {
            event["type"] == kind && event["step"] == step
        })
    }

    /// How long it runs already.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Sends a signal to the program itself.
    pub fn signal(&self, signal: Signal) {
        // It may have ended meanwhile; the outcome tells.
        let _ = kill_process(self.pid(), signal);
    }

    /// Sends a signal to the program and everything that it started in its own process group.
    pub fn signal_group(&self, signal: Signal) {
        let _ = kill_process_group(self.pid(), signal);
    }

    fn pid(&self) -> Pid {
        let number = i32::try_from(self.child.id()).ok();
        number
            .and_then(Pid::from_raw)
            .expect("a process has a number")
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(self) -> Outcome {
        let limit = self.limit;
        self.wait_at_most(limit)
    }

    /// Waits for its end, at most so long from the start of the program.
    #[track_caller]
    pub fn wait_at_most(mut self, limit: Duration) -> Outcome {
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if self.begun.elapsed() > limit => {
                    self.give_up(&format!("it did not end within {limit:?}"))
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => panic!("cannot wait for {}: {error}", self.line),
            }
        };
        self.ended(status)
    }

    /// Ends it without a word, as the kernel would, and gives what it said until then.
    pub fn kill(mut self) -> Outcome {
        self.signal(Signal::KILL);
        let status = self
            .child
            .wait()
            .unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.line));
        self.ended(status)
    }

    #[expect(
        clippy::print_stderr,
        reason = "what a test did so far, shown when it fails and with --nocapture"
    )]
    fn ended(self, status: ExitStatus) -> Outcome {
        let took = self.begun.elapsed();
        let arguments = self
            .line
            .split_once("/pipectl ")
            .map_or("", |(_, rest)| rest);
        eprintln!(
            "{:>8.1} s  {status}  pipectl {arguments}",
            took.as_secs_f64()
        );
        Outcome {
            line: self.line,
            status,
            took,
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
            surroundings: self.world.reproduction(),
        }
    }

    #[track_caller]
    fn give_up(&mut self, why: &str) -> ! {
        let _ = self.child.kill();
        let _ = self.child.wait();
        panic!(
            "{why}\n  command  {}\n{}{}\n{}",
            self.line,
            block("stdout", &self.stdout.so_far()),
            block("stderr", &self.stderr.so_far()),
            self.world.reproduction()
        );
    }
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    line: String,
    status: ExitStatus,
    /// How long it took.
    pub took: Duration,
    /// What it printed.
    pub stdout: String,
    /// What it said beside.
    pub stderr: String,
    surroundings: String,
}

impl Outcome {
    /// The exit code; 128 + N for an end by signal N.
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Holds it to an exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(
            self.code() == code,
            "exit code {code} was expected\n{}",
            self.described()
        );
        self
    }

    /// Holds it to an error with this code and a hint on standard error.
    #[track_caller]
    pub fn complains(self, code: &str) -> Self {
        assert!(
            self.stderr.contains(&format!("error[{code}]")),
            "error[{code}] was expected\n{}",
            self.described()
        );
        assert!(
            ["help", "hint"]
                .iter()
                .any(|word| self.stderr.contains(word)),
            "error[{code}] says what is wrong, and not what a person can do\n{}",
            self.described()
        );
        self
    }

    /// Holds it to words on standard error.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(
            self.stderr.contains(words),
            "{words:?} was expected on standard error\n{}",
            self.described()
        );
        self
    }

    /// Its events.
    pub fn events(&self) -> Events {
        Events::parse(&self.stdout)
    }

    /// What it printed, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON: {error}\n{}", self.described()))
    }

    /// Everything about it, for a message.
    pub fn described(&self) -> String {
        format!(
            "  command  {}\n  ended    {} after {:?}\n{}{}{}",
            self.line,
            self.status,
            self.took,
            block("stdout", &self.stdout),
            block("stderr", &self.stderr),
            self.surroundings
        )
    }
}

/// The end of a text, indented under its name.
pub(super) fn block(name: &str, text: &str) -> String {
    const LINES: usize = 60;
    const WIDTH: usize = 600;
    let lines: Vec<&str> = text.lines().collect();
    let mut block = format!("  {name}");
    if lines.len() > LINES {
        let _ = write!(block, " (the last {LINES} of {} lines)", lines.len());
    }
    block.push('\n');
    for line in &lines[lines.len().saturating_sub(LINES)..] {
        let cut: String = line.chars().take(WIDTH).collect();
        let _ = writeln!(block, "    {cut}");
    }
    block
}
