//! Tests of the reporters.
