//! Tests of the reporters: recorded streams of events, and what a person or a program gets to see of each.

mod lines;
mod streams;
mod terminal;
