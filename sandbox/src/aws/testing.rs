//! A world for tests: driven by action and parameters, with a clock that is moved by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::service::Service;
use super::wire::error::ApiError;
use super::wire::params::Params;
use super::wire::query;
use super::world::World;
use super::world::clock::Clock;
use super::world::ids::Ids;
use super::world::keys::Keys;
use super::world::scene::{Caller, Core, Invocation, Place};
use super::world::settings::Consistency;

/// A world, one account and one region of it.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) place: Place,
    clock: Arc<AtomicI64>,
}

impl Stage {
    /// An empty world in us-west-2 in which reads see changes at once.
    pub(crate) fn new() -> Self {
        let mut ids = Ids::new(Some(1));
        let keys = Keys::new(&mut ids);
        let mut core = Core::new(ids, keys);
        let clock = Arc::new(AtomicI64::new(1_700_000_000_000));
        core.clock = Clock::Manual(Arc::clone(&clock));
        core.consistency = Consistency {
            by_id: Duration::ZERO,
            by_filter: Duration::ZERO,
        };
        Self {
            world: World::new(core),
            place: Place {
                account: "111122223333".to_owned(),
                region: "us-west-2".to_owned(),
            },
            clock,
        }
    }

    /// Let time pass, and happen what is due.
    pub(crate) fn pass(&mut self, seconds: u64) {
        let milliseconds = i64::try_from(seconds * 1000).unwrap();
        self.clock.fetch_add(milliseconds, Ordering::SeqCst);
        self.world.settle();
    }

    /// Call an action with parameters as a tree (JSON services; lists as arrays work for every protocol).
    pub(crate) fn call(
        &mut self,
        service: &str,
        action: &str,
        tree: &Value,
    ) -> Result<Value, ApiError> {
        let service = Service::named(service).unwrap();
        let action = service
            .action(action)
            .unwrap_or_else(|| panic!("no action {action}"));
        let params = Params::new(tree);
        // The version of the protocol is taken by every action.
        for name in params.names().filter(|name| *name != "Version") {
            assert!(action.accepts.contains(&name), "{name} of {}", action.name);
        }
        self.world.settle();
        let invocation = Invocation {
            service: service.name,
            action: action.name,
        };
        let caller = Caller {
            account: self.place.account.clone(),
            arn: format!("arn:aws:iam::{}:user/sandbox", self.place.account),
            user_id: "AIDASANDBOX".to_owned(),
        };
        let place = self.place.clone();
        let now = self.world.core.clock.now();
        let mut scene = self.world.scene(&place, &caller, &invocation, now);
        (action.handler)(&mut scene, params)
    }

    /// Call an action of EC2 with parameters as a form: `VpcId=vpc-1&Filter.1.Name=...`.
    pub(crate) fn ec2(&mut self, action: &str, form: &str) -> Result<Value, ApiError> {
        let tree = query::tree(&query::pairs(form)).unwrap();
        self.call("ec2", action, &tree)
    }

    /// The code of the error that the same call of EC2 gives.
    pub(crate) fn ec2_error(&mut self, action: &str, form: &str) -> String {
        let error = self.ec2(action, form).expect_err(action);
        error.code_for(None).into_owned()
    }
}
