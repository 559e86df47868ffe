use gyre_learner::{LocalPolicy, SampleRequest};
use gyre_types::{FinishReason, Seed};

use crate::{examples, start};

fn requests(count: usize) -> Vec<SampleRequest> {
    let examples = examples();
    let request = |n: usize| SampleRequest {
        prompt: examples[n % examples.len()].prompt.clone(),
        seed: Seed(n as u64),
        temperature: [0.0, 1.0, 1.2][n % 3],
        tokens_max: 5 + n as u32 % 60,
    };
    (0..count).map(request).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn a_sample_depends_on_its_own_request_alone() {
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), 1).unwrap();
    let policy = LocalPolicy::load(dir.path()).unwrap();
    let requests = requests(300);
    let together = policy.sample_on(1, &requests);
    // 127 is prime to 299: each request comes once, far from its neighbours.
    let order: Vec<usize> = (0..299).map(|n| n * 127 % 299).collect();
    let shuffled: Vec<_> = order.iter().map(|n| requests[*n].clone()).collect();
    for (n, sample) in order.iter().zip(policy.sample_on(3, &shuffled)) {
        assert_eq!(sample, together[*n]);
        assert_eq!(bits(&sample.logprobs), bits(&together[*n].logprobs));
    }
    for n in [0, 1, 7, 150, 299] {
        let alone = policy.sample(&requests[n..=n]);
        assert_eq!(alone[0], together[n]);
        assert_eq!(bits(&alone[0].logprobs), bits(&together[n].logprobs));
    }
}

#[test]
fn an_answer_ends_by_itself_or_by_its_budget() {
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), 1).unwrap();
    let policy = LocalPolicy::load(dir.path()).unwrap();
    for (request, sample) in requests(60).iter().zip(policy.sample(&requests(60))) {
        assert_eq!(sample.tokens.len(), sample.logprobs.len());
        assert!(sample.logprobs.iter().all(|logprob| *logprob <= 0.0));
        match sample.finish {
            FinishReason::Length => assert_eq!(sample.tokens.len(), request.tokens_max as usize),
            finish => assert_eq!((finish, sample.tokens.last()), (FinishReason::Stop, Some(&4))),
        }
    }
}

#[test]
fn a_prompt_without_room_for_an_answer_gets_none() {
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), 1).unwrap();
    let policy = LocalPolicy::load(dir.path()).unwrap();
    let prompt = "7".repeat(400);
    let long = SampleRequest { prompt, seed: Seed(1), temperature: 1.0, tokens_max: 9 };
    let sample = &policy.sample(&[long])[0];
    assert_eq!((sample.tokens.len(), sample.finish), (0, FinishReason::Length));
    let none = SampleRequest { tokens_max: 0, ..requests(1)[0].clone() };
    assert_eq!(policy.sample(&[none])[0].tokens.len(), 0);
}

#[test]
fn the_digest_tells_checkpoints_apart() {
    let digest = |seed| {
        let dir = tempfile::tempdir().unwrap();
        start(dir.path(), seed).unwrap();
        LocalPolicy::load(dir.path()).unwrap().digest()
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}
