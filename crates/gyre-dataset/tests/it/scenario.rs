use std::path::{Path, PathBuf};

use gyre_dataset::{
    Card, DatasetRow, DatasetWriter, GroupRow, GroupWriter, Layout, ManifestShard, PublishedShard,
    RowSource, RowTurn,
};
use gyre_types::{
    Acting, Answer, CheckResult, CheckpointId, Composition, Digest, EnvironmentSpec, FinishReason,
    Interface, Judgement, Limits, Message, PolicyRef, ProgramSpec, Role, RolloutId, RolloutRecord,
    Sampling, Score, Seed, Split, StopReason, Task, TaskId, ToolCall, TurnRecord, Usage, Verdict,
};

pub(crate) fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn message(role: Role, content: &str) -> Message {
    Message { role, content: content.to_owned(), tool_calls: Vec::new(), tool_call_id: None }
}

fn messages(number: u32) -> Vec<Message> {
    let call = ToolCall {
        id: "call-1".to_owned(),
        name: "python".to_owned(),
        arguments: format!("{{\"code\": \"print({number})\"}}"),
    };
    let mut asked = message(Role::Assistant, "");
    asked.tool_calls = vec![call];
    let mut answered = message(Role::Tool, &format!("{number}\n"));
    answered.tool_call_id = Some("call-1".to_owned());
    vec![
        message(Role::System, "You write Python."),
        message(Role::User, &format!("Add {number} to π, \u{1f642}.\u{0}")),
        asked,
        answered,
        message(Role::Assistant, &format!("def f(x):\n    return x + {}", number % 100)),
    ]
}

/// A record whose every field depends on its number; some lists are empty and
/// some optional fields absent. A few second turns branch off.
pub(crate) fn record(number: u32) -> RolloutRecord {
    let mut record = record_of_version_2(number);
    record.acting = Acting::ALL[number as usize % 2];
    let mut before: Vec<u32> = Vec::new();
    for (at, turn) in (0..).zip(&mut record.turns) {
        turn.prompt_tokens = match number % 8 {
            5 if at == 1 => vec![7, 8, 9],
            _ => before.iter().copied().chain([number, at]).collect(),
        };
        before = [turn.prompt_tokens.as_slice(), &turn.tokens].concat();
        turn.reasoning = (number % 3 == at).then(|| format!("π is {number}.{at} \u{1f642}"));
        turn.model = (!number.is_multiple_of(4)).then(|| format!("vendor/model-{at}"));
        turn.usage = Usage {
            prompt: turn.prompt_tokens.len() as u64,
            cached: u64::MAX - u64::from(number),
            completion: turn.tokens.len() as u64 + 1,
        };
    }
    record
}

/// The same record as `part/2` held it: with the first turn's prompt alone.
pub(crate) fn record_of_version_2(number: u32) -> RolloutRecord {
    let turn = |turn: u32| TurnRecord {
        prompt_tokens: if turn == 0 { (0..number % 3).collect() } else { Vec::new() },
        tokens: (0..number % 7 + turn).map(|n| n * 11).collect(),
        logprobs: (0..number % 7 + turn).map(|n| -0.1 * n as f32).collect(),
        finish: [FinishReason::Stop, FinishReason::Length, FinishReason::Rule][turn as usize % 3],
        reasoning: None,
        usage: Usage::default(),
        model: None,
        fuel: u64::from(number) << 20,
        chain: digest(&format!("turn {number} {turn}")),
    };
    RolloutRecord {
        id: RolloutId::from_digest(&digest(&format!("rollout {number}"))),
        round: 1 + number % 3,
        purpose: Split::Train,
        task: task(number / 4).id,
        sample: number % 4,
        seed: Seed(u64::MAX - u64::from(number)),
        sampling: Sampling { temperature: 0.7, tokens_max: 256 },
        turns_max: 3,
        tokens_max: Some(512),
        repair_temperature: Some(1.1),
        acting: Acting::Tools,
        policy: PolicyRef {
            checkpoint: (!number.is_multiple_of(5))
                .then(|| CheckpointId::from_digest(&digest("checkpoint"))),
            digest: digest("policy"),
        },
        sandbox_digest: digest("sandbox"),
        messages: if number == 3 { Vec::new() } else { messages(number) },
        turns: (0..number % 3).map(turn).collect(),
        answer: Answer::Program(format!("def f(x):\n    return x + {}", number % 100)),
        stop: StopReason::ALL[number as usize % StopReason::ALL.len()],
        fuel: 1_000 * u64::from(number),
        chain: digest(&format!("chain {number}")),
    }
}

