//! The ports of a run, each of whose changes asks the lease in the account first.
//!
//! One table a port says which of its calls look and which change something. A call that is not in it does not compile.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use pipectl_stages::{
    PortError, Ports,
    ports::{
        access::{AccessApi, Entry, PodIdentity, PodIdentitySpec},
        addons::{Addon, AddonApi, AddonSpec, AddonVersion},
        anchors::{Anchor, AnchorApi, Sighting},
        balancers::{Balancer, BalancerApi},
        cloud::{Cloud, Deletion, Tags, UpdateProgress},
        clusters::{Cluster, ClusterApi, ClusterChange, ClusterSpec, OfferedVersion},
        compute::{ComputeApi, Instance, Interface, Selector, Snapshot, Volume},
        identity::{IdentityApi, InstanceProfile, OidcProvider, Role, RoleSpec},
        keys::{Key, KeyApi},
        logs::{LogApi, LogGroup},
        network::{Arrangement, Lookup, NetworkApi, NewPiece, Piece, PieceKind},
        node_groups::{NodeGroup, NodeGroupApi, NodeGroupChange, NodeGroupSpec},
        objects::{self, ApplyOptions, ClusterIdentity, ObjectApi, ObjectRef, Selection, Served},
        probes::ProbeApi,
        releases::{ChartRef, Release, ReleaseApi, ReleaseSpec},
    },
};
use serde_json::Value;
use tokio::sync::watch;

use super::AccountLease;

/// A port whose changes ask the lease first.
struct Held<A: ?Sized> {
    port: Arc<A>,
    lease: Arc<AccountLease>,
}

impl AccountLease {
    /// These ports, behind this lease: it is taken before the first change that goes through them.
    #[must_use]
    pub fn over(self: &Arc<Self>, ports: Ports) -> Ports {
        let lease = || Arc::clone(self);
        macro_rules! held {
            ($port:expr) => {
                Arc::new(Held {
                    port: $port,
                    lease: lease(),
                })
            };
        }
        Ports {
            objects: held!(ports.objects),
            releases: held!(ports.releases),
            secrets: ports.secrets,
            cloud: ports.cloud.map(|cloud| Cloud {
                account: cloud.account,
                anchors: held!(cloud.anchors),
                network: held!(cloud.network),
                compute: held!(cloud.compute),
                balancers: held!(cloud.balancers),
                clusters: held!(cloud.clusters),
                node_groups: held!(cloud.node_groups),
                addons: held!(cloud.addons),
                access: held!(cloud.access),
                identity: held!(cloud.identity),
                keys: held!(cloud.keys),
                logs: held!(cloud.logs),
                tagged: cloud.tagged,
                entrance: cloud.entrance,
            }),
        }
    }
}

/// A port's calls: those that look go on at once, those that change something ask first.
macro_rules! port {
    ($port:ident {
        looks { $(fn $look:ident($($seen:ident: $of:ty),* $(,)?) -> $shown:ty;)* }
        changes { $(fn $change:ident($($given:ident: $as:ty),* $(,)?) -> $made:ty;)* }
    }) => {
        #[async_trait]
        impl $port for Held<dyn $port> {
            $(async fn $look(&self, $($seen: $of),*) -> Result<$shown, PortError> {
                self.port.$look($($seen),*).await
            })*
            $(async fn $change(&self, $($given: $as),*) -> Result<$made, PortError> {
                self.lease.before_effect().await?;
                self.port.$change($($given),*).await
            })*
        }
    };
}

port! { NetworkApi {
    looks {
        fn find(kind: PieceKind, lookup: &Lookup) -> Vec<Piece>;
    }
    changes {
        fn create(piece: &NewPiece) -> Piece;
        fn arrange(arrangement: &Arrangement) -> ();
        fn retag(id: &str, set: &Tags, remove: &[String]) -> ();
        fn delete(kind: PieceKind, id: &str) -> Deletion;
    }
} }

