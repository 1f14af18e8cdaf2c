//! Custom-resource types that stages and sandbox share.
