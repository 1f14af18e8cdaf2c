//! Managed node groups.
