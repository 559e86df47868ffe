//! Publishes whole groups: every attempt of a round that passed or failed.

use std::collections::BTreeMap;

use gyre_dataset::{GroupRow, GroupWriter};
use gyre_lineage::ShardKind;
use gyre_round::PublishedGroups;
use gyre_types::{RolloutId, Task, TaskId};

use super::shard::{WrittenShard, each_row};
use crate::error::Error;
use crate::run::context::RunContext;
use crate::run::recorded::each_rollout;

/// The attempts of a round, without their bodies.
struct Attempts {
    /// Those that passed or failed, by task and sample.
    judged: Vec<(TaskId, u32, RolloutId)>,
    /// Those that did neither: they have no reward.
    invalid: u32,
}

impl Attempts {
    /// The training rollouts of a round, by their newest verdicts.
    fn of(run: &RunContext, round: u32) -> Result<Self, Error> {
        let mut attempts = Self { judged: Vec::new(), invalid: 0 };
        each_rollout(run, round, |row| {
            let is_judged = row.verdict.is_some_and(|newest| !newest.verdict.is_invalid());
            match is_judged {
                true => {
                    let rollout = row.rollout;
                    attempts.judged.push((rollout.task, rollout.sample, rollout.id));
                }
                false => attempts.invalid += 1,
            }
        })?;
        attempts.judged.sort_unstable();
        Ok(attempts)
    }

    fn groups(&self) -> u32 {
        self.judged.chunk_by(|a, b| a.0 == b.0).count() as u32
    }
}

/// Puts the shard of a round's whole groups on disk, and says what it holds; nothing
/// where no attempt passed or failed. It counts once a commit names it.
///
/// # Errors
///
/// When something recorded is missing, or the file cannot be written.
pub(crate) fn write_groups(
    run: &RunContext,
    round: u32,
    tasks: &BTreeMap<TaskId, Task>,
) -> Result<Option<(WrittenShard, PublishedGroups)>, Error> {
    let attempts = Attempts::of(run, round)?;
    if attempts.judged.is_empty() {
        return Ok(None);
    }
    let groups = attempts.groups();
    let judged: Vec<_> = attempts.judged.into_iter().map(|(.., rollout)| rollout).collect();
    let layout = run.project.data.dataset(run.id());
    layout.create()?;
    let mut writer = GroupWriter::new(layout.groups(), round);
    each_row(run, &judged, tasks, |source| writer.push(GroupRow::of(source)))?;
    let file = writer.seal()?.publish()?;
    let written = WrittenShard::of(run, round, ShardKind::Groups, file);
    let published = PublishedGroups {
        shard: written.shard.id.clone(),
        groups,
        attempts: written.shard.rows,
        invalid: attempts.invalid,
    };
    Ok(Some((written, published)))
}
