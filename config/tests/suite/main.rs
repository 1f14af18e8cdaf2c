//! Loads whole pipeline files, good and bad.
#![allow(missing_docs, reason = "tests name themselves")]

mod blueprint;
