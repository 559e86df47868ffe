//! Runs real guests and asserts what they did.

mod sessions;
mod support;
