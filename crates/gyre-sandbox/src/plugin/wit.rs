//! The Rust form of `sandboxes/wit/verifier.wit`, made from that file.

wasmtime::component::bindgen!({
    path: "../../sandboxes/wit",
    world: "verifier",
});

pub(crate) use exports::gyre::verifier::grading::{
    Case, CaseResult, Example, File, Outcome, Report, Task,
};
