//! Checks that what is recorded, what is on disk and what must hold agree.

use std::collections::{BTreeSet, HashMap};

use gyre_dataset::{GroupRow, digest_file, read_groups, read_shard};
use gyre_env::TaskDocument;
use gyre_lineage::{
    AuditRules, Finding, RolloutFilter, RolloutWithVerdict, RunRow, RunStatus, SealChain,
    ShardKind, ShardRow, StoreError, TaskFilter,
};
use gyre_round::CurationMode;
use gyre_train::digest_checkpoint;
use gyre_types::{Digest, RolloutId, RunId, Split, StoredPath, TaskId, Verdict};

use crate::anchor;
use crate::champion::{self, LinkAudit};
use crate::error::Error;
use crate::handover::standing;
use crate::inspect;
use crate::project::Project;
use crate::promotion_settings::PromotionSettings;
use crate::run::publish::index::verify_published;

/// What is wrong with one run.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct RunAudit {
    /// The run.
    pub run: RunId,
    /// Digest of what the run came to, times and leases aside: equal for equal
    /// seeds, and for a run that was killed and resumed. None where what is
    /// recorded cannot be read to its end.
    pub state: Option<Digest>,
    /// Number of the run's last seal; 0 where nothing of it is sealed.
    pub seals: u64,
    /// Rows, files and records that were looked at.
    pub checked: u64,
    /// What was found; nothing in a sound run.
    pub findings: Vec<AuditFinding>,
    /// What is worth knowing and no fault.
    pub notes: Vec<String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct AuditFinding {
    /// Which invariant of the lineage is broken, 1 to 10.
    pub invariant: u8,
    /// What is wrong, as a code.
    pub code: String,
    /// What is wrong, in words.
    pub detail: String,
    /// Whose ids.
    pub ids: Vec<String>,
}

impl From<Finding> for AuditFinding {
    fn from(finding: Finding) -> Self {
        let Finding { invariant, code, detail, ids } = finding;
        Self { invariant, code: code.to_owned(), detail, ids }
    }
}

/// Audits every run that is recorded, sealed or anchored, by its id: also one of
/// which nothing is left but its seals, or the anchor in its folder.
///
/// # Errors
///
/// As [`audit`].
pub fn audit_all(project: &Project) -> Result<Vec<RunAudit>, Error> {
    let mut runs: BTreeSet<RunId> = project.wait(project.store.run_ids())?.into_iter().collect();
    runs.extend(anchor::anchored(project)?);
    runs.iter().map(|run| audit(project, run)).collect()
}

/// Audits one run: its seals, its rows, its files, its log. What is sealed for
/// all runs, verifiers and revocations, is part of each run's audit.
///
/// # Errors
///
/// When there is no trace of the run, or the store fails. What is wrong with the
/// run is data.
pub fn audit(project: &Project, run: &RunId) -> Result<RunAudit, Error> {
    let chain = SealChain::Run(run.clone());
    let mut audit = RunAudit {
        run: run.clone(),
        state: None,
        seals: 0,
        checked: 0,
        findings: vec![],
        notes: vec![],
    };
    for chain in [&chain, &SealChain::Registry] {
        audit_chain(project, chain, &mut audit)?;
    }
    let recorded = match project.wait(project.store.run(run)) {
        Ok(Some(row)) => audit_recorded(project, &row),
        Ok(None) => {
            let traced = audit.seals > 0 || anchor::is_there(project, run);
            if !traced {
                return project.run(Some(run)).map(|_| audit);
            }
            let detail = format!("{run} was recorded, and its row is gone");
            audit.findings.push(of_seals("run_missing", detail, run));
            return Ok(audit);
        }
        Err(error) => Err(error.into()),
    };
    match recorded {
        Ok(recorded) => {
            audit.state = Some(recorded.state);
            audit.checked += recorded.checked;
            audit.findings.extend(recorded.findings);
            audit.notes.extend(recorded.notes);
        }
        Err(error) if tells_of_the_record(&error) => {
            let mut detail = error.to_string();
            if let Some(source) = std::error::Error::source(&error) {
                detail = format!("{detail}: {source}");
            }
            audit.findings.push(of_seals("unreadable", detail, run));
        }
        Err(error) => return Err(error),
    }
    audit.findings.sort_by_key(|finding| finding.invariant);
    Ok(audit)
}

