//! Sampling with a cache of keys and values, in batches that requests join and
//! leave at any token.
//!
//! Requests of one prompt that are taken together share its cache and attend to it
//! together. Since no row's arithmetic depends on another's (see `matmul`), who
//! shares a step is decided by speed alone.

mod attend;
mod queue;

use std::collections::BTreeMap;
use std::rc::Rc;

use gyre_types::Seed;
use rand_chacha::ChaCha8Rng;

use crate::forward::{Forward, Net, Packed};
use crate::matmul::{Shape, Strided, add_product, product};
use crate::ops::{self, wide};
use crate::random::uniform;
use crate::tokenizer::END;
use attend::{Cache, Seat};
pub(crate) use queue::Queue;

/// Rows that are worked on together: enough to share each weight that is read.
const ROWS: usize = 64;

/// One answer to draw.
pub(crate) struct Job {
    pub(crate) prompt: Vec<u32>,
    pub(crate) seed: Seed,
    pub(crate) temperature: f32,
    pub(crate) tokens_max: usize,
    /// Who gets it, with the prompt.
    pub(crate) reply: Box<dyn FnOnce(Vec<u32>, Drawn) + Send>,
}

/// One answer drawn.
#[derive(Debug, Default, Clone)]
pub(crate) struct Drawn {
    pub(crate) tokens: Vec<u32>,
    pub(crate) logprobs: Vec<f32>,
    pub(crate) ended: bool,
}

/// Draws answers on this thread until the queue is closed and empty.
pub(crate) fn decode(net: Net<'_>, queue: &Queue) {
    Decoder::new(net, queue).run();
}

/// An answer being drawn.
struct Row {
    job: Job,
    rng: ChaCha8Rng,
    seat: Seat,
    drawn: Drawn,
}

/// One thread's work.
struct Decoder<'a> {
    net: Net<'a>,
    queue: &'a Queue,
    rows: Vec<Row>,
    spare: Vec<Cache>,
    forward: Forward,
    batch: Packed,
    step: StepBuffers,
}

/// Activations of one step.
#[derive(Default)]
struct StepBuffers {
    x: Vec<f32>,
    normed: Vec<f32>,
    scales: Vec<f32>,
    qkv: Vec<f32>,
    attended: Vec<f32>,
    gate_up: Vec<f32>,
    h: Vec<f32>,
    logits: Vec<f32>,
    scores: Vec<f32>,
}

impl<'a> Decoder<'a> {
    fn new(net: Net<'a>, queue: &'a Queue) -> Self {
        Self {
            net,
            queue,
            rows: vec![],
            spare: vec![],
            forward: Forward::default(),
            batch: Packed::default(),
            step: StepBuffers::default(),
        }
    }

    fn run(mut self) {
        loop {
            let jobs = self.queue.take(ROWS - self.rows.len(), self.rows.is_empty());
            if jobs.is_empty() && self.rows.is_empty() {
                return;
            }
            self.admit(jobs);
            if !self.rows.is_empty() {
                self.advance();
            }
        }
    }

    /// Reads the prompts of new jobs and draws their first tokens.
    fn admit(&mut self, jobs: Vec<Job>) {
        let context = self.net.layout.arch.context;
        let mut by_prompt: BTreeMap<Vec<u32>, Vec<Job>> = BTreeMap::new();
        for job in jobs {
            if job.tokens_max > 0 && job.prompt.len() < context {
                by_prompt.entry(job.prompt.clone()).or_default().push(job);
            } else {
                (job.reply)(job.prompt, Drawn::default());
            }
        }
        if by_prompt.is_empty() {
            return;
        }
        self.batch.clear();
        for prompt in by_prompt.keys() {
            self.batch.spans.push((self.batch.tokens.len(), prompt.len()));
            self.batch.tokens.extend(prompt);
            self.batch.positions.extend(0..prompt.len() as u32);
        }
        self.forward.run(self.net, &self.batch);
        let d = self.net.layout.arch.hidden;
        self.step.x.clear();
        let first = self.rows.len();
        for (group, span) in by_prompt.into_values().zip(self.batch.spans.clone()) {
            let prompt = Rc::new(Cache::of_prompt(&self.net.layout.arch, &self.forward, span));
            let last = (span.0 + span.1 - 1) * d;
            for job in group {
                self.step.x.extend_from_slice(&self.forward.x[last..last + d]);
                let row = self.seat(job, Rc::clone(&prompt));
                self.rows.push(row);
            }
        }
        self.draw(first);
    }

    fn seat(&mut self, job: Job, prompt: Rc<Cache>) -> Row {
        let arch = &self.net.layout.arch;
        let room = job.tokens_max.min(arch.context - prompt.len);
        let mut own = self.spare.pop().unwrap_or_default();
        own.reset(arch, room);
        let rng = job.seed.rng();
        Row { job, rng, seat: Seat { prompt, own }, drawn: Drawn::default() }
    }

