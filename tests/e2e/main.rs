//! End to end: the real binary against the sandbox, in a home of its own for each test.
//!
//! What a test asks, it asks as a user would: by exit codes, error codes, `--output json`, `status -o json`, the calls
//! counted at the sandbox's endpoint, and an administrator's own look at the cluster. Nothing here depends on the form
//! of what is printed for people.
//!
//! `PIPECTL_E2E_SANDBOXES` says how many control planes may run at once (3), `PIPECTL_E2E_KEEP` keeps the tests' homes.

mod ambient;
mod aws;
mod bad_input;
mod broken;
mod faults;
mod held;
mod lifecycle;
mod lost;
mod neighbours;
mod resume;
mod secrets;
mod stuck;
mod support;
mod surface;
