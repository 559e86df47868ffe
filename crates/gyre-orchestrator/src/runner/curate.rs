//! Chooses the rows to train on and publishes them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gyre_dataset::{Card, DatasetRow, DatasetWriter, ManifestShard, Problem, RowSource, read_part};
use gyre_lineage::{RolloutWithVerdict, RunRow, ShardRow, ShardRowRef, VerdictRow};
use gyre_round::{
    Curated, CurationCandidate, RoundEvent, RoundPlan, RoundState, VerdictKind, curate,
};
use gyre_types::{Judgement, PartId, RolloutId, RolloutRecord, Split, Task, TaskId};

use super::generate::planned;
use super::{Done, Runner};
use crate::error::Error;
use crate::project::Project;

/// Rows that are made and held at a time: what a shard takes of memory, however
/// many rows a round has.
const ROWS_AT_A_TIME: usize = 1_000;

/// What was chosen of a round's rollouts.
pub(super) struct Selection {
    pub(super) chosen: Curated,
    tasks: BTreeMap<TaskId, Task>,
}

impl Runner<'_> {
    pub(super) fn curate(&mut self, state: &RoundState) -> Result<Done, Error> {
        let plan = planned(state);
        let selection = self.selection(plan)?;
        let chosen = &selection.chosen;
        let event = |rows, shard| RoundEvent::Curated { rows, shard, funnel: funnel(chosen) };
        if chosen.accepted.is_empty() {
            return match state.is_base() {
                true => Ok(Done { event: event(0, None), rows: self.empty_commit() }),
                false => Ok(Done {
                    event: RoundEvent::Failed {
                        cause: "no rollout was accepted".to_owned(),
                        ends_run: false,
                    },
                    rows: self.empty_commit(),
                }),
            };
        }
        let (shard, shard_rows) = self.publish(plan.round, &selection)?;
        let mut done =
            Done { event: event(shard.rows, Some(shard.id.clone())), rows: self.empty_commit() };
        done.rows.shard_rows = shard_rows;
        done.rows.shards.push(shard);
        Ok(done)
    }

    /// What a round's rollouts come to, by their newest verdicts.
    pub(super) fn selection(&self, plan: &RoundPlan) -> Result<Selection, Error> {
        let tasks = self.load_tasks(plan.round, Split::Train)?;
        let mut candidates = Vec::new();
        self.each_rollout(plan.round, |row| {
            let task = tasks.get(&row.rollout.task);
            candidates.extend(task.and_then(|task| candidate(&row, task)));
        })?;
        let chosen = curate(&plan.curation, plan.seed.derive("curation", &[]), &candidates);
        Ok(Selection { chosen, tasks })
    }

    /// Puts the shard of a selection on disk. It counts once a commit names it.
    pub(super) fn publish(
        &self,
        round: u32,
        selection: &Selection,
    ) -> Result<(ShardRow, Vec<ShardRowRef>), Error> {
        let layout = self.project.data.dataset(&self.run.id);
        layout.create()?;
        let mut writer = DatasetWriter::new(layout.data(), round);
        for accepted in selection.chosen.accepted.chunks(ROWS_AT_A_TIME) {
            for row in self.rows(accepted, &selection.tasks)? {
                writer.push(row)?;
            }
        }
        let file = writer.seal()?.publish()?;
        let shard = ShardRow {
            id: file.id,
            round,
            path: self.project.data.relative(&file.path),
            sha256: file.sha256,
            bytes: file.bytes,
            rows: file.rollouts.len() as u32,
            superseded: false,
        };
        let row_of = |(at, rollout): (usize, RolloutId)| ShardRowRef {
            shard: shard.id.clone(),
            row: at as u32,
            rollout,
        };
        let rows = file.rollouts.into_iter().enumerate().map(row_of).collect();
        Ok((shard, rows))
    }

    /// Writes the index of what transactions name, and has the object store hold
    /// just that. Comes after a commit, so that nothing is handed on that is not
    /// recorded; a process that ended in between leaves it to the next start.
    pub(super) fn write_index(&self) -> Result<(), Error> {
        write_index(&self.project, &self.run)?;
        match self.objects()? {
            Some(objects) => {
                objects.publish(&self.run.id, &self.project.data.dataset(&self.run.id))
            }
            None => Ok(()),
        }
    }

    /// Removes the shards that a round wrote and then did not publish.
    pub(super) fn drop_unpublished(&self) -> Result<(), Error> {
        let shards = crate::inspect::shards(&self.project, &self.run.id)?;
        let named = shards.iter().filter_map(|shard| self.project.data.place(&shard.path));
        let layout = self.project.data.dataset(&self.run.id);
        let named = named.collect();
        gyre_dataset::collect_garbage(layout.data(), &named)?;
        gyre_dataset::collect_garbage(layout.groups(), &named)?;
        Ok(())
    }

    /// The rows of some accepted rollouts, in order. Rollouts are accepted by task,
    /// and waves are of tasks in order: those side by side lie in few parts.
    fn rows(
        &self,
        accepted: &[RolloutId],
        tasks: &BTreeMap<TaskId, Task>,
    ) -> Result<Vec<DatasetRow>, Error> {
        let found = self.project.store.rollouts_among(&self.run.id, accepted);
        let found = self.project.wait(found)?;
        let parts = found.iter().map(|row| &row.rollout.part);
        let mut records = self.records(parts, &accepted.iter().collect())?;
        let mut verdicts: HashMap<_, _> =
            found.into_iter().filter_map(|row| Some((row.rollout.id, row.verdict?))).collect();
        let tools = gyre_env::program::tools::specs_json();
        let row = |id: &RolloutId| {
            let missing = |what: &str| self.unreadable(id.to_string(), what);
            let record = records.remove(id).ok_or_else(|| missing("its body is missing"))?;
            let verdict = verdicts.remove(id).ok_or_else(|| missing("its verdict is missing"))?;
            let task = tasks.get(&record.task).ok_or_else(|| missing("its task is missing"))?;
            Ok(dataset_row(&record, task, &verdict, &tools))
        };
        accepted.iter().map(row).collect()
    }

    /// The bodies of some rollouts, read from the parts that hold them.
    pub(super) fn records<'a>(
        &self,
        parts: impl Iterator<Item = &'a PartId>,
        wanted: &BTreeSet<&RolloutId>,
    ) -> Result<HashMap<RolloutId, RolloutRecord>, Error> {
        let mut records = HashMap::new();
        for part in parts.collect::<BTreeSet<_>>() {
            let row = self.project.wait(self.project.store.part(&self.run.id, part))?;
            let row = row.ok_or_else(|| self.unreadable(part.to_string(), "it is not recorded"))?;
            for record in read_part(self.project.data.open(&row.path))? {
                let record = record?;
                if wanted.contains(&record.id) {
                    records.insert(record.id.clone(), record);
                }
            }
        }
        Ok(records)
    }
}

