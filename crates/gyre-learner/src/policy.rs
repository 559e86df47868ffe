use std::fmt;
use std::path::Path;

use gyre_types::{Digest, FinishReason, Seed};

use crate::LearnerError;
use crate::checkpoint::{self, Weights};
use crate::decode::{self, Job};
use crate::ops::Rotary;

/// A checkpoint that answers.
pub struct LocalPolicy {
    weights: Weights,
    rotary: Rotary,
}

/// One answer asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleRequest {
    /// The user's message.
    pub prompt: String,
    /// Decides every draw of this sample.
    pub seed: Seed,
    /// 0 is greedy.
    pub temperature: f32,
    /// Tokens sampled, at most.
    pub tokens_max: u32,
}

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The prompt as the model read it.
    pub prompt_tokens: Vec<u32>,
    /// Tokens sampled, with the one that ended it where it ended by itself.
    pub tokens: Vec<u32>,
    /// Log-probability of each token at temperature 1.
    pub logprobs: Vec<f32>,
    /// The tokens as text.
    pub text: String,
    /// Whether it ended by itself. A prompt that leaves no room in the context
    /// ends at once, by length.
    pub finish: FinishReason,
}

impl fmt::Debug for LocalPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arch = self.weights.layout.arch;
        f.debug_struct("LocalPolicy").field("digest", &self.digest()).field("shape", &arch).finish()
    }
}

impl LocalPolicy {
    /// Loads the checkpoint in a folder.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or the tokenizer is not the one that
    /// the weights were trained with.
    pub fn load(dir: &Path) -> Result<Self, LearnerError> {
        let weights = checkpoint::load_weights(dir)?;
        let arch = weights.layout.arch;
        Ok(Self { rotary: Rotary::new(arch.head_size(), arch.context), weights })
    }

    /// Digest of everything that decides its answers: weights, tokenizer,
    /// shape and [`ENGINE_VERSION`](crate::ENGINE_VERSION).
    pub fn digest(&self) -> Digest {
        self.weights.digest
    }

    /// Samples an answer to every request, in their order.
    ///
    /// Each depends on its own request alone: not on the others, nor on the
    /// number of threads.
    pub fn sample(&self, requests: &[SampleRequest]) -> Vec<Sample> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        self.sample_on(threads, requests)
    }

    /// [`LocalPolicy::sample`] on this many threads.
    pub fn sample_on(&self, threads: usize, requests: &[SampleRequest]) -> Vec<Sample> {
        let Weights { layout, params, tokenizer, .. } = &self.weights;
        let net = crate::forward::Net { layout, params, rotary: &self.rotary };
        let jobs: Vec<_> = requests
            .iter()
            .map(|request| Job {
                prompt: tokenizer.encode_prompt(&request.prompt),
                seed: request.seed,
                temperature: request.temperature,
                tokens_max: request.tokens_max as usize,
            })
            .collect();
        let drawn = decode::decode(net, &jobs, threads);
        let finish = |drawn| match drawn {
            true => FinishReason::Stop,
            false => FinishReason::Length,
        };
        jobs.into_iter()
            .zip(drawn)
            .map(|(job, drawn)| Sample {
                prompt_tokens: job.prompt,
                text: tokenizer.decode(&drawn.tokens),
                tokens: drawn.tokens,
                logprobs: drawn.logprobs,
                finish: finish(drawn.ended),
            })
            .collect()
    }
}