pub(crate) fn task(number: u32) -> Task {
    let digest = digest(&format!("task {number}"));
    Task {
        id: TaskId::from_digest(&digest),
        digest,
        family: ["chain", "text"][number as usize % 2].to_owned(),
        family_version: 1,
        seed: Seed(number.into()),
        difficulty: 1 + number % 4,
        composition: Composition(vec!["keep_odd".to_owned(), "sum".to_owned()]),
        skills: vec![format!("keep_odd/{number}"), "sum/0".to_owned()],
        split: Split::Train,
        messages: vec![Message::user(format!("Add {number}."))],
        tools: Vec::new(),
        environment: EnvironmentSpec::Program(ProgramSpec {
            entry: "f".to_owned(),
            interface: Interface::default(),
            visible: Vec::new(),
        }),
        limits: Limits::default(),
        key_digest: self::digest("key"),
    }
}

/// Numbers by four are of one task; the second attempt of each fails.
fn judgement(number: u32) -> Judgement {
    let passed = number % 4 != 1;
    let verdict =
        if passed { Verdict::Pass } else { Verdict::Fail { score: Score::new(0.25).unwrap() } };
    let detail = "SECRET EXPECTED VALUE".to_owned();
    let check = CheckResult { name: "hidden[0]".to_owned(), passed, weight: 2.0, detail };
    Judgement { verdict, checks: vec![check], fuel: 1, guests: 1 }
}

/// Gives what rows are made from to `made`.
fn with_source<T>(record: &RolloutRecord, number: u32, made: impl Fn(RowSource<'_>) -> T) -> T {
    let judgement = judgement(number);
    let passed = judgement.verdict.is_pass();
    made(RowSource {
        record,
        task: &task(number / 4),
        judgement: &judgement,
        verifier_digest: digest("verifier"),
        reward: if passed { 1.0 } else { 0.25 },
        tools: "[{\"type\":\"function\",\"function\":{\"name\":\"python\"}}]",
    })
}

pub(crate) fn row(number: u32) -> DatasetRow {
    row_of(&record(number), number)
}

/// The row of a record, judged as the attempt of this number is.
pub(crate) fn row_of(record: &RolloutRecord, number: u32) -> DatasetRow {
    with_source(record, number, DatasetRow::of)
}

/// The row as `dataset/2` held it: the tokens of all turns joined.
pub(crate) fn row_of_version_2(number: u32) -> DatasetRow {
    let row = with_source(&record_of_version_2(number), number, DatasetRow::of);
    let turns = row.turns.into_iter().reduce(|mut joined, turn| {
        joined.tokens.extend(turn.tokens);
        joined.logprobs.extend(turn.logprobs);
        joined.loss_mask.extend(turn.loss_mask);
        joined
    });
    let is_known = |turn: &RowTurn| *turn != RowTurn::default();
    DatasetRow { turns: turns.into_iter().filter(is_known).collect(), ..row }
}

pub(crate) fn group_row(number: u32) -> GroupRow {
    group_row_of(&record(number), number)
}

/// The same of a group.
pub(crate) fn group_row_of(record: &RolloutRecord, number: u32) -> GroupRow {
    with_source(record, number, |source| {
        GroupRow::of(RowSource { reward: f64::from(u8::from(source.reward == 1.0)), ..source })
    })
}

/// Publishes whole groups as a shard of a round.
pub(crate) fn publish_groups(
    layout: &Layout,
    round: u32,
    rows: impl Iterator<Item = GroupRow>,
) -> ManifestShard {
    let mut writer = GroupWriter::new(layout.groups(), round);
    rows.for_each(|row| writer.push(row).unwrap());
    listed("groups", round, &writer.seal().unwrap().publish().unwrap())
}

/// Publishes the rows of these numbers as a shard of a round.
pub(crate) fn publish(dir: &Path, round: u32, rows: impl Iterator<Item = u32>) -> PublishedShard {
    publish_rows(dir, round, rows.map(row))
}

pub(crate) fn publish_rows(
    dir: &Path,
    round: u32,
    rows: impl Iterator<Item = DatasetRow>,
) -> PublishedShard {
    let mut writer = DatasetWriter::new(dir, round);
    rows.for_each(|row| writer.push(row).unwrap());
    writer.seal().unwrap().publish().unwrap()
}

/// A program that no template and no quoting may change: quotes of both kinds,
/// backslashes, fences, braces, letters beyond ASCII.
fn program(number: u32) -> String {
    format!(
        "def f(x):\n    \"\"\"Adds {number} to 'x' ```like\nthis```, {{{{ π }}}} {{% x %}}.\"\"\"\n\t\n    \
         return {{\"a\\n'b'\": x + {number}}} if x < {number} else '\\\\é'\n"
    )
}

/// What every first program of a repaired episode holds.
pub(crate) const WRONG: &str = "return 'a wrong program'";

const TOOLS: &str = r#"[
    {"type": "function", "function": {"name": "run_examples", "description": "Run a program.",
        "parameters": {"type": "object", "properties": {"code": {"type": "string",
        "description": "A program."}}, "required": ["code"], "additionalProperties": false}}},
    {"type": "function", "function": {"name": "submit", "description": "Hand in the program.",
        "parameters": {"type": "object", "properties": {"code": {"type": "string",
        "description": "A program."}}, "required": ["code"], "additionalProperties": false}}}
]"#;

