//! How long still, and along which way: the expected times of what has not ended.

use std::time::Duration;

use crate::engine::{
    critical_path::{self, Cost, Longest},
    graph::Edge,
};

use super::view::{Stand, View};

/// What remains of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// Expected length of the whole run, in milliseconds.
    pub total_ms: u64,
    /// Stages along the longest way that remains, without repetition.
    pub path: Vec<String>,
}

/// What remains at `now_ms` of the run.
#[must_use]
pub fn estimate(view: &View, now_ms: u64) -> Estimate {
    let cost: Vec<Cost> = view
        .plan
        .steps
        .iter()
        .map(|step| Cost {
            applied: Duration::from_millis(step.applied_ms),
            ready: Duration::from_millis(step.ready_ms),
        })
        .collect();
    let ago = |since: u64| Duration::from_millis(now_ms.saturating_sub(since));
    let stands: Vec<critical_path::Stand> = view
        .steps
        .iter()
        .map(|step| match step.stand {
            Stand::Pending => critical_path::Stand::Pending,
            Stand::Acting(since) => critical_path::Stand::Started(ago(since)),
            Stand::Waiting(since) => critical_path::Stand::Applied(ago(since)),
            Stand::Ready | Stand::Failed | Stand::Withheld(_) => critical_path::Stand::Over,
        })
        .collect();
    let needs: Vec<Vec<Edge>> = view
        .plan
        .steps
        .iter()
        .map(|step| {
            let edges = step.needs.iter().filter_map(|need| {
                view.position(&need.step).map(|node| Edge {
                    node,
                    milestone: need.milestone,
                })
            });
            edges.collect()
        })
        .collect();
    // The plan's steps stand in an order in which each comes after what it needs.
    let order: Vec<usize> = (0..needs.len()).collect();
    let Longest { total, path } =
        critical_path::longest(&order, &needs, &critical_path::remaining(&cost, &stands));
    let mut stages: Vec<String> = Vec::new();
    for position in path {
        let over = matches!(
            stands.get(position),
            Some(critical_path::Stand::Over) | None
        );
        let stage = view.plan.steps[position].id.stage();
        if !over && stages.last().is_none_or(|last| last != stage) {
            stages.push(stage.to_owned());
        }
    }
    Estimate {
        total_ms: now_ms.saturating_add(crate::engine::event::millis(total)),
        path: stages,
    }
}
