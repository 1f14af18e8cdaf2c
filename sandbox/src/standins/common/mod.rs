//! Tools that the stand-ins share: watched stores, writes that only happen when something changes, readiness.

pub mod follow;
pub mod object;
pub mod resources;
pub mod writer;

pub use follow::{Change, Feed, Follower};
pub use object::{is_going, is_ready_pod, owner_reference};
pub use resources::resource;
pub use writer::{WriteError, Writer};
