//! The Resource Groups Tagging API.
