//! Makes tasks of a request and admits them, each once in a run.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use gyre_lineage::{RevocationRow, RevocationTarget, StoreError};
use gyre_tasks::{AdmissionReport, AdmittedTask, KnownTasks, TaskRequest, generate_tasks};
use gyre_types::{Digest, TaskId};

use crate::error::Error;
use crate::progress::{Observer, working};
use crate::run::context::RunContext;

/// Tasks per call of the generator. Each call loads the family into a few dozen
/// guests, 20 ms each, whatever its size: large batches share that.
const BATCH: usize = 2_000;

/// A request, and the family that it is for.
pub(crate) type FamilyRequest = (String, TaskRequest);

/// Admits the tasks of one round, and counts what it refused.
pub(crate) struct Admission<'a> {
    run: &'a RunContext,
    observer: &'a mut dyn Observer,
    round: u32,
    /// Tasks that it admitted.
    made: HashSet<Digest>,
    report: AdmissionReport,
}

impl<'a> Admission<'a> {
    pub(crate) fn new(run: &'a RunContext, observer: &'a mut dyn Observer, round: u32) -> Self {
        Self { run, observer, round, made: HashSet::new(), report: AdmissionReport::default() }
    }

    /// What was refused so far, and why.
    pub(crate) fn report(&self) -> &AdmissionReport {
        &self.report
    }

    /// Admits most of what is asked for.
    ///
    /// # Errors
    ///
    /// [`Error::TooFewTasks`] where more than half are missing. Some slots cannot be
    /// filled: a level may have few distinct tasks. A round that has lost more than
    /// half of them is no longer what was planned.
    pub(crate) fn admit(
        &mut self,
        requests: Vec<FamilyRequest>,
    ) -> Result<Vec<AdmittedTask>, Error> {
        let asked = requests.len();
        let tasks = self.admit_some(requests)?;
        if tasks.len() * 2 < asked {
            return Err(self.too_few(&format!("round {}", self.round), asked, tasks.len()));
        }
        Ok(tasks)
    }

    /// Admits as many as come through, family by family.
    ///
    /// # Errors
    ///
    /// When a family's generator or the store fails, and [`Error::Interrupted`].
    pub(crate) fn admit_some(
        &mut self,
        requests: Vec<FamilyRequest>,
    ) -> Result<Vec<AdmittedTask>, Error> {
        let total = requests.len() as u64;
        let revoked = revoked_tasks(self.run)?;
        let mut tasks = Vec::with_capacity(requests.len());
        for batch in requests.chunk_by(|a, b| a.0 == b.0).flat_map(|r| r.chunks(BATCH)) {
            self.run.check_cancelled()?;
            let Some(family) = self.run.harness.families.get(&batch[0].0) else { continue };
            let requests: Vec<_> = batch.iter().map(|(_, request)| request.clone()).collect();
            let sandbox = &self.run.harness.sandbox;
            let all = AllTasks { run: self.run, made: &self.made, failed: RefCell::new(None) };
            let made = generate_tasks(family, &requests, &all, |jobs| sandbox.execute(jobs));
            if let Some(error) = all.failed.into_inner() {
                return Err(error.into());
            }
            let made = made?;
            add(&mut self.report, made.report);
            for task in made.tasks.into_iter().flatten() {
                self.made.insert(task.task.digest);
                if !revoked.contains(&task.task.id) {
                    tasks.push(task);
                }
            }
            working(self.observer, self.round, "generating tasks", tasks.len() as u64, total);
        }
        Ok(tasks)
    }

    pub(crate) fn too_few(&self, what: &str, asked: usize, admitted: usize) -> Error {
        let refused = self.report.refused.iter().map(|(why, n)| format!("{n} {}", why.code()));
        Error::TooFewTasks {
            what: what.to_owned(),
            asked,
            admitted,
            refused: refused.collect::<Vec<_>>().join(", "),
        }
    }
}

/// Tasks that were found wrong, in whatever run: no later one has them.
fn revoked_tasks(run: &RunContext) -> Result<HashSet<TaskId>, Error> {
    let revocations = run.wait(run.store().revocations())?;
    let task = |row: RevocationRow| match row.target {
        RevocationTarget::Task(task) => Some(task),
        RevocationTarget::Verifier(_) => None,
    };
    Ok(revocations.into_iter().filter_map(task).collect())
}

/// The tasks of a run, and those that were made since. The run's are asked for a
/// batch at a time: there are as many as its rounds have made.
struct AllTasks<'a> {
    run: &'a RunContext,
    made: &'a HashSet<Digest>,
    /// Why the lineage could not be asked.
    failed: RefCell<Option<StoreError>>,
}

impl KnownTasks for AllTasks<'_> {
    fn known_among(&self, digests: &[Digest]) -> Result<HashSet<Digest>, String> {
        let by_id: HashMap<_, _> =
            digests.iter().map(|digest| (TaskId::from_digest(digest), *digest)).collect();
        let ids: Vec<_> = by_id.keys().cloned().collect();
        let recorded = self.run.wait(self.run.store().tasks_among(self.run.id(), &ids));
        let recorded = recorded.map_err(|error| {
            let why = error.to_string();
            *self.failed.borrow_mut() = Some(error);
            why
        })?;
        let recorded = recorded.iter().filter_map(|id| by_id.get(id)).copied();
        let made = digests.iter().filter(|digest| self.made.contains(*digest)).copied();
        Ok(recorded.chain(made).collect())
    }
}

fn add(report: &mut AdmissionReport, batch: AdmissionReport) {
    report.requested += batch.requested;
    report.attempts += batch.attempts;
    report.generated += batch.generated;
    report.admitted += batch.admitted;
    for (reason, n) in batch.refused {
        *report.refused.entry(reason).or_default() += n;
    }
}
