//! What several tests need.

use std::{path::PathBuf, time::Duration};

/// This binary, as a guard.
pub fn guard() -> PathBuf {
    std::env::current_exe().expect("this binary has a path")
}

/// Waits until `found` gives something; a bound for a broken machine, not a measurement.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut found: impl FnMut() -> F,
) -> T {
    let watched = async {
        loop {
            if let Some(value) = found().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(45), watched).await {
        Ok(value) => value,
        Err(_) => panic!("never happened: {what}"),
    }
}

/// A program of the sandbox: from `PIPECTL_SANDBOX_BIN`, else from where the sandbox builds them.
pub fn program(name: &str) -> Option<PathBuf> {
    if let Some(directory) = std::env::var_os("PIPECTL_SANDBOX_BIN") {
        let path = PathBuf::from(directory).join(name);
        return path.is_file().then_some(path);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    let mut found: Vec<PathBuf> = std::fs::read_dir(cache.join("pipectl/sandbox-bin"))
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join(name)))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found.pop()
}
