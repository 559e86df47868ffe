use std::path::{Path, PathBuf};

use gyre_env::TaskDocument;
use gyre_lineage::TaskFilter;
use gyre_orchestrator::{Error, SandboxSettings, open_sandbox};
use gyre_sandbox::Sandbox;
use gyre_tasks::{
    AdmittedTask, CheckPlan, CheckReport, Family, TaskFile, TaskRequest, check_family,
    generate_tasks, import_humaneval, load_all, scaffold,
};
use gyre_types::{EnvironmentSpec, RunId, Seed, Split};
use gyre_verify::{GradingKey, Verifier};

use crate::args::{Global, ImportFormat, TaskCommand};
use crate::exit::Failure;
use crate::live::View;
use crate::{output, session};

pub(crate) fn task(global: &Global, command: TaskCommand) -> anyhow::Result<()> {
    match command {
        TaskCommand::Ls { run: Some(run), split, rows, .. } => {
            ls_run(global, &run, split.map(Split::from), rows)
        }
        TaskCommand::Ls { tasks_dir, .. } => ls_families(global, &tasks_dir),
        TaskCommand::New { name, tasks_dir } => new(global, &tasks_dir, &name),
        TaskCommand::Check { family, count, seed, tasks_dir, allow_commands } => {
            let plan = CheckPlan { seed: Seed(seed), tasks_per_level: count };
            check(global, &load(global, &family, &tasks_dir, allow_commands)?, plan)
        }
        TaskCommand::Show { family, difficulty, seed, tasks_dir, allow_commands } => {
            let family = load(global, &family, &tasks_dir, allow_commands)?;
            show(global, &family, difficulty, Seed(seed))
        }
        TaskCommand::Revoke(args) => super::verifier::revoke::revoke_task(global, &args),
        TaskCommand::Import { format: ImportFormat::Humaneval, file, name, tasks_dir } => {
            import(global, &file, name, &tasks_dir)
        }
    }
}

/// The folder of a family that is named by it, or by its name below the folder
/// of families.
pub(super) fn folder(family: &Path, tasks_dir: &Path) -> PathBuf {
    if family.join("family.toml").is_file() { family.to_owned() } else { tasks_dir.join(family) }
}

/// A family by its folder, or by its name below the folder of families, with
/// its verifier ready.
pub(super) fn load(
    global: &Global,
    family: &Path,
    tasks_dir: &Path,
    allow_commands: bool,
) -> anyhow::Result<Family> {
    let dir = folder(family, tasks_dir);
    let mut family = Family::load(&dir).map_err(Error::from)?;
    if let Verifier::Unresolved { .. } = family.verifier {
        let runtime = session::runtime()?;
        session::judging(global, &runtime, allow_commands)?.prepare(&mut family, &dir)?;
    }
    Ok(family)
}

fn sandbox(global: &Global) -> Result<Sandbox, Error> {
    open_sandbox(&SandboxSettings::default(), &mut View::choose(global.json))
}

fn ls_families(global: &Global, tasks_dir: &Path) -> anyhow::Result<()> {
    let families = load_all(tasks_dir).map_err(Error::from)?;
    let families: Vec<_> = families.iter().map(Family::summary).collect();
    if global.json {
        return output::json_pretty(&families);
    }
    let mut table = output::table(["family", "version", "levels", "digest", "description"]);
    for family in families {
        table.add_row([
            family.name,
            family.version.to_string(),
            format!("{}-{}", family.difficulty.min, family.difficulty.max),
            family.digest.short(),
            family.description,
        ]);
    }
    output::print(&table);
    Ok(())
}

fn ls_run(global: &Global, run: &RunId, split: Option<Split>, rows: u32) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let run = project.run(Some(run))?;
    let filter = TaskFilter { split, ..TaskFilter::default() };
    let page = project.wait(project.store.tasks_page(&run.id, &filter, None, rows))?;
    if global.json {
        let tasks: Vec<_> = page.rows.iter().map(|row| TaskDocument(&row.task)).collect();
        return output::json_pretty(&tasks);
    }
    let mut table = output::table(["task", "round", "family", "level", "split", "instruction"]);
    for row in &page.rows {
        let instruction: String = row.task.instruction().chars().take(80).collect();
        table.add_row([
            row.task.id.to_string(),
            row.round.to_string(),
            row.task.family.clone(),
            row.task.difficulty.to_string(),
            row.task.split.to_string(),
            instruction.replace('\n', " "),
        ]);
    }
    output::print(&table);
    if page.next.is_some() {
        output::line(format!("… and more; `-n` shows more than {rows}"));
    }
    Ok(())
}

fn new(global: &Global, tasks_dir: &Path, name: &str) -> anyhow::Result<()> {
    let files = scaffold(tasks_dir, name).map_err(Error::from)?;
    if global.json {
        return output::json_pretty(&files);
    }
    for file in &files {
        output::line(format!("wrote {}", file.display()));
    }
    output::line(format!("next: `gyre task check {name}`, then edit generate.py"));
    Ok(())
}