/// Writes manifest and card from what the lineage names. They hold nothing
/// of their own, so a crash before this is healed by the next start.
pub(super) fn write_index(project: &Project, run: &RunRow) -> Result<(), Error> {
    let shards = crate::inspect::shards(project, &run.id)?;
    if shards.is_empty() {
        return Ok(());
    }
    let (card, shards) = published(project, run, shards);
    Ok(project.data.dataset(&run.id).write_index(&card, &shards)?)
}

/// Compares the published folder with what the lineage names: every file, and
/// the card and the manifest themselves.
pub(crate) fn verify_published(project: &Project, run: &RunRow) -> Result<Vec<Problem>, Error> {
    let layout = project.data.dataset(&run.id);
    let mut problems = gyre_dataset::verify_dataset(&layout)?;
    let (card, shards) = published(project, run, crate::inspect::shards(project, &run.id)?);
    // What cannot be read is among the problems already.
    if let Ok(false) = layout.index_is_of(&card, &shards) {
        let path = layout.root().join("manifest.json");
        let detail = format!("{} is not what the lineage names", path.display());
        problems.push(Problem { code: "index_differs", path, detail });
    }
    Ok(problems)
}

pub(super) fn published(
    project: &Project,
    run: &RunRow,
    shards: Vec<ShardRow>,
) -> (Card, Vec<ManifestShard>) {
    let dataset = project.data.dataset(&run.id);
    let shard = |shard: ShardRow| ManifestShard {
        path: match project.data.place(&shard.path) {
            Some(place) => relative_to(dataset.root(), &place),
            None => shard.path.to_string(),
        },
        id: shard.id,
        sha256: shard.sha256,
        bytes: shard.bytes,
        rows: u64::from(shard.rows),
        round: shard.round,
    };
    let current = shards.into_iter().filter(|shard| !shard.superseded).map(shard);
    let card = Card {
        run: run.id.clone(),
        seed: run.seed,
        fingerprint: run.fingerprint,
        license: "other".to_owned(),
    };
    (card, current.collect())
}

fn candidate(row: &RolloutWithVerdict, task: &Task) -> Option<CurationCandidate> {
    let verdict = &row.verdict.as_ref()?.verdict;
    Some(CurationCandidate {
        rollout: row.rollout.id.clone(),
        task: task.id.clone(),
        split: task.split,
        sample: row.rollout.sample,
        family: task.family.clone(),
        skills: task.skills.clone(),
        answer_digest: row.rollout.answer_digest,
        answer_bytes: u64::from(row.rollout.answer_digest != gyre_types::Digest::of(b"")),
        tokens: row.rollout.tokens,
        verdict: VerdictKind::from(verdict),
    })
}

fn funnel(chosen: &Curated) -> BTreeMap<String, u32> {
    let funnel = &chosen.funnel;
    let rejected =
        funnel.rejected.iter().map(|(reason, n)| (reason.as_str().to_owned(), *n as u32));
    rejected
        .chain([
            ("candidates".to_owned(), funnel.candidates as u32),
            ("accepted".to_owned(), funnel.accepted as u32),
        ])
        .collect()
}

fn dataset_row(
    record: &RolloutRecord,
    task: &Task,
    verdict: &VerdictRow,
    tools: &str,
) -> DatasetRow {
    let judgement = Judgement {
        verdict: verdict.verdict.clone(),
        checks: verdict.checks.clone(),
        fuel: verdict.fuel,
        guests: verdict.guests,
    };
    // The binary verdict is the reward; per-check scores stand beside it.
    let reward = if judgement.verdict.is_pass() { 1.0 } else { 0.0 };
    DatasetRow::of(RowSource {
        record,
        task,
        judgement: &judgement,
        verifier_digest: verdict.verifier_digest,
        reward,
        tools,
    })
}

fn relative_to(folder: &std::path::Path, path: &std::path::Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned()
}
