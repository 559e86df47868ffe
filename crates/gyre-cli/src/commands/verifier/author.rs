//! Writing a verifier of one's own: `new`, `check` and `test`.

use std::cell::RefCell;
use std::path::Path;

use gyre_orchestrator::{Error, Observer, Progress, default_cache_dir};
use gyre_sandbox::plugin::{
    ComponentError, ComponentProblem, ComponentVerifier, INTERFACE, VerifierLimits,
};
use gyre_sandbox::{OpenProgress, WorkerKind, WorkerProgram};

use super::golden::{self, Tested};
use super::project::{self, Project};
use super::watch::watch;
use crate::args::{CheckVerifierArgs, Global, NewVerifierArgs, TestVerifierArgs};
use crate::exit::Failure;
use crate::live::View;
use crate::output;

pub(crate) fn new(global: &Global, args: &NewVerifierArgs) -> anyhow::Result<()> {
    let files = project::scaffold(&args.dir, &args.name, args.lang)?;
    if global.json {
        return output::json_pretty(&files);
    }
    for file in &files {
        output::line(format!("wrote {}", file.display()));
    }
    let dir = args.dir.join(&args.name);
    output::line(format!(
        "next: `gyre verifier test {}`; README.md there says what the build needs",
        dir.display()
    ));
    Ok(())
}

pub(crate) fn check(global: &Global, args: &CheckVerifierArgs) -> anyhow::Result<()> {
    let project = Project::open(&args.verifier, None)?;
    let bytes = project.component_bytes()?;
    let file = project.component.display();
    let (verifier, problems) = match load(global, &bytes) {
        Ok(verifier) => (Some(verifier), Vec::new()),
        Err(ComponentError::Refused { problems }) => (None, problems),
        Err(ComponentError::Sandbox(error)) => return Err(Error::from(error).into()),
    };
    if global.json {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        output::json_pretty(&serde_json::json!({
            "file": project.component,
            "bytes": bytes.len(),
            "digest": verifier.as_ref().map(ComponentVerifier::digest),
            "problems": problems,
        }))?;
    }
    let Some(verifier) = verifier else {
        return Err(refused(&project.component, &problems));
    };
    if !global.json {
        output::line(format!(
            "{file} is a verifier: it exports {INTERFACE} and imports nothing ({}, digest {})",
            output::bytes(bytes.len() as u64),
            verifier.digest()
        ));
    }
    Ok(())
}

pub(crate) fn test(global: &Global, args: &TestVerifierArgs) -> anyhow::Result<()> {
    let project = Project::open(&args.verifier, args.golden.as_deref())?;
    if args.watch {
        let paths = project.watched();
        return watch(&paths, || test_once(global, &args.verifier, args.golden.as_deref()));
    }
    run_golden(global, &project)
}

/// The project's own file may have changed since.
fn test_once(global: &Global, verifier: &Path, golden: Option<&Path>) -> anyhow::Result<()> {
    run_golden(global, &Project::open(verifier, golden)?)
}

fn run_golden(global: &Global, project: &Project) -> anyhow::Result<()> {
    project.build()?;
    let cases = golden::read(&project.golden)?;
    let bytes = project.component_bytes()?;
    let verifier = load(global, &bytes).map_err(|error| match error {
        ComponentError::Refused { problems } => refused(&project.component, &problems),
        ComponentError::Sandbox(error) => Error::from(error).into(),
    })?;
    let tested = cases.iter().map(|case| case.test(&verifier)).collect::<Result<Vec<_>, _>>()?;
    if global.json {
        output::json_pretty(&serde_json::json!({
            "file": project.component, "digest": verifier.digest(), "cases": tested,
        }))?;
    } else {
        print_tested(&tested);
    }
    match tested.iter().filter(|case| !case.agrees).count() {
        0 => Ok(()),
        n => {
            let what = format!("{n} of {} golden cases came out otherwise", tested.len());
            Err(Failure::error(Failure::VERIFIER_REFUSED, what))
        }
    }
}

fn print_tested(tested: &[Tested]) {
    let mut table = output::table(["", "golden case", "expected", "reported", "fuel", "memory"]);
    for case in tested {
        table.add_row([
            if case.agrees { "ok" } else { "WRONG" }.to_owned(),
            case.name.clone(),
            case.expected.clone(),
            case.reported.clone(),
            output::count(case.fuel),
            output::bytes(case.memory_bytes_peak),
        ]);
    }
    output::print(&table);
    for case in tested.iter().filter(|case| !case.agrees) {
        for detail in &case.details {
            output::line(format!("{}: {detail}", case.name));
        }
    }
    let agreed = tested.iter().filter(|case| case.agrees).count();
    output::line(format!("{agreed} of {} golden cases came out as expected", tested.len()));
}

/// Loads a component with its progress shown: Python's takes a while, once.
fn load(global: &Global, bytes: &[u8]) -> Result<ComponentVerifier, ComponentError> {
    let view = RefCell::new(View::choose(global.json));
    let progress = |progress: OpenProgress| {
        if let OpenProgress::Compiling { functions_done, functions_total } = progress {
            let done = functions_done as f32 / functions_total.max(1) as f32;
            view.borrow_mut().observe(&Progress::CompilingVerifier { done });
        }
    };
    let limits = VerifierLimits::default();
    let workers = WorkerKind::Process(WorkerProgram::this_program()?);
    let loaded =
        ComponentVerifier::load_with(bytes, &default_cache_dir(), &workers, limits, &progress);
    view.into_inner().finish();
    loaded
}

fn refused(file: &Path, problems: &[ComponentProblem]) -> anyhow::Error {
    let list: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let message = format!("{} is not a verifier: {}", file.display(), list.join("; "));
    Failure::error(Failure::VERIFIER_REFUSED, message)
}
