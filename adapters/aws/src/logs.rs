//! CloudWatch log groups.
