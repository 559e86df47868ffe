use std::collections::{BTreeMap, BTreeSet};

use gyre_types::{Digest, Identity, JsonError, RolloutId, Seed, Split, TaskId, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Share;
use crate::guards::task_key;

/// Which rollouts of a round are trained on.
///
/// Only [`CurationMode::Verified`] is meant for use. The two others are the
/// controls of an ablation: they show how much of a gain is due to the verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CurationMode {
    /// Those that the verifier passed.
    #[default]
    Verified,
    /// All that have an answer, without filter, deduplication or caps.
    Unverified,
    /// As many as the verifier passed, but not those: verdicts are permuted
    /// among the round's valid answers, and then curated as if they were true.
    Shuffled,
}

impl CurationMode {
    /// The name in configurations and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unverified => "unverified",
            Self::Shuffled => "shuffled",
        }
    }
}

/// The pass rates, within one group, of tasks that are worth training on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PassRateBand {
    /// Tasks below are left out. Default 0.
    pub min: Share,
    /// Tasks above are left out. Default 1: a task that every sample solves
    /// still gives its programs, and the level weights make such tasks rare.
    pub max: Share,
}

impl Default for PassRateBand {
    fn default() -> Self {
        Self { min: Share::NONE, max: Share::ALL }
    }
}

/// How a round's rollouts become training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CurationConfig {
    /// Which rollouts. Default `verified`.
    pub mode: CurationMode,
    /// Distinct programs per task, at most. Default 2.
    pub programs_per_task_max: u32,
    /// Tasks by their pass rate. Default: all.
    pub pass_rate_band: PassRateBand,
    /// The share of a round's rows that may be of one family. Default 1.
    pub family_cap: Share,
    /// The share of a round's rows that may carry one skill. Default 1.
    pub skill_cap: Share,
    /// Whether every attempt that passed or failed is published too, with its reward,
    /// for methods that compare attempts. Changes no accepted row. Default: true.
    #[serde(skip_serializing_if = "is_true")]
    pub groups: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_true(value: &bool) -> bool {
    *value
}

impl Default for CurationConfig {
    fn default() -> Self {
        Self {
            mode: CurationMode::Verified,
            programs_per_task_max: 2,
            pass_rate_band: PassRateBand::default(),
            family_cap: Share::ALL,
            skill_cap: Share::ALL,
            groups: true,
        }
    }
}

impl CurationConfig {
    /// What of it decides results.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub fn identity(&self) -> Result<Identity, JsonError> {
        let names = [
            "mode",
            "programs_per_task_max",
            "pass_rate_band.min",
            "pass_rate_band.max",
            "family_cap",
            "skill_cap",
        ];
        Identity::of("a curation", self, &names)?.since("groups", &self.groups, &true)
    }
}

/// A verdict without its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// Every check agreed.
    Pass,
    /// At least one check disagreed.
    Fail,
    /// Nothing can be said.
    Invalid,
}

impl From<&Verdict> for VerdictKind {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Fail { .. } => Self::Fail,
            Verdict::Invalid { .. } => Self::Invalid,
        }
    }
}

/// What curation sees of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurationCandidate {
    /// The rollout.
    pub rollout: RolloutId,
    /// Its task.
    pub task: TaskId,
    /// The task's side of the held-out wall.
    pub split: Split,
    /// Which of the group's rollouts it is.
    pub sample: u32,
    /// The task's family.
    pub family: String,
    /// The task's skills.
    pub skills: Vec<String>,
    /// Digest of the answer's canonical source text.
    pub answer_digest: Digest,
    /// Length of the answer in bytes; 0 where the policy gave none.
    pub answer_bytes: u64,
    /// Tokens of the answer: shorter programs are preferred.
    pub tokens: u64,
    /// What the verifier said.
    pub verdict: VerdictKind,
}

/// Why a rollout is not trained on. In the order in which the sieves stand.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CurationReject {
    /// The same rollout was given before.
    Repeated,
    /// Its task is held out.
    HeldOut,
    /// It has no verdict.
    Invalid,
    /// It has no answer.
    Empty,
    /// It did not pass.
    Failed,
    /// Its task's pass rate lies outside the band.
    OutsideBand,
    /// The same program for the same task is in already.
    Duplicate,
    /// Its task has enough programs.
    TaskCap,
    /// Its family has enough rows.
    FamilyCap,
    /// One of its skills has enough rows.
    SkillCap,
}

