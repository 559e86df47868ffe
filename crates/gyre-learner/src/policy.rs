use std::fmt;
use std::path::Path;
use std::sync::mpsc;

use gyre_types::{Digest, FinishReason, Seed};

use crate::LearnerError;
use crate::checkpoint::{self, Weights};
use crate::decode::{self, Drawn, Job, Queue};
use crate::forward::Net;
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
        let (done, samples) = mpsc::channel();
        let queue = Queue::new(threads);
        queue.push(requests.iter().enumerate().map(|(at, request)| {
            let done = done.clone();
            let reply = Box::new(move |prompt, drawn| {
                // The receiver outlives every thread that could send.
                let _ = done.send((at, prompt, drawn));
            });
            self.job(request, reply)
        }));
        queue.close();
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| self.serve(&queue));
            }
            self.serve(&queue);
        });
        drop(done);
        let mut drawn: Vec<_> = samples.into_iter().collect();
        drawn.sort_by_key(|(at, ..)| *at);
        drawn.into_iter().map(|(_, prompt, drawn)| self.sampled(prompt, drawn)).collect()
    }

    /// Draws answers on this thread until the queue is closed.
    pub(crate) fn serve(&self, queue: &Queue) {
        let Weights { layout, params, .. } = &self.weights;
        decode::decode(Net { layout, params, rotary: &self.rotary }, queue);
    }

    pub(crate) fn job(
        &self,
        request: &SampleRequest,
        reply: Box<dyn FnOnce(Vec<u32>, Drawn) + Send>,
    ) -> Job {
        Job {
            prompt: self.weights.tokenizer.encode_prompt(&request.prompt),
            seed: request.seed,
            temperature: request.temperature,
            tokens_max: request.tokens_max as usize,
            reply,
        }
    }

    pub(crate) fn sampled(&self, prompt_tokens: Vec<u32>, drawn: Drawn) -> Sample {
        Sample {
            prompt_tokens,
            text: self.weights.tokenizer.decode(&drawn.tokens),
            tokens: drawn.tokens,
            logprobs: drawn.logprobs,
            finish: if drawn.ended { FinishReason::Stop } else { FinishReason::Length },
        }
    }
}
