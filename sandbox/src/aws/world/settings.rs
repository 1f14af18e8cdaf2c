//! What the simulator can be started with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::latency::Wait;

/// How late reads see changes, in AWS's time.
#[derive(Clone, Copy, Debug)]
pub struct Consistency {
    /// Until a new thing is found by its identifier.
    pub by_id: Duration,
    /// Until lists and filters see a new thing or changed tags.
    pub by_filter: Duration,
}

impl Default for Consistency {
    /// EC2 promises nothing ("eventual consistency": seconds, and retries with growing pauses are advised); these are
    /// moderate.
    fn default() -> Self {
        Self {
            by_id: Duration::from_millis(500),
            by_filter: Duration::from_secs(2),
        }
    }
}

/// Settings of the simulator.
#[derive(Clone, Debug)]
pub struct AwsSettings {
    /// Port on loopback; 0 for a free one.
    pub port: u16,
    /// How much faster than AWS lifecycles pass; at least 1.
    pub time_scale: f64,
    /// For identifiers that are the same in every run.
    pub seed: Option<u64>,
    /// How late reads are.
    pub consistency: Consistency,
    /// Figures to be used instead of the table's.
    pub latencies: BTreeMap<Wait, Duration>,
    /// The file that keeps the graph; none to keep it in memory only.
    pub file: Option<PathBuf>,
}

impl Default for AwsSettings {
    fn default() -> Self {
        Self {
            port: 0,
            time_scale: 60.0,
            seed: None,
            consistency: Consistency::default(),
            latencies: BTreeMap::new(),
            file: None,
        }
    }
}
