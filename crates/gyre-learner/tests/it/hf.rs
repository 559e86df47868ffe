use std::fs;
use std::process::Command;

use gyre_learner::{LocalPolicy, SampleRequest};
use gyre_types::Seed;
use serde_json::json;

use crate::{examples, start};

/// Runs `tests/hf.py` with the Python that `GYRE_TEST_PYTHON` names: it needs
/// `tokenizers`, `safetensors` and `numpy`.
#[test]
fn hugging_face_libraries_read_a_checkpoint_as_it_is_meant() {
    #[expect(clippy::disallowed_methods, reason = "a test's tools are not configuration")]
    let python = std::env::var_os("GYRE_TEST_PYTHON")
        .expect("set GYRE_TEST_PYTHON=$(.ci/python-env), or run `cargo xtask test`");
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = dir.path().join("checkpoint");
    fs::create_dir(&checkpoint).unwrap();
    start(&checkpoint, 1).unwrap();
    let policy = LocalPolicy::load(&checkpoint).unwrap();
    let odd = "Étrange: 12  spaces,\ttabs\n  and 🙂 ((x)) <b>";
    let prompts = examples().into_iter().map(|example| example.prompt).chain([odd.to_owned()]);
    let requests: Vec<_> = prompts
        .enumerate()
        .map(|(n, prompt)| SampleRequest {
            prompt,
            seed: Seed(n as u64),
            temperature: if n % 2 == 0 { 0.0 } else { 1.2 },
            tokens_max: 50,
        })
        .collect();
    let samples: Vec<_> = requests
        .iter()
        .zip(policy.sample(&requests))
        .map(|(request, sample)| {
            json!({
                "prompt": request.prompt, "prompt_tokens": sample.prompt_tokens,
                "tokens": sample.tokens, "logprobs": sample.logprobs, "text": sample.text,
            })
        })
        .collect();
    let file = dir.path().join("samples.json");
    fs::write(&file, json!(samples).to_string()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hf.py");
    let run = Command::new(python).arg(script).arg(&checkpoint).arg(&file).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
