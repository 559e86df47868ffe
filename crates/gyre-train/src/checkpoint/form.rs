//! Whether the files of a folder are a checkpoint or an adapter.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

use super::contents::{CheckpointFile, CheckpointKind};
use super::files::read_json;
use super::weights::Shapes;
use crate::CheckpointError;

/// The tensors of each file of weights, by path.
pub(super) type Weights = BTreeMap<String, Shapes>;

const CONFIG: &str = "config.json";
const MODEL: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
pub(super) const ADAPTER_CONFIG: &str = "adapter_config.json";
const ADAPTER: &str = "adapter_model.safetensors";

/// One of these holds the vocabulary: of `tokenizers`, SentencePiece, GPT-2 and BERT.
const TOKENIZERS: &[&str] = &["tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt"];

/// Ends of the names of token embeddings, of which each row stands for one token.
const EMBEDDINGS: &[&str] =
    &["embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight"];

pub(super) fn check(
    folder: &Path,
    files: &[CheckpointFile],
    weights: &Weights,
) -> Result<CheckpointKind, CheckpointError> {
    let has = |name: &str| files.iter().any(|file| file.path == name);
    match (has(MODEL) || has(INDEX) || has(CONFIG), has(ADAPTER) || has(ADAPTER_CONFIG)) {
        (false, false) => Err(CheckpointError::Missing { folder: folder.to_owned() }),
        (true, true) => Err(CheckpointError::refused(
            folder.to_owned(),
            "holds both a checkpoint and an adapter; leave one of them",
        )),
        (false, true) => check_adapter(folder, has(ADAPTER)).map(|()| CheckpointKind::Adapter),
        (true, false) => {
            let has_tokenizer = TOKENIZERS.iter().any(|name| has(name));
            check_checkpoint(folder, weights, has_tokenizer).map(|()| CheckpointKind::Checkpoint)
        }
    }
}

fn check_adapter(folder: &Path, has_weights: bool) -> Result<(), CheckpointError> {
    let config = object(folder, ADAPTER_CONFIG)?;
    if !config.get("peft_type").is_some_and(Value::is_string) {
        let why = "names no peft_type; save the adapter with PEFT's save_pretrained";
        return Err(CheckpointError::refused(folder.join(ADAPTER_CONFIG), why));
    }
    match has_weights {
        true => Ok(()),
        false => Err(missing(folder, ADAPTER)),
    }
}

fn check_checkpoint(
    folder: &Path,
    weights: &Weights,
    has_tokenizer: bool,
) -> Result<(), CheckpointError> {
    let config = object(folder, CONFIG)?;
    let has_type = config.get("model_type").is_some_and(Value::is_string);
    if !has_type && !config.get("architectures").is_some_and(Value::is_array) {
        let why = "names neither model_type nor architectures; save it with save_pretrained";
        return Err(CheckpointError::refused(folder.join(CONFIG), why));
    }
    let shapes = match weights.get(MODEL) {
        Some(shapes) => vec![shapes],
        None => shards(folder, weights)?,
    };
    check_embedding(folder, &config, &shapes)?;
    if !has_tokenizer {
        let why = format!(
            "holds no tokenizer ({}); save the parent's with the model",
            TOKENIZERS.join(", ")
        );
        return Err(CheckpointError::refused(folder.to_owned(), why));
    }
    Ok(())
}

/// The shards that the index names: each is there, and holds what it should.
fn shards<'a>(folder: &Path, weights: &'a Weights) -> Result<Vec<&'a Shapes>, CheckpointError> {
    let Some(index) = read_json(folder, INDEX)? else { return Err(missing(folder, MODEL)) };
    let refused = |why: String| CheckpointError::refused(folder.join(INDEX), why);
    let Some(map) = index.get("weight_map").and_then(Value::as_object).filter(|m| !m.is_empty())
    else {
        return Err(refused("has no weight_map; save the model with save_pretrained".to_owned()));
    };
    let mut named = BTreeSet::new();
    for (tensor, file) in map {
        let file = file.as_str().unwrap_or_default();
        match weights.get(file) {
            Some(shapes) if shapes.contains_key(tensor) => named.insert(file),
            Some(_) => return Err(refused(format!("seeks {tensor:?} in {file}, which lacks it"))),
            None => return Err(refused(format!("names {file:?}, which is missing"))),
        };
    }
    let shapes = named.iter().filter_map(|file| weights.get(*file));
    for (file, tensor) in named
        .iter()
        .zip(shapes.clone())
        .flat_map(|(file, shapes)| shapes.keys().map(move |tensor| (file, tensor)))
    {
        if !map.contains_key(tensor) {
            return Err(refused(format!("leaves out {tensor:?}, which is in {file}")));
        }
    }
    Ok(shapes.collect())
}

/// A tokenizer that was exchanged changes one of the two numbers.
fn check_embedding(
    folder: &Path,
    config: &Map<String, Value>,
    weights: &[&Shapes],
) -> Result<(), CheckpointError> {
    let of_text = config.get("text_config").and_then(|text| text.get("vocab_size"));
    let size = config.get("vocab_size").or(of_text).and_then(Value::as_u64);
    let mut tensors = weights.iter().flat_map(|shapes| shapes.iter());
    let embedding =
        tensors.find(|(name, _)| EMBEDDINGS.iter().any(|ending| name.ends_with(ending)));
    let (Some(size), Some((name, shape))) = (size, embedding) else { return Ok(()) };
    match shape.first() {
        Some(&rows) if rows as u64 != size => {
            let why = format!("says vocab_size = {size}, but {name:?} has {rows} rows");
            Err(CheckpointError::refused(folder.join(CONFIG), why))
        }
        _ => Ok(()),
    }
}

fn object(folder: &Path, name: &'static str) -> Result<Map<String, Value>, CheckpointError> {
    match read_json(folder, name)? {
        None => Err(missing(folder, name)),
        Some(Value::Object(object)) => Ok(object),
        Some(_) => Err(CheckpointError::refused(folder.join(name), "is not a JSON object")),
    }
}

fn missing(folder: &Path, name: &str) -> CheckpointError {
    CheckpointError::refused(folder.join(name), "is missing")
}