impl CurationReject {
    /// The name in JSON and in a round's funnel.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repeated => "repeated",
            Self::HeldOut => "held_out",
            Self::Invalid => "invalid",
            Self::Empty => "empty",
            Self::Failed => "failed",
            Self::OutsideBand => "outside_band",
            Self::Duplicate => "duplicate",
            Self::TaskCap => "task_cap",
            Self::FamilyCap => "family_cap",
            Self::SkillCap => "skill_cap",
        }
    }
}

/// A rollout that is not trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejected {
    /// The rollout.
    pub rollout: RolloutId,
    /// Why.
    pub reason: CurationReject,
}

/// How many rollouts each sieve held back: `candidates` is the sum of the rest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Funnel {
    /// Rollouts given.
    pub candidates: u64,
    /// Rollouts held back, by reason.
    pub rejected: BTreeMap<CurationReject, u64>,
    /// Rollouts to train on.
    pub accepted: u64,
}

/// A curated round.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curated {
    /// The rollouts to train on, ordered by task and sample.
    pub accepted: Vec<RolloutId>,
    /// The others, in the same order, with the reason.
    pub rejected: Vec<Rejected>,
    /// The counts.
    pub funnel: Funnel,
}

/// Chooses what to train on.
///
/// The order of `candidates` does not matter. `seed` decides the permutation of
/// [`CurationMode::Shuffled`] and which rows a cap keeps. In no mode is a held-out task,
/// an invalid rollout or an empty answer ever accepted.
pub fn curate(config: &CurationConfig, seed: Seed, candidates: &[CurationCandidate]) -> Curated {
    let mut sieve = Sieve::new(candidates);
    sieve.repeated();
    sieve.reject(CurationReject::HeldOut, |row| row.split.is_held_out());
    sieve.reject(CurationReject::Invalid, |row| row.verdict == VerdictKind::Invalid);
    sieve.reject(CurationReject::Empty, |row| row.answer_bytes == 0);
    if config.mode != CurationMode::Unverified {
        let passed = labels(config.mode, seed, &sieve.kept);
        let rates = pass_rates(&sieve.kept, &passed);
        sieve.reject(CurationReject::Failed, |row| !passed.contains(&row.rollout));
        let band = config.pass_rate_band;
        sieve.reject(CurationReject::OutsideBand, |row| {
            let rate = rates.get(&row.task).copied().unwrap_or_default();
            rate < band.min.get() || rate > band.max.get()
        });
        sieve.programs(config.programs_per_task_max);
        sieve.shares(config, seed);
    }
    sieve.finish()
}

/// The rollouts that are taken as passed.
fn labels(mode: CurationMode, seed: Seed, rows: &[&CurationCandidate]) -> BTreeSet<RolloutId> {
    let passed = |row: &&&CurationCandidate| row.verdict == VerdictKind::Pass;
    if mode != CurationMode::Shuffled {
        return rows.iter().filter(passed).map(|row| row.rollout.clone()).collect();
    }
    let count = rows.iter().filter(passed).count();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&at| (seed.derive("shuffled-labels", &[at as u64]), at));
    order.into_iter().take(count).map(|at| rows[at].rollout.clone()).collect()
}

fn pass_rates(rows: &[&CurationCandidate], passed: &BTreeSet<RolloutId>) -> BTreeMap<TaskId, f64> {
    let mut counts: BTreeMap<&TaskId, (u32, u32)> = BTreeMap::new();
    for row in rows {
        let (passes, samples) = counts.entry(&row.task).or_default();
        *passes += u32::from(passed.contains(&row.rollout));
        *samples += 1;
    }
    let rate = |(passes, samples)| f64::from(passes) / f64::from(samples);
    counts.into_iter().map(|(task, count)| (task.clone(), rate(count))).collect()
}

/// The rows that are still in, ordered by task and sample, and why others are out.
struct Sieve<'a> {
    all: Vec<&'a CurationCandidate>,
    kept: Vec<&'a CurationCandidate>,
    reasons: BTreeMap<&'a RolloutId, CurationReject>,
    repeated: u64,
}

