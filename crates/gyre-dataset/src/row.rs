use arrow_array::types::UInt32Type;
use arrow_array::{BooleanArray, Float64Array, ListArray, RecordBatch, StringArray, UInt32Array};
use gyre_types::{
    CheckpointId, Digest, InvalidReason, Judgement, Message, Role, RolloutId, RolloutRecord, Score,
    Seed, Split, Task, TaskId, Verdict,
};
use serde::{Serialize, Serializer};

use crate::accepted::accepted_turn;
use crate::columns::{Columns, View, bools, bounds, float_list, numbers, optional, parse, texts};
use crate::encode::{self, Messages};
use crate::error::Fault;

/// The schema of shards.
pub(crate) const SCHEMA: &str = "dataset/2";

/// The schemas of shards that can be read.
pub(crate) const READABLE: &[&str] = &[SCHEMA, "dataset/1"];

/// One named check of a row's verdict, without what it saw, which may tell of
/// hidden cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckMark {
    /// Its name, such as `hidden[3]`.
    pub name: String,
    /// Whether it agreed.
    pub passed: bool,
    /// Its share in the score, above 0.
    pub weight: f64,
}

/// One row of the published dataset: a verified trajectory.
///
/// `docs/dataset.md` says what each column is, in which unit, and where it
/// comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the column reference is docs/dataset.md")]
pub struct DatasetRow {
    pub rollout_id: RolloutId,
    pub task_id: TaskId,
    pub group_id: String,
    pub round: u32,
    pub sample: u32,
    pub family: String,
    pub difficulty: u32,
    pub composition: String,
    pub skills: Vec<String>,
    pub split: Split,
    pub instruction: String,
    pub prompt: String,
    pub completion: String,
    pub messages: Vec<Message>,
    pub tools: String,
    pub verdict: Verdict,
    pub reward: f64,
    pub checks: Vec<CheckMark>,
    pub policy_digest: Digest,
    pub checkpoint_id: Option<CheckpointId>,
    pub verifier_digest: Digest,
    pub sandbox_digest: Digest,
    pub task_digest: Digest,
    pub key_digest: Digest,
    #[serde(serialize_with = "as_text")]
    pub seed: Seed,
    pub temperature: f32,
    pub prompt_tokens: Vec<u32>,
    pub tokens: Vec<u32>,
    pub logprobs: Vec<f32>,
    pub loss_mask: Vec<bool>,
    pub fuel: u64,
    pub chain: Digest,
}

/// JSON readers make floating-point numbers of large integers, and round them.
fn as_text<S: Serializer>(seed: &Seed, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&seed.0)
}

/// The nearest number of at most nine decimals: pandas, and `datasets` with it,
/// writes ten to JSON and rounds the others away.
fn nine_decimals(number: f64) -> f64 {
    let rounded = (number * 1e9).round() / 1e9;
    if rounded.is_finite() { rounded } else { number }
}

fn nine_decimals_of_32_bits(number: f32) -> f32 {
    nine_decimals(decimal(number)) as f32
}

/// The number that people read: 0.7 and not 0.699999988079071.
fn decimal(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

/// What a row is made from.
#[derive(Debug, Clone, Copy)]
pub struct RowSource<'a> {
    /// The rollout.
    pub record: &'a RolloutRecord,
    /// Its task.
    pub task: &'a Task,
    /// Its newest verdict.
    pub judgement: &'a Judgement,
    /// The verifier that said so.
    pub verifier_digest: Digest,
    /// What training should weigh it by.
    pub reward: f64,
    /// The tools that the policy was offered, as a JSON list.
    pub tools: &'a str,
}

