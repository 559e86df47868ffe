//! The embedded trainer as everybody else meets it: as one trainer among others.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gyre_learner::{EmbeddedTrainer, LearnerConfig, train_round};
use gyre_train::{
    TrainError, TrainJob, TrainProgress, TrainReport, TrainRow, TrainRowReader, TrainRows, Trainer,
    digest_checkpoint,
};
use gyre_types::{Message, Role, Seed, ToolCall};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{config, examples, go_on, start};

/// Rows in memory, which may end with an error.
struct Rows {
    rows: Vec<TrainRow>,
    error: Option<&'static str>,
}

impl TrainRows for Rows {
    fn folder(&self) -> Result<PathBuf, TrainError> {
        panic!("the embedded trainer reads no folder")
    }

    fn read(&self) -> Result<TrainRowReader<'_>, TrainError> {
        let error = self.error.map(|why| Err(TrainError::Rows(why.into())));
        Ok(Box::new(self.rows.iter().cloned().map(Ok).chain(error)))
    }
}

fn message(role: Role, content: &str) -> Message {
    Message { role, content: content.to_owned(), tool_calls: vec![], tool_call_id: None }
}

/// The examples of the other tests, as conversations.
fn rows() -> Rows {
    let row = |example: gyre_learner::Example| TrainRow {
        messages: vec![
            message(Role::User, &example.prompt),
            message(Role::Assistant, &example.answer),
        ],
        loss: vec![false, true],
        weight: example.weight,
    };
    Rows { rows: examples().into_iter().map(row).collect(), error: None }
}

/// Trains from rows, from a parent if there is one.
async fn train(
    rows: Rows,
    parent: Option<&Path>,
    output: &Path,
    seed: u64,
) -> Result<TrainReport, TrainError> {
    let (mut ignore, cancel) = (|_: TrainProgress| {}, CancellationToken::new());
    job(rows, parent, output, seed, &mut ignore, &cancel).await
}

async fn job(
    rows: Rows,
    parent: Option<&Path>,
    output: &Path,
    seed: u64,
    progress: &mut (dyn FnMut(TrainProgress) + Send),
    cancel: &CancellationToken,
) -> Result<TrainReport, TrainError> {
    let trainer: Box<dyn Trainer> = Box::new(EmbeddedTrainer::new(config()));
    let log = output.join("no-log");
    let job =
        TrainJob { rows: Arc::new(rows), parent, output, log: &log, round: 1, seed: Seed(seed) };
    trainer.train(job, progress, cancel).await
}

#[tokio::test]
async fn the_seam_changes_no_bit_of_a_checkpoint() {
    let direct = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let first = start(direct[0].path(), 1).unwrap();
    let second = train_round(
        &config(),
        direct[0].path(),
        Seed(9),
        &examples(),
        direct[1].path(),
        &mut go_on,
    )
    .unwrap();

    let seam = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let base = train(rows(), None, seam[0].path(), 1).await.unwrap();
    let round = train(rows(), Some(seam[0].path()), seam[1].path(), 9).await.unwrap();
    for (report, direct, seam, own) in
        [(base, &direct[0], &seam[0], &first), (round, &direct[1], &seam[1], &second)]
    {
        assert_eq!(report.checkpoint.digest, digest_checkpoint(direct.path()).unwrap());
        assert_eq!(report.checkpoint.digest, digest_checkpoint(seam.path()).unwrap());
        assert_eq!(report.record, serde_json::to_value(own).unwrap());
        assert_eq!((report.steps, report.tokens), (Some(own.steps), Some(own.tokens)));
        assert_eq!(report.loss_last, Some(f64::from(own.loss_last)));
        assert!(report.checkpoint.vocabulary.is_some());
    }
}

#[tokio::test]
async fn each_step_is_reported_in_order_and_cancelling_stops() {
    let out = tempfile::tempdir().unwrap();
    let (mut told, cancel) = (Vec::new(), CancellationToken::new());
    let mut tell = |progress: TrainProgress| told.push(progress);
    job(rows(), None, out.path(), 1, &mut tell, &cancel).await.unwrap();
    let steps: Vec<_> = told.iter().map(|told| (told.step, told.steps)).collect();
    assert_eq!(steps, (1..=30).map(|step| (step, Some(30))).collect::<Vec<_>>());
    assert!(told.iter().all(|told| told.loss.is_some_and(f64::is_finite)));

    let out = tempfile::tempdir().unwrap();
    let mut stop = |_: TrainProgress| cancel.cancel();
    let error = job(rows(), None, out.path(), 1, &mut stop, &cancel).await.unwrap_err();
    assert!(matches!(error, TrainError::Cancelled), "{error}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "nothing was written");
}

#[tokio::test]
async fn a_conversation_teaches_its_last_message_with_loss() {
    let plain = tempfile::tempdir().unwrap();
    let digest = train(rows(), None, plain.path(), 1).await.unwrap().checkpoint.digest;
    // The same answers as calls of a tool, behind turns that carry no loss.
    let mut calls = rows();
    for row in &mut calls.rows {
        let answer = std::mem::take(&mut row.messages[1].content);
        let arguments = json!({ "timeout": 3, "code": answer }).to_string();
        row.messages[1].tool_calls =
            vec![ToolCall { id: "a".to_owned(), name: "submit".to_owned(), arguments }];
        row.messages.insert(1, message(Role::Assistant, "a first try"));
        row.messages.insert(2, message(Role::User, "it is wrong"));
        row.loss = vec![false, false, false, true];
    }
    let called = tempfile::tempdir().unwrap();
    assert_eq!(train(calls, None, called.path(), 1).await.unwrap().checkpoint.digest, digest);
    // A row without loss is counted and left out.
    let mut with_more = rows();
    let silent = TrainRow { loss: vec![false, false], ..with_more.rows[0].clone() };
    with_more.rows.push(silent);
    let more = tempfile::tempdir().unwrap();
    let report = train(with_more, None, more.path(), 1).await.unwrap();
    assert_eq!(report.record["examples_skipped"], json!(1));
}

#[tokio::test]
async fn what_fails_says_whose_fault_it_is() {
    let out = tempfile::tempdir().unwrap();
    let nowhere = out.path().join("none");
    let error = train(rows(), Some(&nowhere), out.path(), 1).await.unwrap_err();
    assert!(matches!(error, TrainError::Parent(_)), "{error:?}");
    assert!(error.to_string().contains("train it again or restore the folder"), "{error}");

    let unreadable = Rows { error: Some("a shard is missing"), ..rows() };
    let error = train(unreadable, None, out.path(), 1).await.unwrap_err();
    assert!(matches!(&error, TrainError::Rows(why) if why.to_string() == "a shard is missing"));

    let none = Rows { rows: vec![], error: None };
    let error = train(none, None, out.path(), 1).await.unwrap_err();
    assert!(matches!(error, TrainError::Embedded(_)), "{error:?}");
    assert!(error.to_string().starts_with("no example to train on"), "{error}");

    let error = train(rows(), None, &nowhere, 1).await.unwrap_err();
    assert!(matches!(&error, TrainError::Io { path, .. } if path.starts_with(&nowhere)));
}

#[test]
fn other_settings_are_another_trainer() {
    let identity = |config| EmbeddedTrainer::new(config).identity();
    assert_eq!(identity(config()), identity(config()));
    assert_ne!(identity(config()), identity(LearnerConfig { batch: 9, ..config() }));
}
