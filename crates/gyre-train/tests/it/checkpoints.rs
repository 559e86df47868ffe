//! Checkpoints and adapters, as they may be left.

use std::fs;
use std::path::Path;

use gyre_train::{
    CheckpointError, CheckpointKind, CheckpointLimits, digest_checkpoint, inspect_checkpoint,
    sync_checkpoint,
};
use serde_json::{Value, json};

use crate::support::{Place, safetensors, with_header};

const LIMITS: CheckpointLimits = CheckpointLimits { files_max: 12, bytes_max: 4 << 20 };

fn inspect(place: &Place) -> Result<gyre_train::Checkpoint, CheckpointError> {
    inspect_checkpoint(&place.path("parent"), LIMITS, None)
}

fn refused(place: &Place) -> String {
    place.shown(&inspect(place).expect_err("it was believed")).replace("[place]/parent", "[c]")
}

fn write(place: &Place, name: &str, content: impl AsRef<[u8]>) {
    fs::write(place.path("parent").join(name), content).unwrap();
}

fn remove(place: &Place, name: &str) {
    fs::remove_file(place.path("parent").join(name)).unwrap();
}

#[test]
fn the_digest_follows_from_the_files_alone() {
    let (one, two) = (Place::new(), Place::new());
    let first = inspect(&one).unwrap();
    assert_eq!(inspect(&two).unwrap(), first);
    assert_eq!(first.bytes, first.files.iter().map(|file| file.bytes).sum::<u64>());
    let config = &first.files[0];
    let content = fs::read(one.path("parent/config.json")).unwrap();
    assert_eq!((config.path.as_str(), config.bytes), ("config.json", content.len() as u64));
    assert_eq!(config.sha256, gyre_types::Digest::of(&content));
    sync_checkpoint(&one.path("parent"), &first).unwrap();
    fs::create_dir(one.path("parent/deep")).unwrap();
    write(&one, "deep/x", "x");
    let with_more = inspect(&one).unwrap();
    assert_ne!(with_more.digest, first.digest);
    sync_checkpoint(&one.path("parent"), &with_more).unwrap();
    fs::rename(one.path("parent/deep/x"), one.path("parent/x")).unwrap();
    assert_ne!(inspect(&one).unwrap().digest, with_more.digest);
}

#[test]
fn a_digest_is_that_of_the_check_and_follows_no_link() {
    let place = Place::new();
    let digest = |place: &Place, name: &str| {
        digest_checkpoint(&place.path(name)).map_err(|error| place.shown(&error))
    };
    assert_eq!(digest(&place, "parent"), Ok(inspect(&place).unwrap().digest));
    let missing = digest(&place, "none").unwrap_err();
    assert_eq!(missing, "[place]/none is not a folder, or was removed");
    std::os::unix::fs::symlink(place.path("parent/config.json"), place.path("output/config.json"))
        .unwrap();
    let linked = digest(&place, "output").unwrap_err();
    assert!(linked.starts_with("[place]/output/config.json is a link"), "{linked}");
}

