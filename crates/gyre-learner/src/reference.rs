//! The same model as MLX computes it, with MLX's own gradients: what the kernels
//! are checked against.

use std::path::Path;
use std::process::Command;

use gyre_types::Seed;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::json;

use crate::LearnerConfig;
use crate::backward::{Shard, Target};
use crate::forward::{Forward, Net, Packed};
use crate::model::{Architecture, Layout};
use crate::ops::{NORM_EPSILON, ROTARY_BASE, Rotary};

fn layout() -> Layout {
    let config = LearnerConfig {
        hidden_size: 32,
        layers: 2,
        heads: 2,
        intermediate_size: 48,
        context_max: 128,
        ..LearnerConfig::default()
    };
    Layout::new(Architecture::new(&config, 300))
}

/// Two sequences of unlike length, with skipped positions and targets of unlike weight.
fn shard() -> Shard {
    let mut shard = Shard::default();
    for (nth, len) in [37usize, 50].into_iter().enumerate() {
        let start = shard.batch.tokens.len();
        shard.batch.spans.push((start, len));
        shard.batch.tokens.extend((0..len).map(|at| ((at * 7 + nth * 31) % 300) as u32));
        shard.batch.positions.extend((0..len).map(|at| (at + at / 5 * 2) as u32));
        shard.targets.extend((20..len).map(|at| Target {
            row: start + at,
            token: ((at * 11) % 300) as u32,
            weight: if nth == 0 { 0.02 } else { 0.01 },
        }));
    }
    shard
}

/// Writes numbers laid out as parameters under the names of the Hugging Face file.
fn write(layout: &Layout, numbers: &[f32], to: &Path) {
    let bytes = |part: crate::model::Tensor| {
        let bytes: Vec<u8> = part.read(numbers).into_iter().flat_map(f32::to_le_bytes).collect();
        (part.name, part.shape, bytes)
    };
    let parts: Vec<_> = layout.tensors().into_iter().map(bytes).collect();
    let views = parts.iter().map(|(name, shape, bytes)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    serialize_to_file(views, None, to).unwrap();
}

/// Runs `tests/gradient.py` with the Python that `GYRE_TEST_PYTHON` names: it
/// needs `mlx`.
#[test]
fn loss_and_gradient_agree_with_mlx() {
    #[expect(clippy::disallowed_methods, reason = "a test's tools are not configuration")]
    let python = std::env::var_os("GYRE_TEST_PYTHON")
        .expect("set GYRE_TEST_PYTHON=$(.ci/python-env), or run `cargo xtask test`");
    let layout = layout();
    let params = layout.initial(Seed(3));
    let rotary = Rotary::new(layout.arch.head_size(), 256);
    let net = Net { layout: &layout, params: &params, rotary: &rotary };
    let mut turned = Vec::new();
    layout.transpose(&params, &mut turned);
    let mut shard = shard();
    let loss = shard.run(net, &turned);

    let sequence = |&(start, len): &(usize, usize)| {
        let rows = start..start + len;
        let targets = shard.targets.iter().filter(|target| rows.contains(&target.row));
        json!({
            "tokens": shard.batch.tokens[rows.clone()],
            "positions": shard.batch.positions[rows.clone()],
            "targets": targets.map(|t| json!([t.row - start, t.token, t.weight])).collect::<Vec<_>>(),
        })
    };
    let batch = json!({
        "layers": layout.arch.layers,
        "heads": layout.arch.heads,
        "rope_theta": ROTARY_BASE,
        "rms_norm_eps": NORM_EPSILON,
        "loss": loss,
        "sequences": shard.batch.spans.iter().map(sequence).collect::<Vec<_>>(),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("batch.json"), batch.to_string()).unwrap();
    write(&layout, &params, &file("params.safetensors"));
    write(&layout, &shard.gradient, &file("gradient.safetensors"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gradient.py");
    let names = ["batch.json", "params.safetensors", "gradient.safetensors"].map(file);
    let run = Command::new(python).arg(script).args(names).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn a_row_does_not_depend_on_what_is_packed_beside_it() {
    let layout = layout();
    let params = layout.initial(Seed(5));
    let rotary = Rotary::new(layout.arch.head_size(), 256);
    let net = Net { layout: &layout, params: &params, rotary: &rotary };
    let both = shard().batch;
    let mut forward = Forward::default();
    forward.run(net, &both);
    let together = forward.x.clone();
    for &(start, len) in &both.spans {
        let alone = Packed {
            tokens: both.tokens[start..start + len].to_vec(),
            positions: both.positions[start..start + len].to_vec(),
            spans: vec![(0, len)],
        };
        forward.run(net, &alone);
        let d = layout.arch.hidden;
        assert_eq!(forward.x, together[start * d..(start + len) * d]);
    }
}
