/// A named point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Its name, as `GYRE_FAILPOINTS` takes it.
    pub name: &'static str,
    /// What it stands beside.
    pub step: Step,
    /// Which process comes to it.
    pub of: Process,
}

/// What a point stands beside, and so what may happen there beside the end of
/// the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A step of a file: it may fail with EIO or ENOSPC.
    File,
    /// Before a transaction's COMMIT: the connection may be lost, the disk full.
    BeforeCommit,
    /// After it: its acknowledgement may be lost.
    AfterCommit,
}

/// Which process comes to a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// One that drives a run, with or without workers.
    Run,
    /// The service, beside the rounds that it drives.
    Service,
    /// One that drives a run whose rollouts workers make.
    Driver,
    /// A worker.
    Worker,
    /// One whose trainer or model server is an external command.
    External,
    /// One that hands a promotion over, or records a person's word on a candidate.
    Handover,
    /// One whose model is behind a server.
    Asking,
    /// A command that registers a verifier, revokes one, or asks for a round.
    Command,
}

use Process::{Asking, Command, Driver, External, Handover, Run, Service, Worker};

const fn file(of: Process, name: &'static str) -> Point {
    Point { name, step: Step::File, of }
}

const fn before(of: Process, name: &'static str) -> Point {
    Point { name, step: Step::BeforeCommit, of }
}

const fn after(of: Process, name: &'static str) -> Point {
    Point { name, step: Step::AfterCommit, of }
}

