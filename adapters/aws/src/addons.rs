//! EKS add-ons.
