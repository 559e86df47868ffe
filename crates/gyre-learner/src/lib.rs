// TEMPORARY STUB by the lead, never committed: learner-B, overwrite this folder.
#![allow(missing_docs)]
use gyre_types::{Digest, FinishReason, Seed};
use std::ops::ControlFlow;
use std::path::Path;
pub const ENGINE_VERSION: u32 = 0;
#[derive(
    Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default)]
pub struct LearnerConfig {
    pub base: Schedule,
    pub round: Schedule,
}
#[derive(
    Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Schedule {
    pub steps: u64,
    pub learning_rate: f32,
    pub warmup: u64,
}
#[derive(Debug, Clone)]
pub struct Example {
    pub prompt: String,
    pub answer: String,
    pub weight: f32,
}
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct LearnerError;
pub struct TrainProgress {
    pub step: u64,
    pub steps: u64,
    pub loss: f32,
}
#[derive(serde::Serialize)]
pub struct TrainReport {
    pub steps: u64,
    pub tokens: u64,
    pub loss_first: f32,
    pub loss_last: f32,
    pub loss_mean: f32,
}
type P<'a> = &'a mut dyn FnMut(TrainProgress) -> ControlFlow<()>;
pub fn cold_start(
    _: &LearnerConfig,
    _: Seed,
    _: &[Example],
    _: &Path,
    _: P<'_>,
) -> Result<TrainReport, LearnerError> {
    Err(LearnerError)
}
pub fn train_round(
    _: &LearnerConfig,
    _: &Path,
    _: Seed,
    _: &[Example],
    _: &Path,
    _: P<'_>,
) -> Result<TrainReport, LearnerError> {
    Err(LearnerError)
}
pub struct Checkpoint;
impl Checkpoint {
    pub fn digest(_: &Path) -> Result<Digest, LearnerError> {
        Err(LearnerError)
    }
}
#[derive(Debug)]
pub struct LocalPolicy;
pub struct SampleRequest {
    pub prompt: String,
    pub seed: Seed,
    pub temperature: f32,
    pub tokens_max: u32,
}
pub struct Sample {
    pub prompt_tokens: Vec<u32>,
    pub tokens: Vec<u32>,
    pub logprobs: Vec<f32>,
    pub text: String,
    pub finish: FinishReason,
}
impl LocalPolicy {
    pub fn load(_: &Path) -> Result<Self, LearnerError> {
        Err(LearnerError)
    }
    pub fn digest(&self) -> Digest {
        Digest::of(b"")
    }
    pub fn sample(&self, _: &[SampleRequest]) -> Vec<Sample> {
        vec![]
    }
}
