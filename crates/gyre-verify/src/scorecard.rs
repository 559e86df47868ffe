//! What was measured of a verifier, and whether that is good enough.

use std::fmt;

use gyre_types::{Digest, Judgement, TaskId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::VerifierKind;

/// The version of the scorecard's format; the only one that is read.
pub const SCORECARD_FORMAT: u32 = 1;

/// Findings that a scorecard holds at most: enough to see what is wrong.
pub const FINDINGS_MAX: usize = 50;

/// The 97.5th percentile of the normal distribution, for intervals of 95%.
const Z: f64 = 1.959_963_984_540_054;

/// What a case of an audit is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseGroup {
    /// A task's reference: must be accepted.
    Golden,
    /// The reference, rewritten without a change of meaning: must be accepted.
    Metamorphic,
    /// A task's failure cases, and programs that do nothing: must not be.
    KnownBad,
    /// Results that are no answer to anything: must not be.
    Malformed,
    /// The corpus of attacks: must not be.
    Attack,
    /// The reference with one edit that changes its meaning: should not be.
    Mutant,
}

impl CaseGroup {
    /// Every group, in the order of the tables.
    pub const ALL: [Self; 6] = [
        Self::Golden,
        Self::Metamorphic,
        Self::KnownBad,
        Self::Malformed,
        Self::Attack,
        Self::Mutant,
    ];

    /// Its name, such as `known_bad`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Golden => "golden",
            Self::Metamorphic => "metamorphic",
            Self::KnownBad => "known_bad",
            Self::Malformed => "malformed",
            Self::Attack => "attack",
            Self::Mutant => "mutant",
        }
    }

    /// Whether its cases must be accepted.
    pub fn must_pass(self) -> bool {
        matches!(self, Self::Golden | Self::Metamorphic)
    }

    /// Whether an accept counts among the false ones. Mutants have a figure of
    /// their own: the hidden cases of a task need not tell every one apart.
    fn must_not_pass(self) -> bool {
        matches!(self, Self::KnownBad | Self::Malformed | Self::Attack)
    }
}

impl fmt::Display for CaseGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One program of an audit, judged twice.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditedCase {
    /// What it is there for.
    pub group: CaseGroup,
    /// The task that it answers.
    pub task: TaskId,
    /// What it is, such as `failures[1]` or `line 3: < for <=`.
    pub name: String,
    /// For a mutant, whether it was seen to mean the same as the reference.
    pub equivalent: bool,
    /// What the verifier said first.
    pub first: Judgement,
    /// What it said the second time.
    pub second: Judgement,
}

/// Whom a scorecard is about, and what it was measured on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScorecardSubject {
    /// The verifier's identity.
    pub verifier: Digest,
    /// Which way it goes.
    pub kind: VerifierKind,
    /// The family whose tasks it judged.
    pub family: String,
    /// Digest of that family's files.
    pub family_digest: Digest,
    /// The seed that tasks were generated from.
    pub seed: u64,
    /// Tasks.
    pub tasks: u32,
}

/// How often something happened, with an interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How often it did.
    pub events: u32,
    /// Of how many.
    pub of: u32,
    /// The share; 0 of nothing.
    pub share: f64,
    /// Wilson's interval of 95%; from 0 to 1 where nothing was measured.
    pub interval: [f64; 2],
}

impl Rate {
    /// The rate of `events` among `of`.
    pub fn new(events: u32, of: u32) -> Self {
        if of == 0 {
            return Self { events, of, share: 0.0, interval: [0.0, 1.0] };
        }
        let (n, share) = (f64::from(of), f64::from(events) / f64::from(of));
        // Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
        let middle = share + Z * Z / (2.0 * n);
        let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let bound = |value: f64| (value / (1.0 + Z * Z / n)).clamp(0.0, 1.0);
        // Where nothing or everything happened, the near bound is exact, and rounding is not.
        let low = if events == 0 { 0.0 } else { bound(middle - half) };
        let high = if events == of { 1.0 } else { bound(middle + half) };
        Self { events, of, share, interval: [low, high] }
    }
}

/// The verdicts on one group of cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupScore {
    /// The group.
    pub group: CaseGroup,
    /// Cases in it; of mutants, those that mean something else.
    pub cases: u32,
    /// Those that passed.
    pub accepted: u32,
    /// Those that failed.
    pub rejected: u32,
    /// Those that got no verdict.
    pub invalid: u32,
}

/// What became of the mutants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MutantScore {
    /// Mutants made.
    pub made: u32,
    /// Those that gave what the reference gives on every input tried: they
    /// count neither way.
    pub equivalent: u32,
    /// The rate of rejected ones among the rest.
    pub killed: Rate,
}

/// Whether the verifier said the same twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeterminismScore {
    /// Cases that were judged twice, in another order the second time.
    pub repeated: u32,
    /// Those whose verdict or checks differed.
    pub verdicts_differing: u32,
    /// Those whose fuel or number of guests differed.
    pub costs_differing: u32,
}