impl DatasetRow {
    /// The row of a rollout. Tokens of all turns are joined; the loss mask holds
    /// for those of the turn that gave the answer, so that nobody trains on a
    /// program that a later turn had to repair.
    ///
    /// Numbers that are no integers are rounded to nine decimals, which every
    /// reader keeps.
    pub fn of(source: RowSource<'_>) -> Self {
        let RowSource { record, task, judgement, verifier_digest, reward, tools } = source;
        let first_user = record.messages.iter().find(|message| message.role == Role::User);
        let tokens: Vec<u32> = record.turns.iter().flat_map(|turn| &turn.tokens).copied().collect();
        let mark = |check: &gyre_types::CheckResult| CheckMark {
            name: check.name.clone(),
            passed: check.passed,
            weight: nine_decimals(check.weight).max(1e-9),
        };
        let accepted = accepted_turn(record);
        let mask =
            record.turns.iter().enumerate().flat_map(|(at, turn)| {
                std::iter::repeat_n(Some(at) == accepted, turn.tokens.len())
            });
        let logprobs = record.turns.iter().flat_map(|turn| &turn.logprobs);
        Self {
            rollout_id: record.id.clone(),
            task_id: task.id.clone(),
            group_id: format!("{}-round-{}", task.id, record.round),
            round: record.round,
            sample: record.sample,
            family: task.family.clone(),
            difficulty: task.difficulty,
            composition: task.composition.to_string(),
            skills: task.skills.clone(),
            split: if record.purpose.is_held_out() { record.purpose } else { task.split },
            instruction: task.instruction.clone(),
            prompt: first_user.map(|message| message.content.clone()).unwrap_or_default(),
            completion: record.answer.clone(),
            messages: record.messages.clone(),
            tools: tools.to_owned(),
            verdict: published(&judgement.verdict),
            reward: nine_decimals(reward),
            checks: judgement.checks.iter().map(mark).collect(),
            policy_digest: record.policy.digest,
            checkpoint_id: record.policy.checkpoint.clone(),
            verifier_digest,
            sandbox_digest: record.sandbox_digest,
            task_digest: task.digest,
            key_digest: task.key_digest,
            seed: record.seed,
            temperature: nine_decimals_of_32_bits(record.sampling.temperature),
            prompt_tokens: record.prompt_tokens.clone(),
            loss_mask: mask.collect(),
            logprobs: logprobs.map(|logprob| nine_decimals_of_32_bits(*logprob)).collect(),
            tokens,
            fuel: record.fuel,
            chain: record.chain,
        }
    }

    /// Why the row may not be published, if it may not.
    pub(crate) fn objection(&self) -> Option<String> {
        if self.split.is_held_out() {
            return Some(format!("{} is a held-out task ({})", self.task_id, self.split));
        }
        if let Verdict::Invalid { reason } = &self.verdict {
            return Some(objection_to_invalid(reason));
        }
        if !self.reward.is_finite() {
            return Some(format!("its reward is {}", self.reward));
        }
        if i64::try_from(self.fuel).is_err() {
            return Some(format!("its fuel is {}, more than 63 bits hold", self.fuel));
        }
        if !self.logprobs.is_empty() && self.logprobs.len() != self.tokens.len() {
            let (logprobs, tokens) = (self.logprobs.len(), self.tokens.len());
            return Some(format!("it has {logprobs} logprobs for {tokens} tokens"));
        }
        if self.loss_mask.len() != self.tokens.len() {
            let (mask, tokens) = (self.loss_mask.len(), self.tokens.len());
            return Some(format!("its loss mask has {mask} entries for {tokens} tokens"));
        }
        None
    }
}

fn published(verdict: &Verdict) -> Verdict {
    match verdict {
        Verdict::Fail { score } => {
            let rounded = Score::new(nine_decimals(score.get()));
            Verdict::Fail { score: rounded.unwrap_or(*score) }
        }
        other => other.clone(),
    }
}

fn objection_to_invalid(reason: &InvalidReason) -> String {
    format!("it has no verdict ({reason})")
}

