//! Reads what is recorded: rounds, gates, shards, figures.

mod outline;
mod state;

use std::collections::BTreeMap;

use gyre_lineage::{
    AlarmRow, CellRate, GateRow, HandoverRow, InvalidKind, RolloutFilter, RunRow, ShardRow,
    VerdictCount,
};
use gyre_round::{
    BudgetScope, Confidence, Estimate, ModelUsage, PairTable, Stage, VerdictCounts, wilson,
};
use gyre_types::{CheckpointId, RunId, Split, Task, TaskId, Verdict};
use gyre_verify::GradingKey;
use serde_json::Value;

use crate::error::Error;
use crate::policy_settings::ModelSettings;
use crate::project::Project;
use crate::stored;
use crate::summary::{Level, RoundSummary, RunSummary};
use outline::Outline;

pub(crate) use state::round_events;
pub use state::round_state;

/// What came of a round so far.
///
/// # Errors
///
/// When the store fails.
pub fn round_summary(project: &Project, run: &RunRow, round: u32) -> Result<RoundSummary, Error> {
    let readings = RunReadings::of(project, run)?;
    Ok(summarise(round, Outline::of(project, run, round)?, &readings))
}

/// What came of every round that was begun, the cold start first, and the
/// counts that they rest on. Reads what is kept counted, and of the log all but
/// the plans: it takes as long for a million rollouts as for a thousand.
///
/// # Errors
///
/// When the store fails.
pub fn round_summaries(
    project: &Project,
    run: &RunRow,
) -> Result<(Vec<RoundSummary>, Vec<CellRate>), Error> {
    let readings = RunReadings::of(project, run)?;
    let mut rounds = Vec::new();
    let events = project.wait(project.store.events_without_plans(&run.id))?;
    for of_round in events.chunk_by(|a, b| a.round == b.round) {
        let round = of_round[0].round;
        // A round that is under way is folded with its plan.
        let outline = match Outline::of_ended(run, of_round)? {
            Some(outline) => outline,
            None => Outline::of(project, run, round)?,
        };
        rounds.push(summarise(round, outline, &readings));
    }
    Ok((rounds, readings.cells))
}

/// What summaries of any round of a run are made from.
struct RunReadings {
    cells: Vec<CellRate>,
    invalid: Vec<InvalidKind>,
    alarms: Vec<AlarmRow>,
    canaries: Vec<(u32, VerdictCount)>,
    model: ModelSettings,
}

impl RunReadings {
    fn of(project: &Project, row: &RunRow) -> Result<Self, Error> {
        let run = &row.id;
        Ok(Self {
            model: project.config_of(row)?.model,
            cells: project.wait(project.store.cell_rates(run))?,
            invalid: project.wait(project.store.invalid_kinds(run))?,
            alarms: project.wait(project.store.alarms(run).collect())?,
            canaries: project.wait(project.store.canary_counts(run))?,
        })
    }
}

fn summarise(round: u32, outline: Outline, readings: &RunReadings) -> RoundSummary {
    let measured = match &outline.candidate {
        Some(id) if outline.is_measured => Some(measure(&readings.cells, id)),
        _ => None,
    };
    let all = measured.as_ref().map(|m| m.all);
    RoundSummary {
        round,
        stage: outline.stage.to_owned(),
        cause: outline.cause,
        invalid: invalid_reasons(&readings.invalid, round),
        alarms: alarms(&readings.alarms, round),
        rechecked: outline.rechecked,
        canaries: canary_counts(&readings.canaries, round),
        checkpoint: outline.candidate,
        pass_at_1: all.map(|all| all.pass_at_1),
        interval: all.map(|all| {
            let interval = wilson(u64::from(all.passed), u64::from(all.tasks), Confidence::P95);
            [interval.low, interval.high]
        }),
        tasks: all.map_or(0, |all| all.tasks),
        levels: measured.map_or_else(BTreeMap::new, |m| m.levels),
        promoted: outline.stage == Stage::Promoted.name(),
        reasons: outline.reasons,
        approval: outline.approval,
        verdicts: outline.verdicts,
        rollouts: outline.rollouts,
        tokens: outline.tokens,
        rows: outline.rows,
        groups: outline.groups,
        usage: readings.model.is_server().then_some(outline.usage),
        cost: readings.model.cost(&outline.usage),
        seconds: outline.seconds,
    }
}

