//! The graph: order, stages, what is refused.

use std::time::Duration;

use pipectl_stages::{Milestone, StepId};

use super::world::{House, Script, need};
use crate::engine::{Graph, GraphError, Plan, Verb, critical_path::Expectations};

fn scripts(table: &[(&str, &[&str])]) -> Vec<Script> {
    let script = |(id, needs): &(&str, &[&str])| {
        let needs = needs.iter().map(|id| need(id, Milestone::Ready));
        Script::new(id, needs.collect())
    };
    table.iter().map(script).collect()
}

fn build(table: &[(&str, &[&str])]) -> Result<Graph, GraphError> {
    House::new().try_graph(&scripts(table), Verb::Up)
}

fn ids(graph: &Graph) -> Vec<&str> {
    let order = graph.order().iter();
    order.map(|&node| graph.nodes()[node].id.as_str()).collect()
}

#[test]
fn everything_comes_after_what_it_needs_and_equals_keep_their_order() {
    let graph = build(&[
        ("kafka/topics", &["kafka/cluster"]),
        ("kafka/cluster", &["strimzi/crds"]),
        ("spark/operator", &[]),
        ("strimzi/crds", &[]),
    ])
    .expect("no cycle");
    assert_eq!(
        ids(&graph),
        [
            "spark/operator",
            "strimzi/crds",
            "kafka/cluster",
            "kafka/topics"
        ]
    );
    let stages: Vec<&str> = graph
        .stages()
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    assert_eq!(stages, ["kafka", "spark", "strimzi"]);
    assert_eq!(graph.stages()[0].nodes, [0, 1]);
}

#[test]
fn a_cycle_is_named_step_by_step() {
    let error = build(&[
        ("a/free", &[]),
        ("a/1", &["a/3", "a/free"]),
        ("a/2", &["a/1"]),
        ("a/3", &["a/2"]),
        ("a/behind", &["a/3"]),
    ])
    .err();
    let Some(GraphError::Cycle(steps)) = &error else {
        panic!("a cycle was expected, not {error:?}");
    };
    assert_eq!(steps.len(), 3, "only the ring itself: {steps:?}");
    let text = error.map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(text, "steps wait for each other: a/1 → a/3 → a/2 → a/1");
}

#[test]
fn a_step_that_waits_for_itself_is_a_cycle() {
    let error = build(&[("a/1", &["a/1"])]).err();
    assert_eq!(error, Some(GraphError::Cycle(vec![StepId::from("a/1")])));
}

#[test]
fn an_unknown_need_and_a_double_id_are_refused() {
    let unknown = GraphError::UnknownNeed {
        step: StepId::from("a/1"),
        need: StepId::from("a/0"),
    };
    assert_eq!(build(&[("a/1", &["a/0"])]).err(), Some(unknown));
    let double = GraphError::Duplicate(StepId::from("a/1"));
    assert_eq!(build(&[("a/1", &[]), ("a/1", &[])]).err(), Some(double));
}

#[test]
fn only_some_stages_keep_an_order_that_ran_through_another() {
    let graph = build(&[
        ("net/vpc", &[]),
        ("cluster/plane", &["net/vpc"]),
        ("kafka/cluster", &["cluster/plane"]),
    ])
    .expect("a graph");
    let wanted = ["net".to_owned(), "kafka".to_owned()];
    let part = graph.only(&wanted).expect("both stages exist");
    assert_eq!(ids(&part), ["net/vpc", "kafka/cluster"]);
    assert_eq!(part.nodes()[1].needs.len(), 1);
    assert_eq!(part.nodes()[1].needs[0].node, 0);
    let unknown = graph.only(&["kafak".to_owned()]).err();
    assert_eq!(unknown, Some(GraphError::UnknownStage("kafak".to_owned())));
}

#[test]
fn the_same_graph_gives_the_same_plan_byte_for_byte() {
    let table: &[(&str, &[&str])] = &[
        ("a/1", &[]),
        ("a/2", &["a/1"]),
        ("b/1", &["a/1"]),
        ("b/2", &["b/1", "a/2"]),
    ];
    let history: Expectations = [(
        StepId::from("b/1"),
        crate::engine::critical_path::Cost {
            applied: Duration::from_secs(1),
            ready: Duration::from_secs(60),
        },
    )]
    .into();
    let plan = |table| {
        let graph = build(table).expect("a graph");
        serde_json::to_string(&Plan::of(&graph, &history)).expect("JSON")
    };
    assert_eq!(plan(table), plan(table));
    let graph = build(table).expect("a graph");
    let plan = Plan::of(&graph, &history);
    let path: Vec<&str> = plan.critical_path.iter().map(StepId::as_str).collect();
    assert_eq!(
        path,
        ["a/1", "b/1", "b/2"],
        "history weighs more than what steps say"
    );
    assert_eq!(plan.expected_ms, 10_000 + 61_000 + 10_000);
}
