//! The hash chain over a rollout's steps.

use gyre_types::{ChatCompletion, Digest, Message, PolicyRef, Seed};
use serde::Serialize;

use crate::settings::EpisodeSettings;

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
/// log-probability, what its calls gave, and the fuel that they took.
///
/// One answer stands for itself, as it always did; several are a list.
pub(crate) fn link(chain: Digest, said: &ChatCompletion, answers: &[Message], fuel: u64) -> Digest {
    let logprob_bits: Vec<u32> = said.logprobs.iter().map(|p| p.to_bits()).collect();
    let (message, tokens, finish) = (&said.message, &said.tokens, said.finish);
    let step = match answers {
        [] | [_] => {
            let step = (message, tokens, logprob_bits, finish, answers.first(), fuel);
            gyre_types::canonical_json(&step)
        }
        several => {
            gyre_types::canonical_json(&(message, tokens, logprob_bits, finish, several, fuel))
        }
    };
    chain.chain(step.as_bytes())
}

#[cfg(test)]
mod tests {
    use gyre_types::{Acting, Sampling};

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
        let settings = EpisodeSettings {
            turns_max: 2,
            tokens_max: 192,
            sampling,
            repair_temperature: 1.2,
            acting: Acting::Tools,
        };
        let colder = Sampling { temperature: 0.5, ..sampling };
        let shorter = Sampling { tokens_max: 95, ..sampling };
        for other in [
            EpisodeSettings { turns_max: 3, ..settings },
            EpisodeSettings { tokens_max: 191, ..settings },
            EpisodeSettings { sampling: colder, ..settings },
            EpisodeSettings { sampling: shorter, ..settings },
            EpisodeSettings { repair_temperature: 1.1, ..settings },
            EpisodeSettings { acting: Acting::Text, ..settings },
        ] {
            assert_ne!(begins(&other), begins(&settings), "{other:?}");
        }
    }
}
