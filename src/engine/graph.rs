//! The graph of a run: which task waits for which milestone of which other.
//!
//! Up and down are two graphs of the same make. A graph is checked when it is built (every need is known, no id
//! twice, no cycle) and is the same for the same input, whatever happens at run time.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::Arc,
    time::Duration,
};

use pipectl_stages::{Milestone, Need, Removal, Step, StepId, Timeouts};

/// What a node of the graph does.
#[derive(Clone)]
pub enum Task {
    /// Brings something up.
    Up(Arc<dyn Step>),
    /// Takes something down.
    Down(Arc<dyn Removal>),
}

impl Task {
    /// Stable key in the journal.
    #[must_use]
    pub fn id(&self) -> &StepId {
        match self {
            Self::Up(step) => step.id(),
            Self::Down(removal) => removal.id(),
        }
    }

    /// What it makes or removes, for a person.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::Up(step) => step.title(),
            Self::Down(removal) => removal.title(),
        }
    }

    fn needs(&self) -> Vec<Need> {
        match self {
            Self::Up(step) => step.needs(),
            Self::Down(removal) => removal.needs(),
        }
    }

    fn stands_on(&self) -> Vec<StepId> {
        match self {
            Self::Up(step) => step.stands_on(),
            Self::Down(_) => Vec::new(),
        }
    }

    fn regardless(&self) -> bool {
        match self {
            Self::Up(_) => false,
            Self::Down(removal) => removal.regardless(),
        }
    }

    fn timeouts(&self) -> Timeouts {
        match self {
            Self::Up(step) => step.timeouts(),
            Self::Down(removal) => removal.timeouts(),
        }
    }

    pub(super) fn poll_interval(&self) -> Option<Duration> {
        match self {
            Self::Up(step) => step.poll_interval(),
            Self::Down(removal) => removal.poll_interval(),
        }
    }
}

/// One end of an edge: a node's position in the graph and the milestone that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Position of the other node in [`Graph::nodes`].
    pub node: usize,
    /// The milestone that releases.
    pub milestone: Milestone,
}

/// One task with its place among the others.
#[derive(Clone)]
pub struct Node {
    /// Stable key.
    pub id: StepId,
    /// For a person.
    pub title: String,
    /// The work itself.
    pub task: Task,
    /// What it waits for.
    pub needs: Vec<Edge>,
    /// Who waits for it.
    pub dependents: Vec<Edge>,
    /// Steps of which one must work for this one ever to become ready; one that is not in the graph is taken to be in place.
    pub stands_on: Vec<StepId>,
    /// Whether it begins once all it needs has ended, however that ended.
    pub regardless: bool,
    /// The bounds of its waits.
    pub timeouts: Timeouts,
    /// How often readiness is asked when nothing announces a change.
    pub poll_interval: Option<Duration>,
}

/// A stage with its steps, both in the order in which they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The stage's name.
    pub name: String,
    /// Positions in [`Graph::nodes`].
    pub nodes: Vec<usize>,
}

/// Why tasks do not make a graph. Each is a defect of the tables that the tasks come from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two tasks have the same id.
    #[error("step {0} stands twice in the graph")]
    Duplicate(StepId),
    /// A task needs one that is not there.
    #[error("step {step} needs {need}, which is not in the graph")]
    UnknownNeed {
        /// Who needs.
        step: StepId,
        /// What is missing.
        need: StepId,
    },
    /// Tasks wait for each other in a ring.
    #[error("steps wait for each other: {}", ring(.0))]
    Cycle(
        /// The ring, each waiting for the next, the last for the first.
        Vec<StepId>,
    ),
    /// A stage was asked for that no step belongs to.
    #[error("there is no stage {0}")]
    UnknownStage(String),
}

fn ring(steps: &[StepId]) -> String {
    let mut names: Vec<&str> = steps.iter().map(StepId::as_str).collect();
    names.extend(steps.first().map(StepId::as_str));
    names.join(" → ")
}

/// The checked graph of a run.
#[derive(Clone)]
pub struct Graph {
    nodes: Vec<Node>,
    order: Vec<usize>,
    stages: Vec<Stage>,
    by_id: BTreeMap<StepId, usize>,
}

impl GraphError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Duplicate(_) => "ENG010",
            Self::UnknownNeed { .. } => "ENG011",
            Self::Cycle(_) => "ENG012",
            Self::UnknownStage(_) => "ENG013",
        }
    }
}

impl Graph {
    /// The graph of steps that bring something up.
    ///
    /// # Errors
    /// As [`Graph::build`].
    pub fn up(steps: Vec<Arc<dyn Step>>) -> Result<Self, GraphError> {
        Self::build(steps.into_iter().map(Task::Up).collect())
    }

    /// The graph of removals that take something down.
    ///
    /// # Errors
    /// As [`Graph::build`].
    pub fn down(removals: Vec<Arc<dyn Removal>>) -> Result<Self, GraphError> {
        Self::build(removals.into_iter().map(Task::Down).collect())
    }

