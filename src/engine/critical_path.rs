//! The critical path: known before the run from expected durations, shown during it, reported after it.

use std::{collections::BTreeMap, time::Duration};

use pipectl_stages::{Milestone, Need, StepId};
use serde::{Deserialize, Serialize};

use super::graph::{Edge, Graph};

/// How long a step takes to each of its milestones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// From its start to `applied`.
    pub applied: Duration,
    /// From `applied` to `ready`.
    pub ready: Duration,
}

impl Cost {
    fn until(self, milestone: Milestone) -> Duration {
        match milestone {
            Milestone::Applied => self.applied,
            Milestone::Ready => self.applied + self.ready,
        }
    }
}

/// What earlier runs took, by step. Steps not in it are taken at what they say of themselves.
pub type Expectations = BTreeMap<StepId, Cost>;

/// The expected cost of each node of a graph, by position.
#[must_use]
pub fn expected(graph: &Graph, history: &Expectations) -> Vec<Cost> {
    graph
        .nodes()
        .iter()
        .map(|node| {
            history.get(&node.id).copied().unwrap_or(Cost {
                applied: Duration::ZERO,
                ready: node.timeouts.expected,
            })
        })
        .collect()
}

/// The longest way through a graph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Longest {
    /// How long it takes, with as much parallelism as the graph allows.
    pub total: Duration,
    /// Positions along it, first to last.
    pub path: Vec<usize>,
}

/// The longest way, where `order` puts everything after its `needs` and `cost` is by position. Of equals, the first.
#[must_use]
pub fn longest(order: &[usize], needs: &[Vec<Edge>], cost: &[Cost]) -> Longest {
    let mut start = vec![Duration::ZERO; needs.len()];
    let mut from: Vec<Option<usize>> = vec![None; needs.len()];
    let mut last: Option<(Duration, usize)> = None;
    for &index in order {
        for edge in &needs[index] {
            let reached = start[edge.node] + cost[edge.node].until(edge.milestone);
            if reached > start[index] {
                start[index] = reached;
                from[index] = Some(edge.node);
            }
        }
        let end = start[index] + cost[index].until(Milestone::Ready);
        if last.is_none_or(|(latest, _)| end > latest) {
            last = Some((end, index));
        }
    }
    let Some((total, mut at)) = last else {
        return Longest::default();
    };
    let mut path = vec![at];
    while let Some(previous) = from[at] {
        path.push(previous);
        at = previous;
    }
    path.reverse();
    Longest { total, path }
}

/// The longest way through a graph before it runs.
#[must_use]
pub fn before(graph: &Graph, cost: &[Cost]) -> Longest {
    let needs: Vec<Vec<Edge>> = graph
        .nodes()
        .iter()
        .map(|node| node.needs.clone())
        .collect();
    longest(graph.order(), &needs, cost)
}

/// For each node, how long everything takes from its start to the end of the run: who has the most behind it goes first.
#[must_use]
pub fn ranks(graph: &Graph, cost: &[Cost]) -> Vec<Duration> {
    let mut rank = vec![Duration::ZERO; graph.len()];
    for &index in graph.order().iter().rev() {
        rank[index] = graph.nodes()[index]
            .dependents
            .iter()
            .map(|edge| cost[index].until(edge.milestone) + rank[edge.node])
            .fold(cost[index].until(Milestone::Ready), Duration::max);
    }
    rank
}

/// How far a step is, for the estimate of what remains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// Not begun.
    Pending,
    /// Begun so long ago, not applied.
    Started(Duration),
    /// Applied so long ago, not ready.
    Applied(Duration),
    /// Nothing more will happen to it: ready, failed, withheld.
    Over,
}

/// What remains of each cost. A step over its time is taken to end at once: a guess would not be better.
#[must_use]
pub fn remaining(cost: &[Cost], stand: &[Stand]) -> Vec<Cost> {
    cost.iter()
        .zip(stand)
        .map(|(cost, stand)| match stand {
            Stand::Pending => *cost,
            Stand::Started(ago) => Cost {
                applied: cost.applied.saturating_sub(*ago),
                ready: cost.ready.saturating_sub(ago.saturating_sub(cost.applied)),
            },
            Stand::Applied(ago) => Cost {
                applied: Duration::ZERO,
                ready: cost.ready.saturating_sub(*ago),
            },
            Stand::Over => Cost::default(),
        })
        .collect()
}

/// When what happened to a step, in milliseconds since the run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// The step.
    pub step: StepId,
    /// When the last of its needs was met.
    pub released_ms: u64,
    /// The need that was met last; none when it needed nothing.
    pub released_by: Option<Need>,
    /// When it began; later than `released_ms` where it had to wait for a place.
    pub started_ms: u64,
    /// When the API had accepted it.
    pub applied_ms: Option<u64>,
    /// When it worked.
    pub ready_ms: Option<u64>,
    /// When it was over, well or not.
    pub ended_ms: u64,
}

