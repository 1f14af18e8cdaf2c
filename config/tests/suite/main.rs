//! Loads whole pipeline files, good and bad.
#![allow(missing_docs, reason = "tests name themselves")]

mod aws_limits;
mod blueprint;
mod codes;
mod docs;
mod files;
mod kafka;
mod manifests;
mod names;
mod places;
mod round_trip;
mod secrets;
mod shape;
mod support;
