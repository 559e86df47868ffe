use std::collections::BTreeSet;
use std::error::Error as _;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use gyre_learner::{
    Example, LearnerConfig, LearnerError, LocalPolicy, TrainProgress, cold_start, train_round,
};
use gyre_train::digest_checkpoint;
use gyre_types::Seed;
use safetensors::SafeTensors;
use serde_json::Value;

use crate::{config, examples, go_on, start};

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_checkpoints_bit_for_bit() {
    let run = |seed| {
        let (base, round) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = start(base.path(), seed).unwrap();
        let second =
            train_round(&config(), base.path(), Seed(9), &examples(), round.path(), &mut go_on);
        let digests = [base, round].map(|dir| digest_checkpoint(dir.path()).unwrap());
        (digests, first, second.unwrap())
    };
    let (one, again, other) = (run(1), run(1), run(2));
    assert_eq!(one, again);
    assert_ne!(one.0[0], other.0[0]);
    assert_ne!(one.0[0], one.0[1]);
    assert!(one.1.loss_last < 0.5 * one.1.loss_first, "{:?}", one.1);
    assert!(one.2.loss_first < one.1.loss_first, "a round goes on where the base ended");
    assert_eq!((one.1.steps, one.2.steps, one.1.examples), (30, 10, 24));
}

#[test]
fn a_round_that_keeps_no_weights_takes_over_the_tokenizer_alone() {
    let anew = LearnerConfig { keep: 0.0, ..config() };
    let half = LearnerConfig { keep: 0.5, ..config() };
    let from = |parent: u64, config: &LearnerConfig, seed| {
        let (base, round) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        start(base.path(), parent).unwrap();
        train_round(config, base.path(), Seed(seed), &examples(), round.path(), &mut go_on)
            .unwrap();
        let tokenizers = [&base, &round].map(|dir| json(&dir.path().join("tokenizer.json")));
        assert_eq!(tokenizers[0], tokenizers[1]);
        fs::read(round.path().join("model.safetensors")).unwrap()
    };
    assert!(from(1, &anew, 9) == from(2, &anew, 9));
    assert!(from(1, &anew, 9) != from(1, &anew, 8));
    assert!(from(1, &half, 9) != from(2, &half, 9));
    assert!(from(1, &half, 9) != from(1, &half, 8));
    assert!(from(1, &config(), 9) != from(2, &config(), 9));
}

#[test]
fn a_checkpoint_is_a_hugging_face_directory() {
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), 1).unwrap();
    let names: BTreeSet<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected = [
        "config.json",
        "generation_config.json",
        "gyre.json",
        "model.safetensors",
        "optimizer.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(names, expected.map(str::to_owned).into());
    let shape = json(&dir.path().join("config.json"));
    assert_eq!(shape["architectures"], serde_json::json!(["LlamaForCausalLM"]));
    assert_eq!(shape["num_key_value_heads"], 2);
    let bytes = fs::read(dir.path().join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.len(), 3 + 2 * 9);
    let down = tensors.tensor("model.layers.1.mlp.down_proj.weight").unwrap();
    assert_eq!(down.shape(), [32, 48]);
    let vocab = shape["vocab_size"].as_u64().unwrap() as usize;
    assert_eq!(tensors.tensor("lm_head.weight").unwrap().shape(), [vocab, 32]);
    let template = json(&dir.path().join("tokenizer_config.json"))["chat_template"].clone();
    assert!(template.as_str().unwrap().contains("<|assistant|>"));
}

