//! Clients that were not written here: boto3 and the AWS CLI in a virtual environment of the tests' own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Versions that the tests are held to.
const PACKAGES: [&str; 2] = ["boto3==1.44.5", "awscli==1.46.2"];

/// A ready virtual environment to be used instead of one that is made here.
const GIVEN: &str = "PIPECTL_TEST_VENV";

/// How the tests' own programs are found in a virtual environment.
pub struct Clients {
    environment: PathBuf,
}

impl Clients {
    /// The tests' environment, made at first use. None, loudly, where there is no Python.
    ///
    /// # Panics
    /// When it cannot be made, e.g. because the package index is out of reach: a test that cannot look is no test that passes.
    #[expect(clippy::print_stderr, reason = "a skipped test has to be heard")]
    pub fn ready() -> Option<Self> {
        if let Some(given) = std::env::var_os(GIVEN) {
            let environment = PathBuf::from(given);
            return Some(Self { environment });
        }
        if Command::new("python3").arg("--version").output().is_err() {
            eprintln!("SKIPPED: there is no python3, so no independent client to test with");
            return None;
        }
        let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
        std::fs::create_dir_all(root).unwrap();
        // Tests run side by side, each in a process or thread of its own: one makes it.
        let lock = std::fs::File::create(root.join("clients.lock")).unwrap();
        lock.lock().unwrap();
        let environment = root.join("clients");
        let complete = environment.join("complete");
        let wanted = PACKAGES.join("\n");
        if std::fs::read_to_string(&complete).is_ok_and(|has| has == wanted) {
            return Some(Self { environment });
        }
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&environment));
        let quiet = ["-m", "pip", "install", "--quiet"];
        run(Command::new(environment.join("bin/python"))
            .args(quiet)
            .arg("--disable-pip-version-check")
            .args(PACKAGES));
        std::fs::write(&complete, wanted).unwrap();
        Some(Self { environment })
    }

    /// Runs one of the scripts beside this, in an environment of nothing but these variables.
    ///
    /// # Panics
    /// With the script's output when it fails, and with the command that runs it again.
    pub async fn script(
        &self,
        script: &str,
        arguments: &[&str],
        variables: Vec<(String, OsString)>,
        home: &Path,
    ) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/clients")
            .join(script);
        let own = self.environment.join("bin");
        let mut search = own.clone().into_os_string();
        if let Some(path) = std::env::var_os("PATH") {
            search.push(":");
            search.push(path);
        }
        let mut command = Command::new(own.join("python"));
        command
            .arg(&file)
            .args(arguments)
            .env_clear()
            .envs(variables)
            .env("PATH", search)
            .env("HOME", home)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.unwrap().unwrap();
        let (out, error) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "{script} {}:\n{out}{error}\nagain, against a running sandbox:\n  eval \"$(pipectl sandbox env)\" && {} {} {}\n",
            arguments.join(" "),
            own.join("python").display(),
            file.display(),
            arguments.join(" "),
        );
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the tests' virtual environment cannot be made: it takes python3 with its venv module, and a package index in reach. \
         Otherwise set {GIVEN} to one that has {}.\n{command:?}: {error}",
        PACKAGES.join(" and "),
    );
}
