//! `gyre evaluate`: which models are meant, and what is printed of them.

mod report;
mod subject;

use std::path::Path;

use anyhow::Context;
use gyre_orchestrator::{Cancel, EvaluationReport, Evaluator, Project, RunConfig, Subject};
use gyre_types::Seed;
use serde_json::json;

use crate::args::{EvaluateArgs, Global};
use crate::exit::Failure;
use crate::live::View;
use crate::{output, session};
use subject::Asked;

pub(crate) fn evaluate(global: &Global, args: &EvaluateArgs) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let cancel = Cancel::default();
    session::stop_on_signal(&runtime, &cancel);
    let config = session::read_config(args.config.as_deref())?;
    let project = session::open_project(global, &runtime, config.database.url.as_deref())?;
    let asked = subject::asked(&project, args, &config)?;
    let config = configured(&project, args, config, &asked)?;
    let mut view = View::choose(global.json);
    let measured = measure(&project, &config, args, &asked, &cancel, &mut view);
    view.finish();
    tell(global, args, &config, &measured?)
}

/// The configuration, with what the command line says: that of a run where a model of
/// one is asked for and no file is named.
fn configured(
    project: &Project,
    args: &EvaluateArgs,
    config: RunConfig,
    asked: &[Asked],
) -> anyhow::Result<RunConfig> {
    let run = asked.iter().find_map(|asked| match asked {
        Asked::Model(Subject::Recorded { run, .. }) => Some(run),
        _ => None,
    });
    let mut config = match run {
        Some(run) if args.config.is_none() => project.config_of(&project.run(Some(run))?)?,
        _ => config,
    };
    if let Some(seed) = args.seed {
        config.seed = Seed(seed);
    }
    if let Some(tasks) = args.tasks {
        (config.held_out.gate, config.held_out.test) = (tasks, tasks);
    }
    if let Some(acting) = args.acting {
        config.model.acting = acting.into();
    }
    Ok(config)
}

/// The reports of what is asked for, in order: made now, or read.
fn measure(
    project: &Project,
    config: &RunConfig,
    args: &EvaluateArgs,
    asked: &[Asked],
    cancel: &Cancel,
    view: &mut View,
) -> anyhow::Result<Vec<EvaluationReport>> {
    let mut evaluator: Option<Evaluator> = None;
    let mut reports = Vec::new();
    for asked in asked {
        let subject = match asked {
            Asked::Report(path) => {
                reports.push(read(path)?);
                continue;
            }
            Asked::Model(subject) => subject,
        };
        let evaluator = match &mut evaluator {
            Some(evaluator) => evaluator,
            none => {
                let part = args.part.map(Into::into);
                none.insert(Evaluator::open(project, config, part, cancel, view)?)
            }
        };
        reports.push(evaluator.evaluate(subject, cancel, view)?);
    }
    Ok(reports)
}

fn read(path: &Path) -> anyhow::Result<EvaluationReport> {
    let unreadable = || format!("cannot read the results in {}", path.display());
    let text = std::fs::read_to_string(path).with_context(unreadable)?;
    let read = EvaluationReport::parse(&text)
        .map_err(|why| Failure::error(Failure::WRONG_USAGE, format!("{} {why}", path.display())))?;
    Ok(read)
}

fn tell(
    global: &Global,
    args: &EvaluateArgs,
    config: &RunConfig,
    reports: &[EvaluationReport],
) -> anyhow::Result<()> {
    let compared = match reports {
        [first, second] => Some(first.compare(second, &config.gate).map_err(|why| {
            Failure::error(Failure::WRONG_USAGE, format!("the two cannot be compared: {why}"))
        })?),
        _ => None,
    };
    if let Some(path) = &args.output {
        let text = match (reports, &compared) {
            ([only], _) => serde_json::to_string_pretty(only)?,
            (both, compared) => {
                serde_json::to_string_pretty(&json!({ "models": both, "comparison": compared }))?
            }
        };
        std::fs::write(path, text + "\n")
            .with_context(|| format!("cannot write the results to {}", path.display()))?;
    }
    if global.json {
        return match (reports, &compared) {
            ([only], _) => output::json_pretty(only),
            (both, compared) => {
                output::json_pretty(&json!({ "models": both, "comparison": compared }))
            }
        };
    }
    reports.iter().for_each(report::print);
    if let (Some(compared), [first, second]) = (&compared, reports) {
        report::print_comparison(compared, [&first.model.name, &second.model.name]);
    }
    if let Some(path) = &args.output {
        output::line(format!("\nresults of every task: {}", path.display()));
    }
    Ok(())
}
