use std::path::PathBuf;

use gyre_dataset::DatasetError;
use gyre_lineage::StoreError;
use gyre_model::ModelError;
use gyre_queue::QueueError;
use gyre_round::{IllegalTransition, TimeSpan};
use gyre_sandbox::SandboxError;
use gyre_tasks::TaskError;
use gyre_train::{CheckpointError, ProcessError, ServeError, TrainError};
use gyre_types::{CheckpointId, JsonError, RunId};

use crate::config::ConfigError;
use crate::engine::EmbeddedError;

/// Why something could not be done. Whatever it is, the data folder holds what
/// was committed before, and `gyre run --resume` goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The lineage store failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A dataset file failed.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The embedded model or its trainer failed.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// A trainer or what it left cannot be used.
    #[error(transparent)]
    Train(TrainError),
    /// A checkpoint cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A model's server cannot be used.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A program cannot be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A model cannot be asked.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A task family failed.
    #[error(transparent)]
    Tasks(#[from] TaskError),
    /// The queue of the workers failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Something that is to be recorded or sent cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A file in the store of the workers failed.
    #[error("cannot {doing} {name} in the object store: {why}")]
    Object {
        /// What was tried.
        doing: &'static str,
        /// The object, or the store.
        name: String,
        /// Why.
        why: String,
    },
    /// A piece of work failed for as often as it may.
    #[error(
        "a piece of {batch} of {run}, round {round}, failed on every attempt, on {worker} the last \
         time: {why}; `gyre run --resume` offers it again"
    )]
    DeadWork {
        /// The run.
        run: RunId,
        /// The round.
        round: u32,
        /// The wave, or the held-out part.
        batch: String,
        /// Who had it last.
        worker: String,
        /// What went wrong then.
        why: String,
    },
    /// A worker is not what the runs here ask for.
    #[error(
        "this worker is refused: it has another {what} ({ours}) than {run} asks for ({asked}); {hint}"
    )]
    WorkerRefused {
        /// Which part.
        what: &'static str,
        /// The worker's.
        ours: String,
        /// The run.
        run: RunId,
        /// The run's.
        asked: String,
        /// What to do.
        hint: &'static str,
    },
    /// Recorded events do not follow from each other.
    #[error(
        "the recorded events of {run}, round {round}, do not follow from each other; run `gyre audit`"
    )]
    Illegal {
        /// The run.
        run: RunId,
        /// The round.
        round: u32,
        /// What is wrong.
        #[source]
        source: IllegalTransition,
    },
    /// Something recorded cannot be read.
    #[error("{what} of {run} cannot be read: {why}; run `gyre audit`")]
    Recorded {
        /// The run.
        run: RunId,
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// The lineage is not the one that the run's anchor was written for.
    #[error(
        "the record of {run} is not whole: {why}; put back a copy of the database, or look at `gyre audit` and take the lineage as it is with `gyre audit --renew-anchors`"
    )]
    RecordLost {
        /// The run.
        run: RunId,
        /// What is lost or differs.
        why: String,
    },
    /// A checkpoint's files are not those that were recorded.
    #[error(
        "{checkpoint} is not what was recorded: the files in {} have digest {found}, recorded was {recorded}; put them back from a copy (`gyre audit` names all that changed)", dir.display()
    )]
    CheckpointChanged {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Its folder.
        dir: PathBuf,
        /// The start of the digest that was recorded.
        recorded: String,
        /// The start of the digest that its files have.
        found: String,
    },
    /// A file or folder failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Nothing has that name.
    #[error("{what} {id:?} is not in this data folder; {hint}")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// What was asked for.
        id: String,
        /// What to do.
        hint: String,
    },
    /// There is no unfinished run.
    #[error("there is no unfinished run to resume in {}; start one with `gyre run`", data_dir.display())]
    NothingToResume {
        /// The data folder.
        data_dir: PathBuf,
    },
    /// A run cannot go on with other parts than it began with.
    #[error(
        "{run} was begun with another {what} ({began}, now {now}); a run keeps its parts: start a new one with `gyre run`"
    )]
    PartsChanged {
        /// The run.
        run: RunId,
        /// Which part.
        what: &'static str,
        /// Its digest then.
        began: String,
        /// Its digest now.
        now: String,
    },
    /// A plan was made for a champion that is no longer current.
    #[error(
        "the plan of round {round} was made for champion {planned}, but {current} is champion now; the plan is refused"
    )]
    StaleChampion {
        /// The round.
        round: u32,
        /// The champion in the plan.
        planned: CheckpointId,
        /// The champion now.
        current: CheckpointId,
    },
    /// A family's verifier cannot be used.
    #[error("the verifier of family {family} cannot be used: {why}")]
    VerifierUnusable {
        /// The family.
        family: String,
        /// What is missing or not allowed, and what to do.
        why: String,
    },
    /// A verifier is not registered.
    #[error("the verifier {name:?} is refused: {why}")]
    VerifierRefused {
        /// What it was to be called.
        name: String,
        /// What is wrong with it, or what the audit found.
        why: String,
    },
    /// A verifier gave no verdict, and the run was told to stop then.
    #[error(
        "the verifier of family {family} gave no verdict on {count} answers, such as: {why}; the run stops here (`verifiers.on_fault`), and `gyre run --resume` goes on once the verifier is put right"
    )]
    VerifierFault {
        /// The family.
        family: String,
        /// How many answers of the wave.
        count: usize,
        /// What it did the first time.
        why: String,
    },
    /// A family is judged by a verifier that was revoked.
    #[error(
        "the family {family} is judged by the verifier {verifier}, which was revoked: {why}; mend it or name another in its family.toml"
    )]
    VerifierRevoked {
        /// The family.
        family: String,
        /// The verifier.
        verifier: String,
        /// Why it was revoked.
        why: String,
    },
    /// A revocation cannot be made.
    #[error("{target} cannot be revoked: {why}")]
    CannotRevoke {
        /// What was to be revoked.
        target: String,
        /// Why not, and what to do.
        why: String,
    },
    /// The run's verifier is not to be believed.
    #[error("{run} ended in round {round}: {cause}")]
    Untrusted {
        /// The run.
        run: RunId,
        /// The round.
        round: u32,
        /// What was seen.
        cause: String,
    },
    /// Faults of the model's server or the sandbox took too many rollouts of the round
    /// that a run begins with.
    #[error(
        "{run} stops in round {round}: {why}; `gyre run --resume` tries again once the cause is removed"
    )]
    TooManyFaults {
        /// The run.
        run: RunId,
        /// The round.
        round: u32,
        /// How many, the bound, and the most common reason.
        why: String,
        /// Whether most of them were the model's server's.
        is_model: bool,
    },
    /// The run's budget was spent before there was a champion.
    #[error(
        "{run} ended in round {round}: {cause}; raise `budget.run`, or ask for less, and start a new run"
    )]
    BudgetSpent {
        /// The run.
        run: RunId,
        /// The round.
        round: u32,
        /// Which bound.
        cause: String,
    },
    /// Too few tasks came through admission.
    #[error(
        "only {admitted} of {asked} {what} tasks were admitted (refused: {refused}); `gyre task check` shows why"
    )]
    TooFewTasks {
        /// Which tasks.
        what: String,
        /// Tasks asked for.
        asked: usize,
        /// Tasks admitted.
        admitted: usize,
        /// Reasons with counts.
        refused: String,
    },
    /// A candidate passed the gate, and the run waits for a person's word on it.
    #[error(
        "round {round} of {run} waits for approval of {candidate}: `gyre promote {candidate}` makes it champion, `gyre promote {candidate} --decline` leaves the champion, and without an answer the champion stays {expires_after} after the gate decided; then `gyre run --resume` goes on"
    )]
    AwaitingApproval {
        /// The run.
        run: RunId,
        /// The round.
        round: u32,
        /// The candidate.
        candidate: CheckpointId,
        /// How long it waits.
        expires_after: TimeSpan,
    },
    /// Nobody is asked about a round.
    #[error(
        "round {round} of {run} waits for nobody's approval, it is {stage}; `gyre status` lists what waits"
    )]
    NotAwaited {
        /// The run.
        run: RunId,
        /// The round.
        round: u32,
        /// Where the round stands.
        stage: &'static str,
    },
    /// An answer came too late.
    #[error(
        "the approval of {candidate} in round {round} of {run} has expired and the champion stays; `gyre run --resume` goes on with the run"
    )]
    ApprovalExpired {
        /// The run.
        run: RunId,
        /// The round.
        round: u32,
        /// The candidate.
        candidate: CheckpointId,
    },
    /// Somebody asked to stop.
    #[error("stopped; `gyre run --resume` goes on from here")]
    Interrupted,
}

impl From<TrainError> for Error {
    /// The rows of a training are read by this crate, so what kept them from being
    /// read is one of its own errors.
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Rows(why) => match why.downcast::<Self>() {
                Ok(own) => *own,
                Err(why) => Self::Train(TrainError::Rows(why)),
            },
            error => Self::Train(error),
        }
    }
}
