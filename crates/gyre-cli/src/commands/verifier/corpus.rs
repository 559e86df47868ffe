//! What a verifier makes of the corpus of attacks and odd solutions.

use std::path::Path;

use anyhow::Context;
use gyre_orchestrator::{SandboxSettings, open_sandbox};
use gyre_types::Verdict;
use gyre_verify::corpus::{Corpus, CorpusReport, check_corpus, check_plantings};
use gyre_verify::{Comparison, Verifier, VerifierDeclaration};

use super::planted::Ground;
use crate::args::{Global, VerifierCorpusArgs};
use crate::commands::task;
use crate::exit::Failure;
use crate::live::View;
use crate::{output, session};

pub(crate) fn corpus(global: &Global, args: &VerifierCorpusArgs) -> anyhow::Result<()> {
    let verifier = match &args.verifier {
        Some(named) => named_verifier(global, args, named)?,
        None => Verifier::Cases,
    };
    let corpus = Corpus::embedded().context("the corpus of this build is broken")?;
    let sandbox = open_sandbox(&SandboxSettings::default(), &mut View::choose(global.json))?;
    let execute = |jobs| sandbox.execute(jobs);
    let mut report = check_corpus(&corpus, |all| verifier.judge(all, execute), execute);
    let ground = Ground::new().context("a folder for prepared folders cannot be made")?;
    report.add_plantings(check_plantings(&corpus, |entries, loader| ground.load(entries, loader)));
    if global.json {
        output::json_pretty(&report)?;
    } else {
        print_tables(&report);
        print_problems(&report);
    }
    if report.is_clean() {
        return Ok(());
    }
    Err(Failure::error(Failure::VERIFIER_REFUSED, summary(&report)))
}

/// The verifier of a family, or the one that is registered under a name.
fn named_verifier(
    global: &Global,
    args: &VerifierCorpusArgs,
    named: &Path,
) -> anyhow::Result<Verifier> {
    let is_family = [named.to_owned(), args.tasks_dir.join(named)]
        .iter()
        .any(|folder| folder.join("family.toml").is_file());
    if is_family {
        let family = task::load(global, named, &args.tasks_dir, args.allow_commands)?;
        return Ok(family.verifier);
    }
    let name = named.to_string_lossy().into_owned();
    let declaration = VerifierDeclaration::Component { name: name.clone(), digest: None };
    let declared = Verifier::declared(&declaration, Comparison::default(), None)
        .map_err(|why| Failure::error(Failure::VERIFIER_REFUSED, why))?;
    let runtime = session::runtime()?;
    let judging = session::judging(global, &runtime, args.allow_commands)?;
    Ok(judging.resolve(declared, Some(&declaration), "corpus", Path::new("."))?)
}

fn print_tables(report: &CorpusReport) {
    let mut table =
        output::table(["attacks on", "programs", "accepted", "invalid", "weak controls fooled"]);
    let mut total = [0; 4];
    for row in &report.classes {
        let counts = [row.attacks, row.accepted, row.invalid, row.weak_controls_fooled];
        let class = row.class.as_str().replace('_', " ");
        table.add_row(std::iter::once(class).chain(counts.map(|n| n.to_string())));
        total = std::array::from_fn(|at| total[at] + counts[at]);
    }
    table.add_row(std::iter::once("all".to_owned()).chain(total.map(|n| n.to_string())));
    output::print(&table);
    output::line("");
    let legitimate = &report.legitimate;
    let mut table = output::table(["odd but right", "accepted", "rejected"]);
    table.add_row([
        legitimate.programs.to_string(),
        legitimate.accepted.to_string(),
        legitimate.rejected.len().to_string(),
    ]);
    output::print(&table);
    output::line(format!(
        "\n{} weak controls, each of which accepts the honest solution and rejects wrong ones; \
         honest solutions are judged {} after all attacks",
        report.controls.len() - report.bad_controls().count(),
        if report.honest_unchanged { "as before" } else { "OTHERWISE than before" },
    ));
    for row in &report.not_tried {
        output::line(format!("not tried: planted_code/{}: {}", row.name, row.why));
    }
}

fn print_problems(report: &CorpusReport) {
    for row in report.bad_attacks() {
        let verdict = match &row.verdict {
            Verdict::Invalid { reason } => reason.to_string(),
            verdict => verdict.name().to_owned(),
        };
        let control = match (&row.control_fault, row.fooled) {
            (Some(why), _) => why.as_str(),
            (None, true) => "is fooled",
            (None, false) => "is not fooled",
        };
        output::line(format!(
            "problem: {}/{} ({}): {verdict}; its weak control {} {control}",
            row.class, row.name, row.idea, row.weak_control
        ));
    }
    for row in report.bad_controls() {
        output::line(format!(
            "problem: the weak control {} is no grader of {}: honest solution {}, {} wrong ones \
             rejected",
            row.control,
            row.task,
            if row.honest_accepted { "accepted" } else { "rejected" },
            row.wrong_rejected
        ));
    }
    for row in &report.legitimate.rejected {
        output::line(format!(
            "problem: legitimate/{} ({}): {}: {}",
            row.name,
            row.idea,
            row.verdict.name(),
            row.detail
        ));
    }
}

fn summary(report: &CorpusReport) -> String {
    let accepted: u32 = report.classes.iter().map(|row| row.accepted).sum();
    let attacks = report.attacks.len();
    let legitimate = &report.legitimate;
    let rejected = legitimate.rejected.len();
    format!(
        "the verifier accepted {accepted} of {attacks} attacks and rejected {rejected} of {} right \
         programs; each problem is listed above",
        legitimate.programs
    )
}
