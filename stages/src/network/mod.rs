//! The VPC around an EKS cluster: its place in the install order, before everything else.
//!
//! Sandboxes and existing clusters bring their network; a pipeline on Amazon EKS gets its steps here (VPC, subnets,
//! gateways, routes), over ports of their own beside [`crate::ports::objects`], on the same engine.