    /// Checks the tasks and puts them in order.
    ///
    /// # Errors
    /// [`GraphError`] names the offending steps.
    pub fn build(tasks: Vec<Task>) -> Result<Self, GraphError> {
        let mut by_id = BTreeMap::new();
        for (index, task) in tasks.iter().enumerate() {
            if by_id.insert(task.id().clone(), index).is_some() {
                return Err(GraphError::Duplicate(task.id().clone()));
            }
        }
        let mut nodes = Vec::with_capacity(tasks.len());
        for task in tasks {
            let id = task.id().clone();
            let mut needs = Vec::new();
            for need in task.needs() {
                let Some(&node) = by_id.get(&need.step) else {
                    let need = need.step;
                    return Err(GraphError::UnknownNeed { step: id, need });
                };
                needs.push(Edge {
                    node,
                    milestone: need.milestone,
                });
            }
            needs.sort_unstable();
            needs.dedup();
            nodes.push(Node {
                title: task.title(),
                stands_on: task.stands_on(),
                regardless: task.regardless(),
                timeouts: task.timeouts(),
                poll_interval: task.poll_interval(),
                id,
                task,
                needs,
                dependents: Vec::new(),
            });
        }
        Self::assemble(nodes, by_id)
    }

    fn assemble(mut nodes: Vec<Node>, by_id: BTreeMap<StepId, usize>) -> Result<Self, GraphError> {
        for node in &mut nodes {
            node.dependents.clear();
        }
        for index in 0..nodes.len() {
            for edge in nodes[index].needs.clone() {
                nodes[edge.node].dependents.push(Edge {
                    node: index,
                    milestone: edge.milestone,
                });
            }
        }
        let order = topological(&nodes)?;
        let mut stages: Vec<Stage> = Vec::new();
        let mut stage_of: BTreeMap<String, usize> = BTreeMap::new();
        for (index, node) in nodes.iter().enumerate() {
            let name = node.id.stage();
            let position = *stage_of.entry(name.to_owned()).or_insert_with(|| {
                stages.push(Stage {
                    name: name.to_owned(),
                    nodes: Vec::new(),
                });
                stages.len() - 1
            });
            stages[position].nodes.push(index);
        }
        Ok(Self {
            nodes,
            order,
            stages,
            by_id,
        })
    }

    /// The nodes, in the order in which the tasks were given.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Positions in an order in which everything comes after what it needs; equals keep the order given.
    #[must_use]
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The stages, by first appearance.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// How many nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The position of a step.
    #[must_use]
    pub fn position(&self, id: &StepId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// Only the steps of these stages. What they need from other stages is taken to be in place (the observation of
    /// each step says otherwise); an order that ran through a left-out step is kept.
    ///
    /// # Errors
    /// [`GraphError::UnknownStage`] for a name that the graph does not have.
    pub fn only(&self, stages: &[String]) -> Result<Self, GraphError> {
        for wanted in stages {
            if !self.stages.iter().any(|stage| &stage.name == wanted) {
                return Err(GraphError::UnknownStage(wanted.clone()));
            }
        }
        let kept = |node: &Node| stages.iter().any(|stage| stage == node.id.stage());
        // Needs of left-out nodes, already led on to nodes that are kept.
        let mut led_on: Vec<BTreeSet<Edge>> = vec![BTreeSet::new(); self.nodes.len()];
        for &index in &self.order {
            let mut edges = BTreeSet::new();
            for edge in &self.nodes[index].needs {
                if kept(&self.nodes[edge.node]) {
                    edges.insert(*edge);
                } else {
                    edges.extend(led_on[edge.node].iter().copied());
                }
            }
            led_on[index] = edges;
        }
        let mut new_position = vec![None; self.nodes.len()];
        let mut by_id = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            if kept(node) {
                new_position[index] = Some(by_id.len());
                by_id.insert(node.id.clone(), by_id.len());
            }
        }
        let mut nodes = Vec::with_capacity(by_id.len());
        for (index, node) in self.nodes.iter().enumerate() {
            if new_position[index].is_none() {
                continue;
            }
            let mut node = node.clone();
            node.needs = led_on[index]
                .iter()
                .filter_map(|edge| {
                    new_position[edge.node].map(|node| Edge {
                        node,
                        milestone: edge.milestone,
                    })
                })
                .collect();
            nodes.push(node);
        }
        Self::assemble(nodes, by_id)
    }
}

/// Kahn's algorithm with the smallest position first, so that equals keep the order in which they were given.
fn topological(nodes: &[Node]) -> Result<Vec<usize>, GraphError> {
    let mut missing: Vec<usize> = nodes.iter().map(|node| node.needs.len()).collect();
    let mut free: BinaryHeap<Reverse<usize>> = (0..nodes.len())
        .filter(|&index| missing[index] == 0)
        .map(Reverse)
        .collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(Reverse(index)) = free.pop() {
        order.push(index);
        for edge in &nodes[index].dependents {
            missing[edge.node] -= 1;
            if missing[edge.node] == 0 {
                free.push(Reverse(edge.node));
            }
        }
    }
    if order.len() == nodes.len() {
        return Ok(order);
    }
    Err(GraphError::Cycle(find_cycle(nodes, &missing)))
}

/// Every node that is still missing something needs another such node: following these leads into a ring.
fn find_cycle(nodes: &[Node], missing: &[usize]) -> Vec<StepId> {
    let stuck = |index: usize| missing[index] > 0;
    let Some(mut at) = (0..nodes.len()).find(|&index| stuck(index)) else {
        return Vec::new();
    };
    let mut path: Vec<usize> = Vec::new();
    loop {
        if let Some(start) = path.iter().position(|&seen| seen == at) {
            return path[start..]
                .iter()
                .map(|&index| nodes[index].id.clone())
                .collect();
        }
        path.push(at);
        match nodes[at].needs.iter().find(|edge| stuck(edge.node)) {
            Some(edge) => at = edge.node,
            None => return Vec::new(),
        }
    }
}
