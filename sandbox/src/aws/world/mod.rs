//! The world: one graph of resources per account and region, behind one lock, on one clock.

pub(crate) mod clock;
pub(crate) mod counters;
pub(crate) mod effects;
pub(crate) mod faults;
pub(crate) mod filters;
pub(crate) mod ids;
pub(crate) mod keys;
pub(crate) mod latency;
pub(crate) mod paging;
pub(crate) mod quota;
pub(crate) mod scene;
pub(crate) mod schedule;
pub(crate) mod settings;
pub(crate) mod snapshot;
pub(crate) mod tags;
pub(crate) mod tokens;
pub(crate) mod zones;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::clock::Time;
use self::scene::{Caller, Core, Invocation, Place, Scene};
use super::{ec2, eks, elb, iam, kms, logs, quotas, secrets, ssm, sts};

/// What an account has that belongs to no region.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Account {
    pub(crate) iam: iam::State,
    pub(crate) sts: sts::State,
}

/// What an account has in one region.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Region {
    pub(crate) ec2: ec2::State,
    pub(crate) eks: eks::State,
    pub(crate) elb: elb::State,
    pub(crate) kms: kms::State,
    pub(crate) logs: logs::State,
    pub(crate) ssm: ssm::State,
    pub(crate) secrets: secrets::State,
    pub(crate) quotas: quotas::State,
    pub(crate) tokens: tokens::Tokens,
}

/// Everything that the simulator knows and keeps.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct World {
    pub(crate) core: Core,
    accounts: BTreeMap<String, Account>,
    /// By account, then by region.
    regions: BTreeMap<String, BTreeMap<String, Region>>,
}

impl World {
    pub(crate) fn new(core: Core) -> Self {
        Self {
            core,
            accounts: BTreeMap::new(),
            regions: BTreeMap::new(),
        }
    }

    /// Let everything happen that is due, in its order and at its time. Returns whether anything did.
    pub(crate) fn settle(&mut self) -> bool {
        let now = self.core.clock.now();
        let mut happened = false;
        while let Some(due) = self.core.schedule.due(now) {
            happened = true;
            self.on(&due.place, due.at, |scene| due.event.happen(scene));
        }
        happened
    }

    /// Every account and region in which there is or was something.
    pub(crate) fn places(&self) -> Vec<Place> {
        let regions = self.regions.iter();
        regions
            .flat_map(|(account, regions)| {
                regions.keys().map(|region| Place {
                    account: account.clone(),
                    region: region.clone(),
                })
            })
            .collect()
    }

    /// Let something happen that nobody called for: by the clock, or because the outside reports something.
    pub(crate) fn on<T>(
        &mut self,
        place: &Place,
        at: Time,
        work: impl FnOnce(&mut Scene<'_>) -> T,
    ) -> T {
        let invocation = Invocation::behind_the_scenes();
        let caller = Caller::service(&place.account);
        work(&mut self.scene(place, &caller, &invocation, at))
    }

    /// The world as one caller in one account and region sees it.
    pub(crate) fn scene<'a>(
        &'a mut self,
        place: &'a Place,
        caller: &'a Caller,
        invocation: &'a Invocation,
        now: Time,
    ) -> Scene<'a> {
        let regions = self.regions.entry(place.account.clone()).or_default();
        Scene {
            now,
            view: now,
            place,
            caller,
            invocation,
            account: self.accounts.entry(place.account.clone()).or_default(),
            region: regions.entry(place.region.clone()).or_default(),
            core: &mut self.core,
        }
    }

    /// The whole graph, for audits. Empty collections are left out, so that an empty world shows as such.
    pub(crate) fn inspect(&self) -> serde_json::Value {
        let mut tree = serde_json::json!({ "accounts": self.accounts, "regions": self.regions });
        let regions = tree["regions"].as_object_mut().into_iter();
        for region in regions.flat_map(|accounts| accounts.values_mut()) {
            for one in region
                .as_object_mut()
                .into_iter()
                .flat_map(|regions| regions.values_mut())
            {
                // What was made under which token is no resource.
                one["tokens"] = serde_json::Value::Null;
                secrets::hide(&mut one["secrets"]);
            }
        }
        snapshot::without_empty(tree).unwrap_or_else(|| serde_json::json!({}))
    }
}
