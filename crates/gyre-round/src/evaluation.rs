//! What a model did on held-out tasks outside any round, and how two models compare.

use std::collections::BTreeMap;

use gyre_types::{Digest, FailureKind, Split, TaskId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Contest, Estimate, GateConfig, GateHistory, GateRecord, Outcome, PairedOutcome, decide,
};

/// What one model did on one held-out task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskResult {
    /// The task.
    pub task: TaskId,
    /// The part of the held-out tasks that it belongs to.
    pub part: Split,
    /// Its family.
    pub family: String,
    /// Its level within the family.
    pub difficulty: u32,
    /// What the model did.
    pub outcome: Outcome,
    /// What was wrong with an answer that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureKind>,
    /// Why there is no verdict, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid: Option<String>,
    /// Tokens that the model sampled, as its engine counted them.
    pub tokens: u64,
}

/// Figures over a set of tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Tasks that have a verdict.
    pub tasks: u64,
    /// Of these, passed.
    pub passed: u64,
    /// Tasks that have none: they are in no rate.
    pub invalid: u64,
    /// The share that passed of those that have a verdict, with its 95% Wilson interval.
    pub pass_at_1: Estimate,
    /// Answers that failed, by what was wrong with them.
    pub failures: BTreeMap<FailureKind, u64>,
    /// Tokens sampled over all tasks.
    pub tokens: u64,
}

/// Figures of one level of one family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelFigures {
    /// The family.
    pub family: String,
    /// The level.
    pub difficulty: u32,
    /// Its figures.
    pub figures: Figures,
}

/// What a model did on held-out tasks, in figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Over all tasks.
    pub overall: Figures,
    /// By part of the held-out tasks.
    pub parts: BTreeMap<Split, Figures>,
    /// By family.
    pub families: BTreeMap<String, Figures>,
    /// By family and level.
    pub levels: Vec<LevelFigures>,
}

impl Figures {
    fn of<'a>(results: impl IntoIterator<Item = &'a TaskResult>) -> Self {
        let (mut tasks, mut passed, mut invalid, mut tokens) = (0, 0, 0, 0_u64);
        let mut failures = BTreeMap::new();
        for result in results {
            tokens = tokens.saturating_add(result.tokens);
            match result.outcome {
                Outcome::Pass => (tasks, passed) = (tasks + 1, passed + 1),
                Outcome::Fail => {
                    tasks += 1;
                    if let Some(kind) = result.failure {
                        *failures.entry(kind).or_default() += 1;
                    }
                }
                Outcome::Invalid | Outcome::Missing => invalid += 1,
            }
        }
        let pass_at_1 = Estimate::proportion(passed, tasks);
        Self { tasks, passed, invalid, pass_at_1, failures, tokens }
    }

    /// Answers that failed by their form: the model has not learned how to answer.
    pub fn failed_by_form(&self) -> u64 {
        self.failures.iter().filter(|(kind, _)| kind.is_form()).map(|(_, n)| n).sum()
    }

    /// Answers that failed by what they do.
    pub fn failed_by_skill(&self) -> u64 {
        self.tasks - self.passed - self.failed_by_form()
    }
}

impl Evaluation {
    /// The figures of results, in whatever order they come.
    pub fn of(results: &[TaskResult]) -> Self {
        let mut parts = BTreeMap::<Split, Vec<&TaskResult>>::new();
        let mut families = BTreeMap::<&str, Vec<&TaskResult>>::new();
        let mut levels = BTreeMap::<(&str, u32), Vec<&TaskResult>>::new();
        for result in results {
            parts.entry(result.part).or_default().push(result);
            families.entry(&result.family).or_default().push(result);
            levels.entry((&result.family, result.difficulty)).or_default().push(result);
        }
        let level = |((family, difficulty), of_level): ((&str, u32), Vec<_>)| LevelFigures {
            family: family.to_owned(),
            difficulty,
            figures: Figures::of(of_level),
        };
        Self {
            overall: Figures::of(results),
            parts: parts.into_iter().map(|(part, of)| (part, Figures::of(of))).collect(),
            families: families
                .into_iter()
                .map(|(family, of)| (family.to_owned(), Figures::of(of)))
                .collect(),
            levels: levels.into_iter().map(level).collect(),
        }
    }
}

/// Two models on the same held-out tasks, by the gate's own test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// What the gate says: the first model stands as the champion, the second as the
    /// candidate, at the first gate of a campaign.
    pub gate: GateRecord,
    /// Tasks that the first failed and the second passed. The gate's record lists those
    /// that were lost.
    pub flips_won: Vec<TaskId>,
}

/// Compares two models by their results. A task that only one of them was given
/// counts as missing for the other, and so against the second.
pub fn compare(
    config: &GateConfig,
    first: (Digest, &[TaskResult]),
    second: (Digest, &[TaskResult]),
) -> Comparison {
    let mut pairs = BTreeMap::<&TaskId, PairedOutcome>::new();
    let missing = |result: &TaskResult| PairedOutcome {
        task: result.task.clone(),
        family: result.family.clone(),
        difficulty: result.difficulty,
        champion: Outcome::Missing,
        candidate: Outcome::Missing,
    };
    for result in first.1 {
        pairs.entry(&result.task).or_insert_with(|| missing(result)).champion = result.outcome;
    }
    for result in second.1 {
        pairs.entry(&result.task).or_insert_with(|| missing(result)).candidate = result.outcome;
    }
    let pairs: Vec<_> = pairs.into_values().collect();
    let contest = Contest {
        round: 0,
        champion: first.0,
        candidate: second.0,
        history: GateHistory::default(),
    };
    let is_won =
        |pair: &&PairedOutcome| pair.champion == Outcome::Fail && pair.candidate == Outcome::Pass;
    let flips_won = pairs.iter().filter(is_won).map(|pair| pair.task.clone()).collect();
    Comparison { gate: decide(config, &contest, &pairs), flips_won }
}
