//! The environment in which an agent writes a program.
//!
//! It may run its program on the task's visible examples, which tells what each
//! gave, and submits a program in the end. A program that agrees with every
//! visible example is submitted as it stands.

mod feedback;
mod fenced;
pub mod tools;

pub(crate) use feedback::Run;
pub use feedback::{ExamplesReport, Observation};
