//! Makes the rollouts of a phase ahead of the commits that record them.
//!
//! Waves are what is committed at a time, and no bound on what is under way: while one
//! is written, committed and rechecked, episodes of the next ones go on, and each is
//! judged once it has ended. So neither model nor sandbox waits for the slowest episode
//! of a wave.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use futures_util::stream;
use gyre_env::{EpisodeOutcome, EpisodeSettings, EpisodeSpec};
use gyre_rollout::EpisodeDriver;
use gyre_types::{Judgement, Purpose, RolloutId, Seed, TaskId};
use gyre_verify::Submission;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::attempter::{Attempter, REPEATS_MAX};
use crate::error::Error;
use crate::harness::Harness;
use crate::models::Model;
use crate::run::context::RunContext;
use crate::run::tasks::store::TaskSet;
use crate::run::verdicts::judge::judge_twice;

/// Answers that are judged together, at most: enough to keep every worker busy, and so
/// few that the next ones need not wait for long.
const JUDGED_TOGETHER: usize = 64;

/// What an episode needs beside its task.
pub(crate) struct PlannedEpisode {
    pub(crate) id: RolloutId,
    pub(crate) task: TaskId,
    pub(crate) sample: u32,
    pub(crate) seed: Seed,
}

/// All that decides the episodes of a phase, or of a held-out part.
pub(crate) struct EpisodePlan {
    pub(crate) round: u32,
    pub(crate) purpose: Purpose,
    pub(crate) settings: EpisodeSettings,
    /// Their tasks, with keys.
    pub(crate) set: Arc<TaskSet>,
    /// In the order of the commits.
    pub(crate) episodes: Vec<PlannedEpisode>,
}

/// An episode that has ended, judged unless a fault ended it.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) outcome: EpisodeOutcome,
    pub(crate) judgement: Option<Judgement>,
}

/// Episodes under way. Dropping it gives them up.
pub(crate) struct Ahead {
    /// Episodes before this place may begin.
    begin_before: watch::Sender<usize>,
    attempts: mpsc::UnboundedReceiver<(usize, Attempt)>,
    /// Those that nobody asked for yet.
    ended: BTreeMap<usize, Attempt>,
    /// How many episodes beyond those that are asked for may be begun or held.
    ahead_max: usize,
    episodes: usize,
}

impl Ahead {
    /// Begins nothing yet: [`Ahead::take`] does.
    pub(crate) fn start(run: &RunContext, model: Model, plan: EpisodePlan) -> Self {
        let (begin_before, may_begin) = watch::channel(0);
        let (has_ended, to_judge) = mpsc::unbounded_channel();
        let (has_judged, attempts) = mpsc::unbounded_channel();
        // A budget is looked at between waves, and is not to be passed by more than one.
        let ahead_max = if run.config.budget.is_none() { 2 * model.episodes_max } else { 0 };
        let episodes = plan.episodes.len();
        let plan = Arc::new(plan);
        let runtime = run.project.runtime();
        let (handle, harness) = (runtime.clone(), run.harness.clone());
        let judged = plan.clone();
        // Judging blocks, and driving polls many futures: each has a thread.
        runtime.spawn_blocking(move || {
            drive(&handle, &harness, &model, &plan, may_begin, &has_ended);
        });
        let harness = run.harness.clone();
        runtime.spawn_blocking(move || judge(&harness, &judged, to_judge, &has_judged));
        Self { begin_before, attempts, ended: BTreeMap::new(), ahead_max, episodes }
    }

    /// Waits for the attempts of these places, and lets episodes behind them begin,
    /// unless somebody asked to stop.
    ///
    /// # Errors
    ///
    /// When the server that Gyre started for the model ends meanwhile.
    pub(crate) fn take(
        &mut self,
        run: &RunContext,
        attempter: &Attempter,
        places: Range<usize>,
    ) -> Result<Vec<Attempt>, Error> {
        let ahead = if run.cancel.is_cancelled() { 0 } else { self.ahead_max };
        let until = places.end.max(places.start + ahead).min(self.episodes);
        self.begin_before.send_replace(until);
        let wanted = places.len();
        run.wait(attempter.while_served(async {
            while self.ended.range(places.clone()).count() < wanted {
                match self.attempts.recv().await {
                    Some((at, attempt)) => drop(self.ended.insert(at, attempt)),
                    None => return Err(run.unreadable("a rollout", "its episode was given up")),
                }
            }
            Ok(())
        }))??;
        Ok(places.filter_map(|at| self.ended.remove(&at)).collect())
    }
}

