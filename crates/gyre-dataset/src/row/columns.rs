//! Accepted rows as columns, and back.

use arrow_array::{BooleanArray, Float64Array, ListArray, RecordBatch, StringArray, UInt32Array};
use gyre_types::{Score, Seed};

use super::{CheckMark, DatasetRow};
use crate::columns::{Columns, View, bounds, optional, parse, texts};
use crate::decimals::decimal;
use crate::encode::{self, Messages};
use crate::error::Fault;
use crate::published::read_verdict;
use crate::turns::{self, Turns};

pub(super) fn encode(all: &[DatasetRow]) -> Result<RecordBatch, Fault> {
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
    turns::encode(&mut columns, rows().map(|r| r.turns.as_slice()))?;
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

pub(super) fn decode(batch: &RecordBatch) -> Result<Vec<DatasetRow>, Fault> {
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
    let turns = Turns::of(&view)?;
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
            turns: turns.row(row)?,
            fuel: fuel[row],
            chain: parse(chain.value(row))?,
        })
    };
    (0..batch.num_rows()).map(decode).collect()
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
