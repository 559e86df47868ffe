use gyre_lineage::{RolloutFilter, RolloutWithVerdict};
use gyre_orchestrator::{Project, Replayer, open_sandbox};
use gyre_types::{RolloutId, RunId};

use crate::args::{Global, ReplayArgs};
use crate::exit::Failure;
use crate::live::View;
use crate::{output, session};

pub(crate) fn replay(global: &Global, args: &ReplayArgs) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let run = match args.rollouts.first() {
        Some(id) => super::show::run_with(&project, id, args.run.as_ref())?,
        None => project.run(args.run.as_ref())?,
    };
    let rows = match args.sample {
        Some(count) => sample(&project, &run.id, count)?,
        None => named(&project, &run.id, &args.rollouts)?,
    };
    let config = project.config_of(&run)?;
    let mut view = View::choose(true);
    let sandbox = open_sandbox(&config.sandbox, &mut view)?;
    let mut replayer = Replayer::new(&project, &run.id, config, &sandbox);
    let mut differing = 0;
    for row in &rows {
        let replay = replayer.replay(row)?;
        differing += usize::from(!replay.identical);
        if global.json {
            output::json(&replay)?;
        } else if !replay.identical {
            output::line(format!(
                "{}: differs in {}",
                replay.rollout,
                replay.differences.join(", ")
            ));
        } else if args.sample.is_none() {
            output::line(format!("{}: identical", replay.rollout));
        }
    }
    let total = rows.len();
    if differing > 0 {
        let message = format!("{differing} of {total} rollouts differ from what is recorded");
        return Err(Failure::error(Failure::REPLAY_DIFFERS, message));
    }
    if !global.json {
        output::line(format!("{total} of {total} rollouts identical, byte for byte"));
    }
    Ok(())
}

fn named(
    project: &Project,
    run: &RunId,
    ids: &[String],
) -> anyhow::Result<Vec<RolloutWithVerdict>> {
    ids.iter()
        .map(|id| {
            let unknown = || {
                let message = format!(
                    "rollout {id:?} is not in {run}; `gyre show {run}` tells of its rollouts"
                );
                Failure::error(Failure::UNKNOWN_ID, message)
            };
            let id: RolloutId = id.parse().map_err(|error: gyre_types::IdError| {
                Failure::error(Failure::UNKNOWN_ID, error.to_string())
            })?;
            project.wait(project.store.rollout(run, &id))?.ok_or_else(unknown)
        })
        .collect()
}

/// So many rollouts, spread evenly over all rounds and purposes, ordered by
/// checkpoint so that each is loaded once.
fn sample(project: &Project, run: &RunId, count: u32) -> anyhow::Result<Vec<RolloutWithVerdict>> {
    let mut ids = Vec::new();
    let mut all = project.store.rollouts(run, &RolloutFilter::default());
    while let Some(rows) = project.wait(all.next())? {
        ids.extend(rows.into_iter().map(|row| row.rollout.id));
    }
    let count = (count as usize).min(ids.len());
    let mut rows = Vec::with_capacity(count);
    for at in 0..count {
        let id = &ids[at * ids.len() / count];
        rows.extend(project.wait(project.store.rollout(run, id))?);
    }
    rows.sort_by(|a, b| a.rollout.checkpoint.cmp(&b.rollout.checkpoint));
    Ok(rows)
}
