//! Makes real rounds: one of the campaign's run for each tick.

use gyre_lineage::{RunRow, RunStatus};
use gyre_round::{GateRecord, RoundOutcome, RoundState, Stage, must_stop};
use gyre_types::RunId;

use super::{Made, Making, Rounds};
use crate::error::Error;
use crate::harness::Harness;
use crate::identity::fingerprint;
use crate::inspect;
use crate::progress::Observer;
use crate::runner::Runner;

/// Makes the rounds of campaigns, and shows them to an observer.
pub struct CampaignRounds<'o> {
    /// Who watches.
    pub observer: &'o mut dyn Observer,
}

impl Rounds for CampaignRounds<'_> {
    fn make(&mut self, making: &Making<'_>) -> Result<Made, Error> {
        let project = making.project;
        let run = match bound(making)? {
            Some(run) if run.status != RunStatus::Active => return Ok(over(&run)),
            run => run,
        };
        let (budget, meter) = (making.schedule.config.budget, *making.meter);
        let runner = runner(making, run, self.observer)?;
        let mut runner =
            runner.with_round_limit(Box::new(move |spent| meter.exceeded(&budget, spent)));
        let run = runner.run().clone();
        let round = match making.tick.round {
            Some(round) => Some(round),
            None => runner.next_round()?,
        };
        // A crash may come between a run's last round and its finish.
        let round = round.unwrap_or(runner.rounds());
        project.wait(project.store.begin_tick(making.lease, &run.id, round, (making.clock)()))?;
        let last = match runner.drive_to(round) {
            // The next tick asks again; nothing failed.
            Err(Error::AwaitingApproval { .. }) => false,
            driven => driven.map(|()| round == runner.rounds())?,
        };
        drop(runner);
        made(making, &run, round, last)
    }
}

/// The run that the schedule drives, or the campaign's own that can go on: of
/// the same name, begun with the same parts, and not over.
fn bound(making: &Making<'_>) -> Result<Option<RunRow>, Error> {
    let project = making.project;
    if let Some(run) = &making.tick.run {
        return project.run(Some(run)).map(Some);
    }
    let schedule = project.wait(project.store.schedule(&making.schedule.config.name))?;
    if let Some(run) = &schedule.run {
        return project.run(Some(run)).map(Some);
    }
    let newest = project.wait(project.store.latest_run(Some(&making.schedule.campaign.name)))?;
    Ok(newest.filter(|run| run.status == RunStatus::Active))
}

fn runner<'o>(
    making: &Making<'_>,
    run: Option<RunRow>,
    observer: &'o mut dyn Observer,
) -> Result<Runner<'o>, Error> {
    let (project, campaign) = (making.project.clone(), &making.schedule.campaign);
    let bound = project.wait(project.store.schedule(&making.schedule.config.name))?.run;
    let config = match &run {
        Some(run) if bound.as_ref() == Some(&run.id) => project.config_of(run)?,
        _ => campaign.clone(),
    };
    let harness = Harness::open(&config, Some(&project), observer)?;
    let (clock, cancel) = (making.clock, making.cancel.clone());
    let own = fingerprint(campaign, &harness)?;
    let run = run.filter(|run| bound.as_ref() == Some(&run.id) || run.fingerprint == own);
    match run {
        Some(run) => {
            if bound.as_ref() != Some(&run.id) {
                project.wait(project.store.bind_run(making.lease, &run.id))?;
            }
            Runner::resume(project, harness, run, clock, cancel, observer)
        }
        None => {
            let parts = (clock, cancel);
            Runner::start_scheduled(project, harness, config, making.lease, parts, observer)
        }
    }
}

fn over(run: &RunRow) -> Made {
    let detail = format!("{} is {}", run.id, run.status);
    Made { stop: Some(detail.clone()), detail }
}

/// What came of a round, and whether the schedule ends with it.
fn made(making: &Making<'_>, run: &RunRow, round: u32, last: bool) -> Result<Made, Error> {
    let project = making.project;
    let (state, _) = inspect::round_state(project, run, round)?;
    let detail = format!("round {round} of {}: {}", run.id, ended(&state));
    let schedule = project.wait(project.store.schedule(&making.schedule.config.name))?;
    let over = if state.stage.is_terminal() { round + 1 } else { round };
    let outcomes = (schedule.counts_from.max(1)..over)
        .map(|round| outcome(making, run, round))
        .collect::<Result<Vec<_>, _>>()?;
    let all = last.then(|| format!("all rounds of {} are made", run.id));
    let rule = must_stop(&making.schedule.config.stop, &outcomes);
    Ok(Made { detail, stop: all.or_else(|| rule.map(|rule| rule.to_string())) })
}

fn ended(state: &RoundState) -> String {
    match &state.stage {
        Stage::Failed { cause, .. } => format!("failed: {cause}"),
        stage => stage.name().to_owned(),
    }
}

fn outcome(making: &Making<'_>, run: &RunRow, round: u32) -> Result<RoundOutcome, Error> {
    let (state, _) = inspect::round_state(making.project, run, round)?;
    let overall = || gate_record(making, &run.id, round).map(|record| record.overall);
    // The gate may promote what a person declines.
    Ok(match state.stage {
        Stage::Promoted => RoundOutcome::Promoted { rate: overall()?.candidate.value },
        Stage::Rejected => RoundOutcome::Rejected { rate: overall()?.champion.value },
        Stage::Collected => RoundOutcome::Collected,
        _ => RoundOutcome::Failed,
    })
}

fn gate_record(making: &Making<'_>, run: &RunId, round: u32) -> Result<GateRecord, Error> {
    let unreadable = |why: String| Error::Recorded {
        run: run.clone(),
        what: format!("the gate of round {round}"),
        why,
    };
    let gate = inspect::gate(making.project, run, round)?;
    let gate = gate.ok_or_else(|| unreadable("it is missing".to_owned()))?;
    serde_json::from_value(gate.record).map_err(|error| unreadable(error.to_string()))
}
