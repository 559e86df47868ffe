use arrow_array::{Float64Array, ListArray, RecordBatch, UInt32Array};
use gyre_types::{CheckpointId, Digest, RolloutId, Score, Split, TaskId, Verdict};
use serde::Serialize;

use crate::chat;
use crate::columns::{Columns, View, optional, parse, texts};
use crate::decimals::nine_decimals;
use crate::error::Fault;
use crate::file::Form;
use crate::published::{self, PublishedRow, read_verdict};
use crate::row::RowSource;
use crate::turns::{self, RowTurn, Turns, row_turns};

/// The schema of shards of whole groups.
pub(crate) const SCHEMA: &str = "groups/1";

/// One attempt of a group, passed or failed: what methods that compare attempts
/// learn from, such as DPO and GRPO.
///
/// `docs/dataset.md` says what each column is. Messages and tools are JSON texts,
/// one each.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the column reference is docs/dataset.md")]
pub struct GroupRow {
    pub rollout_id: RolloutId,
    pub task_id: TaskId,
    pub group: String,
    pub round: u32,
    pub sample: u32,
    pub family: String,
    pub difficulty: u32,
    pub split: Split,
    pub verdict: Verdict,
    pub reward: f64,
    pub messages: Vec<String>,
    pub prompt: Vec<String>,
    pub completion: Vec<String>,
    pub tools: Vec<String>,
    pub turns: Vec<RowTurn>,
    pub policy_digest: Digest,
    pub checkpoint_id: Option<CheckpointId>,
    pub verifier_digest: Digest,
    pub task_digest: Digest,
}

impl GroupRow {
    /// The row of a rollout. The loss mask holds for every sampled token, since the
    /// reward is that of the whole attempt.
    pub fn of(source: RowSource<'_>) -> Self {
        let RowSource { record, task, judgement, verifier_digest, reward, .. } = source;
        let messages = chat::messages(&record.messages);
        let (prompt, completion) = messages.split_at(chat::prompt_len(&record.messages));
        Self {
            rollout_id: record.id.clone(),
            task_id: task.id.clone(),
            group: source.group(),
            round: record.round,
            sample: record.sample,
            family: task.family.clone(),
            difficulty: task.difficulty,
            split: source.split(),
            verdict: published::rounded(&judgement.verdict),
            reward: nine_decimals(reward),
            prompt: prompt.to_vec(),
            completion: completion.to_vec(),
            tools: chat::tools(source.tools_offered()),
            turns: row_turns(record, |_turn| true),
            policy_digest: record.policy.digest,
            checkpoint_id: record.policy.checkpoint.clone(),
            verifier_digest,
            task_digest: task.digest,
            messages,
        }
    }
}

impl PublishedRow for GroupRow {
    const FORM: Form = Form { schema: SCHEMA, label: "shard", says_json: true };
    const READABLE: &'static [&'static str] = &[SCHEMA];

    fn rollout_id(&self) -> &RolloutId {
        &self.rollout_id
    }

    fn objection(&self) -> Option<String> {
        published::objection(&self.task_id, self.split, &self.verdict, self.reward)
            .or_else(|| turns::objection(&self.turns))
    }

    fn encode(all: &[Self]) -> Result<RecordBatch, Fault> {
        let rows = || all.iter();
        let mut columns = Columns::default();
        columns.text("rollout_id", rows().map(|r| r.rollout_id.as_str()));
        columns.text("task_id", rows().map(|r| r.task_id.as_str()));
        columns.text("group", rows().map(|r| &r.group));
        columns.u32("round", rows().map(|r| r.round));
        columns.u32("sample", rows().map(|r| r.sample));
        columns.text("family", rows().map(|r| &r.family));
        columns.u32("difficulty", rows().map(|r| r.difficulty));
        columns.text("split", rows().map(|r| r.split.as_str()));
        columns.text("verdict", rows().map(|r| r.verdict.name()));
        columns.f64("score", rows().map(|r| r.verdict.score().map_or(0.0, Score::get)));
        columns.f64("reward", rows().map(|r| r.reward));
        columns.json_lists("messages", rows().map(|r| r.messages.clone()));
        columns.json_lists("prompt", rows().map(|r| r.prompt.clone()));
        columns.json_lists("completion", rows().map(|r| r.completion.clone()));
        columns.json_lists("tools", rows().map(|r| r.tools.clone()));
        turns::encode(&mut columns, rows().map(|r| r.turns.as_slice()))?;
        columns.text("policy_digest", rows().map(|r| r.policy_digest.to_hex()));
        columns.optional_text(
            "checkpoint_id",
            rows().map(|r| r.checkpoint_id.as_ref().map(|id| id.as_str())),
        );
        columns.text("verifier_digest", rows().map(|r| r.verifier_digest.to_hex()));
        columns.text("task_digest", rows().map(|r| r.task_digest.to_hex()));
        columns.finish()
    }

    fn decode(batch: &RecordBatch) -> Result<Vec<Self>, Fault> {
        let view = View::of(batch);
        let text = |name| view.text(name);
        let list = |name| view.get::<ListArray>(name);
        let number = |name| view.get::<UInt32Array>(name);
        let (rollout_id, task_id, group) = (text("rollout_id")?, text("task_id")?, text("group")?);
        let (round, sample) = (number("round")?, number("sample")?);
        let (family, difficulty, split) = (text("family")?, number("difficulty")?, text("split")?);
        let (verdict, score) = (text("verdict")?, view.get::<Float64Array>("score")?);
        let reward: &Float64Array = view.get("reward")?;
        let (messages, prompt) = (list("messages")?, list("prompt")?);
        let (completion, tools) = (list("completion")?, list("tools")?);
        let turns = Turns::of(&view)?;
        let (policy, checkpoint) = (text("policy_digest")?, text("checkpoint_id")?);
        let (verifier, task_digest) = (text("verifier_digest")?, text("task_digest")?);
        let decode = |row: usize| {
            Ok(Self {
                rollout_id: parse(rollout_id.value(row))?,
                task_id: parse(task_id.value(row))?,
                group: group.value(row).to_owned(),
                round: round.value(row),
                sample: sample.value(row),
                family: family.value(row).to_owned(),
                difficulty: difficulty.value(row),
                split: parse(split.value(row))?,
                verdict: read_verdict(verdict.value(row), score.value(row))?,
                reward: reward.value(row),
                messages: texts(messages, row)?,
                prompt: texts(prompt, row)?,
                completion: texts(completion, row)?,
                tools: texts(tools, row)?,
                turns: turns.row(row)?,
                policy_digest: parse(policy.value(row))?,
                checkpoint_id: optional(checkpoint, row).map(parse).transpose()?,
                verifier_digest: parse(verifier.value(row))?,
                task_digest: parse(task_digest.value(row))?,
            })
        };
        (0..batch.num_rows()).map(decode).collect()
    }
}
