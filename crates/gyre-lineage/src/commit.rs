mod approval;
mod correction;

use std::collections::{HashMap, HashSet};

use gyre_types::{CheckpointId, Digest, RunId, Split, canonical_json};
use serde_json::Value;

use crate::approval::{NewAnswer, NewApproval};
use crate::cells::{
    checkpoint_cells, convert, gate_cells, key_cells, part_cells, promotion_cells, rollout_cells,
    shard_cells, shard_row_cells, task_cells, verdict_cells,
};
use crate::database::{Cell, FailureClass, Query, Transaction};
use crate::guards::{AlarmRow, CanaryRow, alarm_cells, canary_cells};
use crate::handover::NewHandover;
use crate::rows::{
    CheckpointRow, GateDecision, GateRow, NewTask, PartRow, PromotionRow, RolloutRow, RunStatus,
    ShardRow, ShardRowRef, VerdictRow,
};
use crate::schema::{self, Table};
use crate::seal::{Sealed, Sealer, keys_among, row_of};
use crate::{SealChain, Store, StoreError};

pub use correction::{CorrectionStep, GateReview, ShardRewrite};

/// Everything that one step of a run adds, in one transaction.
///
/// Files that it names must be complete and on disk before it is committed:
/// from then on they exist, and before it they are garbage.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The run.
    pub run: RunId,
    /// The epoch of the lease that the committer holds.
    pub epoch: u64,
    /// The number of the newest event that the committer knows.
    pub expected_seq: u64,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// What happened, in order.
    pub events: Vec<NewEvent>,
    /// Tasks used; those that the run already has are skipped.
    pub tasks: Vec<NewTask>,
    /// Files of rollout bodies.
    pub rollout_parts: Vec<PartRow>,
    /// Finished rollouts.
    pub rollouts: Vec<RolloutRow>,
    /// Verdicts and corrections.
    pub verdicts: Vec<VerdictRow>,
    /// Published shards.
    pub shards: Vec<ShardRow>,
    /// What their rows came from.
    pub shard_rows: Vec<ShardRowRef>,
    /// Checkpoints, parents first.
    pub checkpoints: Vec<CheckpointRow>,
    /// Decisions.
    pub gates: Vec<GateRow>,
    /// A candidate that passed its gate and waits for a person.
    pub approval: Option<NewApproval>,
    /// What became of a candidate that waited for a person.
    pub answer: Option<NewAnswer>,
    /// A change of champion.
    pub promotion: Option<Promotion>,
    /// What that is handed over to.
    pub handovers: Vec<NewHandover>,
    /// Attempts at impossible tasks.
    pub canaries: Vec<CanaryRow>,
    /// What was noticed of the verifiers.
    pub alarms: Vec<AlarmRow>,
    /// The step of a revocation that this is, if it is one.
    pub correction: Option<CorrectionStep>,
    /// The batch of workers' results that this takes in, by round and name.
    pub taken: Option<(u32, String)>,
    /// Where the run stands from here on, if that changes.
    pub run_status: Option<RunStatus>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The round.
    pub round: u32,
    /// What happened.
    pub kind: String,
    /// The rest of it.
    pub body: Value,
}

/// A change of champion by compare-and-swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// Who must be champion now; none for the base.
    pub expected_champion: Option<CheckpointId>,
    /// Who is to be champion.
    pub champion: CheckpointId,
    /// The round that it ends; 0 for the base.
    pub round: u32,
    /// The record of the gate that promoted it; none for the base alone.
    pub gate_digest: Option<Digest>,
}

impl Commit {
    /// A commit that adds nothing yet.
    pub fn new(run: RunId, epoch: u64, expected_seq: u64, at_ms: i64) -> Self {
        Self {
            run,
            epoch,
            expected_seq,
            at_ms,
            events: Vec::new(),
            tasks: Vec::new(),
            rollout_parts: Vec::new(),
            rollouts: Vec::new(),
            verdicts: Vec::new(),
            shards: Vec::new(),
            shard_rows: Vec::new(),
            checkpoints: Vec::new(),
            gates: Vec::new(),
            approval: None,
            answer: None,
            promotion: None,
            handovers: Vec::new(),
            canaries: Vec::new(),
            alarms: Vec::new(),
            correction: None,
            taken: None,
            run_status: None,
        }
    }
}

