//! A simulated AWS: a state machine over one graph of resources, speaking the wire protocols.
//!
//! `wire/` knows HTTP, signatures and protocols, and no service. `world/` is the graph, its clock and its rules. Every other
//! folder is one service.
//!
//! # How a service is written
//!
//! `mod.rs` of its folder has three things, all wired already:
//!
//! - `SERVICE: Service`: signing name, protocol, and the tables of actions, one `ACTIONS` table per file.
//! - `State`: what the service keeps, per account and region (per account for IAM). Plain structs with
//!   `Serialize, Deserialize, Default`, maps by identifier as `BTreeMap`; it is written to a file after each change, and
//!   shown by `inspect`.
//! - `Event` with `happen(self, scene)`: what happens by itself. An event looks whether the resource is still in the state
//!   that it was scheduled for; it may have changed or gone meanwhile.
//!
//! One file per resource family: the struct, its actions, its events, its tests.
//!
//! ```text
//! pub(crate) const ACTIONS: &[Action] = &[
//!     Action::write("CreateKey", &["Description", "Tags"], create_key),   // REST-JSON: .at("POST", "/clusters/{name}/addons")
//!     Action::read("DescribeKey", &["KeyId"], describe_key),
//! ];
//!
//! fn create_key(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
//!     let id = scene.core.ids.uuid();
//!     scene.region.kms.keys.insert(id.clone(), Key { created: scene.now, ... });
//!     scene.schedule(Wait::KeyReady, Event::Ready { key: id.clone() });
//!     Ok(json!({"KeyMetadata": {"KeyId": id, "CreationDate": scene.now.epoch()}}))
//! }
//! ```
//!
//! The second argument lists the top-level parameters that are simulated; any other is answered with `NotSimulated` before
//! the handler runs, so nothing is silently ignored. List only what the handler obeys.
//!
//! - Check everything first, change the graph last: a handler that returns an error must have changed nothing.
//! - `scene.region` is this account's graph in this region with a field per service (`scene.region.ec2`), `scene.account`
//!   what belongs to no region (`scene.account.iam`). Reading and changing another service's part is how AWS makes things
//!   behind one's back; what EC2 offers for it stands at the head of `ec2/mod.rs`.
//! - Waits are variants of `Wait` with a line in `data/latency.json` that names its source; quotas are lines of
//!   `data/quotas.json`, read with `scene.quota(code)`.
//! - Client tokens: `tokens::replay` before, `tokens::remember` after. Lists: `paging::page`. Tags: `Tags` (lists and filters
//!   look at `tags.seen(scene)`, replies by identifier at `tags.current()`). Eventual consistency: `scene.known(created)` for
//!   reads by identifier, `scene.listed(created)` for lists.
//! - `scene.emit(Effect)` asks for something outside the graph (a control plane). The answer comes through a method of [`Aws`] that the
//!   service adds: `self.cloud.change(|world| world.on(&place, now, |scene| ...))`.
//! - Replies are trees for every protocol; see `service::Handler`. Errors: `ApiError::new(code, message)`, HTTP 400
//!   unless `.status(...)` says otherwise, `.field(...)` for members of JSON errors.
//! - Each behaviour gets a row in `FIDELITY.md` with its source and its test.

mod authorize;
mod cloud;
mod ec2;
mod eks;
mod elb;
mod iam;
mod kms;
mod logs;
mod quotas;
mod secrets;
mod service;
mod ssm;
mod sts;
mod tagging;
mod wire;
mod world;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::cloud::Cloud;
use self::world::World;
use self::world::clock::Clock;
use self::world::ids::Ids;
use self::world::keys::Keys;
use self::world::latency::Latencies;
use self::world::scene::Core;
use self::world::snapshot;
use crate::error::SandboxError;

pub(crate) use self::cloud::DEFAULT_ACCOUNT;
pub use self::eks::host::{
    ClusterHost, ClusterView, Identity, NodeView, PlaneAddress, access_policies, policy_group,
};
pub use self::eks::owned::ClaimVolume;
pub use self::elb::service::ServiceBalancer;
pub use self::world::counters::CallCount;
pub use self::world::effects::{Effect, EffectKind};
pub use self::world::faults::{AwsFaultEffect, AwsFaultMoment, AwsFaultRule};
pub use self::world::keys::AwsCredentials;
pub use self::world::latency::Wait;
pub use self::world::settings::{AwsSettings, Consistency};

/// A running simulator. It ends with the token that [`serve`] was given.
pub struct Aws {
    cloud: Arc<Cloud>,
    effects: Option<mpsc::UnboundedReceiver<Effect>>,
}

