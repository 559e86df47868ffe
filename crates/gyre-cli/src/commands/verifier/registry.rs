//! The registry of verifiers.

use gyre_lineage::{VerifierKind, VerifierRow};
use gyre_orchestrator::{Registrant, VerifierRegistration, VerifiersConfig, register_verifier};
use gyre_verify::{Rate, Scorecard};
use serde_json::{Value, json};

use super::audit;
use crate::args::{Global, RegisterVerifierArgs};
use crate::clock::now_ms;
use crate::commands::task;
use crate::exit::Failure;
use crate::output::{self, visible};
use crate::session;

pub(crate) fn register(global: &Global, args: &RegisterVerifierArgs) -> anyhow::Result<()> {
    let rules = audit::rules(&args.rules)?;
    match (&args.component, &args.family) {
        (Some(file), family) => {
            let bytes = audit::read(file)?;
            let scorecard = match family.as_ref().filter(|_| args.scorecard.is_none()) {
                Some(family) => {
                    audit::audit_component(global, &args.name, &bytes, family, &args.plan)?
                }
                None => read_scorecard(args)?,
            };
            take_in(global, args, &rules, Registrant::Component(&bytes), &scorecard)
        }
        (None, Some(family)) => {
            let tasks_dir = &args.plan.tasks_dir;
            let family = task::load(global, family, tasks_dir, rules.allow_commands)?;
            let scorecard = match &args.scorecard {
                Some(_) => read_scorecard(args)?,
                None => audit::audit_own(global, &family, &args.plan)?,
            };
            take_in(global, args, &rules, Registrant::Declared(&family.verifier), &scorecard)
        }
        (None, None) => Err(refused("there is neither a component nor a family that has one")),
    }
}

fn take_in(
    global: &Global,
    args: &RegisterVerifierArgs,
    rules: &VerifiersConfig,
    verifier: Registrant<'_>,
    scorecard: &Scorecard,
) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_project(global, &runtime, None)?;
    let (name, limits) = (args.name.as_str(), rules.audit);
    let registration = VerifierRegistration { name, verifier, scorecard, limits, now_ms: now_ms() };
    let row = register_verifier(&project, &registration)?;
    if global.json {
        return output::json_pretty(&as_json(&row));
    }
    output::line(format!("registered {} as {}", row.digest, row.name));
    output::line(match row.kind {
        VerifierKind::Component => format!(
            "a family takes it by `kind = \"component\"`, `use = \"{}\"` under [verifier] in its \
             family.toml",
            row.name
        ),
        _ => "its family is judged by it as it was; another declaration or text is another \
              verifier, which this scorecard is not about"
            .to_owned(),
    });
    Ok(())
}

fn read_scorecard(args: &RegisterVerifierArgs) -> anyhow::Result<Scorecard> {
    let Some(file) = &args.scorecard else {
        return Err(refused("there is neither a scorecard nor a family to measure it on"));
    };
    let text = String::from_utf8_lossy(&audit::read(file)?).into_owned();
    Scorecard::parse(&text)
        .map_err(|why| refused(format!("{} is no scorecard: {why}", file.display())))
}

fn refused(why: impl Into<String>) -> anyhow::Error {
    Failure::error(Failure::VERIFIER_REFUSED, why)
}

pub(crate) fn ls(global: &Global) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let rows = project.wait(project.store.verifiers())?;
    if global.json {
        return output::json_pretty(&rows.iter().map(as_json).collect::<Vec<_>>());
    }
    if rows.is_empty() {
        output::line(NONE_REGISTERED);
        return Ok(());
    }
    let mut table = output::table([
        "name",
        "kind",
        "status",
        "digest",
        "registered",
        "audited on",
        "false accepts",
        "false rejects",
        "mutants killed",
    ]);
    for row in &rows {
        let status = match &row.revoked {
            Some(revoked) => format!("{}: {}", row.status, revoked.why),
            None => row.status.to_string(),
        };
        let trusted = if row.trusted { " (trusted)" } else { "" };
        let [family, accepts, rejects, mutants] = measured(row);
        table.add_row([
            row.name.clone(),
            format!("{}{trusted}", row.kind),
            visible(&status),
            row.digest.short(),
            output::time(row.registered_at_ms),
            visible(&family),
            accepts,
            rejects,
            mutants,
        ]);
    }
    output::print_or(&table, "no verifiers registered yet: docs/verifiers.md says how to make one");
    Ok(())
}

/// What an empty registry is no reason to stop at.
const NONE_REGISTERED: &str = "no verifier is registered here, and the built-in comparison needs \
    none; to have one of your own: `gyre verifier new` writes it, `gyre verifier audit FAMILY` \
    measures it, `gyre verifier register NAME` takes it in (docs/verifiers.md)";

/// What a scorecard says, in a row's words; a card of another version says less.
fn measured(row: &VerifierRow) -> [String; 4] {
    match serde_json::from_value::<Scorecard>(row.scorecard.clone()) {
        Ok(card) => {
            let of = |rate: &Rate| format!("{} of {}", rate.events, rate.of);
            [
                card.subject.family.clone(),
                of(&card.false_accepts),
                of(&card.false_rejects),
                of(&card.mutants.killed),
            ]
        }
        Err(_) => {
            let family = row.scorecard["subject"]["family"].as_str().unwrap_or("-");
            [family.to_owned(), "-".to_owned(), "-".to_owned(), "-".to_owned()]
        }
    }
}

fn as_json(row: &VerifierRow) -> Value {
    let revoked = row.revoked.as_ref().map(|revoked| {
        json!({ "at_ms": revoked.at_ms, "why": revoked.why, "replaced_by": revoked.replaced_by })
    });
    json!({
        "digest": row.digest,
        "name": row.name,
        "kind": row.kind.as_str(),
        "trusted": row.trusted,
        "status": row.status.as_str(),
        "registered_at_ms": row.registered_at_ms,
        "revoked": revoked,
        "scorecard": row.scorecard,
    })
}
