use gyre_orchestrator::{RunAudit, audit as audit_run, audit_all, renew_anchors};

use crate::args::{AuditArgs, Global};
use crate::exit::Failure;
use crate::{output, session};

pub(crate) fn audit(global: &Global, args: &AuditArgs) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    if args.renew_anchors {
        for accepted in renew_anchors(&project)? {
            tracing::warn!("taken as it is: {accepted}");
        }
    }
    let audits = match &args.run {
        Some(run) => vec![audit_run(&project, run)?],
        None => audit_all(&project)?,
    };
    tell(global, &audits)
}

/// Prints what was found, and fails where that is anything.
fn tell(global: &Global, audits: &[RunAudit]) -> anyhow::Result<()> {
    let findings: usize = audits.iter().map(|audit| audit.findings.len()).sum();
    if global.json {
        output::json_pretty(audits)?;
    } else {
        for audit in audits {
            match audit.findings.len() {
                0 => output::line(format!(
                    "{}: clean ({} rows, files and events checked, {} seals, state {})",
                    audit.run,
                    audit.checked,
                    audit.seals,
                    audit.state.map_or_else(String::new, |state| state.short())
                )),
                n => output::line(format!("{}: {}", audit.run, counted(n))),
            }
            for note in &audit.notes {
                output::line(format!("  note: {note}"));
            }
            for finding in &audit.findings {
                output::line(format!(
                    "  [{}] {}: {}",
                    finding.invariant, finding.code, finding.detail
                ));
                for id in finding.ids.iter().take(5) {
                    output::line(format!("      {id}"));
                }
                if finding.ids.len() > 5 {
                    output::line(format!("      … and {} more", finding.ids.len() - 5));
                }
            }
        }
    }
    match findings {
        0 => Ok(()),
        n => Err(Failure::error(
            Failure::AUDIT_FOUND,
            format!("{}; docs/lineage.md says what each invariant means", counted(n)),
        )),
    }
}

fn counted(findings: usize) -> String {
    if findings == 1 { "1 finding".to_owned() } else { format!("{findings} findings") }
}