/// A row of an episode as Gyre makes it: handed in at once, repaired, or run
/// and then handed in.
pub(crate) fn episode(number: u32) -> DatasetRow {
    let code = program(number);
    let call = |turn: u32, name: &str, code: &str| {
        let mut said = message(Role::Assistant, "");
        said.tool_calls = vec![ToolCall {
            id: format!("call-{turn}"),
            name: name.to_owned(),
            arguments: serde_json::json!({ "code": code }).to_string(),
        }];
        said
    };
    let told = |content: &str| {
        let mut told = message(Role::Tool, content);
        told.tool_call_id = Some("call-0".to_owned());
        told
    };
    let asked = message(Role::User, &format!("Write f, which adds {number}."));
    let messages = match number % 3 {
        0 => vec![asked, call(0, "submit", &code)],
        1 => {
            let wrong = format!("def f(x):\n    {WRONG}\n");
            let first = call(0, "run_examples", &wrong);
            vec![asked, first, told("0 of 3 examples agree"), call(1, "submit", &code)]
        }
        _ => {
            let first = call(0, "run_examples", &code);
            vec![asked, first, told("all examples agree"), call(1, "submit", &code)]
        }
    };
    let turns = messages.iter().filter(|message| message.role == Role::Assistant).count() as u32;
    let mut record = record_of_version_2(number);
    record.turns = (0..turns)
        .map(|turn| TurnRecord {
            prompt_tokens: vec![],
            tokens: vec![100 + turn; 3],
            logprobs: vec![],
            finish: FinishReason::Stop,
            reasoning: None,
            usage: Usage::default(),
            model: None,
            fuel: 1,
            chain: digest("chain"),
        })
        .collect();
    record.messages = messages;
    record.answer = Answer::Program(code);
    let judgement = Judgement { verdict: Verdict::Pass, checks: vec![], fuel: 1, guests: 1 };
    DatasetRow::of(RowSource {
        record: &record,
        task: &task(number),
        judgement: &judgement,
        verifier_digest: digest("verifier"),
        reward: 1.0,
        tools: TOOLS,
    })
}

pub(crate) fn card() -> Card {
    Card {
        run: "quick-1".parse().unwrap(),
        seed: Seed(7),
        fingerprint: digest("fingerprint"),
        license: "unknown".to_owned(),
    }
}

pub(crate) fn manifest_shard(round: u32, shard: &PublishedShard) -> ManifestShard {
    listed("data", round, shard)
}

fn listed(folder: &str, round: u32, shard: &PublishedShard) -> ManifestShard {
    ManifestShard {
        id: shard.id.clone(),
        path: format!("{folder}/{}", shard.path.file_name().unwrap().to_str().unwrap()),
        sha256: shard.sha256,
        bytes: shard.bytes,
        rows: shard.rollouts.len() as u64,
        round,
    }
}

/// A dataset of two rounds: rows 0 to 1,499 and 1,500 to 1,999. Its groups hold the
/// same attempts in the first round, and none in the second.
pub(crate) fn dataset(root: &Path) -> Layout {
    let layout = Layout::new(root);
    layout.create().unwrap();
    let first = publish(&layout.data_dir(), 1, 0..1_500);
    let second = publish(&layout.data_dir(), 2, 1_500..2_000);
    let groups = publish_groups(&layout, 1, (0..1_500).map(group_row));
    let shards = [manifest_shard(2, &second), groups, manifest_shard(1, &first)];
    layout.write_index(&card(), &shards).unwrap();
    layout
}

/// The file of a round's only shard of accepted rows.
pub(crate) fn shard_of(layout: &Layout, round: u32) -> PathBuf {
    let manifest = layout.read_manifest().unwrap();
    let shard = manifest.accepted().find(|shard| shard.round == round).unwrap();
    layout.resolve(&shard.path)
}

/// A file of an earlier version.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The names in a folder, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
