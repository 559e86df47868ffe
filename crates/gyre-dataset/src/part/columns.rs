//! Records as columns, and back.

use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{
    Array, Float32Array, ListArray, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use gyre_types::{
    Acting, Answer, FinishReason, PolicyRef, RolloutRecord, Sampling, Seed, StopReason, TurnRecord,
    Usage,
};

use crate::columns::{Columns, View, bounds, numbers, optional, parse};
use crate::encode::{self, Messages};
use crate::error::Fault;

pub(super) fn encode(records: &[RolloutRecord]) -> Result<RecordBatch, Fault> {
    let rows = || records.iter();
    let mut columns = Columns::default();
    columns.text("id", rows().map(|r| r.id.as_str()));
    columns.u32("round", rows().map(|r| r.round));
    columns.text("purpose", rows().map(|r| r.purpose.as_str()));
    columns.text("task", rows().map(|r| r.task.as_str()));
    columns.u32("sample", rows().map(|r| r.sample));
    columns.u64("seed", rows().map(|r| r.seed.0));
    columns.f32("temperature", rows().map(|r| r.sampling.temperature));
    columns.u32("tokens_max", rows().map(|r| r.sampling.tokens_max));
    columns.u32("turns_max", rows().map(|r| r.turns_max));
    columns.optional_u32("rollout_tokens_max", rows().map(|r| r.tokens_max));
    columns.optional_f32("repair_temperature", rows().map(|r| r.repair_temperature));
    columns.text("acting", rows().map(|r| r.acting.as_str()));
    columns.optional_text(
        "checkpoint",
        rows().map(|r| r.policy.checkpoint.as_ref().map(|id| id.as_str())),
    );
    columns.text("policy_digest", rows().map(|r| r.policy.digest.to_hex()));
    columns.text("sandbox_digest", rows().map(|r| r.sandbox_digest.to_hex()));
    encode::messages(&mut columns, rows().map(|r| r.messages.as_slice()))?;
    columns.struct_lists("turns", rows().map(|r| r.turns.len()), encode_turns(records))?;
    columns.text("answer", rows().map(answer_text));
    columns.text("stop", rows().map(|r| r.stop.as_str()));
    columns.u64("fuel", rows().map(|r| r.fuel));
    columns.text("chain", rows().map(|r| r.chain.to_hex()));
    columns.finish()
}

/// A program's text: parts have a column for it alone so far.
fn answer_text(record: &RolloutRecord) -> &String {
    let Answer::Program(program) = &record.answer;
    program
}

fn encode_turns(records: &[RolloutRecord]) -> Columns {
    let turns = || records.iter().flat_map(|record| &record.turns);
    let mut columns = Columns::default();
    columns.u32_lists("prompt_tokens", turns().map(|turn| turn.prompt_tokens.as_slice()));
    columns.u32_lists("tokens", turns().map(|turn| turn.tokens.as_slice()));
    columns.f32_lists("logprobs", turns().map(|turn| turn.logprobs.as_slice()));
    columns.text("finish", turns().map(|turn| turn.finish.as_str()));
    columns.optional_text("reasoning", turns().map(|turn| turn.reasoning.as_ref()));
    columns.u64("usage_prompt", turns().map(|turn| turn.usage.prompt));
    columns.u64("usage_cached", turns().map(|turn| turn.usage.cached));
    columns.u64("usage_completion", turns().map(|turn| turn.usage.completion));
    columns.optional_text("model", turns().map(|turn| turn.model.as_ref()));
    columns.u64("fuel", turns().map(|turn| turn.fuel));
    columns.text("chain", turns().map(|turn| turn.chain.to_hex()));
    columns
}

pub(super) fn decode(batch: &RecordBatch) -> Result<Vec<RolloutRecord>, Fault> {
    let view = View::of(batch);
    let (id, purpose, task) = (view.text("id")?, view.text("purpose")?, view.text("task")?);
    let (round, sample) = (view.get::<UInt32Array>("round")?, view.get::<UInt32Array>("sample")?);
    let seed: &UInt64Array = view.get("seed")?;
    let temperature: &Float32Array = view.get("temperature")?;
    let tokens_max: &UInt32Array = view.get("tokens_max")?;
    let turns_max: &UInt32Array = view.get("turns_max")?;
    let episode = Episode::of(&view)?;
    let (checkpoint, policy) = (view.text("checkpoint")?, view.text("policy_digest")?);
    let sandbox = view.text("sandbox_digest")?;
    let messages = Messages::of(&view)?;
    let turns = Turns::of(&view)?;
    let (answer, stop) = (view.text("answer")?, view.text("stop")?);
    let (fuel, chain) = (view.get::<UInt64Array>("fuel")?, view.text("chain")?);
    let record = |row: usize| {
        Ok(RolloutRecord {
            id: parse(id.value(row))?,
            round: round.value(row),
            purpose: parse(purpose.value(row))?,
            task: parse(task.value(row))?,
            sample: sample.value(row),
            seed: Seed(seed.value(row)),
            sampling: Sampling {
                temperature: temperature.value(row),
                tokens_max: tokens_max.value(row),
            },
            turns_max: turns_max.value(row),
            tokens_max: episode.tokens_max(row),
            repair_temperature: episode.repair_temperature(row),
            acting: episode.acting(row)?,
            policy: PolicyRef {
                checkpoint: optional(checkpoint, row).map(parse).transpose()?,
                digest: parse(policy.value(row))?,
            },
            sandbox_digest: parse(sandbox.value(row))?,
            messages: messages.row(row)?,
            turns: turns.row(row)?,
            answer: Answer::Program(answer.value(row).to_owned()),
            stop: read_stop(stop.value(row))?,
            fuel: fuel.value(row),
            chain: parse(chain.value(row))?,
        })
    };
    (0..batch.num_rows()).map(record).collect()
}

/// The settings that earlier versions did not hold.
struct Episode<'a> {
    tokens_max: Option<&'a UInt32Array>,
    repair_temperature: Option<&'a Float32Array>,
    acting: Option<&'a StringArray>,
}

