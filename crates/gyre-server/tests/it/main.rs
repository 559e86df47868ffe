//! The service itself, with limits that a test can wait for.

mod limits;