/// What judging cost, all guests of a judgement together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostScore {
    /// Fuel of half of the golden cases is at most this.
    pub golden_fuel_median: u64,
    /// The most fuel that any case took.
    pub fuel_max: u64,
    /// The most guests that any case took.
    pub guests_max: u32,
}

/// One case that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What the case is there for.
    pub group: CaseGroup,
    /// The task.
    pub task: TaskId,
    /// What it is.
    pub name: String,
    /// What is wrong, such as `accepted`.
    pub what: String,
}

/// What an audit measured of a verifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scorecard {
    /// [`SCORECARD_FORMAT`].
    pub format: u32,
    /// Whom it is about.
    pub subject: ScorecardSubject,
    /// The verdicts, group by group.
    pub groups: Vec<GroupScore>,
    /// Accepts among known-bad, malformed and attack cases.
    pub false_accepts: Rate,
    /// Golden and metamorphic cases that did not pass.
    pub false_rejects: Rate,
    /// The mutants.
    pub mutants: MutantScore,
    /// Whether it said the same twice.
    pub determinism: DeterminismScore,
    /// What judging cost.
    pub cost: CostScore,
    /// The first cases that went wrong, [`FINDINGS_MAX`] at most.
    pub findings: Vec<Finding>,
}

/// What a scorecard must show for its verifier to be registered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScorecardLimits {
    /// Known-bad and malformed cases that may be accepted. Default 0.
    pub known_bad_accepted_max: u32,
    /// Attacks that may be accepted. Default 0.
    pub attacks_accepted_max: u32,
    /// The share of golden and metamorphic cases that must be accepted.
    /// Default 1.
    pub golden_accepted_share_min: f64,
    /// The share of mutants, of those that mean something else, that must be
    /// rejected. Default 0.9.
    pub mutants_killed_share_min: f64,
    /// Whether everything must come out the same twice. Default true.
    pub deterministic: bool,
}

impl Default for ScorecardLimits {
    /// Nothing bad accepted, everything good accepted, nine mutants of ten
    /// killed, and the same twice.
    fn default() -> Self {
        Self {
            known_bad_accepted_max: 0,
            attacks_accepted_max: 0,
            golden_accepted_share_min: 1.0,
            mutants_killed_share_min: 0.9,
            deterministic: true,
        }
    }
}

impl ScorecardLimits {
    /// The first limit that is no share, with what is wrong with it.
    pub fn out_of_bounds(&self) -> Option<(&'static str, String)> {
        [
            ("golden_accepted_share_min", self.golden_accepted_share_min),
            ("mutants_killed_share_min", self.mutants_killed_share_min),
        ]
        .into_iter()
        .find(|(_, share)| !(0.0..=1.0).contains(share))
        .map(|(key, share)| (key, format!("is {share}, not between 0 and 1")))
    }
}

impl Scorecard {
    /// Counts what came of an audit's cases.
    pub fn of(subject: ScorecardSubject, cases: &[AuditedCase]) -> Self {
        let groups: Vec<GroupScore> =
            CaseGroup::ALL.into_iter().map(|group| GroupScore::of(group, cases)).collect();
        let sum = |of: &dyn Fn(&GroupScore) -> u32, wanted: &dyn Fn(CaseGroup) -> bool| -> u32 {
            groups.iter().filter(|score| wanted(score.group)).map(of).sum()
        };
        let bad = CaseGroup::must_not_pass;
        let good = CaseGroup::must_pass;
        let false_accepts = Rate::new(sum(&|g| g.accepted, &bad), sum(&|g| g.cases, &bad));
        let false_rejects =
            Rate::new(sum(&|g| g.rejected + g.invalid, &good), sum(&|g| g.cases, &good));
        Self {
            format: SCORECARD_FORMAT,
            subject,
            mutants: MutantScore::of(cases),
            determinism: DeterminismScore::of(cases),
            cost: CostScore::of(cases),
            findings: cases.iter().filter_map(AuditedCase::finding).take(FINDINGS_MAX).collect(),
            groups,
            false_accepts,
            false_rejects,
        }
    }

