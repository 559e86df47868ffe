//! Runs real guests and asserts what they did.

mod bounds;
mod cache;
mod determinism;
mod sessions;
mod support;
mod surroundings;
mod values;
