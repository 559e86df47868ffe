//! Checkpoints: Hugging Face directories, with what Gyre needs to train on.

mod files;

use std::fs::File;
use std::io;
use std::path::Path;

use gyre_types::Digest;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::adam::Adam;
use crate::model::{Architecture, Layout};
use crate::ops::{NORM_EPSILON, ROTARY_BASE};
use crate::tokenizer::{ASSISTANT, BEGIN, CHAT_TEMPLATE, END, PAD, SPECIALS, Tokenizer};
use crate::{ENGINE_VERSION, LearnerConfig, LearnerError};
use files::{read, write};

const CONFIG: &str = "config.json";
const MODEL: &str = "model.safetensors";
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const GENERATION: &str = "generation_config.json";
const OPTIMIZER: &str = "optimizer.safetensors";
const OWN: &str = "gyre.json";

/// The layout of a checkpoint's own file.
const FORMAT_VERSION: u32 = 1;

/// A model that can be trained on.
pub(crate) struct State {
    pub(crate) layout: Layout,
    pub(crate) params: Vec<f32>,
    pub(crate) adam: Adam,
    pub(crate) tokenizer: Tokenizer,
}

/// A model that can act.
pub(crate) struct Weights {
    pub(crate) layout: Layout,
    pub(crate) params: Vec<f32>,
    pub(crate) tokenizer: Tokenizer,
    /// Of everything that decides an answer.
    pub(crate) digest: Digest,
}

/// What `gyre.json` says.
#[derive(Serialize, Deserialize)]
struct Own {
    format_version: u32,
    engine_version: u32,
    /// The tokenizer that the weights were trained with.
    tokenizer_digest: Digest,
    optimizer_steps: u64,
    config: LearnerConfig,
}

/// The part of `config.json` that is read back.
#[derive(Deserialize)]
struct Shape {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
}

impl Shape {
    fn architecture(self, path: &Path) -> Result<Architecture, LearnerError> {
        let arch = Architecture {
            hidden: self.hidden_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            intermediate: self.intermediate_size,
            vocab: self.vocab_size,
            context: self.max_position_embeddings,
        };
        let checked = LearnerConfig {
            hidden_size: arch.hidden,
            layers: arch.layers,
            heads: arch.heads,
            intermediate_size: arch.intermediate,
            context_max: arch.context,
            ..LearnerConfig::default()
        };
        let whole = arch.vocab.is_multiple_of(16) && (1..=1 << 20).contains(&arch.vocab);
        match checked.check() {
            Ok(()) if whole => Ok(arch),
            Ok(()) => Err(LearnerError::corrupt(path, "vocab_size is not a multiple of 16")),
            Err(error) => Err(LearnerError::corrupt(path, error)),
        }
    }
}

/// Refuses a checkpoint of another shape than configured.
pub(crate) fn check_shape(
    config: &LearnerConfig,
    arch: Architecture,
    dir: &Path,
) -> Result<(), LearnerError> {
    let pairs = [
        ("hidden_size", arch.hidden, config.hidden_size),
        ("layers", arch.layers, config.layers),
        ("heads", arch.heads, config.heads),
        ("intermediate_size", arch.intermediate, config.intermediate_size),
        ("context_max", arch.context, config.context_max),
    ];
    match pairs.into_iter().find(|(_, found, asked)| found != asked) {
        Some((field, found, asked)) => {
            Err(LearnerError::ShapeMismatch { dir: dir.to_owned(), field, found, asked })
        }
        None => Ok(()),
    }
}

/// Reads what is needed to act.
pub(crate) fn load_weights(dir: &Path) -> Result<Weights, LearnerError> {
    let own: Own = read_own(dir)?;
    let tokenizer_bytes = read(dir, TOKENIZER)?;
    let tokenizer = read_tokenizer(dir, &own, &tokenizer_bytes)?;
    let config = read(dir, CONFIG)?;
    let path = dir.join(CONFIG);
    let shape: Shape =
        serde_json::from_slice(&config).map_err(|error| LearnerError::corrupt(&path, error))?;
    let layout = Layout::new(shape.architecture(&path)?);
    if layout.arch.vocab != tokenizer.len().next_multiple_of(16) {
        return Err(LearnerError::corrupt(&path, "vocab_size does not fit the tokenizer"));
    }
    let model = read(dir, MODEL)?;
    let params = files::read_tensors(&dir.join(MODEL), &model, &layout, "")?;
    let engine = ENGINE_VERSION.to_le_bytes();
    let parts = [engine.as_slice(), &config, &tokenizer_bytes, &model];
    let digest = Digest::of_parts(parts);
    Ok(Weights { layout, params, tokenizer, digest })
}