port! { ComputeApi {
    looks {
        fn instances(which: &Selector) -> Vec<Instance>;
        fn interfaces(which: &Selector) -> Vec<Interface>;
        fn volumes(which: &Selector) -> Vec<Volume>;
        fn snapshots(which: &Selector) -> Vec<Snapshot>;
    }
    changes {
        fn terminate(instances: &[String]) -> ();
        fn delete_interface(id: &str) -> Deletion;
        fn delete_volume(id: &str) -> Deletion;
        fn delete_snapshot(id: &str) -> Deletion;
    }
} }

port! { BalancerApi {
    looks {
        fn in_vpc(vpc: &str) -> Vec<Balancer>;
    }
    changes {
        fn delete(balancer: &Balancer) -> Deletion;
    }
} }

port! { ClusterApi {
    looks {
        fn versions() -> Vec<OfferedVersion>;
        fn find(name: &str) -> Option<Cluster>;
        fn names() -> Vec<String>;
        fn update(name: &str, update: &str) -> Option<UpdateProgress>;
    }
    changes {
        fn create(spec: &ClusterSpec) -> Cluster;
        fn change(name: &str, change: &ClusterChange, token: &str) -> String;
        fn retag(arn: &str, set: &Tags, remove: &[String]) -> ();
        fn delete(name: &str) -> Deletion;
    }
} }

port! { NodeGroupApi {
    looks {
        fn find(cluster: &str, name: &str) -> Option<NodeGroup>;
        fn names(cluster: &str) -> Vec<String>;
        fn update(cluster: &str, name: &str, update: &str) -> Option<UpdateProgress>;
    }
    changes {
        fn create(spec: &NodeGroupSpec) -> NodeGroup;
        fn change(cluster: &str, name: &str, change: &NodeGroupChange, token: &str) -> String;
        fn delete(cluster: &str, name: &str) -> Deletion;
    }
} }

port! { AddonApi {
    looks {
        fn versions(addon: &str, kubernetes: &str) -> Vec<AddonVersion>;
        fn find(cluster: &str, name: &str) -> Option<Addon>;
        fn names(cluster: &str) -> Vec<String>;
        fn update(cluster: &str, name: &str, update: &str) -> Option<UpdateProgress>;
    }
    changes {
        fn create(spec: &AddonSpec) -> Addon;
        fn change(spec: &AddonSpec) -> String;
        fn delete(cluster: &str, name: &str) -> Deletion;
    }
} }

port! { AccessApi {
    looks {
        fn entry(cluster: &str, principal: &str) -> Option<Entry>;
        fn pod_identities(cluster: &str) -> Vec<PodIdentity>;
    }
    changes {
        fn admit(cluster: &str, principal: &str, tags: &Tags, token: &str) -> ();
        fn associate(spec: &PodIdentitySpec) -> PodIdentity;
        fn reassign(cluster: &str, id: &str, role: &str, token: &str) -> ();
        fn dissociate(cluster: &str, id: &str) -> Deletion;
    }
} }

port! { IdentityApi {
    looks {
        fn role(name: &str) -> Option<Role>;
        fn roles_under(path: &str) -> Vec<String>;
        fn profiles_of(role: &str) -> Vec<InstanceProfile>;
        fn oidc_providers() -> Vec<OidcProvider>;
        fn oidc_provider(issuer: &str) -> Option<OidcProvider>;
    }
    changes {
        fn create_role(spec: &RoleSpec) -> Role;
        fn trust(role: &str, trust: &Value) -> ();
        fn attach(role: &str, policy: &str) -> ();
        fn detach(role: &str, policy: &str) -> ();
        fn set_inline(role: &str, name: &str, policy: Option<&Value>) -> ();
        fn retag_role(role: &str, set: &Tags, remove: &[String]) -> ();
        fn delete_role(role: &str) -> Deletion;
        fn delete_profile(name: &str, role: &str) -> Deletion;
        fn create_oidc_provider(issuer: &str, clients: &BTreeSet<String>, tags: &Tags) -> OidcProvider;
        fn retag_oidc_provider(arn: &str, set: &Tags, remove: &[String]) -> ();
        fn delete_oidc_provider(arn: &str) -> Deletion;
    }
} }

