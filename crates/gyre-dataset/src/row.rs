mod columns;

use arrow_array::RecordBatch;
use gyre_types::{
    Answer, CheckResult, CheckpointId, Digest, Judgement, Message, Role, RolloutId, RolloutRecord,
    Seed, Split, Task, TaskId, Verdict,
};
use serde::{Serialize, Serializer};

use crate::accepted::accepted_turn;
use crate::decimals::{nine_decimals, nine_decimals_of_32_bits};
use crate::error::Fault;
use crate::file::Form;
use crate::published::{self, PublishedRow};
use crate::turns::{self, RowTurn, row_turns};

/// The schema of shards of accepted rows.
pub(crate) const SCHEMA: &str = "dataset/3";

/// Schemas that can be read as well. They join the tokens of all turns.
pub(crate) const SCHEMA_2: &str = "dataset/2";
pub(crate) const SCHEMA_1: &str = "dataset/1";

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
    pub turns: Vec<RowTurn>,
    pub fuel: u64,
    pub chain: Digest,
}

/// JSON readers make floating-point numbers of large integers, and round them.
fn as_text<S: Serializer>(seed: &Seed, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&seed.0)
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
    /// The tools of the task's environment, as a JSON list. Rows of policies that
    /// acted in text have none.
    pub tools: &'a str,
}

impl RowSource<'_> {
    /// The tools that the policy was offered.
    pub(crate) fn tools_offered(&self) -> &str {
        if self.record.acting.is_tools() { self.tools } else { "[]" }
    }

    /// The side of the held-out wall that forbids more.
    pub(crate) fn split(&self) -> Split {
        let purpose = self.record.purpose;
        if purpose.is_held_out() { purpose } else { self.task.split }
    }

    /// What the attempts at one task in one round have in common.
    pub(crate) fn group(&self) -> String {
        format!("{}-round-{}", self.task.id, self.record.round)
    }
}

impl DatasetRow {
    /// The row of a rollout. The loss mask holds for the tokens of the turn that gave
    /// the answer, so that nobody trains on a program that a later turn had to repair.
    ///
    /// Numbers that are no integers are rounded to nine decimals, which every
    /// reader keeps.
    pub fn of(source: RowSource<'_>) -> Self {
        let RowSource { record, task, judgement, verifier_digest, reward, .. } = source;
        let Answer::Program(program) = &record.answer;
        let first_user = record.messages.iter().find(|message| message.role == Role::User);
        let accepted = accepted_turn(record);
        Self {
            rollout_id: record.id.clone(),
            task_id: task.id.clone(),
            group_id: source.group(),
            round: record.round,
            sample: record.sample,
            family: task.family.clone(),
            difficulty: task.difficulty,
            composition: task.composition.to_string(),
            skills: task.skills.clone(),
            split: source.split(),
            instruction: task.instruction().to_owned(),
            prompt: first_user.map(|message| message.content.clone()).unwrap_or_default(),
            completion: program.clone(),
            messages: record.messages.clone(),
            tools: source.tools_offered().to_owned(),
            verdict: published::rounded(&judgement.verdict),
            reward: nine_decimals(reward),
            checks: judgement.checks.iter().map(check_mark).collect(),
            policy_digest: record.policy.digest,
            checkpoint_id: record.policy.checkpoint.clone(),
            verifier_digest,
            sandbox_digest: record.sandbox_digest,
            task_digest: task.digest,
            key_digest: task.key_digest,
            seed: record.seed,
            temperature: nine_decimals_of_32_bits(record.sampling.temperature),
            turns: row_turns(record, |turn| Some(turn) == accepted),
            fuel: record.fuel,
            chain: record.chain,
        }
    }
}

fn check_mark(check: &CheckResult) -> CheckMark {
    CheckMark {
        name: check.name.clone(),
        passed: check.passed,
        weight: nine_decimals(check.weight).max(1e-9),
    }
}

impl PublishedRow for DatasetRow {
    const FORM: Form = Form { schema: SCHEMA, label: "shard", says_json: false };
    const READABLE: &'static [&'static str] = &[SCHEMA, SCHEMA_2, SCHEMA_1];

    fn rollout_id(&self) -> &RolloutId {
        &self.rollout_id
    }

    fn objection(&self) -> Option<String> {
        let fuel = || {
            let is_more = i64::try_from(self.fuel).is_err();
            is_more.then(|| format!("its fuel is {}, more than 63 bits hold", self.fuel))
        };
        published::objection(&self.task_id, self.split, &self.verdict, self.reward)
            .or_else(fuel)
            .or_else(|| turns::objection(&self.turns))
    }

    fn encode(rows: &[Self]) -> Result<RecordBatch, Fault> {
        columns::encode(rows)
    }

    fn decode(batch: &RecordBatch) -> Result<Vec<Self>, Fault> {
        columns::decode(batch)
    }
}
