//! Who may enter a cluster, and which pods may act as which role.