port! { KeyApi {
    looks {
        fn find(id: &str) -> Option<Key>;
        fn behind(alias: &str) -> Option<Key>;
        fn tagged(tags: &Tags) -> Vec<Key>;
    }
    changes {
        fn create(description: &str, tags: &Tags) -> Key;
        fn alias(alias: &str, key: &str) -> ();
        fn unalias(alias: &str) -> Deletion;
        fn schedule_deletion(key: &str, days: u8) -> Option<Timestamp>;
        fn retag(key: &str, set: &Tags, remove: &[String]) -> ();
    }
} }

port! { LogApi {
    looks {
        fn find(name: &str) -> Option<LogGroup>;
    }
    changes {
        fn create(name: &str, tags: &Tags) -> ();
        fn retain(name: &str, days: u16) -> ();
        fn retag(name: &str, set: &Tags, remove: &[String]) -> ();
        fn delete(name: &str) -> Deletion;
    }
} }

port! { ReleaseApi {
    looks {
        fn find(namespace: &str, name: &str) -> Option<Release>;
        fn owned(environment_uid: &str) -> Vec<Release>;
        fn crds(chart: &ChartRef) -> Vec<Value>;
        fn render(spec: &ReleaseSpec) -> Vec<Value>;
    }
    changes {
        fn install(spec: &ReleaseSpec) -> Release;
        fn uninstall(namespace: &str, name: &str, timeout: Duration) -> bool;
    }
} }

/// The record holds the lease itself: whoever makes, changes or removes it does so as its holder.
#[async_trait]
impl AnchorApi for Held<dyn AnchorApi> {
    async fn create(&self, anchor: &Anchor, tags: &Tags) -> Result<u64, PortError> {
        self.lease.create(anchor, tags).await
    }

    async fn sight(&self, name: &str) -> Result<Option<Sighting>, PortError> {
        self.port.sight(name).await
    }

    async fn all(&self) -> Result<Vec<Sighting>, PortError> {
        self.port.all().await
    }

    async fn update(&self, anchor: &Anchor) -> Result<u64, PortError> {
        self.lease.update(anchor).await
    }

    async fn delete(&self, name: &str) -> Result<Deletion, PortError> {
        self.lease.delete(name).await
    }
}

#[async_trait]
impl ObjectApi for Held<dyn ObjectApi> {
    async fn served(&self, group: &str, kind: &str) -> Result<Option<Served>, PortError> {
        self.port.served(group, kind).await
    }

    async fn all_served(&self) -> Result<(Vec<Served>, Vec<PortError>), PortError> {
        self.port.all_served().await
    }

    async fn get(&self, object: &ObjectRef) -> Result<Option<Value>, PortError> {
        self.port.get(object).await
    }

    async fn list(&self, selection: &Selection) -> Result<Vec<Arc<Value>>, PortError> {
        self.port.list(selection).await
    }

    async fn list_metadata(&self, selection: &Selection) -> Result<Vec<Value>, PortError> {
        self.port.list_metadata(selection).await
    }

    async fn apply(&self, object: &Value, options: ApplyOptions) -> Result<Value, PortError> {
        // Of a question whether it would be accepted, nothing is kept.
        if !options.dry_run {
            self.lease.before_effect().await?;
        }
        self.port.apply(object, options).await
    }

    async fn create(&self, object: &Value) -> Result<Value, PortError> {
        self.lease.before_effect().await?;
        self.port.create(object).await
    }

    /// A probe sees with a pod's eyes. What one of them writes is a message of its own that belongs to nobody.
    fn probes(&self) -> Option<&dyn ProbeApi> {
        self.port.probes()
    }

    async fn delete(
        &self,
        object: &ObjectRef,
        uid: Option<&str>,
    ) -> Result<objects::Deletion, PortError> {
        self.lease.before_effect().await?;
        self.port.delete(object, uid).await
    }

    async fn strip_finalizers(
        &self,
        object: &ObjectRef,
        uid: &str,
        finalizers: &[String],
    ) -> Result<(), PortError> {
        self.lease.before_effect().await?;
        self.port.strip_finalizers(object, uid, finalizers).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.port.changes()
    }

    async fn identity(&self) -> Result<ClusterIdentity, PortError> {
        self.port.identity().await
    }
}