/// One part of the critical path as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathPart {
    /// The step.
    pub step: StepId,
    /// What it cost the run, in milliseconds: from its release to the milestone that released the next part.
    pub took_ms: u64,
    /// How much of that it waited for a place among the calls going on at once, in milliseconds.
    pub queued_ms: u64,
    /// What it had waited for.
    pub waited_for: Option<Need>,
}

/// The critical path as it was: from the step that ended last, back along what released each.
#[must_use]
pub fn after(timings: &[Timing]) -> Vec<PathPart> {
    let by_id: BTreeMap<&StepId, &Timing> = timings
        .iter()
        .map(|timing| (&timing.step, timing))
        .collect();
    let mut parts = Vec::new();
    // Of steps that ended together, the one that began first stands for them: the order of `timings` must not matter.
    let mut at = timings.iter().max_by(|a, b| {
        (a.ended_ms, std::cmp::Reverse((a.started_ms, &a.step)))
            .cmp(&(b.ended_ms, std::cmp::Reverse((b.started_ms, &b.step))))
    });
    let mut end = at.map_or(0, |timing| timing.ended_ms);
    while let Some(timing) = at {
        parts.push(PathPart {
            step: timing.step.clone(),
            took_ms: end.saturating_sub(timing.released_ms),
            queued_ms: timing.started_ms.saturating_sub(timing.released_ms),
            waited_for: timing.released_by.clone(),
        });
        end = timing.released_ms;
        // A chain is never longer than the steps there are, even if the timings came from elsewhere and are no tree.
        at = timing
            .released_by
            .as_ref()
            .filter(|_| parts.len() < timings.len())
            .and_then(|need| by_id.get(&need.step).copied());
    }
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(applied: u64, ready: u64) -> Cost {
        Cost {
            applied: Duration::from_secs(applied),
            ready: Duration::from_secs(ready),
        }
    }

    fn edge(node: usize, milestone: Milestone) -> Edge {
        Edge { node, milestone }
    }

    #[test]
    fn an_edge_on_applied_does_not_wait_for_ready() {
        let cost = [seconds(1, 10), seconds(2, 2), seconds(1, 1)];
        let needs = vec![
            Vec::new(),
            vec![edge(0, Milestone::Applied)],
            vec![edge(1, Milestone::Ready)],
        ];
        let longest = longest(&[0, 1, 2], &needs, &cost);
        assert_eq!(longest.path, [0], "11 s beat 1 + 4 + 2 s");
        assert_eq!(longest.total, Duration::from_secs(11));
    }

    #[test]
    fn the_longest_way_follows_ready_edges() {
        let cost = [seconds(0, 9), seconds(0, 3), seconds(0, 2), seconds(0, 1)];
        let needs = vec![
            Vec::new(),
            vec![edge(0, Milestone::Ready)],
            vec![edge(0, Milestone::Ready)],
            vec![edge(1, Milestone::Ready), edge(2, Milestone::Ready)],
        ];
        let longest = longest(&[0, 1, 2, 3], &needs, &cost);
        assert_eq!(longest.path, [0, 1, 3]);
        assert_eq!(longest.total, Duration::from_secs(13));
    }

    #[test]
    fn what_remains_shrinks_with_time_and_never_below_nothing() {
        let cost = [seconds(2, 8), seconds(2, 8), seconds(2, 8), seconds(2, 8)];
        let stand = [
            Stand::Pending,
            Stand::Started(Duration::from_secs(3)),
            Stand::Applied(Duration::from_secs(20)),
            Stand::Over,
        ];
        assert_eq!(
            remaining(&cost, &stand),
            [seconds(2, 8), seconds(0, 7), seconds(0, 0), seconds(0, 0)]
        );
    }

    fn timing(step: &str, by: Option<Need>, released: u64, ended: u64) -> Timing {
        Timing {
            step: StepId::from(step),
            released_ms: released,
            released_by: by,
            started_ms: released + 1,
            applied_ms: Some(released + 2),
            ready_ms: Some(ended),
            ended_ms: ended,
        }
    }

    #[test]
    fn the_path_afterwards_accounts_for_the_whole_run() {
        let timings = [
            timing("a/1", None, 0, 100),
            timing("b/1", Some(Need::applied("a/1")), 2, 150),
            timing("c/1", Some(Need::ready("b/1")), 150, 230),
            timing("d/1", Some(Need::ready("a/1")), 100, 120),
        ];
        let parts = after(&timings);
        let costs: Vec<(&str, u64)> = parts
            .iter()
            .map(|part| (part.step.as_str(), part.took_ms))
            .collect();
        assert_eq!(costs, [("a/1", 2), ("b/1", 148), ("c/1", 80)]);
        assert_eq!(costs.iter().map(|(_, took)| took).sum::<u64>(), 230);
    }
}
