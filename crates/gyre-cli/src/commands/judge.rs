use std::io::Read;
use std::path::Path;

use gyre_orchestrator::{Error, SandboxSettings, open_sandbox};
use gyre_tasks::TaskFile;
use gyre_types::{CheckResult, Judgement, Score, Verdict};
use gyre_verify::{Submission, Verifier};
use serde_json::json;

use crate::args::{Global, JudgeArgs};
use crate::exit::Failure;
use crate::live::View;
use crate::{output, session};

pub(crate) fn judge(global: &Global, args: &JudgeArgs) -> anyhow::Result<()> {
    let file = TaskFile::read(&args.task).map_err(Error::from)?;
    let answers = args.answers.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let sandbox = open_sandbox(&SandboxSettings::default(), &mut View::choose(global.json))?;
    let verifier = verifier(global, args, &file)?;
    let texts = answers.iter().flatten();
    let submissions: Vec<_> =
        texts.map(|text| Submission::of_program(&file.task, &file.key, text)).collect();
    let mut judged = verifier.judge_with(&submissions, &sandbox).into_iter();
    let judgements: Vec<Judgement> = answers
        .iter()
        .filter_map(|answer| match answer {
            Ok(_) => judged.next(),
            Err(why) => Some(unreadable(why)),
        })
        .collect();
    let mut not_passed = 0;
    for (path, judgement) in args.answers.iter().zip(&judgements) {
        not_passed += usize::from(!judgement.verdict.is_pass());
        if global.json {
            output::json(&json!({ "answer": path, "judgement": judgement }))?;
            continue;
        }
        let score =
            judgement.verdict.score().map_or(String::new(), |s| format!(" ({:.2})", s.get()));
        output::line(format!("{}: {}{score}", path.display(), judgement.verdict.name()));
        if let Verdict::Invalid { reason } = &judgement.verdict {
            output::line(format!("  {reason}"));
        }
        for check in judgement.checks.iter().filter(|check| !check.passed) {
            output::line(format!("  {}: {}", check.name, check.detail));
        }
    }
    match not_passed {
        0 => Ok(()),
        n => Err(Failure::error(
            Failure::NOT_PASSED,
            format!("{n} of {} answers did not pass", answers.len()),
        )),
    }
}

/// What decides the task. A command's program is found from the working folder.
fn verifier(global: &Global, args: &JudgeArgs, file: &TaskFile) -> anyhow::Result<Verifier> {
    let verifier = file.verifier().map_err(|why| Failure::error(Failure::TASK_REFUSED, why))?;
    let Some(written) = &file.verifier else { return Ok(verifier) };
    let runtime = session::runtime()?;
    let judging = session::judging(global, &runtime, args.allow_commands)?;
    let (declaration, family) = (Some(&written.declaration), &file.task.family);
    Ok(judging.resolve(verifier, declaration, family, Path::new("."))?)
}

/// The answer's text, or why it has none: bytes that are not UTF-8 are no program,
/// and fail that answer alone.
fn read(path: &Path) -> Result<Result<String, String>, Error> {
    let mut bytes = Vec::new();
    let result = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let bytes = result.map_err(|source| Error::Io {
        doing: "read the answer",
        path: path.to_owned(),
        source,
    })?;
    Ok(String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("the answer is not UTF-8: its byte {at} begins no character")
    }))
}

/// A program that cannot be read fails, as one that cannot be compiled does.
fn unreadable(why: &str) -> Judgement {
    let check = CheckResult {
        name: "answer".to_owned(),
        passed: false,
        weight: 1.0,
        detail: why.to_owned(),
    };
    let verdict = Verdict::Fail { score: Score::ZERO };
    Judgement { verdict, checks: vec![check], fuel: 0, guests: 0 }
}
