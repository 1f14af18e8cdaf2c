//! The adapter against a scripted API server: what it asks, and what it makes of each answer.

mod fake;

mod calls;
mod changes;
mod kinds;
mod shared_watches;