/// Every point, by what it stands beside. `run::committing` and `run::committed`
/// stand around `step::…` for those who count steps.
pub const POINTS: &[Point] = &[
    // A file of rollouts, a shard, and a dataset's card and manifest: before the
    // temporary file is made, before and after its fsync, before and after it
    // gets its name, and once the folder is on the disk.
    file(Run, "part::creating"),
    file(Run, "part::written"),
    file(Run, "part::synced"),
    file(Run, "part::renaming"),
    file(Run, "part::renamed"),
    file(Run, "part::published"),
    file(Run, "shard::creating"),
    file(Run, "shard::written"),
    file(Run, "shard::synced"),
    file(Run, "shard::renaming"),
    file(Run, "shard::renamed"),
    file(Run, "shard::published"),
    // What trainers take of a shard, once a transaction names it.
    file(Run, "view::creating"),
    file(Run, "view::written"),
    file(Run, "view::synced"),
    file(Run, "view::renaming"),
    file(Run, "view::renamed"),
    file(Run, "view::published"),
    file(Run, "index::creating"),
    file(Run, "index::written"),
    file(Run, "index::synced"),
    file(Run, "index::renaming"),
    file(Run, "index::renamed"),
    file(Run, "index::published"),
    // A checkpoint's folder and each file in it.
    file(Run, "checkpoint::beginning"),
    file(Run, "checkpoint::writing"),
    file(Run, "checkpoint::synced"),
    file(Run, "checkpoint::trained"),
    file(Run, "checkpoint::renamed"),
    file(Run, "checkpoint::published"),
    // The file that names the last seal, after each of a run's transactions.
    file(Run, "anchor::writing"),
    file(Run, "anchor::renamed"),
    // The link to the champion, after a promotion.
    file(Run, "champion::linking"),
    file(Run, "champion::linked"),
    // What a crash left is removed.
    file(Run, "garbage::removing"),
    file(Run, "garbage::removed"),
    // Transactions: of a run's creation, its lease, and each of its steps.
    before(Run, "create::committing"),
    after(Run, "create::committed"),
    before(Run, "lease::committing"),
    after(Run, "lease::committed"),
    before(Run, "release::committing"),
    after(Run, "release::committed"),
    before(Run, "step::committing"),
    after(Run, "step::committed"),
    // Of the service: schedules, decisions on ticks, claims, what came of them, and
    // a run of somebody else's that it goes on with.
    before(Service, "schedule::committing"),
    after(Service, "schedule::committed"),
    before(Service, "decide::committing"),
    after(Service, "decide::committed"),
    before(Service, "claim::committing"),
    after(Service, "claim::committed"),
    before(Service, "begin::committing"),
    after(Service, "begin::committed"),
    before(Service, "renew::committing"),
    after(Service, "renew::committed"),
    before(Service, "settle::committing"),
    after(Service, "settle::committed"),
    before(Service, "bind::committing"),
    after(Service, "bind::committed"),
    // What passes between a driver and its workers: that it wants some, each
    // offer of a batch, the jobs in the queue, what it puts in the object store
    // or removes there, and that it wants no more.
    before(Driver, "fleet::committing"),
    after(Driver, "fleet::committed"),
    before(Driver, "offer::committing"),
    after(Driver, "offer::committed"),
    before(Driver, "queue::pushing"),
    after(Driver, "queue::pushed"),
    // Once a round is over, its pieces and their jobs are forgotten.
    before(Driver, "prune::committing"),
    after(Driver, "prune::committed"),
    before(Driver, "queue::forgetting"),
    after(Driver, "queue::forgotten"),
    file(Driver, "object::putting"),
    file(Driver, "object::put"),
    file(Driver, "object::removing"),
    file(Driver, "object::removed"),
    // The dataset in the object store: before its first file, and before what it
    // no longer names is removed.
    file(Driver, "publish::beginning"),
    file(Driver, "publish::indexed"),
    before(Driver, "close::committing"),
    after(Driver, "close::committed"),
    // Of a worker: that it is there, and still is, each claim, the checkpoint that it fetched,
    // its file and the object that it becomes, the result, and that it failed.
    before(Worker, "announce::committing"),
    after(Worker, "announce::committed"),
    before(Worker, "hear::committing"),
    after(Worker, "hear::committed"),
    before(Worker, "assign::committing"),
    after(Worker, "assign::committed"),
    file(Worker, "fetched::renaming"),
    file(Worker, "fetched::renamed"),
    file(Worker, "part::creating"),
    file(Worker, "part::written"),
    file(Worker, "part::synced"),
    file(Worker, "part::renaming"),
    file(Worker, "part::renamed"),
    file(Worker, "part::published"),
    file(Worker, "object::putting"),
    file(Worker, "object::put"),
    before(Worker, "deliver::committing"),
    after(Worker, "deliver::committed"),
    before(Worker, "mishap::committing"),
    after(Worker, "mishap::committed"),
    // Of a trainer that is a command: before and after it is started, once it has
    // ended, and once what it left was read and synced.
    file(External, "trainer::starting"),
    file(External, "trainer::started"),
    file(External, "trainer::ended"),
    file(External, "trainer::inspected"),
    file(External, "trainer::synced"),
    // Of a model server: before and after it is started, once it answers, and before
    // and after it is stopped.
    after(External, "server::starting"),
    after(External, "server::started"),
    after(External, "server::ready"),
    after(External, "server::stopping"),
    after(External, "server::stopped"),
    // Of a hand-over: before the other side is told and after it, and the record of the
    // attempt; and of a person's word on a candidate.
    after(Handover, "handover::attempting"),
    after(Handover, "handover::attempted"),
    before(Handover, "handover::committing"),
    after(Handover, "handover::committed"),
    after(Handover, "approval::answering"),
    after(Handover, "approval::answered"),
    // Of a request to a model server: before it is sent, and once its answer was read
    // and is recorded nowhere.
    after(Asking, "request::sending"),
    after(Asking, "request::answered"),
    // Of commands: a verifier's file and row, a revocation's row, the shard that
    // it sets aside and the dataset's new list, and a round that is asked for.
    file(Command, "verifier::stored"),
    before(Command, "register::committing"),
    after(Command, "register::committed"),
    before(Command, "revocation::committing"),
    after(Command, "revocation::committed"),
    file(Command, "revoke::set_aside"),
    file(Command, "revoke::indexed"),
    before(Command, "ask::committing"),
    after(Command, "ask::committed"),
];
