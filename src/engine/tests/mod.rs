//! Tests of the engine, over steps that follow a script and a journal in memory, in paused time.

mod cancelling;
mod down;
mod graphs;
mod journal;
mod random;
mod steps;
mod surroundings;
mod world;
