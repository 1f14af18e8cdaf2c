//! Who holds an environment by what its record in the account says, and when somebody else may follow. Pure: no call, no clock.
//!
//! Systems Manager has no "write only if unchanged", but it numbers the versions of a parameter without a gap and tells every
//! writer the number of its own. So whoever takes the environment reads version N, writes that it follows N, and holds it if and
//! only if its write became N + 1: of several that read the same version exactly one did. A write that became anything else grants
//! nothing, to its writer nor in the eyes of anybody who reads it later.

use std::{collections::BTreeSet, time::Duration};

use pipectl_stages::ports::anchors::{AnchorLease, Sighting};
use pipectl_state::{Holder, Liveness};

/// How long one write of the lease counts: as long may the account be out of reach before a run ends, and as long does everybody
/// wait who comes after a machine that died. It is not scaled in a sandbox, where processes stall as long as anywhere.
pub const TERM: Duration = Duration::from_secs(120);

/// The longest that a call may take that was begun under the lease: that of the lease on this machine.
pub const MARGIN: Duration = Duration::from_secs(15);

/// Who asks.
#[derive(Debug, Clone)]
pub struct Claimant {
    /// The process.
    pub holder: Holder,
    /// The run's id; empty for one that only looks.
    pub run: String,
    /// Runs that are recorded in this environment's own directory. Whoever may write there has waited until none of them is at work
    /// any more: the lease of the directory sees to that.
    pub earlier: BTreeSet<String>,
}

/// What a look at the record means for somebody who wants to change the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may be taken now.
    Free,
    /// Somebody holds it, or may.
    Held {
        /// Who, since when; `None` where the record does not say it, since several came at once.
        by: Option<Box<AnchorLease>>,
        /// How long it is theirs at most, if they show no life any more.
        left: Duration,
    },
}

/// Judges what was seen.
#[must_use]
pub fn judge(seen: &Sighting, me: &Claimant) -> Verdict {
    let lease = seen.anchor.lease.as_ref();
    let lasts = lease.map_or(TERM + MARGIN, AnchorLease::runs_out_after);
    let left = lasts.saturating_sub(seen.silent);
    if left.is_zero() {
        return Verdict::Free;
    }
    if !seen.counts() {
        // Several came at once, and the last of them to write is not the one who holds it.
        return Verdict::Held { by: None, left };
    }
    let Some(lease) = lease else {
        return Verdict::Free;
    };
    let mine = lease.run == me.run || me.earlier.contains(&lease.run);
    if mine || (!lease.abandoned && has_died(lease, &me.holder)) {
        return Verdict::Free;
    }
    Verdict::Held {
        by: Some(Box::new(lease.clone())),
        left,
    }
}

/// Whether the holder ran on this machine and its process is gone, and with it its connections and (by the guard) its children.
fn has_died(lease: &AnchorLease, me: &Holder) -> bool {
    let holder: Option<Holder> = serde_json::from_value(lease.process.clone()).ok();
    holder.is_some_and(|holder| holder.liveness(me) == Liveness::Dead)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use pipectl_stages::ports::anchors::Anchor;
    use serde_json::json;

    use super::*;

    fn elsewhere() -> Holder {
        Holder {
            boot: Some("another".to_owned()),
            ..Holder::current()
        }
    }

    fn lease(run: &str, process: &Holder) -> AnchorLease {
        AnchorLease {
            holder: process.to_string(),
            run: run.to_owned(),
            since: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
            term_millis: 120_000,
            margin_millis: 15_000,
            abandoned: false,
            process: json!(process),
        }
    }

    fn seen(lease: Option<AnchorLease>, silent: u64) -> Sighting {
        Sighting {
            anchor: Anchor {
                name: "one".to_owned(),
                uid: "u".to_owned(),
                created: Timestamp::UNIX_EPOCH,
                cluster: "c".to_owned(),
                brought_vpc: None,
                state_url: None,
                lease,
                follows: 6,
                expires: None,
            },
            version: 7,
            silent: Duration::from_secs(silent),
        }
    }

    fn me() -> Claimant {
        Claimant {
            holder: Holder::current(),
            run: "mine".to_owned(),
            earlier: BTreeSet::from(["before".to_owned()]),
        }
    }

    #[test]
    fn what_nobody_holds_is_free() {
        assert_eq!(judge(&seen(None, 0), &me()), Verdict::Free);
    }

    #[test]
    fn another_machines_lease_counts_until_its_term_and_its_longest_call_are_over() {
        let theirs = lease("theirs", &elsewhere());
        for silent in [0, 119, 134] {
            let Verdict::Held { by, left } = judge(&seen(Some(theirs.clone()), silent), &me())
            else {
                panic!("after {silent} s");
            };
            assert_eq!(by.as_deref(), Some(&theirs));
            assert_eq!(left, Duration::from_secs(135 - silent));
        }
        assert_eq!(judge(&seen(Some(theirs), 135), &me()), Verdict::Free);
    }

    #[test]
    fn a_run_of_the_same_directory_is_followed_at_once() {
        for run in ["mine", "before"] {
            let ours = lease(run, &elsewhere());
            assert_eq!(judge(&seen(Some(ours), 0), &me()), Verdict::Free, "{run}");
        }
    }

    #[test]
    fn a_dead_process_of_this_machine_is_followed_at_once_unless_calls_were_under_way() {
        let dead = Holder {
            started: Some("never".to_owned()),
            ..Holder::current()
        };
        let died = lease("theirs", &dead);
        assert_eq!(judge(&seen(Some(died.clone()), 0), &me()), Verdict::Free);
        let abandoned = AnchorLease {
            abandoned: true,
            ..died
        };
        let verdict = judge(&seen(Some(abandoned.clone()), 0), &me());
        assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
        assert_eq!(judge(&seen(Some(abandoned), 135), &me()), Verdict::Free);
        let alive = lease("theirs", &Holder::current());
        let verdict = judge(&seen(Some(alive), 0), &me());
        assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
    }

    /// Whoever wrote it did not hold it, so it says nothing of who does: not even of a run of ours, nor that nobody does.
    #[test]
    fn a_write_that_others_came_before_says_nothing_and_is_waited_out() {
        for lease in [None, Some(lease("before", &elsewhere()))] {
            let mut late = seen(lease, 30);
            late.anchor.follows = 5;
            let left = Duration::from_secs(105);
            assert_eq!(judge(&late, &me()), Verdict::Held { by: None, left });
            late.silent = Duration::from_secs(135);
            assert_eq!(judge(&late, &me()), Verdict::Free);
        }
    }
}