impl Store {
    /// Adds all of a commit, or nothing, and gives the number of the run's
    /// newest event.
    ///
    /// A crash before this returns means that either nothing or everything
    /// happened, and `run(id).last_seq` tells which; a crash after it changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] where the lease was lost, [`StoreError::Conflict`]
    /// where the log moved on, [`StoreError::NotChampion`] where the champion
    /// is another, [`StoreError::InvalidCommit`] and [`StoreError::Constraint`]
    /// where an invariant would break, or when the database fails. Nothing was
    /// written then.
    pub async fn commit(&self, commit: Commit) -> Result<u64, StoreError> {
        let mut transaction = self.begin_write().await?;
        self.check_fence(&mut *transaction, &commit.run, commit.epoch).await?;
        let chain = SealChain::Run(commit.run.clone());
        let sealer = Sealer::resume(self, &mut *transaction, chain.clone()).await?;
        let writer =
            Writer { store: self, transaction: &mut *transaction, commit: &commit, chain, sealer };
        let last_seq = writer.write().await?;
        self.finish(transaction, "step").await?;
        Ok(last_seq)
    }
}

/// One commit on its way into one transaction.
struct Writer<'a> {
    store: &'a Store,
    transaction: &'a mut dyn Transaction,
    commit: &'a Commit,
    chain: SealChain,
    sealer: Sealer,
}