pub(crate) fn encode(all: &[DatasetRow]) -> Result<RecordBatch, Fault> {
    let rows = || all.iter();
    let mut columns = Columns::default();
    columns.text("rollout_id", rows().map(|r| r.rollout_id.as_str()));
    columns.text("task_id", rows().map(|r| r.task_id.as_str()));
    columns.text("group_id", rows().map(|r| &r.group_id));
    columns.u32("round", rows().map(|r| r.round));
    columns.u32("sample", rows().map(|r| r.sample));
    columns.text("family", rows().map(|r| &r.family));
    columns.u32("difficulty", rows().map(|r| r.difficulty));
    columns.text("composition", rows().map(|r| &r.composition));
    columns.text_lists("skills", rows().map(|r| r.skills.as_slice()));
    columns.text("split", rows().map(|r| r.split.as_str()));
    columns.text("instruction", rows().map(|r| &r.instruction));
    columns.text("prompt", rows().map(|r| &r.prompt));
    columns.text("completion", rows().map(|r| &r.completion));
    encode::messages(&mut columns, rows().map(|r| r.messages.as_slice()))?;
    columns.text("tools", rows().map(|r| &r.tools));
    columns.text("verdict", rows().map(|r| r.verdict.name()));
    columns.f64("score", rows().map(|r| r.verdict.score().map_or(0.0, Score::get)));
    columns.f64("reward", rows().map(|r| r.reward));
    columns.struct_lists("checks", rows().map(|r| r.checks.len()), encode_checks(all))?;
    columns.text("policy_digest", rows().map(|r| r.policy_digest.to_hex()));
    columns.optional_text(
        "checkpoint_id",
        rows().map(|r| r.checkpoint_id.as_ref().map(|id| id.as_str())),
    );
    columns.text("verifier_digest", rows().map(|r| r.verifier_digest.to_hex()));
    columns.text("sandbox_digest", rows().map(|r| r.sandbox_digest.to_hex()));
    columns.text("task_digest", rows().map(|r| r.task_digest.to_hex()));
    columns.text("key_digest", rows().map(|r| r.key_digest.to_hex()));
    columns.text("seed", rows().map(|r| r.seed.0.to_string()));
    columns.f64("temperature", rows().map(|r| decimal(r.temperature)));
    columns.u32_lists("prompt_tokens", rows().map(|r| r.prompt_tokens.as_slice()));
    columns.u32_lists("tokens", rows().map(|r| r.tokens.as_slice()));
    let decimals = |row: &DatasetRow| row.logprobs.iter().map(|p| decimal(*p)).collect();
    columns.f64_lists("logprobs", rows().map(decimals));
    columns.bool_lists("loss_mask", rows().map(|r| r.loss_mask.as_slice()));
    // More than that was objected to.
    columns.i64("fuel", rows().map(|r| r.fuel.cast_signed()));
    columns.text("chain", rows().map(|r| r.chain.to_hex()));
    columns.finish()
}

fn encode_checks(all: &[DatasetRow]) -> Columns {
    let checks = || all.iter().flat_map(|row| &row.checks);
    let mut columns = Columns::default();
    columns.text("name", checks().map(|check| &check.name));
    columns.bool("passed", checks().map(|check| check.passed));
    columns.f64("weight", checks().map(|check| check.weight));
    columns
}

