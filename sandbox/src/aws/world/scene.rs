//! What a handler gets to see and to change.

use serde::{Deserialize, Serialize};

use super::clock::{Clock, Time};
use super::effects::Effect;
use super::faults::Faults;
use super::ids::Ids;
use super::keys::Keys;
use super::latency::{Latencies, Wait};
use super::schedule::{Event, Schedule};
use super::settings::Consistency;
use super::{Account, Region};

/// An account and a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl Place {
    /// `arn:aws:SERVICE:REGION:ACCOUNT:REST`.
    pub(crate) fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.region, self.account)
    }

    /// `arn:aws:SERVICE::ACCOUNT:REST`, for what belongs to no region.
    pub(crate) fn global_arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}::{}:{rest}", self.account)
    }
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Caller {
    /// Account.
    pub(crate) account: String,
    /// ARN of the user or of the role's session.
    pub(crate) arn: String,
    /// Unique identifier: `AIDA...`, or `AROA...:session`.
    pub(crate) user_id: String,
}

impl Caller {
    /// The account's own user, whom the account's key belongs to; may do everything.
    pub(crate) fn administrator(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            arn: format!("arn:aws:iam::{account}:user/sandbox"),
            user_id: format!("AIDASBX1{account}X"),
        }
    }

    /// AWS itself, when something happens by the clock.
    pub(crate) fn service(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            arn: format!("arn:aws:iam::{account}:root"),
            user_id: account.to_owned(),
        }
    }
}

/// Which call this is.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    pub(crate) service: &'static str,
    pub(crate) action: &'static str,
}

impl Invocation {
    /// No call: something happens by the clock.
    pub(crate) fn behind_the_scenes() -> Self {
        Self {
            service: "",
            action: "",
        }
    }
}

/// What all accounts and regions share.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Core {
    pub(crate) ids: Ids,
    pub(crate) schedule: Schedule,
    pub(crate) keys: Keys,
    #[serde(skip)]
    pub(crate) clock: Clock,
    #[serde(skip)]
    pub(crate) latencies: Latencies,
    #[serde(skip)]
    pub(crate) consistency: Consistency,
    #[serde(skip)]
    pub(crate) faults: Faults,
    /// Whether clusters have real control planes: they are active when theirs is up.
    #[serde(skip)]
    pub(crate) hosted: bool,
    /// What has to happen outside the graph, in order; drained by the endpoint.
    #[serde(skip)]
    pub(crate) effects: Vec<Effect>,
}

impl Core {
    /// With the table's figures, on the wall clock; the settings change that.
    pub(crate) fn new(ids: Ids, keys: Keys) -> Self {
        Self {
            ids,
            keys,
            schedule: Schedule::default(),
            clock: Clock::default(),
            latencies: Latencies::default(),
            consistency: Consistency::default(),
            faults: Faults::default(),
            hosted: false,
            effects: Vec::new(),
        }
    }
}

/// The world as one call in one account and region sees it.
pub(crate) struct Scene<'a> {
    /// When it happens.
    pub(crate) now: Time,
    /// The state of knowledge that reads answer from; before `now` when a stale read was planned.
    pub(crate) view: Time,
    pub(crate) place: &'a Place,
    pub(crate) caller: &'a Caller,
    pub(crate) invocation: &'a Invocation,
    pub(crate) account: &'a mut Account,
    pub(crate) region: &'a mut Region,
    pub(crate) core: &'a mut Core,
}

impl Scene<'_> {
    /// Let something happen after a wait of the latency table, in this account and region.
    pub(crate) fn schedule(&mut self, wait: Wait, event: impl Into<Event>) {
        let at = self.later(wait);
        self.core.schedule.add(at, self.place, event.into());
    }

    /// Let something happen after two waits, one after the other.
    pub(crate) fn schedule_after(&mut self, first: Wait, then: Wait, event: impl Into<Event>) {
        let aws = self.core.latencies.of(then);
        let at = self.later(first).after(self.core.clock.scaled(aws));
        self.core.schedule.add(at, self.place, event.into());
    }

    /// The moment after a wait of the latency table.
    pub(crate) fn later(&self, wait: Wait) -> Time {
        let aws = self.core.latencies.of(wait);
        self.now.after(self.core.clock.scaled(aws))
    }

    /// Ask for something outside the graph, e.g. a control plane.
    pub(crate) fn emit(&mut self, effect: Effect) {
        self.core.effects.push(effect);
    }

    /// Whether something made at that moment can be read by its identifier yet.
    pub(crate) fn known(&self, made: Time) -> bool {
        made.after(self.core.clock.scaled(self.core.consistency.by_id)) <= self.view
    }

    /// The same where a service's reads and lists see everything at once; only a planned stale read doesn't.
    pub(crate) fn there(&self, made: Time) -> bool {
        made <= self.view
    }

    /// Whether something made at that moment is in lists yet.
    pub(crate) fn listed(&self, made: Time) -> bool {
        made.after(self.core.clock.scaled(self.core.consistency.by_filter)) <= self.view
    }
}
