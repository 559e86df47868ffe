//! The hash chain over a rollout's steps.

use gyre_types::{Completion, Digest, Message, PolicyRef, Seed};
use serde::Serialize;

use crate::episode::EpisodeSettings;

/// What the chain starts from: all that decides the rollout.
#[derive(Serialize)]
pub(crate) struct Origin<'a> {
    pub(crate) task: &'a Digest,
    pub(crate) policy: &'a PolicyRef,
    pub(crate) sandbox: &'a Digest,
    pub(crate) seed: Seed,
    /// Whole, so that no setting can be left out.
    pub(crate) settings: &'a EpisodeSettings,
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

#[cfg(test)]
mod tests {
    use gyre_types::Sampling;

    use super::*;

    #[test]
    fn every_setting_of_an_episode_decides_where_its_chain_begins() {
        let policy = PolicyRef { checkpoint: None, digest: Digest::of(b"policy") };
        let (task, sandbox) = (Digest::of(b"task"), Digest::of(b"sandbox"));
        let begins = |settings: &EpisodeSettings| {
            let seed = Seed(1);
            let origin = Origin { task: &task, policy: &policy, sandbox: &sandbox, seed, settings };
            Digest::of_json(&origin)
        };
        let sampling = Sampling { temperature: 1.0, tokens_max: 96 };
        let settings =
            EpisodeSettings { turns_max: 2, tokens_max: 192, sampling, repair_temperature: 1.2 };
        let colder = Sampling { temperature: 0.5, ..sampling };
        let shorter = Sampling { tokens_max: 95, ..sampling };
        for other in [
            EpisodeSettings { turns_max: 3, ..settings },
            EpisodeSettings { tokens_max: 191, ..settings },
            EpisodeSettings { sampling: colder, ..settings },
            EpisodeSettings { sampling: shorter, ..settings },
            EpisodeSettings { repair_temperature: 1.1, ..settings },
        ] {
            assert_ne!(begins(&other), begins(&settings), "{other:?}");
        }
    }
}