/// Weights are read from the checkpoint's own folder, and files are written there.
#[test]
fn a_checkpoint_leads_nowhere_else() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let (whole, linked) = (dir.path().join("whole"), dir.path().join("linked"));
    [&whole, &linked].into_iter().for_each(|dir| fs::create_dir(dir).unwrap());
    start(&whole, 1).unwrap();
    for entry in fs::read_dir(&whole).unwrap().map(|entry| entry.unwrap()) {
        symlink(entry.path(), linked.join(entry.file_name())).unwrap();
    }
    let digest = digest_checkpoint(&whole).unwrap();
    let refused = LocalPolicy::load(&linked).unwrap_err();
    let why = refused.source().unwrap().to_string();
    assert!(why.contains("leads out of the folder"), "{why}");
    // A new one takes the links' place, and what they led to is as it was.
    start(&linked, 2).unwrap();
    assert_eq!(digest_checkpoint(&whole).unwrap(), digest);
    assert_ne!(digest_checkpoint(&linked).unwrap(), digest);
}

#[test]
fn a_missing_or_damaged_checkpoint_is_refused_with_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let missing = LocalPolicy::load(&dir.path().join("none")).unwrap_err();
    assert!(matches!(missing, LearnerError::Missing { .. }), "{missing}");
    start(dir.path(), 1).unwrap();
    for file in ["model.safetensors", "config.json", "gyre.json"] {
        let path = dir.path().join(file);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        let error = LocalPolicy::load(dir.path()).unwrap_err();
        assert!(matches!(error, LearnerError::Corrupt { .. }), "{file}: {error}");
        assert!(error.to_string().contains(file), "{error}");
        fs::write(&path, whole).unwrap();
    }
    assert!(LocalPolicy::load(dir.path()).is_ok());
    let optimizer = dir.path().join("optimizer.safetensors");
    fs::write(&optimizer, b"").unwrap();
    assert!(LocalPolicy::load(dir.path()).is_ok(), "acting needs no optimiser");
    let out = tempfile::tempdir().unwrap();
    let error = train_round(&config(), dir.path(), Seed(1), &examples(), out.path(), &mut go_on);
    assert!(error.unwrap_err().to_string().contains("optimizer.safetensors"));
}

#[test]
fn weights_beside_another_tokenizer_are_refused() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    start(dir.path(), 1).unwrap();
    let config = LearnerConfig { merges: 10, ..config() };
    cold_start(&config, Seed(1), &examples(), other.path(), &mut go_on).unwrap();
    fs::copy(other.path().join("tokenizer.json"), dir.path().join("tokenizer.json")).unwrap();
    let error = LocalPolicy::load(dir.path()).unwrap_err();
    assert!(matches!(error, LearnerError::TokenizerMismatch { .. }), "{error}");
}

#[test]
fn what_cannot_be_trained_says_why() {
    let out = tempfile::tempdir().unwrap();
    let train = |config: &LearnerConfig, examples: &[Example]| {
        cold_start(config, Seed(1), examples, out.path(), &mut go_on).unwrap_err()
    };
    let error = train(&LearnerConfig { heads: 3, ..config() }, &examples());
    assert!(error.to_string().starts_with("learner.heads must be"), "{error}");
    let error = train(&config(), &[]);
    assert!(matches!(error, LearnerError::NoExamples { given: 0, .. }), "{error}");
    let long = Example { prompt: "a".repeat(4), answer: "7".repeat(500), weight: 1.0 };
    let error = train(&config(), &[long]);
    assert!(matches!(error, LearnerError::NoExamples { given: 1, .. }), "{error}");
    let mut stop = |now: TrainProgress| match now.step {
        3 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let error = cold_start(&config(), Seed(1), &examples(), out.path(), &mut stop).unwrap_err();
    assert!(matches!(error, LearnerError::Stopped), "{error}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "nothing was written");
    let nowhere = out.path().join("none");
    let error = cold_start(&config(), Seed(1), &examples(), &nowhere, &mut go_on).unwrap_err();
    assert!(error.source().is_some_and(|source| source.is::<std::io::Error>()), "{error}");
    let base = tempfile::tempdir().unwrap();
    start(base.path(), 1).unwrap();
    let wide = LearnerConfig { intermediate_size: 64, ..config() };
    let error = train_round(&wide, base.path(), Seed(1), &examples(), out.path(), &mut go_on);
    assert!(error.unwrap_err().to_string().contains("intermediate_size 48"));
}