/// Drives the episodes of a plan in order, each once it may begin, until all have ended
/// or nobody waits for them.
fn drive(
    runtime: &Handle,
    harness: &Harness,
    model: &Model,
    plan: &EpisodePlan,
    may_begin: watch::Receiver<usize>,
    has_ended: &mpsc::UnboundedSender<(usize, EpisodeOutcome)>,
) {
    let driver = EpisodeDriver {
        model: &*model.client,
        sandbox: &harness.sandbox,
        settings: plan.settings,
        in_flight_max: model.episodes_max,
        repeats_max: REPEATS_MAX,
    };
    let given_up = may_begin.clone();
    let specs = stream::unfold((0, may_begin), |(at, mut may_begin)| async move {
        may_begin.wait_for(|before| at < *before).await.ok()?;
        Some((plan.spec(at)?, (at + 1, may_begin)))
    });
    let episodes = driver.run_stream(specs, |at, outcome| {
        // Nobody judges it once nobody waits for it.
        has_ended.send((at, outcome)).ok();
    });
    runtime.block_on(async {
        tokio::select! {
            () = episodes => {}
            () = until_dropped(given_up) => {}
        }
    });
}

/// Waits until the other end of a channel is dropped.
async fn until_dropped(mut receiver: watch::Receiver<usize>) {
    while receiver.changed().await.is_ok() {}
}

impl EpisodePlan {
    fn spec(&self, at: usize) -> Option<EpisodeSpec<'_>> {
        let PlannedEpisode { id, task, sample, seed } = self.episodes.get(at)?;
        Some(EpisodeSpec {
            id: id.clone(),
            round: self.round,
            purpose: self.purpose,
            task: &self.set.tasks.get(task)?.task,
            sample: *sample,
            seed: *seed,
        })
    }
}

/// Judges episodes as they end, those that wait at one time together.
fn judge(
    harness: &Harness,
    plan: &EpisodePlan,
    mut to_judge: mpsc::UnboundedReceiver<(usize, EpisodeOutcome)>,
    has_judged: &mpsc::UnboundedSender<(usize, Attempt)>,
) {
    while let Some(first) = to_judge.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < JUDGED_TOGETHER
            && let Ok(next) = to_judge.try_recv()
        {
            batch.push(next);
        }
        for attempt in judge_batch(harness, plan, batch) {
            if has_judged.send(attempt).is_err() {
                return;
            }
        }
    }
}

fn judge_batch(
    harness: &Harness,
    plan: &EpisodePlan,
    batch: Vec<(usize, EpisodeOutcome)>,
) -> Vec<(usize, Attempt)> {
    let submission = |outcome: &'_ EpisodeOutcome| {
        let admitted = plan.set.tasks.get(&outcome.record.task)?;
        outcome.fault.is_none().then_some(admitted)
    };
    let submissions: Vec<_> = batch
        .iter()
        .filter_map(|(_, outcome)| {
            let admitted = submission(outcome)?;
            let answer = outcome.record.answer.view();
            Some(Submission { task: &admitted.task, key: &admitted.key, answer })
        })
        .collect();
    let mut judgements = judge_twice(&submissions, |those| harness.judge(those)).into_iter();
    let has_judgement: Vec<_> =
        batch.iter().map(|(_, outcome)| submission(outcome).is_some()).collect();
    batch
        .into_iter()
        .zip(has_judgement)
        .map(|((at, outcome), has_judgement)| {
            let judgement = if has_judgement { judgements.next() } else { None };
            (at, Attempt { outcome, judgement })
        })
        .collect()
}
