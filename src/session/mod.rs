//! What every command needs before it can work: which pipeline, which environment, where it lives, and the way there.
//!
//! | file | what |
//! | --- | --- |
//! | `pipeline.rs` | which pipeline: a file, a blueprint, `--set` |
//! | `environment.rs` | which environment: its place on this machine, its record |
//! | `place.rs` | where it lives: a sandbox or an existing cluster, as pinned at its first `up` |
//! | `access.rs` | the way there: pipectl's own kubeconfig, the adapters, the identity fence |
//! | `inspect.rs` | looking at an environment without changing it |
//! | `standing.rs` | what it offers a person: endpoints, next commands |

pub mod access;
pub mod environment;
pub mod inspect;
pub mod pipeline;
pub mod place;
pub mod standing;
