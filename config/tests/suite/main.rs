//! Loads whole pipeline files, good and bad.
#![allow(missing_docs, reason = "tests name themselves")]

mod across_fields;
mod blueprint;
mod codes;
mod docs;
mod files;
mod round_trip;
mod secrets;
mod shape;
mod support;
