//! What of a shard a trainer takes, in the forms that trainers take.
//!
//! Views follow from shards: the same shard gives the same bytes.

use arrow_array::RecordBatch;
use gyre_folder::Folder;
use gyre_types::{Digest, Role, Verdict};

use crate::accepted::accepted_message;
use crate::chat;
use crate::columns::Columns;
use crate::error::{At, DatasetError, Fault};
use crate::file::{Form, ParquetFile, ROWS_PER_BATCH, Unwritten, content_name, digest_file};
use crate::manifest::{ManifestShard, ManifestView, View};
use crate::read::read_shard;
use crate::row::DatasetRow;
use crate::source::Source;

impl View {
    fn form(self) -> Form {
        let schema = match self {
            Self::Sft => "sft/1",
            Self::SftTools => "sft_tools/1",
            Self::PromptCompletion => "prompt_completion/1",
        };
        Form { schema, label: "view", says_json: self == Self::SftTools }
    }

    fn encode(self, rows: &[DatasetRow]) -> Result<RecordBatch, Fault> {
        let mut columns = Columns::default();
        match self {
            Self::Sft => {
                let whole = rows.iter().map(|row| [question(row), vec![answer(row)]].concat());
                plain(&mut columns, "messages", whole.collect())?;
            }
            Self::PromptCompletion => {
                plain(&mut columns, "prompt", rows.iter().map(question).collect())?;
                let answers = rows.iter().map(|row| vec![answer(row)]);
                plain(&mut columns, "completion", answers.collect())?;
            }
            Self::SftTools => with_tools(&mut columns, rows),
        }
        columns.text("rollout_id", rows.iter().map(|row| row.rollout_id.as_str()));
        columns.finish()
    }
}

/// Writes the file of one view of a shard into the view's folder.
pub(crate) fn write_view(
    dir: &Folder,
    view: View,
    file: Source,
    shard: &ManifestShard,
) -> Result<ManifestView, DatasetError> {
    let name = content_name(shard.round, &shard.sha256);
    let target = dir.path().join(&name);
    let mut out = None;
    let mut rows = 0;
    batches(file, |batch| {
        rows += batch.len() as u64;
        let batch = view.encode(batch).at(&target, "write")?;
        let out = match &mut out {
            Some(out) => out,
            none => none.insert(ParquetFile::create((dir, &name), view.form(), &batch)?),
        };
        out.write(&batch)
    })?;
    let Some(out) = out else {
        unreachable!("every shard has a batch");
    };
    let staged = out.finish()?;
    let (sha256, bytes) = digest_file(staged.temporary()).at(&target, "write")?;
    let name = content_name(shard.round, &sha256);
    let path = format!("{}/{name}", view.name());
    staged.renamed(&name).publish()?;
    Ok(ManifestView { view, shard: shard.id.clone(), path, sha256, bytes, rows })
}

/// What [`write_view`] would write: its digest and size.
pub(crate) fn digest_view(view: View, file: Source) -> Result<(Digest, u64), DatasetError> {
    let path = file.path.clone();
    let mut out = None;
    batches(file, |batch| {
        let batch = view.encode(batch).at(&path, "read")?;
        let out = match &mut out {
            Some(out) => out,
            none => none.insert(Unwritten::new(view.form(), &batch).at(&path, "read")?),
        };
        out.write(&batch).at(&path, "read")
    })?;
    let Some(out) = out else {
        unreachable!("every shard has a batch");
    };
    out.finish().at(&path, "read")
}

/// The rows of a shard that views show, some at a time; at least one batch,
/// which may be empty.
fn batches(
    file: Source,
    mut each: impl FnMut(&[DatasetRow]) -> Result<(), DatasetError>,
) -> Result<(), DatasetError> {
    let mut ready = Vec::new();
    let mut begun = false;
    for row in read_shard(file)? {
        let row = row?;
        if row.verdict != Verdict::Pass || row.completion.trim().is_empty() {
            continue;
        }
        ready.push(row);
        if ready.len() == ROWS_PER_BATCH {
            each(&ready)?;
            begun = true;
            ready.clear();
        }
    }
    if begun && ready.is_empty() { Ok(()) } else { each(&ready) }
}

/// Role and content.
type Plain = (Role, String);

/// What came before the first answer: standing instructions and the task.
fn question(row: &DatasetRow) -> Vec<Plain> {
    let before = row.messages.iter().take_while(|message| message.role == Role::System);
    let standing = before.map(|message| (Role::System, message.content.clone()));
    let task = if row.prompt.is_empty() { &row.instruction } else { &row.prompt };
    standing.chain([(Role::User, task.clone())]).collect()
}

/// The answer in a fence that is longer than any inside it.
fn answer(row: &DatasetRow) -> Plain {
    let code = &row.completion;
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    let end = if code.ends_with('\n') { "" } else { "\n" };
    (Role::Assistant, format!("{fence}python\n{code}{end}{fence}"))
}

fn plain(columns: &mut Columns, name: &str, lists: Vec<Vec<Plain>>) -> Result<(), Fault> {
    let all = || lists.iter().flatten();
    let mut items = Columns::default();
    items.text("role", all().map(|(role, _)| role.as_str()));
    items.text("content", all().map(|(_, content)| content));
    columns.struct_lists(name, lists.iter().map(Vec::len), items)
}

/// The whole conversation, and the same in two: all before the turn that gave
/// the answer, and that turn. Messages are JSON, since a struct would give each
/// the keys of all, and templates ask whether a key is there.
fn with_tools(columns: &mut Columns, rows: &[DatasetRow]) {
    let told = |row: &DatasetRow| chat::messages(&row.messages);
    let accepted = |row: &DatasetRow| accepted_message(&row.messages, &row.completion);
    columns.json_lists("messages", rows.iter().map(told));
    let before = |row: &DatasetRow| {
        let end = accepted(row).unwrap_or(row.messages.len());
        told(row).into_iter().take(end).collect()
    };
    columns.json_lists("prompt", rows.iter().map(before));
    let turn = |row: &DatasetRow| {
        let at = accepted(row).unwrap_or(row.messages.len());
        told(row).into_iter().skip(at).take(1).collect()
    };
    columns.json_lists("completion", rows.iter().map(turn));
    columns.json_lists("tools", rows.iter().map(|row| chat::tools(&row.tools)));
}