impl Writer<'_> {
    async fn write(mut self) -> Result<u64, StoreError> {
        let commit = self.commit;
        self.check_seq().await?;
        self.insert_tasks().await?;
        let at_ms = commit.at_ms;
        self.rows(&schema::PARTS, &commit.rollout_parts, part_cells).await?;
        self.rows(&schema::CHECKPOINTS, &commit.checkpoints, checkpoint_cells).await?;
        self.rows(&schema::ROLLOUTS, &commit.rollouts, rollout_cells).await?;
        let verdict = |run: &RunId, row: &VerdictRow| verdict_cells(run, row, at_ms);
        self.rows(&schema::VERDICTS, &commit.verdicts, verdict).await?;
        self.rows(&schema::SHARDS, &commit.shards, shard_cells).await?;
        self.rows(&schema::SHARD_ROWS, &commit.shard_rows, shard_row_cells).await?;
        self.check_held_out().await?;
        self.insert_checkpoint_shards().await?;
        self.rows(&schema::GATES, &commit.gates, gate_cells).await?;
        if let Some(asked) = &commit.approval {
            self.ask_approval(asked).await?;
        }
        if let Some(answer) = &commit.answer {
            self.answer_approval(answer).await?;
        }
        if let Some(promotion) = &commit.promotion {
            self.promote(promotion).await?;
        }
        self.insert_handovers().await?;
        let canary = |run: &RunId, row: &CanaryRow| canary_cells(run, row, at_ms);
        self.rows(&schema::CANARIES, &commit.canaries, canary).await?;
        let alarm = |run: &RunId, row: &AlarmRow| alarm_cells(run, row, at_ms);
        self.rows(&schema::ALARMS, &commit.alarms, alarm).await?;
        if let Some(step) = &commit.correction {
            self.correct(step).await?;
        }
        if let Some(batch) = &commit.taken {
            self.store.take_work(self.transaction, &commit.run, batch).await?;
        }
        let last_seq = self.append_events().await?;
        self.sealer.append(self.store, self.transaction).await?;
        Ok(last_seq)
    }

    /// Refuses a commit whose author does not know the newest event.
    async fn check_seq(&mut self) -> Result<(), StoreError> {
        let run = &self.commit.run;
        let query = Query::with("SELECT last_seq FROM runs WHERE run = $1", [run_cell(run)]);
        let rows = self.fetch(query).await?;
        let found = convert("runs", rows, |row| row.int::<u64>())?;
        let Some(&found) = found.first() else {
            return Err(StoreError::UnknownRun { run: run.clone() });
        };
        let expected = self.commit.expected_seq;
        if found == expected {
            Ok(())
        } else {
            Err(StoreError::Conflict { run: run.clone(), expected, found })
        }
    }

    /// Skips tasks that the run has already, but never lets one change sides.
    async fn insert_tasks(&mut self) -> Result<(), StoreError> {
        let commit = self.commit;
        let cells = commit.tasks.iter().map(|task| task_cells(&commit.run, task));
        let cells = cells.collect::<Result<_, _>>();
        let cells = cells.map_err(|error| self.invalid(error.to_string()))?;
        let inserted = self.insert_new(&schema::TASKS, cells).await?;
        let keys = commit.tasks.iter().map(|task| key_cells(&commit.run, task)).collect();
        self.insert_new(&schema::GRADING_KEYS, keys).await?;
        if inserted == commit.tasks.len() {
            return Ok(());
        }
        for tasks in commit.tasks.chunks(500) {
            let sides: HashMap<&str, Split> =
                tasks.iter().map(|new| (new.task.id.as_str(), new.task.split)).collect();
            let mut query = Query::new("SELECT id, split FROM tasks WHERE run = ");
            query.arg(run_cell(&commit.run)).push(" AND id IN (");
            for (index, new) in tasks.iter().enumerate() {
                query.push(if index == 0 { "" } else { ", " }).arg(new.task.id.as_str());
            }
            query.push(")");
            let rows = self.fetch(query).await?;
            let known = convert("tasks", rows, |row| Ok((row.text()?, row.parse::<Split>()?)))?;
            for (id, split) in known {
                match sides.get(id.as_str()) {
                    Some(&asked) if asked != split => {
                        return Err(self.invalid(format!(
                            "{id} is a {split} task and cannot become a {asked} task"
                        )));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Refuses a shard with a row of a task, or of a rollout, that is held out.
    async fn check_held_out(&mut self) -> Result<(), StoreError> {
        for shard in &self.commit.shards {
            let query = Query::with(
                "SELECT s.rollout, t.id FROM shard_rows s \
                 JOIN rollouts r ON r.run = s.run AND r.id = s.rollout \
                 JOIN tasks t ON t.run = r.run AND t.id = r.task \
                 WHERE s.run = $1 AND s.shard = $2 \
                 AND (t.split <> 'train' OR r.purpose <> 'train') LIMIT 1",
                [run_cell(&self.commit.run), shard.id.as_str().into()],
            );
            let rows = self.fetch(query).await?;
            let found = convert("shard_rows", rows, |row| Ok((row.text()?, row.text()?)))?;
            if let Some((rollout, task)) = found.first() {
                let shard = &shard.id;
                return Err(self
                    .invalid(format!("{shard} would train on {rollout} of the held-out {task}")));
            }
        }
        Ok(())
    }

    async fn insert_checkpoint_shards(&mut self) -> Result<(), StoreError> {
        let run = &self.commit.run;
        let edges = self.commit.checkpoints.iter().flat_map(|checkpoint| {
            let id = checkpoint.id.as_str();
            checkpoint
                .shards
                .iter()
                .map(move |shard| vec![run_cell(run), id.into(), shard.as_str().into()])
        });
        self.insert(&schema::CHECKPOINT_SHARDS, edges.collect()).await
    }

    /// Swaps the champion if it is the expected one and a gate promoted the other.
    async fn promote(&mut self, promotion: &Promotion) -> Result<(), StoreError> {
        let newest = Query::with(
            "SELECT ordinal, champion FROM promotions WHERE run = $1 \
             ORDER BY ordinal DESC LIMIT 1",
            [run_cell(&self.commit.run)],
        );
        let rows = self.fetch(newest).await?;
        let newest = convert("promotions", rows, |row| {
            Ok((row.int::<u32>()?, row.parse::<CheckpointId>()?))
        })?;
        let (ordinal, champion) = match newest.into_iter().next() {
            Some((ordinal, champion)) => (ordinal, Some(champion)),
            None => (0, None),
        };
        if champion != promotion.expected_champion {
            let shown = |id: &Option<CheckpointId>| {
                id.as_ref().map_or("none".to_owned(), |id| id.to_string())
            };
            return Err(StoreError::NotChampion {
                run: self.commit.run.clone(),
                expected: shown(&promotion.expected_champion),
                found: shown(&champion),
            });
        }
        self.check_gate(promotion).await?;
        self.check_approved(promotion.round).await?;
        let row = PromotionRow {
            ordinal: ordinal + 1,
            round: promotion.round,
            champion: promotion.champion.clone(),
            previous: champion,
            gate_digest: promotion.gate_digest,
            at_ms: self.commit.at_ms,
        };
        let cells = promotion_cells(&self.commit.run, &row);
        self.insert(&schema::PROMOTIONS, vec![cells]).await
    }

    /// A promotion needs the record of the gate that said so; the base's alone
    /// needs none, since it replaces nobody.
    async fn check_gate(&mut self, promotion: &Promotion) -> Result<(), StoreError> {
        let champion = &promotion.champion;
        let (Some(previous), Some(digest)) = (&promotion.expected_champion, promotion.gate_digest)
        else {
            return match (&promotion.expected_champion, promotion.gate_digest) {
                (None, None) => Ok(()),
                (None, Some(_)) => Err(self.invalid("the base is promoted by no gate".to_owned())),
                _ => Err(self.invalid(format!("{champion} is promoted without a gate's record"))),
            };
        };
        let query = Query::with(
            "SELECT 1 FROM gates WHERE run = $1 AND round = $2 AND digest = $3 \
             AND candidate = $4 AND champion = $5 AND decision = $6",
            [
                run_cell(&self.commit.run),
                promotion.round.into(),
                digest.to_hex().into(),
                champion.as_str().into(),
                previous.as_str().into(),
                GateDecision::Promoted.as_str().into(),
            ],
        );
        if self.fetch(query).await?.is_empty() {
            return Err(self.invalid(format!(
                "no gate of round {} promoted {champion} over {previous}",
                promotion.round
            )));
        }
        Ok(())
    }

    /// Appends the events and moves the run on.
    async fn append_events(&mut self) -> Result<u64, StoreError> {
        let commit = self.commit;
        let numbered = (commit.expected_seq + 1..).zip(&commit.events);
        let cells = numbered.map(|(seq, event)| {
            vec![
                run_cell(&commit.run),
                seq.into(),
                event.round.into(),
                event.kind.as_str().into(),
                canonical_json(&event.body).into(),
                commit.at_ms.into(),
            ]
        });
        self.insert(&schema::EVENTS, cells.collect()).await?;
        let last_seq = commit.expected_seq + commit.events.len() as u64;
        let mut update = Query::new("UPDATE runs SET last_seq = ");
        update.arg(last_seq);
        if let Some(status) = commit.run_status {
            update.push(", status = ").arg(status.as_str());
        }
        update.push(" WHERE run = ").arg(run_cell(&commit.run));
        self.update(&schema::RUNS, &[], update).await?;
        Ok(last_seq)
    }

    async fn rows<T>(
        &mut self,
        table: &'static Table,
        rows: &[T],
        cells: impl Fn(&RunId, &T) -> Vec<Cell>,
    ) -> Result<(), StoreError> {
        let cells = rows.iter().map(|row| cells(&self.commit.run, row)).collect();
        self.insert(table, cells).await
    }

    /// Inserts rows and seals them as they were given.
    async fn insert(
        &mut self,
        table: &'static Table,
        rows: Vec<Vec<Cell>>,
    ) -> Result<(), StoreError> {
        self.sealer.added(table, &rows);
        let inserted = self.transaction.insert(table, rows, false).await;
        inserted.map(drop).map_err(|failure| match failure.class {
            FailureClass::Constraint => {
                StoreError::Constraint { run: self.commit.run.clone(), cause: failure.cause }
            }
            _ => self.store.fail(failure),
        })
    }

    /// Inserts those of `rows` whose keys are not there yet, and gives how many
    /// these were. The others stay as they are, and as they were sealed.
    async fn insert_new(
        &mut self,
        table: &'static Table,
        rows: Vec<Vec<Cell>>,
    ) -> Result<usize, StoreError> {
        let sealed = Sealed::of_table(table);
        let known = keys_among(self.store, self.transaction, sealed, &self.chain, &rows).await?;
        let mut seen = HashSet::new();
        let is_new = |row: &Vec<Cell>| {
            let key = sealed.key_text(row);
            !known.contains(&key) && seen.insert(key)
        };
        let new: Vec<_> = rows.into_iter().filter(is_new).collect();
        let count = new.len();
        self.insert(table, new).await?;
        Ok(count)
    }

    /// Updates one row, and seals what it was and what it is.
    async fn update(
        &mut self,
        table: &'static Table,
        key: &[Cell],
        update: Query,
    ) -> Result<(), StoreError> {
        let sealed = Sealed::of_table(table);
        let before = row_of(self.store, self.transaction, sealed, &self.chain, key).await?;
        self.transaction.execute(update).await.map_err(|failure| self.store.fail(failure))?;
        let after = row_of(self.store, self.transaction, sealed, &self.chain, key).await?;
        self.sealer.put(table, before.as_deref(), after.as_deref());
        Ok(())
    }

    async fn fetch(&mut self, query: Query) -> Result<Vec<crate::database::Row>, StoreError> {
        self.transaction.fetch(query).await.map_err(|failure| self.store.fail(failure))
    }

    fn invalid(&self, reason: String) -> StoreError {
        StoreError::InvalidCommit { run: self.commit.run.clone(), reason }
    }
}

fn run_cell(run: &RunId) -> Cell {
    run.as_str().into()
}
