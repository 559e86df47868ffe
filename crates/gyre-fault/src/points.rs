/// A named point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Its name, as `GYRE_FAILPOINTS` takes it.
    pub name: &'static str,
    /// What it stands beside.
    pub step: Step,
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

const fn file(name: &'static str) -> Point {
    Point { name, step: Step::File }
}

const fn before(name: &'static str) -> Point {
    Point { name, step: Step::BeforeCommit }
}

const fn after(name: &'static str) -> Point {
    Point { name, step: Step::AfterCommit }
}

/// Every point of a run and of the service, by what they stand beside.
///
/// Points that only other commands come to (`revoke::…`, `verifier::…`,
/// `register::…`, `revocation::…`), and those of what passes between a driver and
/// its workers (`fleet::…`, `work::…`, `piece::…`), have tests of their own where
/// they have any;
/// `run::committing` and `run::committed` stand around `step::…` for those who
/// count steps.
pub const POINTS: &[Point] = &[
    // A file of rollouts, a shard, and a dataset's card and manifest: before the
    // temporary file is made, before and after its fsync, before and after it
    // gets its name, and once the folder is on the disk.
    file("part::creating"),
    file("part::written"),
    file("part::synced"),
    file("part::renaming"),
    file("part::renamed"),
    file("part::published"),
    file("shard::creating"),
    file("shard::written"),
    file("shard::synced"),
    file("shard::renaming"),
    file("shard::renamed"),
    file("shard::published"),
    file("index::creating"),
    file("index::written"),
    file("index::synced"),
    file("index::renaming"),
    file("index::renamed"),
    file("index::published"),
    // A checkpoint's folder and each file in it.
    file("checkpoint::beginning"),
    file("checkpoint::writing"),
    file("checkpoint::synced"),
    file("checkpoint::trained"),
    file("checkpoint::renamed"),
    file("checkpoint::published"),
    // What a crash left is removed.
    file("garbage::removing"),
    file("garbage::removed"),
    // Transactions: of a run's creation, its lease, and each of its steps.
    before("create::committing"),
    after("create::committed"),
    before("lease::committing"),
    after("lease::committed"),
    before("release::committing"),
    after("release::committed"),
    before("step::committing"),
    after("step::committed"),
    // Of the service: schedules, decisions on ticks, claims, and what came of them.
    before("schedule::committing"),
    after("schedule::committed"),
    before("decide::committing"),
    after("decide::committed"),
    before("claim::committing"),
    after("claim::committed"),
    before("begin::committing"),
    after("begin::committed"),
    before("renew::committing"),
    after("renew::committed"),
    before("settle::committing"),
    after("settle::committed"),
];

impl Point {
    /// Whether only the service comes to it.
    pub fn is_service(&self) -> bool {
        let (what, _) = self.name.split_once("::").unwrap_or_default();
        matches!(what, "schedule" | "decide" | "claim" | "begin" | "renew" | "settle")
    }
}