/// Why rollouts of a round have no verdict, and how many.
fn invalid_reasons(all: &[InvalidKind], round: u32) -> BTreeMap<String, u32> {
    let own = all.iter().filter(|count| count.round == round);
    own.map(|count| (count.kind.clone(), count.rollouts as u32)).collect()
}

/// What a round noticed of the verifiers, in words.
fn alarms(all: &[AlarmRow], round: u32) -> Vec<String> {
    all.iter().filter(|alarm| alarm.round == round).map(alarm_text).collect()
}

/// Verdicts of a round's impossible tasks, whether or not it went on.
fn canary_counts(all: &[(u32, VerdictCount)], round: u32) -> VerdictCounts {
    let own = all.iter().find(|(of, _)| *of == round).map(|(_, count)| *count);
    let count = own.unwrap_or_default();
    VerdictCounts {
        passed: count.passed as u32,
        failed: count.failed as u32,
        invalid: count.invalid as u32,
    }
}

/// An alarm in words.
pub fn alarm_text(alarm: &AlarmRow) -> String {
    let detail = alarm.body["detail"].as_str().unwrap_or("no detail is recorded");
    format!("{} ({}): {detail}", alarm.kind.replace('_', " "), alarm.subject)
}

/// What came of a run so far.
///
/// # Errors
///
/// When the run has no champion yet, or the store fails.
pub fn run_summary(project: &Project, run: &RunRow) -> Result<RunSummary, Error> {
    let promotions = project.wait(project.store.promotions(&run.id).collect())?;
    let (Some(first), Some(last)) = (promotions.first(), promotions.last()) else {
        return Err(Error::NotFound {
            what: "champion of",
            id: run.id.to_string(),
            hint: "its cold start has not finished".to_owned(),
        });
    };
    let config = project.config_of(run)?;
    let mut rounds = Vec::new();
    let base = round_summary(project, run, first.round)?;
    let champion = round_summary(project, run, last.round)?;
    let mut seconds = base.seconds;
    for round in 1..=config.rounds {
        let summary = round_summary(project, run, round)?;
        if summary.stage != Stage::Unplanned.name() {
            seconds += summary.seconds;
            rounds.push(summary);
        }
    }
    let factor = match (base.pass_at_1, champion.pass_at_1) {
        (Some(base), Some(champion)) if base > 0.0 => Some(champion / base),
        _ => None,
    };
    let gain = gain(project, &run.id, &first.champion, &last.champion)?;
    let all = std::iter::once(&base).chain(&rounds);
    let usage = all.filter_map(|round| round.usage).reduce(ModelUsage::plus);
    let cost = usage.and_then(|usage| config.model.cost(&usage));
    let ended_by = match rounds.last() {
        Some(last) => budget_of_the_run(project, run, last.round)?,
        None => None,
    };
    Ok(RunSummary {
        run: run.id.clone(),
        seed: run.seed,
        curation: config.curation.mode,
        base,
        champion,
        gain,
        factor,
        rounds,
        usage,
        cost,
        ended_by,
        seconds,
    })
}

/// The budget of the whole run that ended a round and the run with it, if one did.
fn budget_of_the_run(project: &Project, run: &RunRow, round: u32) -> Result<Option<String>, Error> {
    let (state, _) = round_state(project, run, round)?;
    Ok(match state.stage {
        Stage::Failed { cause, .. } if state.budget_spent == Some(BudgetScope::Run) => Some(cause),
        _ => None,
    })
}