pub(crate) fn decode(batch: &RecordBatch) -> Result<Vec<DatasetRow>, Fault> {
    let view = View::of(batch);
    let text = |name| view.text(name);
    let (rollout_id, task_id, group_id) =
        (text("rollout_id")?, text("task_id")?, text("group_id")?);
    let (round, sample) = (view.get::<UInt32Array>("round")?, view.get::<UInt32Array>("sample")?);
    let (family, difficulty) = (text("family")?, view.get::<UInt32Array>("difficulty")?);
    let (composition, skills) = (text("composition")?, view.get::<ListArray>("skills")?);
    let (split, instruction) = (text("split")?, text("instruction")?);
    let (prompt, completion) = (text("prompt")?, text("completion")?);
    let (messages, tools) = (Messages::of(&view)?, text("tools")?);
    let (verdict, score) = (text("verdict")?, view.get::<Float64Array>("score")?);
    let (reward, checks) = (view.get::<Float64Array>("reward")?, Checks::of(&view)?);
    let (policy, checkpoint) = (text("policy_digest")?, text("checkpoint_id")?);
    let (verifier, sandbox) = (text("verifier_digest")?, text("sandbox_digest")?);
    let (task_digest, key_digest) = (text("task_digest")?, text("key_digest")?);
    let (seed, temperature) = (view.whole_numbers("seed")?, view.floats("temperature")?);
    let prompt_tokens: &ListArray = view.get("prompt_tokens")?;
    let (tokens, logprobs) = (view.get::<ListArray>("tokens")?, view.get::<ListArray>("logprobs")?);
    let loss_mask: &ListArray = view.get("loss_mask")?;
    let (fuel, chain) = (view.whole_numbers("fuel")?, text("chain")?);
    let decode = |row: usize| {
        Ok(DatasetRow {
            rollout_id: parse(rollout_id.value(row))?,
            task_id: parse(task_id.value(row))?,
            group_id: group_id.value(row).to_owned(),
            round: round.value(row),
            sample: sample.value(row),
            family: family.value(row).to_owned(),
            difficulty: difficulty.value(row),
            composition: composition.value(row).to_owned(),
            skills: texts(skills, row)?,
            split: parse(split.value(row))?,
            instruction: instruction.value(row).to_owned(),
            prompt: prompt.value(row).to_owned(),
            completion: completion.value(row).to_owned(),
            messages: messages.row(row)?,
            tools: tools.value(row).to_owned(),
            verdict: read_verdict(verdict.value(row), score.value(row))?,
            reward: reward.value(row),
            checks: checks.row(row),
            policy_digest: parse(policy.value(row))?,
            checkpoint_id: optional(checkpoint, row).map(parse).transpose()?,
            verifier_digest: parse(verifier.value(row))?,
            sandbox_digest: parse(sandbox.value(row))?,
            task_digest: parse(task_digest.value(row))?,
            key_digest: parse(key_digest.value(row))?,
            seed: Seed(seed[row]),
            temperature: temperature[row],
            prompt_tokens: numbers::<UInt32Type>(prompt_tokens, row)?,
            tokens: numbers::<UInt32Type>(tokens, row)?,
            logprobs: float_list(logprobs, row)?,
            loss_mask: bools(loss_mask, row)?,
            fuel: fuel[row],
            chain: parse(chain.value(row))?,
        })
    };
    (0..batch.num_rows()).map(decode).collect()
}

fn read_verdict(name: &str, score: f64) -> Result<Verdict, Fault> {
    let score = Score::new(score).map_err(|error| Fault::Damaged(error.to_string()))?;
    match name {
        "pass" => Ok(Verdict::Pass),
        "fail" => Ok(Verdict::Fail { score }),
        _ => Err(Fault::Damaged(format!("{name:?} is no verdict of a published row"))),
    }
}

/// The checks column, read.
struct Checks<'a> {
    list: &'a ListArray,
    name: &'a StringArray,
    passed: &'a BooleanArray,
    weight: &'a Float64Array,
}

impl<'a> Checks<'a> {
    fn of(view: &View<'a>) -> Result<Self, Fault> {
        let (list, items) = view.structs("checks")?;
        let (name, passed) = (items.text("name")?, items.get("passed")?);
        Ok(Self { list, name, passed, weight: items.get("weight")? })
    }

    fn row(&self, row: usize) -> Vec<CheckMark> {
        let mark = |index: usize| CheckMark {
            name: self.name.value(index).to_owned(),
            passed: self.passed.value(index),
            weight: self.weight.value(index),
        };
        bounds(self.list, row).map(mark).collect()
    }
}
