//! Which processes of ours are there: found by a directory of the test in their command line or surroundings.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, path::Path};

/// Processes, other than this one, that have `text` in their command line or in an environment variable, as
/// `PID COMMAND LINE`.
pub fn processes_with(text: &Path) -> Vec<String> {
    let needle = text.as_os_str().as_bytes();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = number(&entry.file_name()) else {
            continue;
        };
        if pid == std::process::id() || is_zombie(pid) {
            continue;
        }
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        // Other users' surroundings cannot be read, and other users have no process of ours.
        let surroundings = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if contains(&command, needle) || contains(&surroundings, needle) {
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            found.push(format!("{pid} {}", command.trim_end()));
        }
    }
    found
}

/// The number of a process of the list that [`processes_with`] gives.
pub fn pid_of(line: &str) -> Option<i32> {
    line.split(' ').next()?.parse().ok()
}

fn number(name: &OsStr) -> Option<u32> {
    name.to_str()?.parse().ok()
}

/// Whether it has ended and only waits to be asked how.
fn is_zombie(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| {
            stat.rsplit_once(") ")
                .map(|(_, rest)| rest.starts_with('Z'))
        })
        .unwrap_or(true)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}