/// Compares a chain of seals with the rows that it names, and with its anchor.
fn audit_chain(project: &Project, chain: &SealChain, audit: &mut RunAudit) -> Result<(), Error> {
    let sealed = project.wait(project.store.audit_seals(chain))?;
    audit.checked += sealed.rows;
    audit.findings.extend(sealed.findings.into_iter().map(AuditFinding::from));
    if let Some(parted) = anchor::compare(project, chain)? {
        let finding = of_seals(parted.code, parted.detail, &audit.run);
        audit.findings.push(finding);
    }
    let SealChain::Run(_) = chain else { return Ok(()) };
    audit.seals = sealed.head.map_or(0, |head| head.seq);
    let note = match (sealed.head, sealed.adopted) {
        (None, _) => {
            "nothing of it is sealed: it was recorded by an earlier gyre; the next step that is \
             recorded of it seals all of it as it is then"
        }
        (Some(_), true) => {
            "it was begun by an earlier gyre: what was recorded by then is sealed as it was found"
        }
        (Some(_), false) => return Ok(()),
    };
    audit.notes.push(note.to_owned());
    Ok(())
}

fn of_seals(code: &str, detail: String, run: &RunId) -> AuditFinding {
    AuditFinding { invariant: 10, code: code.to_owned(), detail, ids: vec![run.to_string()] }
}

/// Whether an error says that something recorded cannot be read, which is what an
/// audit looks for, and not that the database or the system failed.
fn tells_of_the_record(error: &Error) -> bool {
    matches!(
        error,
        Error::Store(StoreError::Row { .. })
            | Error::Recorded { .. }
            | Error::Illegal { .. }
            | Error::Dataset(_)
            | Error::NotFound { .. }
    )
}

/// What the rows, files and log of a run came to.
struct Recorded {
    state: Digest,
    checked: u64,
    findings: Vec<AuditFinding>,
    notes: Vec<String>,
}

fn audit_recorded(project: &Project, run: &RunRow) -> Result<Recorded, Error> {
    let config = project.config_of(run)?;
    let rules = AuditRules { published_passed: config.curation.mode == CurationMode::Verified };
    let rows = project.wait(project.store.audit_rows(&run.id, rules))?;
    let retired = project.wait(project.store.retired(&run.id))?;
    let mut audit = Audit {
        project,
        run,
        retired,
        checked: run.last_seq,
        findings: rows.into_iter().map(AuditFinding::from).collect(),
        notes: vec![],
    };
    audit.log(config.rounds)?;
    audit.parts()?;
    audit.checkpoints()?;
    audit.champion()?;
    audit.handovers(&config.promotion)?;
    audit.shards()?;
    let state = state_digest(project, run)?;
    let Audit { checked, findings, notes, .. } = audit;
    Ok(Recorded { state, checked, findings, notes })
}

/// Digests everything that a run recorded, in stable order, page by page.
fn state_digest(project: &Project, run: &RunRow) -> Result<Digest, Error> {
    let (store, id) = (&project.store, &run.id);
    let mut state = Digest::of(b"gyre run state");
    let mut events = store.events(id);
    while let Some(events) = project.wait(events.next())? {
        for event in &events {
            state = chain(state, &(event.seq, event.round, &event.kind, &event.body));
        }
    }
    let mut tasks = store.tasks(id, &TaskFilter::default());
    while let Some(tasks) = project.wait(tasks.next())? {
        for row in &tasks {
            // In the form of version 1, so that a run has one digest whoever wrote it.
            state = chain(state, &(row.round, TaskDocument(&row.task)));
        }
    }
    let mut rollouts = store.rollouts(id, &RolloutFilter::default());
    while let Some(rollouts) = project.wait(rollouts.next())? {
        for RolloutWithVerdict { rollout, verdict } in &rollouts {
            let verdict = verdict.as_ref().map(|v| (&v.verdict, &v.checks, v.fuel, v.revision));
            let body = (&rollout.part, rollout.part_row, rollout.chain);
            state = chain(state, &(&rollout.id, &rollout.task, rollout.sample, body, verdict));
        }
    }
    for shard in inspect::shards(project, id)? {
        state = chain(state, &(shard.id, shard.round, shard.sha256, shard.rows, shard.superseded));
    }
    for row in project.wait(store.checkpoints(id).collect())? {
        state = chain(state, &(row.id, row.round, row.parent, row.digest, row.policy_digest));
    }
    for gate in project.wait(store.gates(id).collect())? {
        state = chain(state, &(gate.round, gate.candidate, gate.digest));
    }
    for promotion in project.wait(store.promotions(id).collect())? {
        state = chain(state, &(promotion.round, promotion.champion, promotion.previous));
    }
    for canary in project.wait(store.canaries(id, None).collect())? {
        state = chain(state, &(canary.round, canary.rollout, canary.verdict, canary.checks));
    }
    for alarm in project.wait(store.alarms(id).collect())? {
        state = chain(state, &(alarm.round, alarm.kind, alarm.subject, alarm.body));
    }
    Ok(state)
}

fn chain<T: serde::Serialize>(state: Digest, next: &T) -> Digest {
    state.chain(gyre_types::canonical_json(next).as_bytes())
}

