//! Where each parameter lies, and what it is called in a Hugging Face file.

use std::ops::Range;

use gyre_types::Seed;

use crate::LearnerConfig;
use crate::random::normal;

/// The numbers that fix the model's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Architecture {
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) intermediate: usize,
    /// Rows of the embedding: the tokenizer's tokens, rounded up to sixteen.
    pub(crate) vocab: usize,
    pub(crate) context: usize,
}

/// Where one layer's parameters lie. Matrices are `inputs × outputs`, so that a
/// row of activations is multiplied from the left.
#[derive(Debug, Clone)]
pub(crate) struct LayerAt {
    pub(crate) attention_norm: Range<usize>,
    /// Queries, keys and values side by side.
    pub(crate) qkv: Range<usize>,
    pub(crate) out: Range<usize>,
    pub(crate) mlp_norm: Range<usize>,
    /// Gates and ups side by side.
    pub(crate) gate_up: Range<usize>,
    pub(crate) down: Range<usize>,
}

/// Where every parameter lies in one flat slice.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) arch: Architecture,
    pub(crate) embed: Range<usize>,
    pub(crate) layers: Vec<LayerAt>,
    pub(crate) norm: Range<usize>,
    pub(crate) head: Range<usize>,
    pub(crate) len: usize,
}

/// One tensor of a Hugging Face file, as a part of a [`Layout`].
pub(crate) struct Tensor {
    pub(crate) name: String,
    /// As in the file: outputs first.
    pub(crate) shape: Vec<usize>,
    /// The block that holds it.
    block: Range<usize>,
    /// The block's outputs, of which this tensor has some from `first`.
    block_width: usize,
    first: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Stored as it is.
    Plain,
    /// Transposed in the file.
    Matrix,
}

impl Architecture {
    pub(crate) fn new(config: &LearnerConfig, tokens: usize) -> Self {
        Self {
            hidden: config.hidden_size,
            layers: config.layers,
            heads: config.heads,
            intermediate: config.intermediate_size,
            vocab: tokens.next_multiple_of(16),
            context: config.context_max,
        }
    }

    pub(crate) fn head_size(&self) -> usize {
        self.hidden / self.heads
    }
}

impl Layout {
    pub(crate) fn new(arch: Architecture) -> Self {
        let mut len = 0;
        let mut take = |n: usize| {
            len += n;
            len - n..len
        };
        let (d, wide) = (arch.hidden, arch.intermediate);
        let embed = take(arch.vocab * d);
        let mut layer = |_| LayerAt {
            attention_norm: take(d),
            qkv: take(d * 3 * d),
            out: take(d * d),
            mlp_norm: take(d),
            gate_up: take(d * 2 * wide),
            down: take(wide * d),
        };
        let layers = (0..arch.layers).map(&mut layer).collect();
        let (norm, head) = (take(d), take(d * arch.vocab));
        Self { arch, embed, layers, norm, head, len }
    }

    /// Every tensor of the Hugging Face file.
    pub(crate) fn tensors(&self) -> Vec<Tensor> {
        let Architecture { hidden: d, intermediate: wide, vocab, .. } = self.arch;
        let plain = |name: &str, block: &Range<usize>, shape: Vec<usize>| Tensor {
            name: name.to_owned(),
            shape,
            block: block.clone(),
            block_width: 0,
            first: 0,
            kind: Kind::Plain,
        };
        let matrix = |name: &str, block: &Range<usize>, inputs: usize, first, outputs| Tensor {
            name: name.to_owned(),
            shape: vec![outputs, inputs],
            block: block.clone(),
            block_width: block.len() / inputs,
            first,
            kind: Kind::Matrix,
        };
        let mut all = vec![plain("model.embed_tokens.weight", &self.embed, vec![vocab, d])];
        for (n, at) in self.layers.iter().enumerate() {
            let name = |part: &str| format!("model.layers.{n}.{part}.weight");
            all.extend([
                plain(&name("input_layernorm"), &at.attention_norm, vec![d]),
                matrix(&name("self_attn.q_proj"), &at.qkv, d, 0, d),
                matrix(&name("self_attn.k_proj"), &at.qkv, d, d, d),
                matrix(&name("self_attn.v_proj"), &at.qkv, d, 2 * d, d),
                matrix(&name("self_attn.o_proj"), &at.out, d, 0, d),
                plain(&name("post_attention_layernorm"), &at.mlp_norm, vec![d]),
                matrix(&name("mlp.gate_proj"), &at.gate_up, d, 0, wide),
                matrix(&name("mlp.up_proj"), &at.gate_up, d, wide, wide),
                matrix(&name("mlp.down_proj"), &at.down, wide, 0, d),
            ]);
        }
        all.push(plain("model.norm.weight", &self.norm, vec![d]));
        all.push(matrix("lm_head.weight", &self.head, d, 0, vocab));
        all
    }

