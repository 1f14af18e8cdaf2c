//! Journal, fold, lease and local store of an environment.
