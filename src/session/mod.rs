//! What every command needs before it can work: which pipeline, which environment, where it lives, and the way there.
//!
//! | file | what |
//! | --- | --- |
//! | `pipeline.rs` | which pipeline: a file, a blueprint, `--set` |
//! | `environment.rs` | which environment: its place on this machine, its record |
//! | `place.rs` | where it lives: an AWS account, a sandbox or an existing cluster, as pinned at its first `up` |
//! | `access.rs` | the way there: the adapters, the identity fence |
//! | `account.rs` | the way to an AWS account and into the cluster in it |
//! | `cluster.rs` | the way to a cluster that was there before |
//! | `hold/` | the lease in the account: who may change an environment, for every machine |
//! | `inspect.rs` | looking at an environment without changing it |
//! | `standing.rs` | what it offers a person: endpoints, next commands |

pub mod access;
pub mod account;
pub mod cluster;
pub mod environment;
pub mod hold;
pub mod inspect;
pub mod pipeline;
pub mod place;
pub mod standing;
