//! The way into a cluster that comes to be while pipectl runs: [`Gate`] implements `EntranceApi`, and hands out an
//! `ObjectApi` and a `ReleaseApi` that lead to that cluster from the moment on when it was entered.
//!
//! | file | what |
//! | --- | --- |
//! | `gate.rs` | entering, and whose cluster it is |
//! | `kubeconfig.rs` | pipectl's own kubeconfig: an exec entry, no token |
//! | `objects.rs` | the late-bound `ObjectApi` |

mod gate;
mod kubeconfig;
mod objects;

pub use gate::{Gate, GateOptions};
pub use kubeconfig::ExecEntry;
