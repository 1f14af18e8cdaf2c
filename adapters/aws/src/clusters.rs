//! EKS control planes.
