use std::path::Path;

use gyre_dataset::{
    Card, DatasetRow, DatasetWriter, Layout, ManifestShard, PublishedShard, RowSource,
};
use gyre_types::{
    CheckResult, CheckpointId, Composition, Digest, FinishReason, Interface, Judgement, Limits,
    Message, PolicyRef, Role, RolloutId, RolloutRecord, Sampling, Score, Seed, Split, StopReason,
    Task, TaskId, ToolCall, TurnRecord, Verdict,
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
/// some optional fields absent.
pub(crate) fn record(number: u32) -> RolloutRecord {
    let turn = |turn: u32| TurnRecord {
        tokens: (0..number % 7 + turn).map(|n| n * 11).collect(),
        logprobs: (0..number % 7 + turn).map(|n| -0.1 * n as f32).collect(),
        finish: [FinishReason::Stop, FinishReason::Length, FinishReason::Rule][turn as usize % 3],
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
        policy: PolicyRef {
            checkpoint: (!number.is_multiple_of(5))
                .then(|| CheckpointId::from_digest(&digest("checkpoint"))),
            digest: digest("policy"),
        },
        sandbox_digest: digest("sandbox"),
        messages: if number == 3 { Vec::new() } else { messages(number) },
        prompt_tokens: (0..number % 3).collect(),
        turns: (0..number % 3).map(turn).collect(),
        answer: format!("def f(x):\n    return x + {}", number % 100),
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
        instruction: format!("Add {number}."),
        entry: "f".to_owned(),
        interface: Interface::default(),
        visible: Vec::new(),
        limits: Limits::default(),
        key_digest: self::digest("key"),
    }
}

pub(crate) fn row(number: u32) -> DatasetRow {
    let record = record(number);
    let passed = number % 4 != 1;
    let verdict =
        if passed { Verdict::Pass } else { Verdict::Fail { score: Score::new(0.25).unwrap() } };
    let detail = "SECRET EXPECTED VALUE".to_owned();
    let check = CheckResult { name: "hidden[0]".to_owned(), passed, weight: 2.0, detail };
    let judgement = Judgement { verdict, checks: vec![check], fuel: 1, guests: 1 };
    DatasetRow::of(RowSource {
        record: &record,
        task: &task(number / 4),
        judgement: &judgement,
        verifier_digest: digest("verifier"),
        reward: if passed { 1.0 } else { 0.25 },
        tools: "[{\"type\":\"function\",\"function\":{\"name\":\"python\"}}]",
    })
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
    let mut record = record(number);
    record.turns = (0..turns)
        .map(|turn| TurnRecord {
            tokens: vec![100 + turn; 3],
            logprobs: vec![],
            finish: FinishReason::Stop,
            fuel: 1,
            chain: digest("chain"),
        })
        .collect();
    record.messages = messages;
    record.answer = code;
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
    ManifestShard {
        id: shard.id.clone(),
        path: format!("data/{}", shard.path.file_name().unwrap().to_str().unwrap()),
        sha256: shard.sha256,
        bytes: shard.bytes,
        rows: shard.rollouts.len() as u64,
        round,
    }
}

/// A dataset of two shards: rows 0 to 1,499 and 1,500 to 1,999.
pub(crate) fn dataset(root: &Path) -> Layout {
    let layout = Layout::new(root);
    layout.create().unwrap();
    let first = publish(&layout.data_dir(), 1, 0..1_500);
    let second = publish(&layout.data_dir(), 2, 1_500..2_000);
    let shards = [manifest_shard(2, &second), manifest_shard(1, &first)];
    layout.write_index(&card(), &shards).unwrap();
    layout
}

/// The file of the only shard of a round.
pub(crate) fn shard_of(layout: &Layout, round: u32) -> std::path::PathBuf {
    let shards = layout.read_manifest().unwrap().shards;
    let shard = shards.into_iter().find(|shard| shard.round == round).unwrap();
    layout.resolve(&shard.path)
}

/// The names in a folder, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
