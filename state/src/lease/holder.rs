//! Who holds a lease, and whether that process still lives.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A process that holds, or held, a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The user's login name.
    pub user: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// The machine's boot, where the system tells it: two processes with the same one run on the same kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// The namespace that the process number counts in, where the system tells it (containers have their own).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_namespace: Option<String>,
    /// When the process started, as the system tells it: a process number may be used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// The CI job's address, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_url: Option<String>,
}

/// What can be said about another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It runs.
    Alive,
    /// It does not run any more.
    Dead,
    /// It runs elsewhere, if it runs.
    Unknown,
}

impl Holder {
    /// This process.
    pub fn current() -> Self {
        let pid = std::process::id();
        Self {
            user: user(),
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            pid,
            boot: boot_id(),
            pid_namespace: pid_namespace(),
            started: started(pid),
            job_url: job_url(|name| std::env::var(name).ok().filter(|value| !value.is_empty())),
        }
    }

    /// Whether both run, or ran, on the same kernel since the same boot.
    pub fn same_boot(&self, other: &Self) -> bool {
        self.boot.is_some() && self.boot == other.boot
    }

    /// Whether the process lives, as far as this one, `me`, can tell.
    pub fn liveness(&self, me: &Self) -> Liveness {
        if !self.same_boot(me) || self.pid_namespace != me.pid_namespace {
            return Liveness::Unknown;
        }
        let Some(pid) = i32::try_from(self.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        else {
            return Liveness::Dead;
        };
        match rustix::process::test_kill_process(pid) {
            // Another process may have the number by now.
            Ok(()) if self.started.is_some() && started(self.pid) != self.started => Liveness::Dead,
            Ok(()) | Err(rustix::io::Errno::PERM) => Liveness::Alive,
            Err(_) => Liveness::Dead,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} (process {}", self.user, self.host, self.pid)?;
        if let Some(url) = &self.job_url {
            write!(f, ", job {url}")?;
        }
        f.write_str(")")
    }
}

fn user() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    named("USER")
        .or_else(|| named("LOGNAME"))
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

/// The CI job's address from the variables that the widest-used CI systems document: GitHub Actions
/// (`GITHUB_SERVER_URL`, `GITHUB_REPOSITORY`, `GITHUB_RUN_ID`), GitLab (`CI_JOB_URL`), Jenkins (`BUILD_URL`).
fn job_url(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let github = || {
        let server = variable("GITHUB_SERVER_URL")?;
        Some(format!(
            "{server}/{}/actions/runs/{}",
            variable("GITHUB_REPOSITORY")?,
            variable("GITHUB_RUN_ID")?
        ))
    };
    github()
        .or_else(|| variable("CI_JOB_URL"))
        .or_else(|| variable("BUILD_URL"))
}

#[cfg(target_os = "linux")]
fn boot_id() -> Option<String> {
    // random(4): a random UUID, made once a boot.
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

#[cfg(not(target_os = "linux"))]
fn boot_id() -> Option<String> {
    // macOS tells it by sysctl(8) only; without it every dead holder is waited for a term long, which is safe.
    let output = std::process::Command::new("sysctl")
        .args(["-n", "kern.bootsessionuuid"])
        .output()
        .ok()?;
    let id = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !id.trim().is_empty()).then(|| id.trim().to_owned())
}

fn pid_namespace() -> Option<String> {
    let link = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(link.to_string_lossy().into_owned())
}

#[cfg(target_os = "linux")]
fn started(pid: u32) -> Option<String> {
    // proc(5): field 22 of stat, in clock ticks since the boot. The name in field 2 may hold blanks and brackets, so
    // fields are counted from its last bracket.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    // A zombie has ended; only its parent has not asked yet.
    let state = fields.next()?;
    (state != "Z" && state != "X").then(|| fields.nth(18).map(str::to_owned))?
}

#[cfg(not(target_os = "linux"))]
fn started(pid: u32) -> Option<String> {
    let output = std::process::Command::new("ps")
        .args(["-o", "lstart=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let time = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !time.trim().is_empty()).then(|| time.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_another_with_its_number_is_not_it() {
        let me = Holder::current();
        assert_eq!(me.liveness(&me), Liveness::Alive);
        let reused = Holder {
            started: Some("never".into()),
            ..me.clone()
        };
        assert_eq!(reused.liveness(&me), Liveness::Dead);
        let elsewhere = Holder {
            boot: Some("another".into()),
            ..me.clone()
        };
        assert_eq!(elsewhere.liveness(&me), Liveness::Unknown);
        let container = Holder {
            pid_namespace: Some("pid:[1]".into()),
            ..me.clone()
        };
        assert_eq!(container.liveness(&me), Liveness::Unknown);
    }

    #[test]
    fn a_child_that_was_waited_for_is_dead() {
        let mut child = std::process::Command::new("true")
            .spawn()
            .expect("`true` is a POSIX utility");
        let holder = Holder {
            pid: child.id(),
            started: None,
            ..Holder::current()
        };
        child.wait().expect("the child can be waited for");
        assert_eq!(holder.liveness(&Holder::current()), Liveness::Dead);
    }

    #[test]
    fn the_job_address_comes_from_what_ci_systems_set() {
        let github = |name: &str| match name {
            "GITHUB_SERVER_URL" => Some("https://github.example".to_owned()),
            "GITHUB_REPOSITORY" => Some("a/b".to_owned()),
            "GITHUB_RUN_ID" => Some("7".to_owned()),
            _ => None,
        };
        assert_eq!(
            job_url(github).as_deref(),
            Some("https://github.example/a/b/actions/runs/7")
        );
        let jenkins = |name: &str| (name == "BUILD_URL").then(|| "https://ci.example/1".to_owned());
        assert_eq!(job_url(jenkins).as_deref(), Some("https://ci.example/1"));
        assert_eq!(job_url(|_| None), None);
    }
}
