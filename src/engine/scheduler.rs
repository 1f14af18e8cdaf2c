//! Which step may begin, and what a failure withholds. Pure: no time, no tasks, no journal.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use pipectl_stages::Milestone;

use super::graph::Graph;

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not begun; may still be.
    Pending,
    /// Being observed or changed.
    Running,
    /// Applied; waited for.
    Applied,
    /// Works (or is gone).
    Ready,
    /// Came to an error before `applied`, or after it.
    Failed,
    /// Not begun, because of a failure of the node at this position.
    Withheld { because: usize },
    /// Ended early by a signal.
    Cancelled,
}

/// A node that a failure withholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Withheld {
    pub(super) node: usize,
    /// The node whose failure is at the root of it.
    pub(super) because: usize,
}

/// The bookkeeping of a run over a graph.
pub(super) struct Scheduler {
    dependents: Vec<Vec<super::graph::Edge>>,
    missing: Vec<usize>,
    state: Vec<State>,
    /// Free to begin: the longest rest of the run first, of equals the first in the graph.
    free: BinaryHeap<(Duration, Reverse<usize>)>,
    rank: Vec<Duration>,
    /// Nodes that begin once all they need has ended, however that ended.
    regardless: Vec<bool>,
}

impl Scheduler {
    pub(super) fn new(graph: &Graph, rank: Vec<Duration>) -> Self {
        let missing: Vec<usize> = graph.nodes().iter().map(|node| node.needs.len()).collect();
        let free = (0..graph.len())
            .filter(|&index| missing[index] == 0)
            .map(|index| (rank[index], Reverse(index)))
            .collect();
        Self {
            dependents: graph
                .nodes()
                .iter()
                .map(|node| node.dependents.clone())
                .collect(),
            state: vec![State::Pending; graph.len()],
            missing,
            free,
            rank,
            regardless: graph.nodes().iter().map(|node| node.regardless).collect(),
        }
    }

    pub(super) fn state(&self, node: usize) -> State {
        self.state[node]
    }

    /// The next node to begin, which counts as running from now on.
    pub(super) fn next(&mut self) -> Option<usize> {
        while let Some((_, Reverse(node))) = self.free.pop() {
            if self.state[node] == State::Pending {
                self.state[node] = State::Running;
                return Some(node);
            }
        }
        None
    }

    /// The node is applied; answers who is free to begin by that.
    pub(super) fn applied(&mut self, node: usize) -> Vec<usize> {
        self.state[node] = State::Applied;
        self.release(node, Milestone::Applied)
    }

    /// The node works; answers who is free to begin by that.
    pub(super) fn ready(&mut self, node: usize) -> Vec<usize> {
        self.end(node, State::Ready);
        self.release(node, Milestone::Ready)
    }

    /// The node came to an error; answers what is withheld by that, transitively, in the graph's order.
    pub(super) fn failed(&mut self, node: usize) -> Vec<Withheld> {
        let was_applied = self.state[node] == State::Applied;
        self.end(node, State::Failed);
        let mut withheld = Vec::new();
        let mut reach = vec![(node, was_applied)];
        while let Some((at, applied)) = reach.pop() {
            for index in 0..self.dependents[at].len() {
                let edge = self.dependents[at][index];
                let met = applied && edge.milestone == Milestone::Applied;
                if met || self.state[edge.node] != State::Pending {
                    continue;
                }
                if self.regardless[edge.node] {
                    self.meet(edge.node);
                } else {
                    self.end(edge.node, State::Withheld { because: node });
                    withheld.push(Withheld {
                        node: edge.node,
                        because: node,
                    });
                    reach.push((edge.node, false));
                }
            }
        }
        withheld.sort_unstable_by_key(|withheld| withheld.node);
        withheld
    }

    /// The node was ended early.
    pub(super) fn cancelled(&mut self, node: usize) {
        self.end(node, State::Cancelled);
    }

    /// Nothing new begins from now on; answers what will not be begun.
    pub(super) fn stop(&mut self) -> Vec<usize> {
        self.free.clear();
        let pending: Vec<usize> = (0..self.state.len())
            .filter(|&node| self.state[node] == State::Pending)
            .collect();
        for &node in &pending {
            self.end(node, State::Cancelled);
        }
        pending
    }

    fn end(&mut self, node: usize, state: State) {
        self.state[node] = state;
    }

    fn release(&mut self, node: usize, milestone: Milestone) -> Vec<usize> {
        let mut freed = Vec::new();
        for index in 0..self.dependents[node].len() {
            let edge = self.dependents[node][index];
            if edge.milestone == milestone && self.meet(edge.node) {
                freed.push(edge.node);
            }
        }
        freed
    }

    /// One need of the node is settled; answers whether it is free to begin by that.
    fn meet(&mut self, node: usize) -> bool {
        self.missing[node] -= 1;
        let free = self.missing[node] == 0 && self.state[node] == State::Pending;
        if free {
            self.free.push((self.rank[node], Reverse(node)));
        }
        free
    }
}