/// Start the simulator: load the graph from its file, listen on loopback, let time pass.
///
/// # Errors
/// When the settings are out of range, the port is taken, or the file cannot be read.
pub async fn serve(
    settings: AwsSettings,
    shutdown: CancellationToken,
) -> Result<Aws, SandboxError> {
    if !settings.time_scale.is_finite() || settings.time_scale < 1.0 {
        return Err(SandboxError::InvalidSetting {
            setting: "time scale",
            reason: format!("{} is less than 1", settings.time_scale),
        });
    }
    let clock = Clock::Wall {
        scale: settings.time_scale,
    };
    let world = world(&settings, clock)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port))
        .await
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::AddrInUse => SandboxError::PortInUse {
                port: settings.port,
            },
            _ => SandboxError::Spawn {
                what: "the listener of the simulated AWS".to_owned(),
                source,
            },
        })?;
    let port = listener
        .local_addr()
        .map_or(settings.port, |address| address.port());
    let (sender, receiver) = mpsc::unbounded_channel();
    let endpoint = format!("http://127.0.0.1:{port}");
    let cloud = Arc::new(Cloud::new(world, sender, settings.file, endpoint));
    tokio::spawn(wire::server::serve(
        Arc::clone(&cloud),
        listener,
        shutdown.clone(),
    ));
    let ticking = Arc::clone(&cloud);
    tokio::spawn(async move { ticking.tick(shutdown).await });
    Ok(Aws {
        cloud,
        effects: Some(receiver),
    })
}

/// The world of the file, or a new one, under these settings.
fn world(settings: &AwsSettings, clock: Clock) -> Result<World, SandboxError> {
    let kept = match &settings.file {
        Some(file) => snapshot::load(file)?,
        None => None,
    };
    let mut world = kept.unwrap_or_else(|| {
        let mut ids = Ids::new(settings.seed);
        let keys = Keys::new(&mut ids);
        World::new(Core::new(ids, keys))
    });
    world.core.clock = clock;
    world.core.latencies = Latencies::with(&settings.latencies);
    world.core.consistency = settings.consistency;
    Ok(world)
}

/// Whether there are zones in the region of that name.
pub(crate) fn knows_region(name: &str) -> bool {
    world::zones::region(name).is_some()
}

/// Forget everything in the graph of that file but the keys: what was handed out earlier stays right. Identifiers don't repeat.
///
/// # Errors
/// When the file can't be read or written.
pub(crate) fn empty(file: &Path) -> Result<(), SandboxError> {
    match snapshot::load(file)? {
        Some(world) => {
            let core = Core::new(world.core.ids, world.core.keys.without_users());
            snapshot::save(&World::new(core), file)
        }
        None => Ok(()),
    }
}

impl Aws {
    /// `http://127.0.0.1:PORT`, for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.cloud.endpoint
    }

    /// The key of the sandbox's own account.
    #[must_use]
    pub fn credentials(&self) -> AwsCredentials {
        self.cloud.default_credentials()
    }

    /// The key of any account (12 digits), for tests with several.
    #[must_use]
    pub fn credentials_of(&self, account: &str) -> AwsCredentials {
        self.cloud.with(|world| world.core.keys.of(account))
    }

    /// The key of an IAM user of the sandbox's own account who may do what this policy (JSON) allows, and nothing else. A user of
    /// that name keeps its key and gets this policy instead of its others.
    ///
    /// # Errors
    /// When the name can't be a user's, or the policy is none.
    pub fn user(&self, name: &str, policy: &str) -> Result<AwsCredentials, SandboxError> {
        let place = world::scene::Place {
            account: DEFAULT_ACCOUNT.to_owned(),
            region: "us-east-1".to_owned(),
        };
        let made = self.cloud.change(|world| {
            let now = world.core.clock.now();
            world.on(&place, now, |scene| iam::hand_out(scene, name, policy))
        });
        made.map_err(|error| SandboxError::InvalidSetting {
            setting: "policy",
            reason: error.message,
        })
    }

    /// The raw graph, for audits; `{}` when there is nothing in any account.
    #[must_use]
    pub fn inspect(&self) -> serde_json::Value {
        self.cloud.with(|world| world.inspect())
    }

    /// Calls since the start or the last reset.
    #[must_use]
    pub fn counters(&self) -> Vec<CallCount> {
        self.cloud.counters.list()
    }

    /// Count from zero again.
    pub fn reset_counters(&self) {
        self.cloud.counters.reset();
    }

    /// Replace the fault plan.
    pub fn set_faults(&self, rules: Vec<AwsFaultRule>) {
        self.cloud.with(|world| world.core.faults.set(rules));
    }

    /// The fault plan, with how often each rule struck.
    #[must_use]
    pub fn faults(&self) -> Vec<AwsFaultRule> {
        self.cloud.with(|world| world.core.faults.list().to_vec())
    }

    /// The ARN of whoever made a presigned `GetCallerIdentity` URL (what a token for a cluster carries); `headers` are those beside
    /// `Host` that were signed with it. None when it isn't one, has expired, or was not signed with a key of the sandbox.
    #[must_use]
    pub fn caller_of(&self, url: &str, headers: &[(&str, &str)]) -> Option<String> {
        let caller = |world: &mut World| wire::authenticate::presigned(world, url, headers);
        self.cloud.with(caller).ok().map(|caller| caller.arn)
    }

    /// What the graph wants from the rest of the sandbox, in order. Can be taken once.
    pub fn take_effects(&mut self) -> Option<mpsc::UnboundedReceiver<Effect>> {
        self.effects.take()
    }
}
