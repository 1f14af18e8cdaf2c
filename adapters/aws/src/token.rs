//! Tokens for the API servers of EKS clusters.
