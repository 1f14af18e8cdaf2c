//! IAM roles and OIDC providers.
