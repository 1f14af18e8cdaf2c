//! Kubernetes objects through `kube`: [`KubernetesAdapter`] implements `ObjectApi`.
//!
//! | file | what |
//! | --- | --- |
//! | `connect.rs` | from a kubeconfig to a client; nothing ambient |
//! | `kubeconfig.rs` | reading the named file, writing pipectl's own |
//! | `adapter.rs`, `apply.rs` | the port's methods |
//! | `call.rs` | one call: bound, repetitions |
//! | `errors.rs`, `codes.rs` | from `metav1.Status` and broken connections to typed errors |
//! | `discovery.rs` | which kinds are served |
//! | `watches.rs`, `item.rs`, `selector.rs` | one shared watch per selection |
//! | `fence.rs` | no change before the cluster's identity is verified |

mod adapter;
mod apply;
mod call;
mod codes;
mod connect;
mod discovery;
mod errors;
mod fence;
mod item;
mod kubeconfig;
mod selector;
mod watches;

#[cfg(test)]
mod tests;

pub use adapter::KubernetesAdapter;
pub use call::CallBounds;
pub use codes::CODES;
pub use connect::{ConnectOptions, Kubernetes};
pub(crate) use kubeconfig::put_where_it_differs;
pub use kubeconfig::write_own_kubeconfig;

use pipectl_stages::error::{PortError, PortErrorKind};

/// This is another cluster than the one that the run is about.
pub(crate) fn foreign(cause: impl Into<String>) -> PortError {
    errors::error(PortErrorKind::Foreign, codes::FOREIGN_CLUSTER, cause)
}

/// There is no way to the cluster yet.
pub(crate) fn no_way_yet(cause: impl Into<String>) -> PortError {
    errors::error(PortErrorKind::Unreachable, codes::UNREACHABLE, cause)
}
