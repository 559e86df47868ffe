//! Measuring a verifier.

use std::path::{Path, PathBuf};

use gyre_orchestrator::{
    Error, SandboxSettings, VerifierAuditPlan, VerifiersConfig, audit_verifier, component_verifier,
    default_cache_dir, open_sandbox,
};
use gyre_tasks::Family;
use gyre_types::Seed;
use gyre_verify::Scorecard;

use crate::args::{AuditPlanArgs, AuditRules, AuditVerifierArgs, Global};
use crate::commands::task;
use crate::exit::Failure;
use crate::live::View;
use crate::{output, session};

pub(crate) fn audit(global: &Global, args: &AuditVerifierArgs) -> anyhow::Result<()> {
    let rules = rules(&args.rules)?;
    let card = match &args.component {
        Some(file) => {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            audit_component(global, &name, &read(file)?, &args.family, &args.plan)?
        }
        None => {
            let tasks_dir = &args.plan.tasks_dir;
            let family = task::load(global, &args.family, tasks_dir, rules.allow_commands)?;
            audit_own(global, &family, &args.plan)?
        }
    };
    if let Some(file) = &args.out {
        let json = serde_json::to_string_pretty(&card)? + "\n";
        std::fs::write(file, json).map_err(|source| io("write the scorecard", file, source))?;
    }
    if global.json {
        output::json_pretty(&card)?;
    } else {
        print(&card);
    }
    match card.breaches(&rules.audit).as_slice() {
        [] => Ok(()),
        breaches => {
            let message = format!(
                "the verifier of family {} is beyond the limits: {}",
                card.subject.family,
                breaches.join("; ")
            );
            Err(Failure::error(Failure::VERIFIER_REFUSED, message))
        }
    }
}

/// What the configuration says of verifiers, and the command line beside it.
pub(super) fn rules(args: &AuditRules) -> anyhow::Result<VerifiersConfig> {
    let configured = session::read_config(args.config.as_deref())?.verifiers;
    let allow_commands = configured.allow_commands || args.allow_commands;
    Ok(VerifiersConfig { allow_commands, ..configured })
}

/// Audits what a family declares.
pub(super) fn audit_own(
    global: &Global,
    family: &Family,
    args: &AuditPlanArgs,
) -> anyhow::Result<Scorecard> {
    let sandbox = open_sandbox(&SandboxSettings::default(), &mut View::choose(global.json))?;
    Ok(audit_verifier(family, &family.verifier, plan(args), |jobs| sandbox.execute(jobs))?)
}

/// Audits a component on the tasks of a family, which may name it and not have
/// it yet.
pub(super) fn audit_component(
    global: &Global,
    name: &str,
    bytes: &[u8],
    family: &Path,
    args: &AuditPlanArgs,
) -> anyhow::Result<Scorecard> {
    let folder = task::folder(family, &args.tasks_dir);
    let family = Family::load(&folder).map_err(Error::from)?;
    let verifier = component_verifier(name, bytes, &default_cache_dir())?;
    let sandbox = open_sandbox(&SandboxSettings::default(), &mut View::choose(global.json))?;
    let execute = |jobs| sandbox.execute(jobs);
    Ok(audit_verifier(&family, &verifier, plan(args), execute)?)
}

/// Reads a file that was named.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).map_err(|source| io("read", file, source))
}

fn io(doing: &'static str, path: &Path, source: std::io::Error) -> anyhow::Error {
    Error::Io { doing, path: PathBuf::from(path), source }.into()
}

fn plan(args: &AuditPlanArgs) -> VerifierAuditPlan {
    VerifierAuditPlan { seed: Seed(args.seed), tasks: args.tasks, mutants_per_task: args.mutants }
}

fn print(card: &Scorecard) {
    let subject = &card.subject;
    output::line(format!(
        "verifier {} ({}) on {} tasks of family {}, seed {}",
        subject.verifier.short(),
        subject.kind.as_str(),
        subject.tasks,
        subject.family,
        subject.seed
    ));
    let mut table = output::table(["answers", "judged", "accepted", "rejected", "no verdict"]);
    for row in &card.groups {
        let counts = [row.cases, row.accepted, row.rejected, row.invalid];
        let name = row.group.as_str().replace('_', " ");
        table.add_row(std::iter::once(name).chain(counts.map(|n| n.to_string())));
    }
    output::print(&table);
    let (wrong, right, mutants) = (&card.false_accepts, &card.false_rejects, &card.mutants);
    let killed = &mutants.killed;
    for (what, rate) in
        [("false accepts", wrong), ("false rejects", right), ("mutants killed", killed)]
    {
        output::line(format!(
            "{what}: {} of {}, {}",
            rate.events,
            rate.of,
            output::percent_with(rate.share, rate.interval)
        ));
    }
    let (same, cost) = (&card.determinism, &card.cost);
    output::line(format!("{} equivalent mutants count neither way", mutants.equivalent));
    output::line(format!(
        "judged twice: {} of {} verdicts and {} costs differ",
        same.verdicts_differing, same.repeated, same.costs_differing
    ));
    output::line(format!(
        "cost: {} fuel for half of the right answers, {} and {} guests at most",
        output::count(cost.golden_fuel_median),
        output::count(cost.fuel_max),
        cost.guests_max
    ));
    for finding in &card.findings {
        output::line(output::visible(&format!(
            "{} of {}: {}: {}",
            finding.group, finding.task, finding.name, finding.what
        )));
    }
}