#[test]
fn a_header_describes_exactly_its_file() {
    let tensor = |dtype: &str, shape: &[usize], offsets: [usize; 2]| json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets });
    let file = |header: Value, bytes: usize| with_header(&header.to_string(), &vec![0; bytes]);
    let good = json!({ "w": tensor("F32", &[2], [0, 8]) });
    let length = good.to_string().len();
    for (content, expected) in [
        (
            file(good.clone(), 9),
            format!(
                "is too long: its header describes {} bytes and it has {}",
                length + 16,
                length + 17
            ),
        ),
        (
            file(good.clone(), 7),
            format!(
                "is truncated: its header describes {} bytes and it has {}",
                length + 16,
                length + 15
            ),
        ),
        (
            file(json!({ "w": tensor("F32", &[3], [0, 8]) }), 8),
            "has a header that cannot be read: invalid shape, data type, or offset for tensor"
                .to_owned(),
        ),
        (
            file(
                json!({ "v": tensor("F32", &[2], [0, 8]), "w": tensor("F32", &[2], [4, 12]) }),
                12,
            ),
            "has a header that cannot be read: invalid offset for tensor `w`".to_owned(),
        ),
        (
            file(
                json!({ "v": tensor("F32", &[2], [0, 8]), "w": tensor("F32", &[2], [12, 20]) }),
                20,
            ),
            "has a header that cannot be read: invalid offset for tensor `w`".to_owned(),
        ),
        (
            file(json!({ "w": tensor("F32", &[2], [8, 0]) }), 8),
            "has a header that cannot be read: invalid offset for tensor `w`".to_owned(),
        ),
        (
            file(json!({ "w": tensor("F31", &[2], [0, 8]) }), 8),
            "has a header that cannot be read: unknown variant `F31`".to_owned(),
        ),
        (
            file(json!({ "w": tensor("F32", &[usize::MAX, 9], [0, 8]) }), 8),
            "has a header that cannot be read: overflow".to_owned(),
        ),
        (file(json!({}), 0), "holds no tensors".to_owned()),
        (with_header("{", &[]), "has a header that cannot be read: EOF".to_owned()),
        (vec![b'P'; 100], "is not a safetensors file: its header would have".to_owned()),
        (
            [&200u64.to_le_bytes()[..], b"{}"].concat(),
            "is truncated: its header has 200 bytes and the file 10".to_owned(),
        ),
        (vec![], "is truncated: it has 0 bytes, less than a header".to_owned()),
    ] {
        let place = Place::new();
        write(&place, "model.safetensors", &content);
        let message = refused(&place);
        assert!(message.starts_with(&format!("[c]/model.safetensors {expected}")), "{message}");
    }
}

