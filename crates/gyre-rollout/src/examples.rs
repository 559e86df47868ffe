//! What the agent may see: its own program on the visible examples.

use gyre_types::{Case, GuestOutcome, Step, StepReport, Task, Value};

use crate::tools::ALL_AGREE;

/// Bytes of a program's output that the feedback repeats.
const STDOUT_SHOWN_MAX: usize = 400;

/// The steps that run a program on every visible example.
pub(crate) fn steps(task: &Task, code: &str) -> Vec<Step> {
    let call = |case: &Case| Step::Call { function: task.entry.clone(), args: case.args.clone() };
    let run = Step::Run { code: code.to_owned() };
    std::iter::once(run).chain(task.visible.iter().map(call)).collect()
}

/// Tells the agent what its program gave. `reports` may be short: the guest may
/// have died on the way.
pub(crate) fn feedback(task: &Task, reports: &[StepReport]) -> String {
    let Some((run, calls)) = reports.split_first() else {
        return "the program was not run: its session had ended".to_owned();
    };
    if !matches!(run.outcome, GuestOutcome::Value { .. }) {
        return format!("the program {}{}", run.outcome.describe(), output(run));
    }
    let lines: Vec<_> = task
        .visible
        .iter()
        .enumerate()
        .map(|(at, case)| line(task, at, case, calls.get(at)))
        .collect();
    let agree = lines.iter().filter(|line| line.agrees).count();
    let head = if agree == lines.len() {
        ALL_AGREE.to_owned()
    } else {
        format!("{agree} of {} examples agree", lines.len())
    };
    std::iter::once(head)
        .chain(lines.into_iter().map(|line| line.text))
        .collect::<Vec<_>>()
        .join("\n")
}

struct Line {
    agrees: bool,
    text: String,
}

fn line(task: &Task, at: usize, case: &Case, report: Option<&StepReport>) -> Line {
    let args = case.args.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    let call = format!("example {}: {}({args})", at + 1, task.entry);
    let Some(report) = report else {
        return Line { agrees: false, text: format!("{call} was not run") };
    };
    if report.outcome.value() == Some(&case.expect) {
        return Line { agrees: true, text: format!("{call} agrees") };
    }
    let saw = report.outcome.describe();
    let text = format!("{call} {saw}, expected {}{}", case.expect.preview(200), output(report));
    Line { agrees: false, text }
}

fn output(report: &StepReport) -> String {
    if report.stdout.is_empty() {
        return String::new();
    }
    let end = report.stdout.floor_char_boundary(STDOUT_SHOWN_MAX);
    format!("\noutput: {}", &report.stdout[..end])
}
