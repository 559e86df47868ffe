//! Lists read by their index say the same as a look at every rollout, and the
//! index follows whatever is recorded.

use std::collections::BTreeMap;

use gyre_lineage::{
    Commit, Cursor, NewTask, RolloutFilter, RolloutRow, ScoreBounds, Store, TaskFilter,
    VerdictCount, VerdictFilter, VerdictRow, restore,
};
use gyre_types::{CheckpointId, InvalidReason, Message, RunId, Score, Split, Verdict};

use crate::scenario::{checkpoint, digest, event, part, rollout, started, task, verdict_of};
use crate::support::{Backend, Place, TestDatabase, on_both};

on_both!(lists_say_what_a_look_at_every_rollout_says, counts_follow_corrections_and_restores);

/// Rounds with their number of samples: two small ones that are looked at
/// together, and one so large that it is walked.
const ROUNDS: [(u32, u32); 3] = [(1, 2), (2, 90), (3, 1)];
const TASKS: u32 = 50;

struct World {
    run: RunId,
    tasks: Vec<NewTask>,
    rollouts: Vec<RolloutRow>,
    /// The newest of each rollout; none where it waits.
    verdicts: BTreeMap<String, Verdict>,
    checkpoints: [CheckpointId; 2],
}

fn split(number: u32) -> Split {
    [Split::Train, Split::Train, Split::Gate, Split::Test][number as usize % 4]
}

/// Most of the large round fails with nothing; what is rare is spread out.
fn verdict(n: usize) -> Option<Verdict> {
    let invalid = |reason| Some(Verdict::Invalid { reason });
    let fail = |score| Some(Verdict::Fail { score: Score::new(score).unwrap() });
    let detail = "lost \u{0} it".to_owned();
    match n % 997 {
        3 | 400 => None,
        10 => invalid(InvalidReason::Model { detail }),
        11 => invalid(InvalidReason::Infrastructure { detail }),
        12 => invalid(InvalidReason::Verifier { detail }),
        13 | 14 => fail(0.7),
        15 => fail(0.75),
        16 => fail(0.1 + 0.2),
        n if n % 5 == 0 => Some(Verdict::Pass),
        _ => fail(0.0),
    }
}

async fn build(store: &Store) -> World {
    let (run, lease) = started(store, "lists").await;
    let checkpoints = [checkpoint("base", 0, None), checkpoint("other", 0, None)];
    let mut tasks: Vec<_> = (0..TASKS).map(|n| task(n, split(n))).collect();
    for (n, new) in (0..).zip(&mut tasks) {
        let told = format!("Sort LIST{n} größer than {n} by its key_{}", n % 7);
        new.task.messages = vec![Message::user(told)];
        new.task.family = ["chain", "other"][n % 2].to_owned();
    }
    let mut rollouts = Vec::new();
    let whole = part("lists", 10_000);
    for (round, samples) in ROUNDS {
        for (n, new) in tasks.iter().enumerate() {
            for sample in 0..samples {
                let by = &checkpoints[(n + sample as usize) % 17 / 16];
                rollouts.push(rollout(round, new, sample, by, (&whole, 0)));
            }
        }
    }
    let given: Vec<_> = rollouts
        .iter()
        .enumerate()
        .filter_map(|(n, row)| Some(verdict_of(row, verdict(n)?)))
        .collect();
    let mut commit = Commit::new(run.clone(), lease.epoch, 0, 10);
    commit.events = vec![event(1, "made")];
    commit.tasks = tasks.clone();
    commit.checkpoints = checkpoints.to_vec();
    commit.rollout_parts = vec![whole];
    commit.rollouts = rollouts.clone();
    commit.verdicts = given.clone();
    store.commit(commit).await.unwrap();

    let mut verdicts: BTreeMap<_, _> =
        given.iter().map(|row| (row.rollout.to_string(), row.verdict.clone())).collect();
    // Passes are corrected, and some of them twice, in one commit.
    let mut commit = Commit::new(run.clone(), lease.epoch, 1, 20);
    commit.events = vec![event(1, "corrected")];
    let passed = given.iter().filter(|row| row.verdict.is_pass()).step_by(100);
    for (n, row) in passed.enumerate() {
        let reason = InvalidReason::Verifier { detail: "revoked".to_owned() };
        let said = [Verdict::Invalid { reason }, Verdict::Fail { score: Score::new(0.5).unwrap() }];
        for (revision, verdict) in (1..).zip(&said[..1 + n % 2]) {
            let correction = VerdictRow { revision, verdict: verdict.clone(), ..row.clone() };
            verdicts.insert(row.rollout.to_string(), verdict.clone());
            commit.verdicts.push(correction);
        }
    }
    assert!(commit.verdicts.len() > 10);
    store.commit(commit).await.unwrap();
    rollouts.sort_by(|a, b| (a.round, a.id.as_str()).cmp(&(b.round, b.id.as_str())));
    let checkpoints = checkpoints.map(|checkpoint| checkpoint.id);
    World { run, tasks, rollouts, verdicts, checkpoints }
}