    /// Reads a scorecard strictly.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let card: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if card.format == SCORECARD_FORMAT {
            Ok(card)
        } else {
            let format = card.format;
            Err(format!("format {format} is not known; this version reads {SCORECARD_FORMAT}"))
        }
    }

    /// Where it is beyond the limits, in words; nothing when it is within.
    ///
    /// What was never measured counts as missed: an audit of no golden case
    /// shows nothing.
    pub fn breaches(&self, limits: &ScorecardLimits) -> Vec<String> {
        let mut breaches = Vec::new();
        let accepted = |group: CaseGroup| -> u32 {
            self.groups.iter().filter(|g| g.group == group).map(|g| g.accepted).sum()
        };
        for group in CaseGroup::ALL {
            let measured = self.groups.iter().any(|score| score.group == group && score.cases > 0);
            if !measured {
                breaches.push(format!("no {group} case was judged"));
            }
        }
        let bad = accepted(CaseGroup::KnownBad) + accepted(CaseGroup::Malformed);
        if bad > limits.known_bad_accepted_max {
            let max = limits.known_bad_accepted_max;
            breaches.push(format!(
                "{bad} known-bad or malformed cases accepted, at most {max} \
                 (known_bad_accepted_max)"
            ));
        }
        let attacks = accepted(CaseGroup::Attack);
        if attacks > limits.attacks_accepted_max {
            let max = limits.attacks_accepted_max;
            breaches
                .push(format!("{attacks} attacks accepted, at most {max} (attacks_accepted_max)"));
        }
        let (golden, min) = (1.0 - self.false_rejects.share, limits.golden_accepted_share_min);
        if golden < min {
            breaches.push(format!(
                "{golden:.3} of golden cases accepted, at least {min} (golden_accepted_share_min)"
            ));
        }
        let (killed, min) = (self.mutants.killed.share, limits.mutants_killed_share_min);
        if self.mutants.killed.of > 0 && killed < min {
            breaches.push(format!(
                "{killed:.3} of mutants killed, at least {min} (mutants_killed_share_min)"
            ));
        }
        let DeterminismScore { verdicts_differing, costs_differing, .. } = self.determinism;
        if limits.deterministic && verdicts_differing + costs_differing > 0 {
            breaches.push(format!(
                "{verdicts_differing} verdicts and {costs_differing} costs differed the second time \
                 (deterministic)"
            ));
        }
        breaches
    }
}

impl GroupScore {
    fn of(group: CaseGroup, cases: &[AuditedCase]) -> Self {
        let counted = || cases.iter().filter(|case| case.group == group && !case.equivalent);
        let accepted = count(counted().filter(|case| case.first.verdict.is_pass()));
        let invalid = count(counted().filter(|case| case.first.verdict.is_invalid()));
        let cases = count(counted());
        Self { group, cases, accepted, rejected: cases - accepted - invalid, invalid }
    }
}

impl MutantScore {
    fn of(cases: &[AuditedCase]) -> Self {
        let mutants = || cases.iter().filter(|case| case.group == CaseGroup::Mutant);
        let made = count(mutants());
        let equivalent = count(mutants().filter(|case| case.equivalent));
        let different = || mutants().filter(|case| !case.equivalent);
        // No verdict is no kill: the verifier did not say that it is wrong.
        let is_fail =
            |case: &&AuditedCase| !case.first.verdict.is_pass() && !case.first.verdict.is_invalid();
        let killed = count(different().filter(is_fail));
        Self { made, equivalent, killed: Rate::new(killed, made - equivalent) }
    }
}

impl DeterminismScore {
    fn of(cases: &[AuditedCase]) -> Self {
        let said = |judgement: &Judgement| (judgement.verdict.clone(), judgement.checks.clone());
        let cost = |judgement: &Judgement| (judgement.fuel, judgement.guests);
        Self {
            repeated: count(cases.iter()),
            verdicts_differing: count(cases.iter().filter(|c| said(&c.first) != said(&c.second))),
            costs_differing: count(cases.iter().filter(|c| cost(&c.first) != cost(&c.second))),
        }
    }
}

impl CostScore {
    fn of(cases: &[AuditedCase]) -> Self {
        let golden = cases.iter().filter(|case| case.group == CaseGroup::Golden);
        let mut golden: Vec<u64> = golden.map(|case| case.first.fuel).collect();
        golden.sort_unstable();
        let most = |of: &dyn Fn(&Judgement) -> u64| {
            cases.iter().map(|case| of(&case.first)).max().unwrap_or_default()
        };
        Self {
            golden_fuel_median: golden.get(golden.len() / 2).copied().unwrap_or_default(),
            fuel_max: most(&|judgement| judgement.fuel),
            guests_max: u32::try_from(most(&|j| u64::from(j.guests))).unwrap_or(u32::MAX),
        }
    }
}

impl AuditedCase {
    /// What went wrong with it, if anything did.
    fn finding(&self) -> Option<Finding> {
        let (first, second) = (&self.first.verdict, &self.second.verdict);
        let what = if first != second || self.first.checks != self.second.checks {
            format!("{} the first time and {} the second", first.name(), second.name())
        } else if self.group.must_pass() && !first.is_pass() {
            let failed = self.first.checks.iter().find(|check| !check.passed);
            let why = failed.map_or_else(String::new, |c| format!(": {}: {}", c.name, c.detail));
            format!("not accepted ({}){why}", first.name())
        } else if !self.group.must_pass() && first.is_pass() && !self.equivalent {
            "accepted".to_owned()
        } else if let gyre_types::Verdict::Invalid { reason } = first {
            format!("no verdict: {reason}")
        } else if self.first.fuel != self.second.fuel {
            format!(
                "took {} fuel the first time and {} the second",
                self.first.fuel, self.second.fuel
            )
        } else {
            return None;
        };
        let Self { group, task, name, .. } = self;
        Some(Finding { group: *group, task: task.clone(), name: name.clone(), what })
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}
