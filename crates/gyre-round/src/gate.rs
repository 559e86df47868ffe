//! The gate: may the candidate replace the champion?
//!
//! Both policies answer the same held-out tasks, so the evidence is paired.
//! McNemar's exact test (McNemar, *Psychometrika* 12, 1947) looks only at the
//! tasks on which they differ; its level comes from a budget that is spent over
//! rounds ([`Spending`]), so that a campaign of equal models almost never
//! promotes. What is not known counts against the candidate.

mod config;
mod record;
mod stats;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use gyre_types::{Digest, TaskId};

pub use config::{GateConfig, GateHistory, Spending};
pub use record::{
    Breakdown, Contest, Decision, Estimate, GATE_RECORD_VERSION, GateRecord, LevelBreakdown,
    Outcome, PairedOutcome, RejectReason, Unknown,
};
pub use stats::{
    Confidence, Interval, exact_interval, mcnemar_p_value, paired_interval, pass_at_k, wilson,
};
pub use table::PairTable;

/// Decides whether the candidate replaces the champion, and records why.
///
/// Total and pure: whatever the pairs are, and in whatever order they come, the
/// same input gives the same record, and every doubt rejects.
pub fn decide(config: &GateConfig, contest: &Contest, pairs: &[PairedOutcome]) -> GateRecord {
    let mut pairs: Vec<&PairedOutcome> = pairs.iter().collect();
    pairs.sort_by(|a, b| a.task.cmp(&b.task));

    let overall = breakdown(&pairs);
    let p_value = mcnemar_p_value(overall.table.wins, overall.table.losses);
    let alpha = contest.history.level(config);
    let mut record = GateRecord {
        version: GATE_RECORD_VERSION,
        round: contest.round,
        champion: contest.champion,
        candidate: contest.candidate,
        history: contest.history,
        config: config.clone(),
        decision: Decision::Promote,
        p_value,
        alpha,
        overall,
        unknown: Unknown::count(&pairs),
        flips_lost: flips_lost(&pairs),
        per_family: per_family(&pairs),
        per_difficulty: per_difficulty(&pairs),
        pairs_digest: Digest::of_json(&pairs),
    };
    let reasons = reasons(&record, repeated_task(&pairs));
    if !reasons.is_empty() {
        record.decision = Decision::Reject { reasons };
    }
    record
}

fn reasons(record: &GateRecord, repeated: Option<TaskId>) -> Vec<RejectReason> {
    let GateRecord { config, overall, .. } = record;
    let mut reasons = Vec::new();
    if record.champion == record.candidate {
        reasons.push(RejectReason::IdenticalCheckpoint);
    }
    if let Some(task) = repeated {
        reasons.push(RejectReason::RepeatedTask { task });
    }
    let (unknown, n) = (record.unknown.total(), overall.table.n);
    // Each pair holds two outcomes, and the share is one of outcomes.
    if unknown as f64 > config.unknown_share_max.get() * (2 * n) as f64 {
        reasons.push(RejectReason::TooManyUnknown { unknown, outcomes: 2 * n });
    }
    // Asked for in the positive, so that a NaN, were there one, would reject.
    let (p_value, alpha) = (record.p_value, record.alpha);
    let is_significant = alpha > 0.0 && p_value <= alpha;
    if !is_significant {
        reasons.push(RejectReason::NotSignificant { p_value, alpha });
    }
    let (gain, margin) = (overall.gain.value, config.margin.get());
    let is_worth_it = gain >= margin;
    if !is_worth_it {
        reasons.push(RejectReason::BelowMargin { gain, margin });
    }
    reasons.extend(record.per_family.iter().filter_map(|(name, family)| {
        inferior(config, &family.table).map(|gain_low| RejectReason::FamilyInferior {
            family: name.clone(),
            gain_low,
            margin: config.family_margin.get(),
        })
    }));
    reasons
}

/// The low end of a family's gain, where it falls below the margin.
fn inferior(config: &GateConfig, table: &PairTable) -> Option<f64> {
    let low = paired_interval(table, config.family_confidence).low;
    let tested = table.n >= u64::from(config.family_pairs_min);
    (tested && low < -config.family_margin.get()).then_some(low)
}

fn breakdown(pairs: &[&PairedOutcome]) -> Breakdown {
    Breakdown::of(PairTable::count(pairs))
}

fn flips_lost(pairs: &[&PairedOutcome]) -> Vec<TaskId> {
    let lost =
        |pair: &&&PairedOutcome| pair.champion == Outcome::Pass && pair.candidate != Outcome::Pass;
    pairs.iter().filter(lost).map(|pair| pair.task.clone()).collect()
}

fn per_family(pairs: &[&PairedOutcome]) -> BTreeMap<String, Breakdown> {
    let families: BTreeSet<&str> = pairs.iter().map(|pair| pair.family.as_str()).collect();
    let of = |family: &str| -> Vec<&PairedOutcome> {
        pairs.iter().copied().filter(|pair| pair.family == family).collect()
    };
    families.into_iter().map(|family| (family.to_owned(), breakdown(&of(family)))).collect()
}

fn per_difficulty(pairs: &[&PairedOutcome]) -> Vec<LevelBreakdown> {
    let mut levels: BTreeMap<(&str, u32), Vec<&PairedOutcome>> = BTreeMap::new();
    for pair in pairs.iter().copied() {
        levels.entry((&pair.family, pair.difficulty)).or_default().push(pair);
    }
    let level = |((family, difficulty), pairs): ((&str, u32), Vec<_>)| LevelBreakdown {
        family: family.to_owned(),
        difficulty,
        breakdown: breakdown(&pairs),
    };
    levels.into_iter().map(level).collect()
}

fn repeated_task(sorted: &[&PairedOutcome]) -> Option<TaskId> {
    sorted.windows(2).find(|pair| pair[0].task == pair[1].task).map(|pair| pair[0].task.clone())
}
