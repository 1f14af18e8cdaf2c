//! The wire: HTTP, signatures, protocols. Knows no service.

pub(crate) mod admin;
pub(crate) mod authenticate;
pub(crate) mod dispatch;
pub(crate) mod error;
pub(crate) mod params;
pub(crate) mod query;
pub(crate) mod render;
pub(crate) mod server;
pub(crate) mod sigv4;
