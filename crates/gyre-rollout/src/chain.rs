//! The hash chain over a rollout's steps.

use gyre_types::{Completion, Digest, Message, PolicyRef, Sampling, Seed};
use serde::Serialize;

/// What the chain starts from: all that decides the rollout.
#[derive(Serialize)]
pub(crate) struct Origin<'a> {
    pub(crate) task: &'a Digest,
    pub(crate) policy: &'a PolicyRef,
    pub(crate) sandbox: &'a Digest,
    pub(crate) seed: Seed,
    pub(crate) sampling: Sampling,
    pub(crate) turns_max: u32,
}

/// One link: what the policy said, with every token and the bits of every
/// log-probability, what the world answered, and the fuel that it took.
pub(crate) fn link(
    chain: Digest,
    completion: &Completion,
    answer: Option<&Message>,
    fuel: u64,
) -> Digest {
    let logprob_bits: Vec<u32> = completion.logprobs.iter().map(|p| p.to_bits()).collect();
    let step =
        (&completion.message, &completion.tokens, logprob_bits, completion.finish, answer, fuel);
    chain.chain(gyre_types::canonical_json(&step).as_bytes())
}
