//! The facts of one run that no action changes.

use gyre_env::EpisodeSpec;
use gyre_lineage::{Commit, RunRow, Store};
use gyre_round::ModelUsage;
use gyre_types::{Digest, Purpose, RolloutId, RolloutRecord, RunId, Seed, Split, Task};

use crate::cancel::Cancel;
use crate::clock::Clock;
use crate::config::RunConfig;
use crate::error::Error;
use crate::harness::Harness;
use crate::project::Project;

/// The facts of one run, passed by reference to whatever works for it.
pub(crate) struct RunContext {
    pub(crate) project: Project,
    /// The sandbox and the task families.
    pub(crate) harness: Harness,
    pub(crate) config: RunConfig,
    /// The run as it was recorded when it was opened. Its status and its last event
    /// change later: the event log knows them.
    pub(crate) row: RunRow,
    pub(crate) clock: Clock,
    pub(crate) cancel: Cancel,
}

impl RunContext {
    pub(crate) fn id(&self) -> &RunId {
        &self.row.id
    }

    pub(crate) fn store(&self) -> &Store {
        &self.project.store
    }

    /// Waits for the store, or whatever else is asynchronous.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.project.wait(future)
    }

    /// Stops here if somebody asked to.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`].
    pub(crate) fn check_cancelled(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// What the model's server was asked for to make some rollouts; nothing of the
    /// embedded model.
    pub(crate) fn usage<'r>(
        &self,
        records: impl IntoIterator<Item = &'r RolloutRecord>,
    ) -> ModelUsage {
        match self.config.model.is_server() {
            true => ModelUsage::of(records),
            false => ModelUsage::default(),
        }
    }

    /// A commit without rows. The event log fills in who commits, after what and when.
    pub(crate) fn no_rows(&self) -> Commit {
        Commit::new(self.row.id.clone(), 0, 0, 0)
    }

    /// The seed that every random choice of a round derives from.
    pub(crate) fn round_seed(&self, round: u32) -> Seed {
        self.row.seed.derive("round", &[u64::from(round)])
    }

    /// The episode of a task and sample. Its identity and its seed follow from the
    /// run, so a repetition keeps both.
    pub(crate) fn episode<'t>(
        &self,
        round: u32,
        purpose: Purpose,
        task: &'t Task,
        sample: u32,
    ) -> EpisodeSpec<'t> {
        let fingerprint = self.row.fingerprint;
        let identity = Digest::of_json(&("rollout", fingerprint, round, purpose, &task.id, sample));
        let at = [u64::from(round), task.digest.to_u64(), u64::from(sample)];
        EpisodeSpec {
            id: RolloutId::from_digest(&identity),
            round,
            purpose,
            task,
            sample,
            seed: self.row.seed.derive(purpose.as_str(), &at),
        }
    }

    /// The episode in which an impossible task is attempted.
    pub(crate) fn canary_episode<'t>(&self, round: u32, task: &'t Task) -> EpisodeSpec<'t> {
        let identity = Digest::of_json(&("canary", self.row.fingerprint, round, &task.id));
        let at = [u64::from(round), task.digest.to_u64()];
        EpisodeSpec {
            id: RolloutId::from_digest(&identity),
            round,
            purpose: Split::Train,
            task,
            sample: 0,
            seed: self.row.seed.derive("canary", &at),
        }
    }

    /// An error about something recorded that cannot be read.
    pub(crate) fn unreadable(&self, what: impl Into<String>, why: impl ToString) -> Error {
        Error::Recorded { run: self.row.id.clone(), what: what.into(), why: why.to_string() }
    }

    /// An error about recorded events that do not follow from each other.
    pub(crate) fn illegal(&self, round: u32, source: gyre_round::IllegalTransition) -> Error {
        Error::Illegal { run: self.row.id.clone(), round, source }
    }
}