impl World {
    fn admits(&self, filter: &RolloutFilter, row: &RolloutRow) -> bool {
        let task = &self.tasks.iter().find(|new| new.task.id == row.task).unwrap().task;
        let verdict = self.verdicts.get(row.id.as_str());
        let score = verdict.and_then(Verdict::score).map(Score::get);
        let within = |holds: fn(f64, f64) -> bool, bound: Option<f64>| {
            bound.is_none_or(|bound| score.is_some_and(|score| holds(score, bound)))
        };
        let kind = verdict.and_then(|verdict| match verdict {
            Verdict::Invalid { reason } => Some(reason.kind()),
            _ => None,
        });
        filter.round.is_none_or(|round| round == row.round)
            && filter.purpose.is_none_or(|purpose| purpose == row.purpose)
            && filter.task.as_ref().is_none_or(|task| *task == row.task)
            && filter.checkpoint.as_ref().is_none_or(|id| Some(id) == row.checkpoint.as_ref())
            && filter.policy.is_none_or(|policy| policy == row.policy_digest)
            && filter.family.as_ref().is_none_or(|family| *family == task.family)
            && filter.reason.as_deref().is_none_or(|reason| kind == Some(reason))
            && filter.verdict.is_none_or(|asked| match asked {
                VerdictFilter::Pass => verdict.is_some_and(Verdict::is_pass),
                VerdictFilter::Fail => verdict.is_some_and(|v| !v.is_pass() && !v.is_invalid()),
                VerdictFilter::Invalid => verdict.is_some_and(Verdict::is_invalid),
                VerdictFilter::Pending => verdict.is_none(),
            })
            && within(|s, b| s >= b, filter.score.at_least)
            && within(|s, b| s > b, filter.score.above)
            && within(|s, b| s <= b, filter.score.at_most)
            && within(|s, b| s < b, filter.score.below)
            && filter.text.as_ref().is_none_or(|text| says(task.instruction(), text))
    }
}

/// Whether each word of a text starts a word of another.
fn says(instruction: &str, text: &str) -> bool {
    let cut = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric());
        words.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect()
    };
    let (has, asked) = (cut(instruction), cut(text));
    !asked.is_empty() && asked.iter().all(|word| has.iter().any(|own| own.starts_with(word)))
}

fn filters(world: &World) -> Vec<RolloutFilter> {
    let all = RolloutFilter::default;
    let some = |text: &str| Some(text.to_owned());
    let mut filters = vec![all()];
    for verdict in
        [VerdictFilter::Pass, VerdictFilter::Fail, VerdictFilter::Invalid, VerdictFilter::Pending]
    {
        filters.push(RolloutFilter { verdict: Some(verdict), ..all() });
    }
    filters.push(RolloutFilter { purpose: Some(Split::Gate), ..all() });
    filters.push(RolloutFilter { checkpoint: Some(world.checkpoints[1].clone()), ..all() });
    filters.push(RolloutFilter { family: some("other"), ..all() });
    filters.push(RolloutFilter { family: some("none"), ..all() });
    filters.push(RolloutFilter { reason: some("infrastructure"), ..all() });
    filters.push(RolloutFilter { reason: some("model"), ..all() });
    filters.push(RolloutFilter { policy: Some(digest("policy")), ..all() });
    filters.push(RolloutFilter { policy: Some(digest("another")), ..all() });
    filters.push(RolloutFilter { task: Some(world.tasks[5].task.id.clone()), ..all() });
    for text in ["LIST7", "größer", "key", "sort by", "KEY 3", "nothing of this", "%_!", "\"*'"] {
        filters.push(RolloutFilter { text: some(text), ..all() });
    }
    for score in [
        ScoreBounds { at_least: Some(0.7), ..ScoreBounds::default() },
        ScoreBounds { above: Some(0.7), below: Some(1.0), ..ScoreBounds::default() },
        ScoreBounds { at_most: Some(0.3), ..ScoreBounds::default() },
        ScoreBounds { above: Some(0.3), at_most: Some(0.31), ..ScoreBounds::default() },
        ScoreBounds { below: Some(-1.0), ..ScoreBounds::default() },
    ] {
        filters.push(RolloutFilter { score, ..all() });
    }
    // Two at a time, and with a round.
    let single = filters.clone();
    for (n, filter) in single.iter().enumerate() {
        let other = &single[(n * 7 + 3) % single.len()];
        filters.push(RolloutFilter { round: Some(1 + n as u32 % 3), ..filter.clone() });
        filters.push(RolloutFilter {
            verdict: filter.verdict.or(other.verdict),
            family: filter.family.clone().or_else(|| some("chain")),
            text: filter.text.clone().or_else(|| other.text.clone()),
            purpose: other.purpose,
            ..filter.clone()
        });
    }
    filters
}

