//! What happens by itself, and when.

use serde::{Deserialize, Serialize};

use super::clock::Time;
use super::scene::{Place, Scene};
use crate::aws::{ec2, eks, elb, kms, logs, secrets};

/// Something that happens by itself: each service has its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    Ec2(ec2::Event),
    Eks(eks::Event),
    Elb(elb::Event),
    Kms(kms::Event),
    Logs(logs::Event),
    Secrets(secrets::Event),
}

impl Event {
    /// Let it happen.
    pub(crate) fn happen(self, scene: &mut Scene<'_>) {
        match self {
            Self::Ec2(event) => event.happen(scene),
            Self::Eks(event) => event.happen(scene),
            Self::Elb(event) => event.happen(scene),
            Self::Kms(event) => event.happen(scene),
            Self::Logs(event) => event.happen(scene),
            Self::Secrets(event) => event.happen(scene),
        }
    }
}

/// An event with its time and place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Due {
    pub(crate) at: Time,
    order: u64,
    pub(crate) place: Place,
    pub(crate) event: Event,
}

/// Everything that will happen by itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Schedule {
    added: u64,
    waiting: Vec<Due>,
}

impl Schedule {
    /// Let something happen at a moment. What was added first happens first when moments are the same.
    pub(crate) fn add(&mut self, at: Time, place: &Place, event: Event) {
        self.added += 1;
        let due = Due {
            at,
            order: self.added,
            place: place.clone(),
            event,
        };
        let position = self
            .waiting
            .partition_point(|other| (other.at, other.order) < (due.at, due.order));
        self.waiting.insert(position, due);
    }

    /// The next event whose moment has come.
    pub(crate) fn due(&mut self, now: Time) -> Option<Due> {
        let first = self.waiting.first()?;
        (first.at <= now).then(|| self.waiting.remove(0))
    }

    /// When the next event happens.
    pub(crate) fn next(&self) -> Option<Time> {
        self.waiting.first().map(|due| due.at)
    }
}
