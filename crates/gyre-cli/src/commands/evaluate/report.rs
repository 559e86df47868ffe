//! Results of `gyre evaluate` for people.

use comfy_table::Table;
use gyre_orchestrator::EvaluationReport;
use gyre_round::{Comparison, Decision, Estimate, Figures};
use gyre_types::{FailureKind, TaskId};

use crate::output;

/// Tasks listed of those on which two models differ; `--json` has them all.
const FLIPS_SHOWN: usize = 20;

/// One model: pass@1 with its interval, and what was wrong with the answers that failed.
pub(super) fn print(report: &EvaluationReport) {
    let evaluation = &report.evaluation;
    let model = &report.model;
    let digest = model.digest.short();
    output::line(format!("\n{}, policy {digest}, seed {}", shown(&model.name), report.seed));
    let mut table = output::table([
        "",
        "tasks",
        "pass@1 (95%)",
        "no code",
        "cut off",
        "syntax",
        "wrong name",
        "crashed",
        "wrong value",
        "invalid",
    ]);
    add(&mut table, "all", &evaluation.overall);
    for (part, figures) in &evaluation.parts {
        add(&mut table, &format!("{part} part"), figures);
    }
    if evaluation.families.len() > 1 {
        for (family, figures) in &evaluation.families {
            add(&mut table, &output::visible(family), figures);
        }
    }
    for level in &evaluation.levels {
        let name = format!("{} {}", output::visible(&level.family), level.difficulty);
        add(&mut table, &name, &level.figures);
    }
    output::print(&table);
    let overall = &evaluation.overall;
    let share = |n: u64| Estimate::proportion(n, overall.tasks).value;
    let (form, skill) = (overall.failed_by_form(), overall.failed_by_skill());
    output::line(format!(
        "failed by form {form} ({}), by skill {skill} ({}); {} tokens sampled",
        output::percent(share(form)),
        output::percent(share(skill)),
        output::count(overall.tokens),
    ));
    let invalid = report.results.iter().find_map(|result| result.invalid.as_deref());
    if let Some(why) = invalid {
        output::line(format!(
            "{} of {} tasks have no verdict, such as: {}",
            overall.invalid,
            overall.invalid + overall.tasks,
            output::visible(why)
        ));
    }
}

fn add(table: &mut Table, name: &str, figures: &Figures) {
    let failed = |kind: FailureKind| figures.failures.get(&kind).copied().unwrap_or(0).to_string();
    let mut row = vec![name.to_owned(), figures.tasks.to_string(), figure(&figures.pass_at_1)];
    row.extend(FailureKind::ALL.map(failed));
    row.push(figures.invalid.to_string());
    table.add_row(row);
}

fn figure(rate: &Estimate) -> String {
    output::percent_with(rate.value, [rate.interval.low, rate.interval.high])
}

/// Two models, by the gate's own test.
pub(super) fn print_comparison(compared: &Comparison, [first, second]: [&str; 2]) {
    let (first, second) = (shown(first), shown(second));
    let gate = &compared.gate;
    let (gain, pairs) = (gate.overall.gain, gate.overall.table);
    output::line(format!("\n{second} against {first}, on the same {} tasks", pairs.n));
    output::line(format!(
        "pass@1 {} → {}, gain {}: {} won, {} lost, {} solved by both, {} by neither",
        output::percent(gate.overall.champion.value),
        output::percent(gate.overall.candidate.value),
        points(&gain),
        pairs.wins,
        pairs.losses,
        pairs.both,
        pairs.neither,
    ));
    let verdict = match &gate.decision {
        Decision::Promote => "the gate would promote it".to_owned(),
        Decision::Reject { reasons } => {
            let reasons = reasons.iter().map(|reason| output::visible(&reason.to_string()));
            format!("the gate would not promote it: {}", reasons.collect::<Vec<_>>().join("; "))
        }
    };
    output::line(format!(
        "p = {:.4} at level {:.4}, one-sided exact McNemar; {verdict}",
        gate.p_value, gate.alpha
    ));
    let mut table = output::table(["level", "tasks", "first", "second", "gain (95% paired)"]);
    for level in &gate.per_difficulty {
        let of_level = &level.breakdown;
        table.add_row([
            format!("{} {}", output::visible(&level.family), level.difficulty),
            of_level.table.n.to_string(),
            output::percent(of_level.champion.value),
            output::percent(of_level.candidate.value),
            points(&of_level.gain),
        ]);
    }
    output::line("");
    output::print(&table);
    print_flips("passed by the first alone", &gate.flips_lost);
    print_flips("passed by the second alone", &compared.flips_won);
}

/// `+3.8 points [+1.2, +6.4]`.
fn points(gain: &Estimate) -> String {
    let [value, low, high] =
        [gain.value, gain.interval.low, gain.interval.high].map(|share| 100.0 * share);
    format!("{value:+.1} points [{low:+.1}, {high:+.1}]")
}

fn print_flips(title: &str, tasks: &[TaskId]) {
    output::line(format!("\n{title} ({}):", tasks.len()));
    for task in tasks.iter().take(FLIPS_SHOWN) {
        output::line(format!("  {task}"));
    }
    if tasks.len() > FLIPS_SHOWN {
        output::line(format!("  … and {} more (--json lists them)", tasks.len() - FLIPS_SHOWN));
    }
}

/// A model's name is a server's word.
fn shown(name: &str) -> String {
    output::visible(name)
}
