//! What a verifier exports, and under which version.

/// The version of the contract that outcomes and reports follow.
pub const CONTRACT_VERSION: u32 = 1;
/// The interface that a verifier exports.
pub const INTERFACE: &str = "gyre:verifier/grading@1.0.0";
/// The world and its interface, as authors give it to their tools.
pub const WIT: &str = include_str!("../../../../sandboxes/wit/verifier.wit");
