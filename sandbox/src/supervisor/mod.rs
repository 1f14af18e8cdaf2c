//! The process that owns a running sandbox: it keeps the control plane alive and everything around it.

pub mod context;
pub mod egress;
