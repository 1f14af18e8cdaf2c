//! Load balancers and target groups.