/// Reads what is needed to train on.
pub(crate) fn load_state(dir: &Path) -> Result<State, LearnerError> {
    let Weights { layout, params, tokenizer, .. } = load_weights(dir)?;
    let (path, bytes) = (dir.join(OPTIMIZER), read(dir, OPTIMIZER)?);
    let first = files::read_tensors(&path, &bytes, &layout, "first.")?;
    let second = files::read_tensors(&path, &bytes, &layout, "second.")?;
    let steps = read_own(dir)?.optimizer_steps;
    Ok(State { layout, params, adam: Adam { first, second, steps }, tokenizer })
}

fn read_own(dir: &Path) -> Result<Own, LearnerError> {
    /// Read before the rest, whose fields its value decides.
    #[derive(Deserialize)]
    struct Version {
        format_version: u32,
    }
    let (path, bytes) = (dir.join(OWN), read(dir, OWN)?);
    let corrupt = |error: serde_json::Error| LearnerError::corrupt(&path, error);
    let version: Version = serde_json::from_slice(&bytes).map_err(corrupt)?;
    if version.format_version != FORMAT_VERSION {
        let found = version.format_version;
        return Err(LearnerError::Format { path, found, reads: FORMAT_VERSION });
    }
    serde_json::from_slice(&bytes).map_err(corrupt)
}

fn read_tokenizer(dir: &Path, own: &Own, bytes: &[u8]) -> Result<Tokenizer, LearnerError> {
    let found = Digest::of(bytes);
    if found != own.tokenizer_digest {
        let trained = own.tokenizer_digest;
        return Err(LearnerError::TokenizerMismatch { dir: dir.to_owned(), trained, found });
    }
    let path = dir.join(TOKENIZER);
    let text = std::str::from_utf8(bytes).map_err(|error| LearnerError::corrupt(&path, error))?;
    Tokenizer::from_json(text, &path)
}

/// Writes a checkpoint into an existing folder; every file is on the disk when
/// this returns.
pub(crate) fn save(config: &LearnerConfig, state: &State, dir: &Path) -> Result<(), LearnerError> {
    let State { layout, params, adam, tokenizer } = state;
    let own = Own {
        format_version: FORMAT_VERSION,
        engine_version: ENGINE_VERSION,
        tokenizer_digest: tokenizer.digest(),
        optimizer_steps: adam.steps,
        config: config.clone(),
    };
    let text = |value: serde_json::Value| format!("{value:#}\n").into_bytes();
    write(dir, CONFIG, &text(model_config(layout.arch)))?;
    write(dir, GENERATION, &text(generation_config(layout.arch)))?;
    write(dir, TOKENIZER, tokenizer.to_json().as_bytes())?;
    write(dir, TOKENIZER_CONFIG, &text(tokenizer_config(layout.arch)))?;
    let model = files::tensor_bytes(&dir.join(MODEL), layout, &[("", params)])?;
    write(dir, MODEL, &model)?;
    let moments = [("first.", adam.first.as_slice()), ("second.", &adam.second)];
    let moments = files::tensor_bytes(&dir.join(OPTIMIZER), layout, &moments)?;
    write(dir, OPTIMIZER, &moments)?;
    write(dir, OWN, &text(json!(own)))?;
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .or_else(ignore_unsupported)
        .map_err(LearnerError::io("sync", dir))
}

/// Some file systems cannot sync a folder.
fn ignore_unsupported(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput => Ok(()),
        _ => Err(error),
    }
}

fn model_config(arch: Architecture) -> serde_json::Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": arch.hidden,
        "head_dim": arch.head_size(),
        "intermediate_size": arch.intermediate,
        "num_hidden_layers": arch.layers,
        "num_attention_heads": arch.heads,
        "num_key_value_heads": arch.heads,
        "vocab_size": arch.vocab,
        "max_position_embeddings": arch.context,
        "rms_norm_eps": f64::from(NORM_EPSILON),
        "rope_theta": ROTARY_BASE,
        "rope_scaling": null,
        "attention_bias": false,
        "attention_dropout": 0.0,
        "mlp_bias": false,
        "tie_word_embeddings": false,
        "torch_dtype": "float32",
        "use_cache": true,
        "initializer_range": 0.02,
        "bos_token_id": BEGIN,
        "eos_token_id": END,
        "pad_token_id": PAD,
    })
}

fn generation_config(arch: Architecture) -> serde_json::Value {
    json!({
        "bos_token_id": BEGIN,
        "eos_token_id": END,
        "pad_token_id": PAD,
        "max_length": arch.context,
        "do_sample": false,
    })
}

fn tokenizer_config(arch: Architecture) -> serde_json::Value {
    let special = |id: u32| SPECIALS[id as usize];
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": arch.context,
        "bos_token": special(BEGIN),
        "eos_token": special(END),
        "pad_token": special(PAD),
        "additional_special_tokens": [special(crate::tokenizer::USER), special(ASSISTANT)],
        "clean_up_tokenization_spaces": false,
        "add_bos_token": false,
        "chat_template": CHAT_TEMPLATE,
    })
}
