//! What the numbers of tokens mean.

use std::collections::BTreeMap;
use std::path::Path;

use gyre_types::Digest;
use serde_json::Value;

use super::files::read_json;
use crate::CheckpointError;

/// The file that tells the vocabulary (the format of Hugging Face's `tokenizers`).
pub(super) const FILE: &str = "tokenizer.json";

/// The digest of a checkpoint's vocabulary: which text each number stands for, added
/// tokens included. It does not depend on the order of the file, or on where a
/// tokenizer lists its added tokens. `None` where there is no `tokenizer.json`.
///
/// # Errors
///
/// When the file cannot be read or holds no vocabulary.
pub fn vocabulary(folder: &Path) -> Result<Option<Digest>, CheckpointError> {
    let Some(tokenizer) = read_json(folder, FILE)? else { return Ok(None) };
    let tokens = tokens(&tokenizer).ok_or_else(|| {
        let why = "holds no vocabulary under model.vocab; save the parent's tokenizer";
        CheckpointError::refused(folder.join(FILE), why)
    })?;
    let numbers: Vec<[u8; 8]> = tokens.keys().map(|number| number.to_le_bytes()).collect();
    let parts = numbers.iter().zip(tokens.values());
    let parts = parts.flat_map(|(number, text)| [number.as_slice(), text.as_bytes()]);
    Ok(Some(Digest::of_parts(parts)))
}

fn tokens(tokenizer: &Value) -> Option<BTreeMap<u64, &str>> {
    let mut tokens = BTreeMap::new();
    match tokenizer.get("model")?.get("vocab")? {
        // BPE, WordPiece and WordLevel: numbers by text.
        Value::Object(texts) => {
            for (text, number) in texts {
                tokens.insert(number.as_u64()?, text.as_str());
            }
        }
        // Unigram: texts and scores in order.
        Value::Array(entries) => {
            for (number, entry) in (0..).zip(entries) {
                tokens.insert(number, entry.get(0)?.as_str()?);
            }
        }
        _ => return None,
    }
    let added = tokenizer.get("added_tokens").and_then(Value::as_array);
    for token in added.into_iter().flatten() {
        tokens.insert(token.get("id")?.as_u64()?, token.get("content")?.as_str()?);
    }
    (!tokens.is_empty()).then_some(tokens)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_vocabulary_is_what_the_numbers_stand_for() {
        let folder = tempfile::tempdir().unwrap();
        let digest = |tokenizer: Value| {
            std::fs::write(folder.path().join(FILE), tokenizer.to_string()).unwrap();
            vocabulary(folder.path()).map(Option::unwrap)
        };
        let one = digest(json!({"model": {"vocab": {"a": 0, "b": 1, "<s>": 2}}})).unwrap();
        let added = json!([{"id": 2, "content": "<s>"}]);
        let two = json!({"model": {"vocab": {"b": 1, "a": 0}}, "added_tokens": added});
        assert_eq!(digest(two).unwrap(), one);
        let unigram = json!({"model": {"vocab": [["a", -1.0], ["b", 0.5], ["<s>", 0]]}});
        assert_eq!(digest(unigram).unwrap(), one);
        assert_ne!(digest(json!({"model": {"vocab": {"a": 1, "b": 0, "<s>": 2}}})).unwrap(), one);
        for bad in
            [json!({}), json!({"model": {"vocab": {}}}), json!({"model": {"vocab": {"a": -1}}})]
        {
            let error = digest(bad).unwrap_err().to_string();
            assert!(error.ends_with(
                "tokenizer.json holds no vocabulary under model.vocab; save the parent's tokenizer"
            ));
        }
        std::fs::remove_file(folder.path().join(FILE)).unwrap();
        assert_eq!(vocabulary(folder.path()).unwrap(), None);
    }
}