impl<'a> Sieve<'a> {
    fn new(candidates: &'a [CurationCandidate]) -> Self {
        let mut all: Vec<_> = candidates.iter().collect();
        all.sort_by(|a, b| order_key(a).cmp(&order_key(b)));
        Self { kept: all.clone(), all, reasons: BTreeMap::new(), repeated: 0 }
    }

    /// The first of several rows of one rollout stays.
    fn repeated(&mut self) {
        let mut seen = BTreeSet::new();
        self.kept.retain(|row| seen.insert(&row.rollout));
        self.repeated = (self.all.len() - self.kept.len()) as u64;
        self.all = self.kept.clone();
    }

    fn reject(
        &mut self,
        reason: CurationReject,
        mut out: impl FnMut(&'a CurationCandidate) -> bool,
    ) {
        let reasons = &mut self.reasons;
        self.kept.retain(|row| {
            let is_out = out(row);
            if is_out {
                reasons.insert(&row.rollout, reason);
            }
            !is_out
        });
    }

    /// At most so many distinct programs per task: shorter ones first, then
    /// earlier samples.
    fn programs(&mut self, per_task_max: u32) {
        self.kept.sort_by_key(|row| (&row.task, row.tokens, row.sample, &row.rollout));
        let mut seen = BTreeSet::new();
        self.reject(CurationReject::Duplicate, |row| !seen.insert((&row.task, row.answer_digest)));
        let mut programs: BTreeMap<&TaskId, u32> = BTreeMap::new();
        self.reject(CurationReject::TaskCap, |row| {
            let count = programs.entry(&row.task).or_default();
            *count += 1;
            *count > per_task_max
        });
    }

    /// Caps the share of one family and of one skill. Which rows stay is drawn
    /// by seed, task and sample, so that no task is favoured for its id, and what
    /// else a rollout's id comes from decides nothing.
    fn shares(&mut self, config: &CurationConfig, seed: Seed) {
        self.kept.sort_by_key(|row| (draw(seed, row), order_key(row)));
        let family_max = config.family_cap.ceil_of(self.kept.len());
        let mut families = Counts::default();
        self.reject(CurationReject::FamilyCap, |row| !families.admit([&row.family], family_max));
        let skill_max = config.skill_cap.ceil_of(self.kept.len());
        let mut skills = Counts::default();
        self.reject(CurationReject::SkillCap, |row| {
            // A skill that a task uses twice still makes one row.
            let distinct: BTreeSet<&String> = row.skills.iter().collect();
            !skills.admit(distinct, skill_max)
        });
    }

    fn finish(mut self) -> Curated {
        self.kept.sort_by(|a, b| order_key(a).cmp(&order_key(b)));
        let accepted: Vec<_> = self.kept.iter().map(|row| row.rollout.clone()).collect();
        let rejected: Vec<_> = self
            .all
            .iter()
            .filter_map(|row| {
                let reason = *self.reasons.get(&row.rollout)?;
                Some(Rejected { rollout: row.rollout.clone(), reason })
            })
            .collect();
        let mut funnel = Funnel {
            candidates: accepted.len() as u64 + rejected.len() as u64 + self.repeated,
            accepted: accepted.len() as u64,
            rejected: BTreeMap::new(),
        };
        if self.repeated > 0 {
            funnel.rejected.insert(CurationReject::Repeated, self.repeated);
        }
        for Rejected { reason, .. } in &rejected {
            *funnel.rejected.entry(*reason).or_default() += 1;
        }
        Curated { accepted, rejected, funnel }
    }
}

fn order_key(row: &CurationCandidate) -> (&TaskId, u32, &RolloutId) {
    (&row.task, row.sample, &row.rollout)
}

fn draw(seed: Seed, row: &CurationCandidate) -> u64 {
    seed.derive("caps", &[task_key(&row.task), u64::from(row.sample)]).0
}

#[derive(Default)]
struct Counts<'a>(BTreeMap<&'a str, usize>);

impl<'a> Counts<'a> {
    /// Counts one more row of each name, unless one of them is full.
    fn admit(&mut self, names: impl IntoIterator<Item = &'a String> + Clone, max: usize) -> bool {
        let full = |name: &'a String| self.0.get(name.as_str()).is_some_and(|&n| n >= max);
        if max == 0 || names.clone().into_iter().any(full) {
            return false;
        }
        for name in names {
            *self.0.entry(name).or_default() += 1;
        }
        true
    }
}