    /// The gains of the norms, which start at one and do not decay.
    pub(crate) fn gains(&self) -> Vec<Range<usize>> {
        let layers = self.layers.iter();
        let mut all: Vec<_> =
            layers.flat_map(|at| [at.attention_norm.clone(), at.mlp_norm.clone()]).collect();
        all.push(self.norm.clone());
        all
    }

    /// Fresh parameters: gains of one, the rest normal with deviation 0.02
    /// (0.08 for the embedding), smaller where a layer writes to the residual.
    pub(crate) fn initial(&self, seed: Seed) -> Vec<f32> {
        let mut rng = seed.rng();
        let mut params = vec![0.0; self.len];
        let residual = 1.0 / (2.0 * self.arch.layers as f32).sqrt();
        let mut fill = |params: &mut [f32], deviation: f32| {
            params.iter_mut().for_each(|value| *value = normal(&mut rng) * deviation);
        };
        let fan = |inputs: usize| 1.0 / (inputs as f32).sqrt();
        let (d, wide) = (self.arch.hidden, self.arch.intermediate);
        fill(&mut params[self.embed.clone()], INITIAL_EMBEDDING);
        for at in &self.layers {
            fill(&mut params[at.qkv.clone()], fan(d));
            fill(&mut params[at.out.clone()], fan(d) * residual);
            fill(&mut params[at.gate_up.clone()], fan(d));
            fill(&mut params[at.down.clone()], fan(wide) * residual);
        }
        fill(&mut params[self.head.clone()], INITIAL_HEAD);
        self.gains().into_iter().for_each(|gain| params[gain].fill(1.0));
        params
    }

    /// Every matrix transposed, in the place of its original.
    pub(crate) fn transpose(&self, params: &[f32], to: &mut Vec<f32>) {
        let (d, wide) = (self.arch.hidden, self.arch.intermediate);
        to.resize(self.len, 0.0);
        let mut turn = |at: &Range<usize>, rows: usize| {
            crate::ops::transpose(&params[at.clone()], rows, &mut to[at.clone()]);
        };
        for at in &self.layers {
            turn(&at.qkv, d);
            turn(&at.out, d);
            turn(&at.gate_up, d);
            turn(&at.down, wide);
        }
        turn(&self.head, d);
    }
}

/// Deviation of a fresh embedding.
pub(crate) const INITIAL_EMBEDDING: f32 = 0.5;
/// Deviation of a fresh output matrix: every token starts about as likely.
const INITIAL_HEAD: f32 = 0.02;

impl Tensor {
    /// The tensor's numbers in the file's order, out of a flat slice.
    pub(crate) fn read(&self, flat: &[f32]) -> Vec<f32> {
        let block = &flat[self.block.clone()];
        match self.kind {
            Kind::Plain => block.to_vec(),
            Kind::Matrix => {
                let mut values = vec![0.0; self.shape.iter().product()];
                self.pairs().for_each(|(file, flat)| values[file] = block[flat]);
                values
            }
        }
    }

    /// Puts the file's numbers into a flat slice.
    pub(crate) fn write(&self, values: &[f32], flat: &mut [f32]) {
        let block = &mut flat[self.block.clone()];
        match self.kind {
            Kind::Plain => block.copy_from_slice(values),
            Kind::Matrix => self.pairs().for_each(|(file, flat)| block[flat] = values[file]),
        }
    }

    /// Index in the file and in the block, for every element.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let (outputs, inputs) = (self.shape[0], self.shape[1]);
        let (width, first) = (self.block_width, self.first);
        (0..outputs)
            .flat_map(move |o| (0..inputs).map(move |i| (o * inputs + i, i * width + first + o)))
    }
}
