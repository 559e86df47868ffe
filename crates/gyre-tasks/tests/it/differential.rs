//! Verdicts on imported problems against those of Python: each problem's own
//! test, run natively over hundreds of programs, says what Gyre must say.

#![expect(clippy::print_stdout, reason = "prints what differs")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use gyre_tasks::{AdmittedTask, import_humaneval};
use gyre_types::{AnswerRef, Verdict};
use gyre_verify::Submission;
use serde::Deserialize;

use crate::execute;
use crate::humaneval::{admitted, written};

/// Variants of each problem's solution.
const VARIANTS: u32 = 40;

/// Where HumanEval's own tests and Gyre differ for a known reason: the problem,
/// whether Python passes the program, and why Gyre does not say the same.
const EXPLAINED: [(&str, bool, &str); 6] = [
    ("HumanEval/2", false, "one bound serves all cases, and the test has exact ones beside it"),
    ("HumanEval/33", true, "the test makes a tuple of the result, which may be a list or a tuple"),
    ("HumanEval/37", true, "the test makes a tuple of the result, which may be a list or a tuple"),
    ("HumanEval/52", true, "the test takes any true value for True, and None for False"),
    ("HumanEval/56", true, "the test takes any true value for True, and None for False"),
    ("HumanEval/61", true, "the test takes any true value for True, and None for False"),
];

/// What Python says of the variants of one problem.
#[derive(Deserialize)]
struct Native {
    name: String,
    variants: Vec<(String, bool)>,
}

fn native(file: &Path) -> Vec<Native> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/differential.py");
    let output = Command::new("python3")
        .arg(script)
        .arg(file)
        .arg(VARIANTS.to_string())
        .output()
        .expect("python3 is needed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The problems of `cargo xtask differential`, or those of the repository.
#[expect(clippy::disallowed_methods, reason = "the file is not the repository's")]
fn file() -> PathBuf {
    match std::env::var_os("GYRE_HUMANEVAL") {
        Some(file) => PathBuf::from(file),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/humaneval_sample.jsonl"),
    }
}

#[test]
fn verdicts_on_imported_problems_are_pythons() {
    let file = file();
    let text = std::fs::read_to_string(&file).unwrap();
    let imported = import_humaneval(&file, &text, "sample", execute).unwrap();
    for (name, why) in &imported.refused {
        println!("refused {name}: {why}");
    }
    let names: Vec<String> = imported.tasks.iter().map(|task| task.name.clone()).collect();
    let family = written(&imported);
    let tasks: BTreeMap<String, AdmittedTask> = names.into_iter().zip(admitted(&family)).collect();
    let natives = native(&file);

    let mut submissions = Vec::new();
    let mut said = Vec::new();
    for native in &natives {
        let Some(AdmittedTask { task, key }) = tasks.get(&native.name) else { continue };
        for (answer, passes) in &native.variants {
            submissions.push(Submission::of_program(task, key, answer));
            said.push((&native.name, *passes));
        }
    }
    let judged = family.verifier.judge(&submissions, execute);
    let mut differences = Vec::new();
    let (mut passes, mut explained) = (0, 0);
    for ((submission, (name, native)), judgement) in submissions.iter().zip(&said).zip(&judged) {
        assert!(!matches!(judgement.verdict, Verdict::Invalid { .. }), "{name}: {judgement:?}");
        passes += usize::from(*native);
        if judgement.verdict.is_pass() == *native {
            continue;
        }
        let is_this = |known: &&(&str, bool, &str)| known.0 == name.as_str() && known.1 == *native;
        if let Some((.., why)) = EXPLAINED.iter().find(is_this) {
            println!("explained {name}: {why}");
            explained += 1;
        } else {
            let failed = judgement.checks.iter().find(|check| !check.passed);
            let why = failed.map_or("passes".to_owned(), |c| format!("{}: {}", c.name, c.detail));
            let native = if *native { "passes" } else { "fails" };
            let AnswerRef::Program(answer) = submission.answer;
            differences.push(format!("{name}: {native} natively; here it {why}\n{answer}"));
        }
    }
    println!(
        "{} programs for {} problems, of which {passes} pass natively; {explained} differ for a \
         known reason, {} for another",
        submissions.len(),
        tasks.len(),
        differences.len()
    );
    assert!(passes >= tasks.len() && submissions.len() > 10 * tasks.len(), "too few to tell");
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}
