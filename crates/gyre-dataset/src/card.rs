use std::fmt::Write;

use gyre_types::{Digest, RunId, Seed};

use crate::manifest::{Manifest, ManifestShard, View};
use crate::{group, row};

/// What a dataset's card says of its making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The run that made it.
    pub run: RunId,
    /// The seed of that run.
    pub seed: Seed,
    /// Digest of everything that decides the run's outcome.
    pub fingerprint: Digest,
    /// The licence of the rows, as the Hugging Face hub names it.
    pub license: String,
}

const COLUMNS: &[(&str, &str)] = &[
    (
        "rollout_id, task_id, group_id",
        "the attempt, its task, and the task's attempts of one round",
    ),
    ("round, sample", "the round, and which attempt of the group"),
    ("family, difficulty, composition, skills", "what kind of task"),
    ("split", "always `train`: held-out tasks are never published"),
    (
        "instruction, prompt, completion",
        "the task in words, the first user message, the final answer",
    ),
    ("messages", "the conversation; `tool_calls` is JSON text"),
    ("tools", "the tools offered, as JSON text"),
    ("verdict, score, reward, checks", "what execution said, and what each check said"),
    ("*_digest, checkpoint_id, seed, temperature", "what the row can be reproduced from"),
    (
        "turns",
        "by turn, where known: `prompt_tokens` and `tokens` as the engine read and sampled them, \
         `logprobs`, `loss_mask` (true for the turn that gave the answer), `is_branch` (the prompt \
         does not extend the turn before) and `reasoning`",
    ),
    ("fuel, chain", "work done by the sandbox, and the hash chain over all steps"),
];

/// What each configuration is for.
const CONFIGS: &[(&str, &str)] = &[
    (
        "sft",
        "supervised fine-tuning without tools: `messages`, the task and the accepted answer in a \
         code fence",
    ),
    (
        "sft_tools",
        "supervised fine-tuning of agents: `messages`, the whole conversation with tool calls, \
         and `tools`; `prompt` and `completion` divide it before the turn that gave the answer, \
         so that a first, wrong program carries no loss",
    ),
    ("prompt_completion", "trainers that take `prompt` and `completion`, both as messages"),
    (
        "groups",
        "methods that compare attempts, such as DPO and GRPO: every attempt at a task of a round, \
         passed or failed, with `reward`, `score`, `prompt` and `completion`; `group` is what the \
         attempts have in common",
    ),
    ("records", "analysis and methods of your own: every accepted row with all its columns"),
];

/// The configuration of each schema. Files of different columns do not load together.
const SCHEMAS: &[(&str, &str)] = &[
    ("records", row::SCHEMA),
    ("records_v2", row::SCHEMA_2),
    ("records_v1", row::SCHEMA_1),
    ("groups", group::SCHEMA),
];

fn config(text: &mut String, name: &str, default: bool, files: &[&str]) {
    if files.is_empty() {
        return;
    }
    let default = if default { "  default: true\n" } else { "" };
    let _ = write!(
        text,
        "- config_name: {name}\n{default}  data_files:\n  - split: train\n    path:\n"
    );
    for file in files {
        let _ = writeln!(text, "    - {file}");
    }
}

/// Every file by its name: what is not published any more is not found.
fn configs(manifest: &Manifest) -> String {
    let mut text = String::new();
    for view in View::ALL {
        let files = manifest.views.iter().filter(|file| file.view == view);
        let files: Vec<_> = files.map(|file| file.path.as_str()).collect();
        config(&mut text, view.name(), view == View::Sft, &files);
    }
    for (name, schema) in SCHEMAS {
        let is_of = |shard: &&ManifestShard| {
            manifest.schemas.get(&shard.id).is_some_and(|found| found == schema)
        };
        let files = manifest.shards.iter().filter(is_of);
        let files: Vec<_> = files.map(|shard| shard.path.as_str()).collect();
        config(&mut text, name, false, &files);
    }
    if text.is_empty() { text } else { format!("configs:\n{text}") }
}

pub(crate) fn render(card: &Card, manifest: &Manifest) -> String {
    let rows: u64 = manifest.accepted().map(|shard| shard.rows).sum();
    let attempts: u64 = manifest.groups().map(|shard| shard.rows).sum();
    let bytes: u64 = manifest.shards.iter().map(|shard| shard.bytes).sum();
    let mut text = format!(
        "---\npretty_name: Gyre {run}\nlicense: {license}\ntags:\n- gyre\n- code\n- synthetic\n\
         - verified-by-execution\ntask_categories:\n- text-generation\n\
         size_categories:\n- {size}\n{configs}---\n\n\
         # Gyre dataset {run}\n\n\
         Trajectories that Gyre sampled, executed and verified; no person labelled a row.\n\n\
         - rows: {rows}\n- attempts in groups: {attempts}\n- bytes: {bytes}\n- run: {run}\n- seed: {seed}\n\
         - run fingerprint: `{fingerprint}`\n\n\
         `manifest.json` holds the SHA-256 of every file.\n\n## Configurations\n\n\
         `load_dataset(DIR, NAME)` loads one. All but `groups` and `records` hold the rows that passed.\n\n\
         | name | for |\n|---|---|\n",
        run = card.run,
        license = card.license,
        size = size_category(rows),
        configs = configs(manifest),
        seed = card.seed,
        fingerprint = card.fingerprint,
    );
    for (name, purpose) in CONFIGS {
        let _ = writeln!(text, "| `{name}` | {purpose} |");
    }
    text.push_str("\n## Columns of `records`\n\n| columns | meaning |\n|---|---|\n");
    for (columns, meaning) in COLUMNS {
        let _ = writeln!(text, "| {columns} | {meaning} |");
    }
    text.push_str("\n## Shards\n\n| file | round | rows | bytes |\n|---|---|---|---|\n");
    for shard in &manifest.shards {
        let ManifestShard { path, round, rows, bytes, .. } = shard;
        let _ = writeln!(text, "| {path} | {round} | {rows} | {bytes} |");
    }
    text
}

/// The hub's own size classes.
fn size_category(rows: u64) -> &'static str {
    match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        _ => "n>10M",
    }
}
