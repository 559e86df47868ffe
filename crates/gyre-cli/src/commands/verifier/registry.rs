//! The registry of verifiers.

use gyre_lineage::VerifierRow;
use gyre_orchestrator::{ComponentRegistration, register_component};
use gyre_verify::{Scorecard, ScorecardLimits};
use serde_json::{Value, json};

use super::audit;
use crate::args::{Global, RegisterVerifierArgs};
use crate::clock::now_ms;
use crate::exit::Failure;
use crate::output::{self, visible};
use crate::session;

pub(crate) fn register(global: &Global, args: &RegisterVerifierArgs) -> anyhow::Result<()> {
    let bytes = audit::read(&args.component)?;
    let scorecard = scorecard(global, args, &bytes)?;
    let runtime = session::runtime()?;
    let project = session::open_project(global, &runtime, None)?;
    let registration = ComponentRegistration {
        name: &args.name,
        bytes: &bytes,
        scorecard: &scorecard,
        limits: ScorecardLimits::default(),
        now_ms: now_ms(),
    };
    let row = register_component(&project, &registration)?;
    if global.json {
        return output::json_pretty(&as_json(&row));
    }
    output::line(format!("registered {} as {}", row.digest, row.name));
    output::line(format!(
        "a family takes it by `kind = \"component\"`, `use = \"{}\"` under [verifier] in its \
         family.toml",
        row.name
    ));
    Ok(())
}

fn scorecard(
    global: &Global,
    args: &RegisterVerifierArgs,
    bytes: &[u8],
) -> anyhow::Result<Scorecard> {
    let refused = |why: String| Failure::error(Failure::VERIFIER_REFUSED, why);
    match (&args.scorecard, &args.family) {
        (Some(file), _) => {
            let text = String::from_utf8_lossy(&audit::read(file)?).into_owned();
            Scorecard::parse(&text)
                .map_err(|why| refused(format!("{} is no scorecard: {why}", file.display())))
        }
        (None, Some(family)) => {
            audit::audit_component(global, &args.name, bytes, family, &args.plan)
        }
        (None, None) => {
            Err(refused("there is neither a scorecard nor a family to measure it on".to_owned()))
        }
    }
}

pub(crate) fn ls(global: &Global) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let rows = project.wait(project.store.verifiers())?;
    if global.json {
        return output::json_pretty(&rows.iter().map(as_json).collect::<Vec<_>>());
    }
    let mut table = output::table(["name", "kind", "status", "digest", "registered", "audited on"]);
    for row in &rows {
        let family = row.scorecard["subject"]["family"].as_str().unwrap_or("-");
        let status = match &row.revoked {
            Some(revoked) => format!("{}: {}", row.status, revoked.why),
            None => row.status.to_string(),
        };
        table.add_row([
            row.name.clone(),
            row.kind.to_string(),
            visible(&status),
            row.digest.short(),
            output::time(row.registered_at_ms),
            visible(family),
        ]);
    }
    output::print(&table);
    Ok(())
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
