//! A small but complete run: a base, one round, a promoted candidate.

use gyre_lineage::{
    CheckpointRow, Commit, GateDecision, GateRow, Lease, NewEvent, NewRun, NewTask, PartRow,
    Promotion, RolloutRow, ShardKind, ShardRow, ShardRowRef, Store, VerdictRow,
};
use gyre_types::{
    CheckResult, CheckpointId, Composition, Digest, EnvironmentSpec, Interface, InvalidReason,
    Judgement, Limits, Message, PartId, ProgramSpec, RolloutId, RunId, Score, Seed, ShardId, Split,
    StopReason, StoredPath, Task, TaskId, Verdict,
};
use serde_json::json;

pub(crate) fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

pub(crate) fn new_run(name: &str) -> NewRun {
    NewRun {
        name: name.to_owned(),
        fingerprint: digest("fingerprint"),
        seed: Seed(u64::MAX),
        config: json!({"rounds": 8, "note": "a \u{0} and a π"}),
        sandbox_digest: digest("sandbox"),
        created_at_ms: 1_000,
    }
}

pub(crate) async fn started(store: &Store, name: &str) -> (RunId, Lease) {
    let run = store.create_run(&new_run(name)).await.unwrap().id;
    let lease = store.acquire_lease(&run, "tester", 0, 1_000_000).await.unwrap();
    (run, lease)
}

pub(crate) fn event(round: u32, kind: &str) -> NewEvent {
    NewEvent { round, kind: kind.to_owned(), body: json!({"round": round, "x": 0.1}) }
}

pub(crate) fn task(number: u32, split: Split) -> NewTask {
    let digest = digest(&format!("task {number}"));
    let environment = EnvironmentSpec::Program(ProgramSpec {
        entry: "f".to_owned(),
        interface: Interface::default(),
        visible: Vec::new(),
    });
    let task = Task {
        id: TaskId::from_digest(&digest),
        digest,
        family: "chain".to_owned(),
        family_version: 1,
        seed: Seed(u64::MAX - u64::from(number)),
        difficulty: 1 + number % 3,
        composition: Composition(vec!["keep_odd".to_owned(), "sum".to_owned()]),
        skills: vec!["keep_odd/0".to_owned()],
        split,
        messages: vec![Message::user(format!("do {number}"))],
        tools: gyre_env::own_tools(&environment),
        environment,
        limits: Limits::default(),
        key_digest: self::digest("key"),
    };
    NewTask { round: 0, task, key: json!({"hidden": [[1, 2], 3.5]}) }
}

pub(crate) fn checkpoint(name: &str, round: u32, parent: Option<&CheckpointRow>) -> CheckpointRow {
    let digest = digest(name);
    CheckpointRow {
        id: CheckpointId::from_digest(&digest),
        round,
        parent: parent.map(|parent| parent.id.clone()),
        path: StoredPath::new(format!("runs/r-1/checkpoints/{name}")),
        digest,
        policy_digest: self::digest("policy"),
        shards: Vec::new(),
        report: json!({"steps": 100, "loss": 0.25}),
    }
}

pub(crate) fn part(name: &str, rows: usize) -> PartRow {
    let sha256 = digest(name);
    PartRow {
        id: PartId::from_digest(&sha256),
        path: StoredPath::new(format!("runs/r-1/rollouts/{name}.parquet")),
        sha256,
        bytes: 12_345,
        rows: rows.try_into().unwrap(),
    }
}

/// Sample `sample` of a task, as row `part_row` of a part.
pub(crate) fn rollout(
    round: u32,
    task: &NewTask,
    sample: u32,
    checkpoint: &CheckpointRow,
    (part, part_row): (&PartRow, u32),
) -> RolloutRow {
    let task = &task.task;
    let name = format!("{round} {} {} {sample} {}", task.split, task.id, checkpoint.id);
    RolloutRow {
        id: RolloutId::from_digest(&digest(&name)),
        round,
        purpose: task.split,
        task: task.id.clone(),
        sample,
        seed: Seed(u64::MAX - 7),
        checkpoint: Some(checkpoint.id.clone()),
        policy_digest: checkpoint.policy_digest,
        part: part.id.clone(),
        part_row,
        answer_digest: digest("answer"),
        stop: StopReason::Submitted,
        turns: 2,
        tokens: 40,
        fuel: 5_000_000_000,
        chain: digest(&format!("chain {name}")),
    }
}

pub(crate) fn judgement(verdict: Verdict) -> Judgement {
    let passed = verdict.is_pass();
    let detail = "returned \"3\u{0}\"".to_owned();
    let check = CheckResult { name: "hidden[0]".to_owned(), passed, weight: 1.0, detail };
    Judgement { verdict, checks: vec![check], fuel: 7, guests: 2 }
}

/// Passes, fails and has no verdict in turns.
pub(crate) fn verdict(number: usize) -> Verdict {
    match number % 3 {
        0 => Verdict::Pass,
        1 => Verdict::Fail { score: Score::new(0.3).unwrap() },
        _ => Verdict::Invalid {
            reason: InvalidReason::Infrastructure { detail: "lost \u{0} worker".to_owned() },
        },
    }
}

pub(crate) fn verdict_of(rollout: &RolloutRow, verdict: Verdict) -> VerdictRow {
    let id = rollout.id.clone();
    VerdictRow::of(id, judgement(verdict), digest("verifier"), digest("sandbox"))
}

