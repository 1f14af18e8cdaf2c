//! The EKS cluster, its node groups and add-ons: their place in the install order, after the network.
//!
//! Sandboxes and existing clusters are there already; a pipeline on Amazon EKS gets its steps here (roles, control
//! plane, node groups, add-ons), over ports of their own beside [`crate::ports::objects`], on the same engine.
