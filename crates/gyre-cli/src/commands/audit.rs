use gyre_orchestrator::audit as audit_run;
use gyre_types::RunId;

use crate::args::Global;
use crate::exit::Failure;
use crate::{output, session};

pub(crate) fn audit(global: &Global, run: Option<&RunId>) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let runs = match run {
        Some(run) => vec![project.run(Some(run))?],
        None => project.wait(project.store.runs().collect())?,
    };
    let audits = runs.iter().map(|run| audit_run(&project, run)).collect::<Result<Vec<_>, _>>()?;
    let findings: usize = audits.iter().map(|audit| audit.findings.len()).sum();
    if global.json {
        output::json_pretty(&audits)?;
    } else {
        for audit in &audits {
            match audit.findings.len() {
                0 => output::line(format!(
                    "{}: clean ({} rows, files and events checked, state {})",
                    audit.run,
                    audit.checked,
                    audit.state.short()
                )),
                n => output::line(format!("{}: {n} findings", audit.run)),
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
            format!("{n} findings; docs/lineage.md says what each invariant means"),
        )),
    }
}