async fn listed(world: &World, store: &Store, filter: &RolloutFilter, limit: u32) -> Vec<String> {
    let (mut ids, mut after): (Vec<String>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let page = store.rollouts_page(&world.run, filter, after.as_ref(), limit).await.unwrap();
        assert!(page.rows.len() <= limit as usize);
        for row in page.rows {
            let newest = world.verdicts.get(row.rollout.id.as_str());
            assert_eq!(row.verdict.map(|row| row.verdict).as_ref(), newest);
            ids.push(row.rollout.id.to_string());
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return ids,
        }
    }
}

async fn lists_say_what_a_look_at_every_rollout_says(db: &TestDatabase) {
    let world = build(&db.store).await;
    for filter in filters(&world) {
        let admitted = world.rollouts.iter().filter(|row| world.admits(&filter, row));
        let expected: Vec<_> = admitted.map(|row| row.id.to_string()).collect();
        // By the index, and past it.
        for limit in [1_000, 3_000] {
            let found = listed(&world, &db.store, &filter, limit).await;
            assert_eq!(found.len(), expected.len(), "{filter:?} by {limit}");
            assert!(found == expected, "{filter:?} by {limit}");
        }
        if expected.len() < 100 {
            assert_eq!(listed(&world, &db.store, &filter, 7).await, expected, "{filter:?} by 7");
        }
    }
    for (text, split) in
        [("LIST7", None), ("größer", Some(Split::Test)), ("key_3", None), ("--", None)]
    {
        let filter = TaskFilter { text: Some(text.to_owned()), split, ..TaskFilter::default() };
        let page = db.store.tasks_page(&world.run, &filter, None, 100).await.unwrap();
        let mut expected: Vec<_> = world
            .tasks
            .iter()
            .filter(|new| split.is_none_or(|split| split == new.task.split))
            .filter(|new| says(new.task.instruction(), text))
            .map(|new| new.task.id.clone())
            .collect();
        expected.sort();
        let found: Vec<_> = page.rows.into_iter().map(|row| row.task.id).collect();
        assert_eq!(found, expected, "{text}");
    }
}

/// Counts of each task, and of all cells together.
async fn counts(store: &Store, world: &World) -> (Vec<VerdictCount>, VerdictCount, u64) {
    let ids: Vec<_> = world.tasks.iter().map(|new| new.task.id.clone()).collect();
    let rates = store.rates_of_tasks(&world.run, &ids).await.unwrap();
    let mut all = VerdictCount::default();
    for cell in store.cell_rates(&world.run).await.unwrap() {
        all.rollouts += cell.count.rollouts;
        all.passed += cell.count.passed;
        all.failed += cell.count.failed;
        all.invalid += cell.count.invalid;
    }
    let kinds = store.invalid_kinds(&world.run).await.unwrap();
    let invalid = kinds.iter().map(|kind| kind.rollouts).sum();
    (rates.into_iter().map(|rate| rate.count).collect(), all, invalid)
}

async fn counts_follow_corrections_and_restores(db: &TestDatabase) {
    let world = build(&db.store).await;
    let mut by_task = BTreeMap::<_, VerdictCount>::new();
    let mut all = VerdictCount::default();
    for row in &world.rollouts {
        for count in [by_task.entry(row.task.clone()).or_default(), &mut all] {
            count.rollouts += 1;
            match world.verdicts.get(row.id.as_str()) {
                Some(Verdict::Pass) => count.passed += 1,
                Some(Verdict::Fail { .. }) => count.failed += 1,
                Some(Verdict::Invalid { .. }) => count.invalid += 1,
                None => {}
            }
        }
    }
    let expected = (by_task.into_values().collect::<Vec<_>>(), all, all.invalid);
    assert_eq!(counts(&db.store, &world).await, expected);

    let mut bytes = Vec::new();
    db.store.backup(&mut bytes, 1).await.unwrap();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let place = Place::make(backend).await;
        place
            .with(async |url| {
                let summary = restore(url, &mut bytes.as_slice()).await.unwrap();
                assert!(summary.rows.keys().all(|table| !table.starts_with("index_")));
                let store = Store::open(url).await.unwrap();
                assert_eq!(counts(&store, &world).await, expected);
                let filter =
                    RolloutFilter { text: Some("list7".to_owned()), ..RolloutFilter::default() };
                let found = listed(&world, &store, &filter, 1_000).await.len();
                assert_eq!(found, ROUNDS.iter().map(|round| round.1 as usize).sum::<usize>());
                store.close().await;
            })
            .await;
    }
}
