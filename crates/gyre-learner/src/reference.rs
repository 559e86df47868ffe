//! The same model written in candle over the tensors of the Hugging Face file,
//! with candle's own gradients: what the kernels are checked against.

use std::collections::HashMap;

use candle_core::{D, DType, Device, Result, Tensor, Var};
use gyre_types::Seed;

use crate::LearnerConfig;
use crate::backward::{Shard, Target};
use crate::decode::{Job, decode};
use crate::forward::{Forward, Net, Packed};
use crate::model::{Architecture, Layout};
use crate::ops::{NORM_EPSILON, ROTARY_BASE, Rotary};

const CPU: Device = Device::Cpu;

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

struct Llama {
    arch: Architecture,
    vars: HashMap<String, Var>,
}

impl Llama {
    fn new(layout: &Layout, params: &[f32]) -> Result<Self> {
        let var = |part: crate::model::Tensor| {
            let tensor = Tensor::from_vec(part.read(params), part.shape.as_slice(), &CPU)?;
            Ok((part.name, Var::from_tensor(&tensor)?))
        };
        let vars = layout.tensors().into_iter().map(var).collect::<Result<_>>()?;
        Ok(Self { arch: layout.arch, vars })
    }

    fn linear(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        x.matmul(&self.vars[name].t()?)
    }

    fn norm(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
        let root = (mean + f64::from(NORM_EPSILON))?.sqrt()?;
        x.broadcast_div(&root)?.broadcast_mul(&self.vars[name])
    }

    fn turn(&self, x: &Tensor, positions: &[u32]) -> Result<Tensor> {
        let size = self.arch.head_size();
        let angles: Vec<f32> = positions
            .iter()
            .flat_map(|position| {
                (0..size).map(move |i| {
                    let power = (2 * (i % (size / 2))) as f64 / size as f64;
                    (f64::from(*position) / ROTARY_BASE.powf(power)) as f32
                })
            })
            .collect();
        let angles = Tensor::from_vec(angles, (positions.len(), size), &CPU)?;
        let (low, high) = (x.narrow(1, 0, size / 2)?, x.narrow(1, size / 2, size / 2)?);
        let rotated = Tensor::cat(&[&high.neg()?, &low], 1)?;
        x.mul(&angles.cos()?)? + rotated.mul(&angles.sin()?)?
    }

    /// Logits of one sequence.
    fn run(&self, tokens: &[u32], positions: &[u32]) -> Result<Tensor> {
        let (len, size) = (tokens.len(), self.arch.head_size());
        let mask: Vec<f32> =
            (0..len * len).map(|at| if at % len > at / len { -1e9 } else { 0.0 }).collect();
        let mask = Tensor::from_vec(mask, (len, len), &CPU)?;
        let ids = Tensor::from_slice(tokens, len, &CPU)?;
        let mut x = self.vars["model.embed_tokens.weight"].index_select(&ids, 0)?;
        for layer in 0..self.arch.layers {
            let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
            let input = self.norm(&x, &name("input_layernorm"))?;
            let q = self.linear(&input, &name("self_attn.q_proj"))?;
            let k = self.linear(&input, &name("self_attn.k_proj"))?;
            let v = self.linear(&input, &name("self_attn.v_proj"))?;
            let mut heads = Vec::new();
            for head in 0..self.arch.heads {
                let part = |x: &Tensor| x.narrow(1, head * size, size);
                let (q, k) = (self.turn(&part(&q)?, positions)?, self.turn(&part(&k)?, positions)?);
                let scores = ((q.matmul(&k.t()?)? / (size as f64).sqrt())? + &mask)?;
                let weights = scores.broadcast_sub(&scores.max_keepdim(1)?)?.exp()?;
                let weights = weights.broadcast_div(&weights.sum_keepdim(1)?)?;
                heads.push(weights.matmul(&part(&v)?.contiguous()?)?);
            }
            x = (x + self.linear(&Tensor::cat(&heads, 1)?, &name("self_attn.o_proj"))?)?;
            let input = self.norm(&x, &name("post_attention_layernorm"))?;
            let gate = self.linear(&input, &name("mlp.gate_proj"))?.silu()?;
            let h = (gate * self.linear(&input, &name("mlp.up_proj"))?)?;
            x = (x + self.linear(&h, &name("mlp.down_proj"))?)?;
        }
        self.linear(&self.norm(&x, "model.norm.weight")?, "lm_head.weight")
    }
}

fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?)?;
    shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(1)?.log()?)
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

#[test]
fn loss_and_gradient_agree_with_candle() -> Result<()> {
    let layout = layout();
    let params = layout.initial(Seed(3));
    let rotary = Rotary::new(layout.arch.head_size(), 256);
    let net = Net { layout: &layout, params: &params, rotary: &rotary };
    let mut turned = Vec::new();
    layout.transpose(&params, &mut turned);
    let mut shard = shard();
    let loss = shard.run(net, &turned);

    let llama = Llama::new(&layout, &params)?;
    let mut expected = Tensor::new(0f32, &CPU)?;
    for &(start, len) in &shard.batch.spans {
        let rows = start..start + len;
        let logits =
            llama.run(&shard.batch.tokens[rows.clone()], &shard.batch.positions[rows.clone()])?;
        let mut share = vec![0f32; len * layout.arch.vocab];
        for target in shard.targets.iter().filter(|target| rows.contains(&target.row)) {
            share[(target.row - start) * layout.arch.vocab + target.token as usize] = target.weight;
        }
        let share = Tensor::from_vec(share, logits.shape(), &CPU)?;
        expected = (expected - (log_softmax(&logits)? * share)?.sum_all()?)?;
    }
    let wanted = expected.to_scalar::<f32>()?;
    assert!((loss - wanted).abs() < 1e-4 * wanted, "loss {loss}, candle {wanted}");

    let gradients = expected.backward()?;
    for part in layout.tensors() {
        let own = part.read(&shard.gradient);
        let candle = gradients.get(&llama.vars[&part.name]).unwrap().flatten_all()?;
        let candle = candle.to_dtype(DType::F32)?.to_vec1::<f32>()?;
        let norm = candle.iter().map(|g| g * g).sum::<f32>().sqrt();
        let apart = own.iter().zip(&candle).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
        assert!(norm > 1e-6 && apart < 1e-4 * norm, "{}: {apart} of {norm}", part.name);
    }
    Ok(())
}

#[test]
fn what_is_sampled_has_the_probability_that_candle_gives() -> Result<()> {
    let layout = layout();
    let params = layout.initial(Seed(4));
    let rotary = Rotary::new(layout.arch.head_size(), layout.arch.context);
    let net = Net { layout: &layout, params: &params, rotary: &rotary };
    let llama = Llama::new(&layout, &params)?;
    let job = |n: u64| Job {
        prompt: (0..20 + n as u32 % 3).map(|at| (at * 13 + n as u32 % 3) % 300).collect(),
        seed: Seed(n),
        temperature: 1.0,
        tokens_max: 40,
    };
    let jobs: Vec<_> = (0..9).map(job).collect();
    for (job, drawn) in jobs.iter().zip(decode(net, &jobs, 2)) {
        let all = [job.prompt.as_slice(), &drawn.tokens].concat();
        let positions: Vec<u32> = (0..all.len() as u32).collect();
        let rows = log_softmax(&llama.run(&all, &positions)?)?.to_vec2::<f32>()?;
        assert!(drawn.tokens.len() == drawn.logprobs.len() && drawn.tokens.len() > 3);
        for (at, (token, logprob)) in drawn.tokens.iter().zip(&drawn.logprobs).enumerate() {
            let expected = rows[job.prompt.len() + at - 1][*token as usize];
            assert!((logprob - expected).abs() < 1e-3, "{at}: {logprob}, candle {expected}");
        }
    }
    Ok(())
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