pub(crate) fn shard(name: &str, round: u32, rows: usize) -> ShardRow {
    let sha256 = digest(name);
    ShardRow {
        id: ShardId::from_digest(&sha256),
        round,
        path: StoredPath::new(format!("runs/r-1/dataset/data/{name}.parquet")),
        sha256,
        bytes: 999,
        rows: rows.try_into().unwrap(),
        superseded: false,
        kind: ShardKind::Accepted,
    }
}

/// A shard of whole groups, which lies in a folder of its own.
pub(crate) fn group_shard(name: &str, round: u32, rows: usize) -> ShardRow {
    let path = StoredPath::new(format!("runs/r-1/dataset/groups/{name}.parquet"));
    ShardRow { path, kind: ShardKind::Groups, ..shard(&format!("groups {name}"), round, rows) }
}

pub(crate) fn rows_of(shard: &ShardRow, rollouts: &[&RolloutRow]) -> Vec<ShardRowRef> {
    let row = |(row, rollout): (u32, &&RolloutRow)| ShardRowRef {
        shard: shard.id.clone(),
        row,
        rollout: rollout.id.clone(),
    };
    (0..).zip(rollouts).map(row).collect()
}

/// What [`write`] recorded, in the order of its three commits.
pub(crate) struct Recorded {
    pub(crate) run: RunId,
    pub(crate) lease: Lease,
    pub(crate) base: CheckpointRow,
    pub(crate) candidate: CheckpointRow,
    pub(crate) tasks: Vec<NewTask>,
    pub(crate) part: PartRow,
    pub(crate) rollouts: Vec<RolloutRow>,
    pub(crate) verdicts: Vec<VerdictRow>,
    pub(crate) shard: ShardRow,
    pub(crate) shard_rows: Vec<ShardRowRef>,
    pub(crate) gate: GateRow,
    pub(crate) last_seq: u64,
}

impl Recorded {
    pub(crate) fn commit(&self) -> Commit {
        Commit::new(self.run.clone(), self.lease.epoch, self.last_seq, 50)
    }
}

/// Six train tasks and two of the gate's, two samples each: 16 rollouts.
pub(crate) async fn write(store: &Store, name: &str) -> Recorded {
    let (run, lease) = started(store, name).await;
    let base = checkpoint("base", 0, None);
    let mut first = Commit::new(run.clone(), lease.epoch, 0, 10);
    first.events = vec![event(0, "run_started"), event(0, "base_ready")];
    first.checkpoints = vec![base.clone()];
    first.promotion = Some(Promotion {
        expected_champion: None,
        champion: base.id.clone(),
        round: 0,
        gate_digest: None,
    });
    assert_eq!(store.commit(first).await.unwrap(), 2);

    let split = |number| if number < 6 { Split::Train } else { Split::Gate };
    let tasks: Vec<_> =
        (0..8).map(|number| NewTask { round: 1, ..task(number, split(number)) }).collect();
    let part = part("round-0001", 16);
    let samples = tasks.iter().flat_map(|task| [(task, 0), (task, 1)]);
    let rollouts: Vec<_> = (0..)
        .zip(samples)
        .map(|(row, (task, sample))| rollout(1, task, sample, &base, (&part, row)))
        .collect();
    let verdicts: Vec<_> =
        rollouts.iter().enumerate().map(|(n, r)| verdict_of(r, verdict(n))).collect();
    let mut second = Commit::new(run.clone(), lease.epoch, 2, 20);
    second.events = vec![event(1, "rolled_out")];
    second.tasks = tasks.clone();
    second.rollout_parts = vec![part.clone()];
    second.rollouts = rollouts.clone();
    second.verdicts = verdicts.clone();
    assert_eq!(store.commit(second).await.unwrap(), 3);

    let passed = |n: usize| rollouts[n].purpose == Split::Train && verdicts[n].verdict.is_pass();
    let published: Vec<_> = (0..16).filter(|n| passed(*n)).map(|n| &rollouts[n]).collect();
    let shard = shard("train-round-0001", 1, published.len());
    let shard_rows = rows_of(&shard, &published);
    let mut candidate = checkpoint("candidate", 1, Some(&base));
    candidate.shards = vec![shard.id.clone()];
    let pair = (candidate.id.clone(), base.id.clone());
    let gate = GateRow::new(1, pair, GateDecision::Promoted, json!({"p": 1e-3, "flips": []}));
    let mut third = Commit::new(run.clone(), lease.epoch, 3, 30);
    third.events = vec![event(1, "promoted")];
    third.shards = vec![shard.clone()];
    third.shard_rows = shard_rows.clone();
    third.checkpoints = vec![candidate.clone()];
    third.gates = vec![gate.clone()];
    third.promotion = Some(Promotion {
        expected_champion: Some(base.id.clone()),
        champion: candidate.id.clone(),
        round: 1,
        gate_digest: Some(gate.digest),
    });
    let last_seq = store.commit(third).await.unwrap();
    assert_eq!(last_seq, 4);
    Recorded {
        run,
        lease,
        base,
        candidate,
        tasks,
        part,
        rollouts,
        verdicts,
        shard,
        shard_rows,
        gate,
        last_seq,
    }
}