/// The paired gain of one checkpoint over another on the test part.
fn gain(
    project: &Project,
    run: &RunId,
    base: &CheckpointId,
    champion: &CheckpointId,
) -> Result<Estimate, Error> {
    let of_base = outcomes(project, run, Split::Test, base)?;
    let of_champion = outcomes(project, run, Split::Test, champion)?;
    let mut table = PairTable::default();
    for (task, base) in &of_base {
        // A pair of which one side has no verdict says nothing: it is no zero.
        let Some(champion) = of_champion.get(task).filter(|v| !v.is_invalid()) else { continue };
        if base.is_invalid() {
            continue;
        }
        let champion = champion.is_pass();
        table.n += 1;
        *match (base.is_pass(), champion) {
            (false, true) => &mut table.wins,
            (true, false) => &mut table.losses,
            (true, true) => &mut table.both,
            (false, false) => &mut table.neither,
        } += 1;
    }
    Ok(Estimate::gain(&table))
}

/// What a checkpoint did on the held-out tasks of a part.
pub(crate) fn outcomes(
    project: &Project,
    run: &RunId,
    part: Split,
    checkpoint: &CheckpointId,
) -> Result<BTreeMap<TaskId, Verdict>, Error> {
    let filter = RolloutFilter {
        purpose: Some(part),
        checkpoint: Some(checkpoint.clone()),
        ..RolloutFilter::default()
    };
    let mut outcomes = BTreeMap::new();
    let mut rollouts = project.store.rollouts(run, &filter);
    while let Some(rows) = project.wait(rollouts.next())? {
        outcomes.extend(
            rows.into_iter().filter_map(|row| Some((row.rollout.task, row.verdict?.verdict))),
        );
    }
    Ok(outcomes)
}

/// A checkpoint on the test part.
struct Measure {
    all: Level,
    levels: BTreeMap<String, Level>,
}

fn measure(cells: &[CellRate], checkpoint: &CheckpointId) -> Measure {
    let own = |cell: &&CellRate| {
        cell.purpose == Split::Test && cell.checkpoint.as_ref() == Some(checkpoint)
    };
    let mut measure = Measure { all: Level::default(), levels: BTreeMap::new() };
    for cell in cells.iter().filter(own) {
        let name = format!("{} {}", cell.family, cell.difficulty);
        for level in [measure.levels.entry(name).or_default(), &mut measure.all] {
            level.passed += cell.count.passed as u32;
            level.tasks += (cell.count.passed + cell.count.failed) as u32;
            level.invalid += cell.count.invalid as u32;
            level.pass_at_1 = f64::from(level.passed) / f64::from(level.tasks.max(1));
        }
    }
    measure
}

/// The gate's record of a round.
///
/// # Errors
///
/// When the store fails.
pub fn gate(project: &Project, run: &RunId, round: u32) -> Result<Option<GateRow>, Error> {
    Ok(project.wait(project.store.gate(run, round))?)
}

/// What the promotions of a run were handed over to, oldest round first.
///
/// # Errors
///
/// When the store fails.
pub fn handovers(project: &Project, run: &RunId) -> Result<Vec<HandoverRow>, Error> {
    Ok(project.wait(project.store.handovers(run))?)
}

/// Every shard of a run, of accepted rows and of whole groups, oldest round first.
///
/// # Errors
///
/// When the store fails.
pub fn shards(project: &Project, run: &RunId) -> Result<Vec<ShardRow>, Error> {
    Ok(project.wait(project.store.shards(run).collect())?)
}

/// A task with its grading key.
///
/// # Errors
///
/// When the run has no such task, or its key cannot be read.
pub fn task_with_key(
    project: &Project,
    run: &RunId,
    id: &TaskId,
) -> Result<(Task, GradingKey), Error> {
    let found = project.wait(project.store.task(run, id))?;
    let (row, key) = found.ok_or_else(|| Error::NotFound {
        what: "task",
        id: id.to_string(),
        hint: format!("it is not a task of {run}"),
    })?;
    Ok((row.task, stored::read_key(run, id, key)?))
}

/// A recorded grading key as the JSON API gives it.
///
/// # Errors
///
/// When it cannot be read.
pub fn key_document(run: &RunId, task: &TaskId, key: Value) -> Result<Value, Error> {
    Ok(stored::key_document(&stored::read_key(run, task, key)?)?)
}
