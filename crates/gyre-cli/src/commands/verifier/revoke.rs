//! Takes back what a verifier said, or what was said of a task.

use gyre_lineage::RevocationTarget;
use gyre_orchestrator::{
    Cancel, Project, Replacement, RevocationReport, RevokeRequest, Revoker, RunRevocation,
    TouchedShard,
};
use gyre_types::Digest;

use crate::args::{Global, RevokeTaskArgs, RevokeVerifierArgs};
use crate::clock::now_ms;
use crate::exit::Failure;
use crate::live::View;
use crate::output::visible;
use crate::{output, session};

/// Digits of a digest that name it well enough, at least.
const DIGITS_MIN: usize = 8;

pub(crate) fn revoke_verifier(global: &Global, args: &RevokeVerifierArgs) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let digest = digest_of(&project, &args.verifier)?;
    let replacement = match args.replace_with.as_deref() {
        None => None,
        Some("builtin") => Some(Replacement::BuiltIn),
        Some("family") => Some(Replacement::Family),
        Some(other) => Some(Replacement::Digest(digest_of(&project, other)?)),
    };
    let target = RevocationTarget::Verifier(digest);
    let request = RevokeRequest { target, why: args.why.clone(), replacement };
    carry_out(global, &runtime, project, &request, args.dry_run)
}

pub(crate) fn revoke_task(global: &Global, args: &RevokeTaskArgs) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    if project.wait(project.store.find(args.task.as_str()))?.is_empty() {
        let message = format!(
            "there is no task {} in any run; `gyre task ls --run RUN` lists tasks",
            args.task
        );
        return Err(Failure::error(Failure::UNKNOWN_ID, message));
    }
    let target = RevocationTarget::Task(args.task.clone());
    let request = RevokeRequest { target, why: args.why.clone(), replacement: None };
    carry_out(global, &runtime, project, &request, args.dry_run)
}

fn carry_out(
    global: &Global,
    runtime: &tokio::runtime::Runtime,
    project: Project,
    request: &RevokeRequest,
    dry_run: bool,
) -> anyhow::Result<()> {
    let cancel = Cancel::default();
    session::stop_on_signal(runtime, &cancel);
    let mut view = View::choose(global.json);
    let mut revoker = Revoker { project, clock: now_ms, cancel, observer: &mut view };
    let report = if dry_run { revoker.preview(request) } else { revoker.revoke(request) };
    view.finish();
    print(global, &report?, dry_run)
}

/// A verifier by its digest, the start of it, or its registered name.
fn digest_of(project: &Project, named: &str) -> anyhow::Result<Digest> {
    if named == "builtin" {
        return Ok(gyre_verify::verifier_digest());
    }
    if let Ok(digest) = named.parse() {
        return Ok(digest);
    }
    let registered = project.wait(project.store.verifier_named(named))?;
    if let Some(row) = registered {
        return Ok(row.digest);
    }
    let is_start = named.len() >= DIGITS_MIN && named.bytes().all(|b| b.is_ascii_hexdigit());
    let known = if is_start { project.wait(project.store.judges(named))? } else { vec![] };
    match known.as_slice() {
        [digest] => Ok(*digest),
        [] => Err(Failure::error(
            Failure::UNKNOWN_ID,
            format!(
                "no verifier {named:?} is registered or has judged here; `gyre verifier ls` lists \
                 the registered ones, `gyre show ROLLOUT` tells the digest of who judged"
            ),
        )),
        several => {
            let several: Vec<_> = several.iter().map(Digest::to_hex).collect();
            let message = format!("{named} may mean {}: give more digits", several.join(" or "));
            Err(Failure::error(Failure::UNKNOWN_ID, message))
        }
    }
}

fn print(global: &Global, report: &RevocationReport, dry_run: bool) -> anyhow::Result<()> {
    if global.json {
        return output::json_pretty(report);
    }
    let verb = if dry_run { "would be revoked" } else { "is revoked" };
    output::line(format!("{} {} {verb}: {}", report.kind, report.target, visible(&report.why)));
    if report.runs.is_empty() {
        output::line("it touched nothing");
    }
    for run in &report.runs {
        print_run(run);
    }
    Ok(())
}

fn successor(shard: &TouchedShard) -> String {
    match &shard.successor {
        Some(successor) => format!("{successor} with {} rows", shard.successor_rows),
        None => "nothing".to_owned(),
    }
}

fn print_run(run: &RunRevocation) {
    output::line(format!("\n{}", run.run));
    let corrected: Vec<_> = run.corrected.iter().map(|(what, n)| format!("{n} {what}")).collect();
    let corrected = match corrected.as_slice() {
        [] => "not corrected".to_owned(),
        corrected => corrected.join(", "),
    };
    output::line(format!("  {} verdicts touched: {corrected}", run.verdicts));
    for shard in &run.shards {
        let (touched, rows) = (shard.touched, shard.rows);
        let (id, now) = (&shard.shard, successor(shard));
        output::line(format!("  {id}: {touched} of {rows} rows touched; in its place: {now}"));
    }
    for shard in &run.groups {
        let (id, touched, now) = (&shard.shard, shard.touched, successor(shard));
        output::line(format!(
            "  {id}: {touched} attempts of its groups touched; in its place: {now}"
        ));
    }
    for checkpoint in &run.checkpoints {
        output::line(format!("  {checkpoint} learned from them"));
    }
    for gate in &run.gates {
        let now = match (&gate.now, gate.flips) {
            (None, _) => "not decided again".to_owned(),
            (Some(now), true) => format!("{now} now: the decision flips"),
            (Some(_), false) => "the decision stands".to_owned(),
        };
        output::line(format!("  gate of round {}: {}, {now}", gate.round, gate.decided));
    }
    for promotion in &run.promotions {
        let stands = if promotion.stands { "stands" } else { "no longer stands" };
        let (ordinal, champion, round) = (promotion.ordinal, &promotion.champion, promotion.round);
        output::line(format!("  promotion {ordinal} ({champion}, round {round}) {stands}"));
    }
}