struct Audit<'a> {
    project: &'a Project,
    run: &'a RunRow,
    /// Paths of files that retention gave up: nobody misses them.
    retired: BTreeSet<StoredPath>,
    checked: u64,
    findings: Vec<AuditFinding>,
    notes: Vec<String>,
}

impl Audit<'_> {
    fn found(&mut self, invariant: u8, code: &str, detail: String, ids: Vec<String>) {
        self.findings.push(AuditFinding { invariant, code: code.to_owned(), detail, ids });
    }

    /// Events must fold, and their counts must be those of the rows.
    fn log(&mut self, rounds: u32) -> Result<(), Error> {
        let counts = self.project.wait(self.project.store.verdict_counts(&self.run.id))?;
        for round in 0..=rounds {
            let (state, _) = match inspect::round_state(self.project, self.run, round) {
                Ok(state) => state,
                Err(error @ (Error::Illegal { .. } | Error::Recorded { .. })) => {
                    self.found(8, "illegal_log", error.to_string(), vec![round.to_string()]);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let rows: u64 = counts
                .iter()
                .filter(|(r, purpose, ..)| *r == round && *purpose == Split::Train)
                .map(|(.., count)| count.rollouts)
                .sum();
            if u64::from(state.rollouts) != rows {
                let detail =
                    format!("the log tells of {} rollouts, {rows} are recorded", state.rollouts);
                self.found(9, "rollouts_not_conserved", detail, vec![round.to_string()]);
            }
        }
        Ok(())
    }

    fn parts(&mut self) -> Result<(), Error> {
        let mut parts = self.project.store.parts(&self.run.id);
        while let Some(parts) = self.project.wait(parts.next())? {
            for part in &parts {
                self.file(&part.path, &part.sha256, part.id.to_string());
            }
        }
        Ok(())
    }

    fn checkpoints(&mut self) -> Result<(), Error> {
        for row in self.project.wait(self.project.store.checkpoints(&self.run.id).collect())? {
            if self.retired.contains(&row.path) {
                continue;
            }
            self.checked += 1;
            let resolved = self.project.data.resolve(&row.path).map_err(|error| error.to_string());
            let digest =
                resolved.and_then(|dir| digest_checkpoint(&dir).map_err(|error| error.to_string()));
            match digest {
                Ok(digest) if digest == row.digest => {}
                Ok(_) => {
                    let shown = self.project.data.shown(&row.path);
                    let detail = format!("{shown} is not what was recorded");
                    self.found(3, "checkpoint_changed", detail, vec![row.id.to_string()]);
                }
                Err(error) => {
                    self.found(3, "checkpoint_unreadable", error, vec![row.id.to_string()]);
                }
            }
        }
        Ok(())
    }

    /// A run that was killed between a promotion and its link is sound: the next start
    /// puts the link right.
    fn champion(&mut self) -> Result<(), Error> {
        if self.run.status == RunStatus::Active {
            return Ok(());
        }
        match champion::audit_link(self.project, &self.run.id)? {
            LinkAudit::Sound => {}
            LinkAudit::Differs(detail) => {
                self.found(4, "champion_differs", detail, vec![self.run.id.to_string()]);
            }
            LinkAudit::NoLink(detail) => self.notes.push(detail),
        }
        Ok(())
    }

    /// Each promotion must have been handed over to all that the configuration names.
    /// That the other side has not taken one yet is worth knowing and no fault.
    fn handovers(&mut self, settings: &PromotionSettings) -> Result<(), Error> {
        let rows = inspect::handovers(self.project, &self.run.id)?;
        self.checked += rows.len() as u64;
        let store = &self.project.store;
        for promotion in self.project.wait(store.promotions(&self.run.id).collect())? {
            for owed in settings.handovers(promotion.round, &promotion.champion) {
                if !rows.iter().any(|row| row.handover == owed) {
                    let (round, target) = (promotion.round, owed.target);
                    let detail = format!(
                        "the promotion of round {round} is not to be handed over to {target}"
                    );
                    let ids = vec![promotion.champion.to_string(), target];
                    self.found(4, "promotion_without_handover", detail, ids);
                }
            }
        }
        let undelivered = rows.iter().filter(|row| !row.is_delivered());
        self.notes.extend(undelivered.map(|row| {
            format!("the promotion of round {} is {}", row.handover.round, standing(row))
        }));
        Ok(())
    }

    fn shards(&mut self) -> Result<(), Error> {
        let shards = inspect::shards(self.project, &self.run.id)?;
        for shard in &shards {
            if self.retired.contains(&shard.path) {
                continue;
            }
            // What was taken out of the dataset stays as evidence.
            let sound = self.file(&shard.path, &shard.sha256, shard.id.to_string());
            if sound && !shard.superseded {
                self.shard_rows(shard)?;
            }
        }
        // A run that was killed between a commit and its index is sound: the
        // next start writes the index anew.
        if !shards.is_empty() && self.run.status != RunStatus::Active {
            for problem in verify_published(self.project, self.run)? {
                self.found(3, problem.code, problem.detail, vec![]);
            }
        }
        Ok(())
    }

    /// The rows in the file must be those of the lineage, one for one.
    fn shard_rows(&mut self, shard: &ShardRow) -> Result<(), Error> {
        let recorded = self.project.store.shard_rows(&self.run.id, &shard.id);
        let recorded = self.project.wait(recorded.collect())?;
        let recorded: Vec<RolloutId> = recorded.into_iter().map(|row| row.rollout).collect();
        let mut in_file = Vec::new();
        let mut held_out = Vec::new();
        let file = self.project.data.open(&shard.path);
        let mut see = |rollout: RolloutId, split: Split, task: &TaskId| {
            if split.is_held_out() {
                held_out.push(task.to_string());
            }
            in_file.push(rollout);
        };
        match shard.kind {
            ShardKind::Accepted => {
                for row in read_shard(file)? {
                    let row = row?;
                    see(row.rollout_id, row.split, &row.task_id);
                }
            }
            ShardKind::Groups => {
                let mut rewards = Rewards { audit: self, shard, page: Vec::new() };
                for row in read_groups(file)? {
                    let row = row?;
                    rewards.add(&row)?;
                    see(row.rollout_id, row.split, &row.task_id);
                }
                rewards.compare()?;
            }
        }
        self.checked += in_file.len() as u64;
        if !held_out.is_empty() {
            let detail = format!("{} holds rows of held-out tasks", shard.path);
            self.found(5, "held_out_in_file", detail, held_out);
        }
        if in_file != recorded {
            let differing = differing(&in_file, &recorded);
            let detail = format!("the rows of {} are not those that the lineage names", shard.path);
            self.found(1, "rows_differ", detail, differing);
        }
        Ok(())
    }

    /// Whether a file is there and holds what was recorded.
    fn file(&mut self, path: &StoredPath, sha256: &Digest, id: String) -> bool {
        self.checked += 1;
        match digest_file(self.project.data.open(path)) {
            Ok((digest, _)) if digest == *sha256 => true,
            Ok(_) => {
                self.found(3, "file_changed", format!("{path} is not what was recorded"), vec![id]);
                false
            }
            Err(error) => {
                self.found(3, "file_unreadable", format!("{path}: {error}"), vec![id]);
                false
            }
        }
    }
}

/// Attempts of whole groups whose rewards are compared at a time.
const REWARDS_AT_A_TIME: usize = 1_000;

/// Compares what a shard of whole groups says of its attempts with their newest
/// verdicts, a page at a time.
struct Rewards<'a, 'p> {
    audit: &'a mut Audit<'p>,
    shard: &'a ShardRow,
    page: Vec<(RolloutId, Verdict, f64)>,
}

impl Rewards<'_, '_> {
    fn add(&mut self, row: &GroupRow) -> Result<(), Error> {
        self.page.push((row.rollout_id.clone(), row.verdict.clone(), row.reward));
        if self.page.len() == REWARDS_AT_A_TIME { self.compare() } else { Ok(()) }
    }

    fn compare(&mut self) -> Result<(), Error> {
        let page = std::mem::take(&mut self.page);
        let ids: Vec<_> = page.iter().map(|(id, ..)| id.clone()).collect();
        let Audit { project, run, .. } = *self.audit;
        let found = project.wait(project.store.rollouts_among(&run.id, &ids))?;
        let newest: HashMap<_, _> = found
            .into_iter()
            .filter_map(|row| Some((row.rollout.id, row.verdict?.verdict)))
            .collect();
        let differs = |(id, verdict, reward): &&(RolloutId, Verdict, f64)| {
            let Some(newest) = newest.get(id) else { return true };
            let expected = if newest.is_pass() { 1.0 } else { 0.0 };
            newest.name() != verdict.name() || *reward != expected
        };
        let ids: Vec<_> = page.iter().filter(differs).map(|(id, ..)| id.to_string()).collect();
        if !ids.is_empty() {
            let path = &self.shard.path;
            let detail = format!("{path} gives attempts another verdict or reward than recorded");
            self.audit.found(1, "reward_differs", detail, ids);
        }
        Ok(())
    }
}

/// Ids that are more often in one list than in the other.
fn differing(a: &[RolloutId], b: &[RolloutId]) -> Vec<String> {
    let mut balance: HashMap<&RolloutId, i64> = HashMap::new();
    a.iter().for_each(|id| *balance.entry(id).or_default() += 1);
    b.iter().for_each(|id| *balance.entry(id).or_default() -= 1);
    let mut ids: Vec<_> =
        balance.into_iter().filter(|(_, n)| *n != 0).map(|(id, _)| id.to_string()).collect();
    ids.sort();
    ids.truncate(100);
    ids
}
