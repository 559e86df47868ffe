//! A place with a parent and a dataset, and programs in Python.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use gyre_train::{
    CommandConfig, CommandTrainer, Host, SUPERVISOR_ARGUMENT, SupervisorProgram, TrainError,
    TrainJob, TrainProgress, TrainReport, TrainRowReader, TrainRows, Trainer,
};
use gyre_types::Seed;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// The small Gyre of the tests, which is also its supervisor.
pub(crate) const CHILD: &str = env!("CARGO_BIN_EXE_gyre-train-child");

/// What every program of the tests begins with.
const PRELUDE: &str = r#"
import json, os, shutil, signal, socket, subprocess, sys, time
arguments = dict(argument.split("=", 1) for argument in sys.argv[1:])
parent, output = arguments.get("--parent"), arguments.get("--output")
def copy():
    shutil.copytree(parent, output, dirs_exist_ok=True)
def tell(**values):
    print(json.dumps(values), flush=True)
"#;

/// A folder with a parent, a dataset and an output, which is also a project.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["dataset", "output"] {
            fs::create_dir(place.path(name)).unwrap();
        }
        fs::write(place.path("dataset/rows"), "rows").unwrap();
        write_checkpoint(&place.path("parent"));
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn host(&self) -> Host {
        Host {
            project: self.root().to_owned(),
            environment: environment(),
            supervisor: SupervisorProgram {
                path: CHILD.into(),
                arguments: vec![SUPERVISOR_ARGUMENT.into()],
            },
        }
    }

    /// Writes a program, and gives its name.
    pub(crate) fn write_program(&self, name: &str, body: &str) {
        need_python();
        fs::write(self.path(name), format!("{PRELUDE}{body}")).unwrap();
    }

    /// The configuration of a trainer in Python, with changes.
    pub(crate) fn trainer(&self, body: &str, changes: Value) -> CommandConfig {
        self.write_program("train.py", body);
        let command = json!([
            "python3",
            "{project}/train.py",
            "--parent={parent}",
            "--output={output}",
            "--seed={seed}",
            "--round={round}",
            "--dataset={dataset}",
        ]);
        let mut config = json!({ "command": command, "time_limit_seconds": 120 });
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        serde_json::from_value(config).unwrap()
    }

    pub(crate) async fn train(
        &self,
        body: &str,
        changes: Value,
    ) -> Result<TrainReport, TrainError> {
        self.train_with(body, changes, &mut |_| {}, &CancellationToken::new()).await
    }

    pub(crate) async fn train_with(
        &self,
        body: &str,
        changes: Value,
        progress: &mut (dyn FnMut(TrainProgress) + Send),
        cancel: &CancellationToken,
    ) -> Result<TrainReport, TrainError> {
        let trainer = CommandTrainer::new(self.trainer(body, changes), self.host())?;
        let job = TrainJob {
            rows: Arc::new(Published { folder: self.path("dataset") }),
            parent: Some(&self.path("parent")),
            output: &self.path("output"),
            log: &self.path("train.log"),
            round: 3,
            seed: Seed(7),
        };
        trainer.train(job, progress, cancel).await
    }

    /// Why a training gave nothing, with `[place]` for the folder. The parent is as it was.
    pub(crate) async fn refused(&self, body: &str, changes: Value) -> String {
        let before = contents(&self.path("parent"));
        let error = self.train(body, changes).await.expect_err("it was believed");
        assert_eq!(contents(&self.path("parent")), before, "the parent was changed");
        self.shown(&error)
    }

    pub(crate) fn shown(&self, error: &impl std::fmt::Display) -> String {
        error.to_string().replace(&self.root().display().to_string(), "[place]")
    }
}

/// Rows that lie in a folder already. No program reads them one by one.
pub(crate) struct Published {
    pub(crate) folder: PathBuf,
}

impl TrainRows for Published {
    fn folder(&self) -> Result<PathBuf, TrainError> {
        Ok(self.folder.clone())
    }

    fn read(&self) -> Result<TrainRowReader<'_>, TrainError> {
        panic!("a trainer that is a command was given rows one by one")
    }
}

pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// What programs need to find Python.
#[expect(clippy::disallowed_methods, reason = "the tests start what is installed here")]
pub(crate) fn environment() -> BTreeMap<String, String> {
    let names = ["PATH", "HOME"];
    let values = names.map(|name| std::env::var(name).map(|value| (name.to_owned(), value)));
    values.into_iter().flatten().chain([("SECRET".to_owned(), "s".to_owned())]).collect()
}

fn need_python() {
    let version = Command::new("python3").arg("--version").output();
    let is_there = version.is_ok_and(|output| output.status.success());
    assert!(is_there, "these tests write their trainers and servers in Python: install python3");
}

/// A checkpoint of two tensors and three tokens.
pub(crate) fn write_checkpoint(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let config = json!({ "model_type": "llama", "vocab_size": 3 });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let tokenizer = json!({ "model": { "type": "BPE", "vocab": { "a": 0, "b": 1, "c": 2 } } });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let embedding: Vec<u8> = (0..6u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
    let norm = [0x80, 0x3f, 0x00, 0x40];
    let tensors: &[Tensor<'_>] = &[
        ("model.embed_tokens.weight", "F32", &[3, 2], &embedding),
        ("model.norm.weight", "BF16", &[2], &norm),
    ];
    fs::write(folder.join("model.safetensors"), safetensors(tensors)).unwrap();
}

/// Name, type, shape and bytes.
pub(crate) type Tensor<'a> = (&'a str, &'a str, &'a [usize], &'a [u8]);

/// A file of safetensors, whatever its tensors say of themselves.
pub(crate) fn safetensors(tensors: &[Tensor<'_>]) -> Vec<u8> {
    let (mut header, mut body) = (serde_json::Map::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let offsets = [body.len(), body.len() + bytes.len()];
        let about = json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets });
        header.insert((*name).to_owned(), about);
        body.extend_from_slice(bytes);
    }
    with_header(&Value::Object(header).to_string(), &body)
}

pub(crate) fn with_header(header: &str, body: &[u8]) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [length.as_slice(), header.as_bytes(), body].concat()
}