/// Tensors of more than one chunk, of which the last number of the last is bad.
#[test]
fn every_number_of_every_tensor_is_looked_at() {
    let mut large: Vec<u8> = std::iter::repeat_n(1f32.to_le_bytes(), 200_001).flatten().collect();
    let odd = [1u8; 3];
    let norm = 1f64.to_le_bytes();
    let write_weights = |place: &Place, large: &[u8]| {
        let tensors: &[(&str, &str, &[usize], &[u8])] =
            &[("a", "U8", &[3], &odd), ("b", "F32", &[200_001], large), ("c", "F64", &[1], &norm)];
        write(place, "model.safetensors", safetensors(tensors));
    };
    let place = Place::new();
    write_weights(&place, &large);
    inspect(&place).unwrap();
    let last = large.len() - 4;
    large[last..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    write_weights(&place, &large);
    assert_eq!(
        refused(&place),
        "[c]/model.safetensors holds an infinite number in the tensor \"b\": training diverged; \
         lower the learning rate, or train in another precision"
    );
}

fn shard(name: &str) -> Vec<u8> {
    safetensors(&[(name, "F16", &[1], &[0, 0])])
}

#[test]
fn shards_are_what_their_index_says() {
    let sharded = |map: Value| {
        let place = Place::new();
        remove(&place, "model.safetensors");
        write(&place, "model-1.safetensors", shard("a"));
        write(&place, "model-2.safetensors", shard("b"));
        write(&place, "model.safetensors.index.json", json!({ "weight_map": map }).to_string());
        place
    };
    let good = json!({ "a": "model-1.safetensors", "b": "model-2.safetensors" });
    assert_eq!(inspect(&sharded(good)).unwrap().kind, CheckpointKind::Checkpoint);
    let index = "[c]/model.safetensors.index.json";
    for (map, expected) in [
        (
            json!({ "a": "model-1.safetensors", "b": "model-3.safetensors" }),
            "names \"model-3.safetensors\", which is missing",
        ),
        (
            json!({ "a": "model-2.safetensors", "b": "model-2.safetensors" }),
            "seeks \"a\" in model-2.safetensors, which lacks it",
        ),
        (
            json!({ "a": "../parent/model-1.safetensors" }),
            "names \"../parent/model-1.safetensors\", which is missing",
        ),
        (json!({}), "has no weight_map; save the model with save_pretrained"),
    ] {
        assert_eq!(refused(&sharded(map)), format!("{index} {expected}"));
    }
    let place = sharded(json!({ "a": "model-1.safetensors" }));
    let both = safetensors(&[("a", "F16", &[1], &[0, 0]), ("z", "F16", &[1], &[0, 0])]);
    write(&place, "model-1.safetensors", both);
    assert_eq!(
        refused(&place),
        format!("{index} leaves out \"z\", which is in model-1.safetensors")
    );
    let place = Place::new();
    remove(&place, "model.safetensors");
    assert_eq!(refused(&place), "[c]/model.safetensors is missing");
}

#[test]
fn an_adapter_has_its_own_form() {
    let adapter = |config: Value| {
        let place = Place::new();
        for name in ["config.json", "model.safetensors", "tokenizer.json"] {
            remove(&place, name);
        }
        write(&place, "adapter_config.json", config.to_string());
        write(&place, "adapter_model.safetensors", shard("lora_A.weight"));
        place
    };
    let config = json!({ "peft_type": "LORA", "r": 16 });
    let found = inspect(&adapter(config.clone())).unwrap();
    assert_eq!((found.kind, found.vocabulary), (CheckpointKind::Adapter, None));
    assert_eq!(
        refused(&adapter(json!({ "r": 16 }))),
        "[c]/adapter_config.json names no peft_type; save the adapter with PEFT's save_pretrained"
    );
    assert_eq!(refused(&adapter(json!([]))), "[c]/adapter_config.json is not a JSON object");
    let place = adapter(config.clone());
    remove(&place, "adapter_model.safetensors");
    assert_eq!(refused(&place), "[c]/adapter_model.safetensors is missing");
    let place = adapter(config);
    write(&place, "config.json", "{}");
    assert_eq!(refused(&place), "[c] holds both a checkpoint and an adapter; leave one of them");
}

#[test]
fn what_a_config_says_agrees_with_the_weights() {
    let place = Place::new();
    write(&place, "config.json", r#"{"model_type": "llama", "vocab_size": 4}"#);
    assert_eq!(
        refused(&place),
        "[c]/config.json says vocab_size = 4, but \"model.embed_tokens.weight\" has 3 rows"
    );
    write(&place, "config.json", r#"{"vocab_size": 3}"#);
    assert_eq!(
        refused(&place),
        "[c]/config.json names neither model_type nor architectures; save it with save_pretrained"
    );
    remove(&place, "config.json");
    assert_eq!(refused(&place), "[c]/config.json is missing");
}

#[test]
fn files_are_bounded_in_number_depth_and_bytes() {
    let place = Place::new();
    fs::create_dir_all(place.path("parent/1/2/3/4/5/6/7/8/9")).unwrap();
    let deep = place.path("parent/1/2/3/4/5/6/7/8/9").display().to_string();
    let deep = deep.replace(&place.path("parent").display().to_string(), "[c]");
    assert_eq!(
        refused(&place),
        format!("{deep} lies too deep; a checkpoint has few levels of folders")
    );
    fs::remove_dir_all(place.path("parent/1")).unwrap();
    fs::write(place.path("parent").join("large.bin"), vec![0; 4 << 20]).unwrap();
    let message = refused(&place);
    assert!(message.ends_with(
        "bytes, more than output_bytes_max = 4194304; leave only the final checkpoint, or raise \
         the bound"
    ));
    (0..12).for_each(|n| write(&place, &n.to_string(), ""));
    assert_eq!(
        refused(&place),
        "[c] holds more than 12 files; leave only the final checkpoint, or raise files_max"
    );
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff");
    let odd = Place::new();
    fs::write(odd.path("parent").join(Path::new(name)), "").unwrap();
    assert_eq!(refused(&odd), "[c]/\u{fffd} has a name that is not UTF-8; rename it");
}