impl<'a> Episode<'a> {
    fn of(view: &View<'a>) -> Result<Self, Fault> {
        Ok(Self {
            tokens_max: view.optional("rollout_tokens_max")?,
            repair_temperature: view.optional("repair_temperature")?,
            acting: view.optional("acting")?,
        })
    }

    fn tokens_max(&self, row: usize) -> Option<u32> {
        let column = self.tokens_max.filter(|column| column.is_valid(row))?;
        Some(column.value(row))
    }

    fn repair_temperature(&self, row: usize) -> Option<f32> {
        let column = self.repair_temperature.filter(|column| column.is_valid(row))?;
        Some(column.value(row))
    }

    /// There was one way to act before it was recorded.
    fn acting(&self, row: usize) -> Result<Acting, Fault> {
        let Some(column) = self.acting else { return Ok(Acting::Tools) };
        let text = column.value(row);
        let known = Acting::ALL.into_iter().find(|acting| acting.as_str() == text);
        known.ok_or_else(|| Fault::Damaged(format!("{text:?} is no way to act")))
    }
}

/// The turns column, read.
struct Turns<'a> {
    list: &'a ListArray,
    prompts: Prompts<'a>,
    tokens: &'a ListArray,
    logprobs: &'a ListArray,
    finish: &'a StringArray,
    answered: Option<Answered<'a>>,
    fuel: &'a UInt64Array,
    chain: &'a StringArray,
}

impl<'a> Turns<'a> {
    fn of(view: &View<'a>) -> Result<Self, Fault> {
        let (list, items) = view.structs("turns")?;
        Ok(Self {
            list,
            prompts: Prompts::of(view, &items)?,
            tokens: items.get("tokens")?,
            logprobs: items.get("logprobs")?,
            finish: items.text("finish")?,
            answered: items.has("model").then(|| Answered::of(&items)).transpose()?,
            fuel: items.get("fuel")?,
            chain: items.text("chain")?,
        })
    }

    fn row(&self, row: usize) -> Result<Vec<TurnRecord>, Fault> {
        let within = bounds(self.list, row);
        let first = within.start;
        let turn = |index: usize| {
            let answered = self.answered.as_ref();
            Ok(TurnRecord {
                prompt_tokens: self.prompts.turn(row, index, index == first)?,
                tokens: numbers::<UInt32Type>(self.tokens, index)?,
                logprobs: numbers::<Float32Type>(self.logprobs, index)?,
                finish: read_finish(self.finish.value(index))?,
                reasoning: answered.and_then(|answered| answered.reasoning(index)),
                usage: answered.map(|answered| answered.usage(index)).unwrap_or_default(),
                model: answered.and_then(|answered| answered.model(index)),
                fuel: self.fuel.value(index),
                chain: parse(self.chain.value(index))?,
            })
        };
        within.map(turn).collect()
    }
}

/// The tokens of prompts, read.
enum Prompts<'a> {
    ByTurn(&'a ListArray),
    /// Of the first turn, in a column of the record: so before `part/3`.
    First(&'a ListArray),
}

impl<'a> Prompts<'a> {
    fn of(view: &View<'a>, turns: &View<'a>) -> Result<Self, Fault> {
        match view.optional("prompt_tokens")? {
            Some(first) => Ok(Self::First(first)),
            None => turns.get("prompt_tokens").map(Self::ByTurn),
        }
    }

    fn turn(&self, row: usize, index: usize, is_first: bool) -> Result<Vec<u32>, Fault> {
        match self {
            Self::ByTurn(list) => numbers::<UInt32Type>(list, index),
            Self::First(list) if is_first => numbers::<UInt32Type>(list, row),
            Self::First(_) => Ok(Vec::new()),
        }
    }
}

/// What a turn's model gave beside its tokens, which versions before `part/3` did
/// not hold.
struct Answered<'a> {
    reasoning: &'a StringArray,
    usage: [&'a UInt64Array; 3],
    model: &'a StringArray,
}

impl<'a> Answered<'a> {
    fn of(turns: &View<'a>) -> Result<Self, Fault> {
        Ok(Self {
            reasoning: turns.text("reasoning")?,
            usage: [
                turns.get("usage_prompt")?,
                turns.get("usage_cached")?,
                turns.get("usage_completion")?,
            ],
            model: turns.text("model")?,
        })
    }

    fn reasoning(&self, index: usize) -> Option<String> {
        optional(self.reasoning, index).map(str::to_owned)
    }

    fn usage(&self, index: usize) -> Usage {
        let [prompt, cached, completion] = self.usage.map(|column| column.value(index));
        Usage { prompt, cached, completion }
    }

    fn model(&self, index: usize) -> Option<String> {
        optional(self.model, index).map(str::to_owned)
    }
}

fn read_finish(text: &str) -> Result<FinishReason, Fault> {
    FinishReason::ALL
        .into_iter()
        .find(|finish| finish.as_str() == text)
        .ok_or_else(|| Fault::Damaged(format!("{text:?} is no reason to finish")))
}

fn read_stop(text: &str) -> Result<StopReason, Fault> {
    StopReason::ALL
        .into_iter()
        .find(|stop| stop.as_str() == text)
        .ok_or_else(|| Fault::Damaged(format!("{text:?} is no reason to stop")))
}
