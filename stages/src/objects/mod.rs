//! Sets of Kubernetes objects: whose they are, whether they are as wanted, how they get there.
//!
//! Everything a stage puts into the cluster goes through [`ObjectSet`]: objects are marked with the environment's
//! labels, applied server-side in the order of what needs what, and never written when nothing differs.

mod apply;
pub mod diff;
pub mod digest;
pub mod order;
pub mod owned_fields;
pub mod ownership;
pub mod records;
pub mod removal;
pub mod set;
mod together;

pub(crate) use apply::{check_cancelled, foreign, wait_gone};
pub use digest::digest;
pub use ownership::{Owner, owner};
pub use records::{Record, Records};
pub use removal::{Remaining, delete_all, remaining};
pub use set::{ObjectSet, OnForeign};
pub(crate) use together::together;