    /// Runs the last token of every row through the layers and draws the next.
    fn advance(&mut self) {
        let (net, step) = (self.net, &mut self.step);
        let arch = net.layout.arch;
        let (d, width, m) = (arch.hidden, arch.intermediate, self.rows.len());
        let embed = &net.params[net.layout.embed.clone()];
        step.x.clear();
        for row in &self.rows {
            let token = row.drawn.tokens.last().copied().unwrap_or(END) as usize;
            step.x.extend_from_slice(&embed[token * d..][..d]);
        }
        step.resize(m, d, width);
        for (layer, at) in net.layout.layers.iter().enumerate() {
            let matrix = |at: &std::ops::Range<usize>| &net.params[at.clone()];
            ops::rms_norm(&step.x, matrix(&at.attention_norm), &mut step.normed, &mut step.scales);
            let input = Strided::rows(&step.normed, d);
            product(Shape { m, n: 3 * d, k: d }, input, matrix(&at.qkv), &mut step.qkv);
            let mut seats: Vec<_> = self.rows.iter_mut().map(|row| &mut row.seat).collect();
            attend::attend(
                net,
                layer,
                &mut seats,
                &mut step.qkv,
                &mut step.attended,
                &mut step.scores,
            );
            let input = Strided::rows(&step.attended, d);
            let to = (step.x.as_mut_slice(), d);
            add_product(Shape { m, n: d, k: d }, input, (matrix(&at.out), d), to);
            ops::rms_norm(&step.x, matrix(&at.mlp_norm), &mut step.normed, &mut step.scales);
            let input = Strided::rows(&step.normed, d);
            product(Shape { m, n: 2 * width, k: d }, input, matrix(&at.gate_up), &mut step.gate_up);
            ops::swiglu(&step.gate_up, width, &mut step.h);
            let input = Strided::rows(&step.h, width);
            let to = (step.x.as_mut_slice(), d);
            add_product(Shape { m, n: d, k: width }, input, (matrix(&at.down), d), to);
        }
        self.rows.iter_mut().for_each(|row| row.seat.own.len += 1);
        self.draw(0);
    }

    /// Draws the next token of the rows from `first`, whose outputs are in
    /// `step.x`, and takes out those that ended.
    fn draw(&mut self, first: usize) {
        let (net, step) = (self.net, &mut self.step);
        let (d, vocab) = (net.layout.arch.hidden, net.layout.arch.vocab);
        let m = self.rows.len() - first;
        step.normed.resize(m * d, 0.0);
        step.scales.resize(m, 0.0);
        step.logits.resize(m * vocab, 0.0);
        let gain = &net.params[net.layout.norm.clone()];
        ops::rms_norm(&step.x, gain, &mut step.normed, &mut step.scales);
        let input = Strided::rows(&step.normed, d);
        let head = &net.params[net.layout.head.clone()];
        product(Shape { m, n: vocab, k: d }, input, head, &mut step.logits);
        for (row, logits) in self.rows[first..].iter_mut().zip(step.logits.chunks_exact_mut(vocab))
        {
            let (token, logprob) = pick(logits, row.job.temperature, &mut row.rng);
            row.drawn.tokens.push(token);
            row.drawn.logprobs.push(logprob);
            row.drawn.ended = token == END;
        }
        let spare = &mut self.spare;
        let ended = |row: &mut Row| row.drawn.ended || row.seat.own.len + 1 >= row.seat.own.room;
        for row in self.rows.extract_if(first.., ended) {
            spare.push(row.seat.own);
            (row.job.reply)(row.job.prompt, row.drawn);
        }
    }
}

impl StepBuffers {
    fn resize(&mut self, m: usize, d: usize, width: usize) {
        self.normed.resize(m * d, 0.0);
        self.scales.resize(m, 0.0);
        self.qkv.resize(m * 3 * d, 0.0);
        self.attended.resize(m * d, 0.0);
        self.gate_up.resize(m * 2 * width, 0.0);
        self.h.resize(m * width, 0.0);
    }
}

/// Draws a token; also its log-probability at temperature 1.
fn pick(logits: &mut [f32], temperature: f32, rng: &mut ChaCha8Rng) -> (u32, f32) {
    let (highest, total) = wide(|| {
        let highest = ops::max(logits);
        let mut lanes = [0.0; 16];
        for chunk in logits.chunks_exact(16) {
            for i in 0..16 {
                lanes[i] += ops::exp(chunk[i] - highest);
            }
        }
        (highest, lanes.into_iter().sum::<f32>())
    });
    let logprob = |logit: f32| logit - highest - total.ln();
    if temperature <= 0.0 {
        let best = logits.iter().position(|logit| *logit == highest).unwrap_or(0);
        return (best as u32, logprob(highest));
    }
    let kept: Vec<f32> = wide(|| {
        let scale = 1.0 / temperature;
        logits.iter().map(|logit| ops::exp((logit - highest) * scale)).collect()
    });
    let mut left = uniform(rng) * wide(|| ops::sum(&kept));
    let past = kept.iter().position(|weight| {
        left -= weight;
        left < 0.0
    });
    // Rounding can leave a sliver beyond the last token.
    let token = past.unwrap_or_else(|| kept.iter().rposition(|w| *w > 1e-30).unwrap_or(0));
    (token as u32, logprob(logits[token]))
}