fn check(global: &Global, family: &Family, plan: CheckPlan) -> anyhow::Result<()> {
    let sandbox = sandbox(global)?;
    let report = check_family(family, plan, |jobs| sandbox.execute(jobs)).map_err(Error::from)?;
    if global.json {
        output::json_pretty(&report)?;
    } else {
        print_check(&report);
    }
    if report.is_clean() {
        return Ok(());
    }
    let message = format!("{} is not sound: {} problems", report.family, report.problems.len());
    Err(Failure::error(Failure::TASK_REFUSED, message))
}

fn print_check(report: &CheckReport) {
    output::line(format!("{} ({})", report.family, report.digest.short()));
    let mut table = output::table([
        "level",
        "requested",
        "admitted",
        "compositions",
        "references passed",
        "failures rejected",
        "failures accepted",
        "refused",
    ]);
    for level in &report.levels {
        let refused = level.refused.iter().map(|(reason, n)| format!("{n} {}", reason.code()));
        table.add_row([
            level.difficulty.to_string(),
            level.requested.to_string(),
            level.admitted.to_string(),
            level.compositions.to_string(),
            level.references_passed.to_string(),
            level.failures_rejected.to_string(),
            level.failures_accepted.to_string(),
            refused.collect::<Vec<_>>().join(", "),
        ]);
    }
    output::print(&table);
    for problem in &report.problems {
        output::line(format!("problem: {problem}"));
    }
    if report.is_clean() {
        output::line(
            "clean: every reference passes, every failure case fails, twice the same bytes",
        );
    }
}

/// One task of a family, as runs generate and admit it.
pub(super) fn generate_one(
    family: &Family,
    difficulty: u32,
    seed: Seed,
    sandbox: &Sandbox,
) -> anyhow::Result<AdmittedTask> {
    let request = TaskRequest::new(seed, difficulty, None);
    let known = std::collections::HashSet::new();
    let made = generate_tasks(family, &[request], &known, |jobs| sandbox.execute(jobs))
        .map_err(Error::from)?;
    match made.tasks.into_iter().next() {
        Some(Ok(admitted)) => Ok(admitted),
        Some(Err(refusal)) => {
            let message = format!("no task from this seed: {refusal}; try another --seed");
            Err(Failure::error(Failure::TASK_REFUSED, message))
        }
        None => Err(Failure::error(Failure::TASK_REFUSED, "the generator gave nothing")),
    }
}

fn show(global: &Global, family: &Family, difficulty: u32, seed: Seed) -> anyhow::Result<()> {
    let admitted = generate_one(family, difficulty, seed, &sandbox(global)?)?;
    let file = TaskFile::new(family, admitted);
    if global.json {
        output::line(file.to_text()?.trim_end());
        return Ok(());
    }
    let task = &file.task;
    let EnvironmentSpec::Program(spec) = &task.environment;
    let GradingKey::Program(key) = &file.key;
    output::line(format!(
        "{} · {} level {} · {}",
        task.id, task.family, task.difficulty, task.split
    ));
    output::line(format!("composition: {}\n", task.composition));
    output::line(task.instruction());
    for (title, cases) in [("\nvisible examples:", &spec.visible), ("\nhidden cases:", &key.hidden)]
    {
        output::line(title);
        for case in cases {
            let args: Vec<_> = case.args.iter().map(ToString::to_string).collect();
            output::line(format!("  {}({}) = {}", spec.entry, args.join(", "), case.expect));
        }
    }
    output::line("\nreference:");
    print_program(&key.reference);
    for failure in &key.failures {
        output::line("\nmust fail:");
        print_program(failure);
    }
    Ok(())
}

fn print_program(source: &str) {
    for line in source.lines() {
        output::line(format!("  | {line}"));
    }
}

fn import(
    global: &Global,
    file: &Path,
    name: Option<String>,
    tasks_dir: &Path,
) -> anyhow::Result<()> {
    let stem = || {
        file.file_stem()
            .map(|stem| stem.to_string_lossy().to_lowercase().replace(['_', ' ', '.'], "-"))
    };
    let name = name.or_else(stem).unwrap_or_else(|| "imported".to_owned());
    let sandbox = sandbox(global)?;
    let text = std::fs::read_to_string(file).map_err(|source| Error::Io {
        doing: "read the tasks",
        path: file.to_owned(),
        source,
    })?;
    let import =
        import_humaneval(file, &text, &name, |jobs| sandbox.execute(jobs)).map_err(Error::from)?;
    let dir: PathBuf = tasks_dir.join(&name);
    import.write(&dir).map_err(Error::from)?;
    let refused = &import.refused;
    if global.json {
        let refused: Vec<_> = refused
            .iter()
            .map(|(name, why)| serde_json::json!({ "task": name, "why": why.to_string() }))
            .collect();
        return output::json_pretty(&serde_json::json!({
            "family": name, "folder": dir, "imported": import.tasks.len(), "refused": refused,
        }));
    }
    output::line(format!("imported {} tasks into {}", import.tasks.len(), dir.display()));
    for (task, why) in refused {
        output::line(format!("refused {task}: {why}"));
    }
    output::line(format!("next: `gyre task check {}`", dir.display()));
    Ok(())
}
