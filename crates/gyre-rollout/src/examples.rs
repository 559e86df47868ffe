//! What the agent may see: its own program on the visible examples.

use gyre_types::{Case, GuestOutcome, Interface, Step, StepReport, Task, Value};

use crate::tools::ALL_AGREE;

/// Bytes of a program's output that the feedback repeats.
const STDOUT_SHOWN_MAX: usize = 400;

/// The steps that run a program on every visible example.
pub(crate) fn steps(task: &Task, code: &str) -> Vec<Step> {
    let interface = task.interface;
    let case = |case: &Case| interface.case(code, &task.entry, &case.args);
    std::iter::once(interface.begin(code)).chain(task.visible.iter().flat_map(case)).collect()
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
    let per_case = task.interface.case_steps();
    let of_case = |at: usize| calls.chunks(per_case).nth(at).unwrap_or_default();
    let lines: Vec<_> = task
        .visible
        .iter()
        .enumerate()
        .map(|(at, case)| match task.interface {
            Interface::Call => line(task, at, case, of_case(at).first()),
            other => line_of(other, at, case, run, of_case(at)),
        })
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

/// A line for programs that are not called: what they were given says more
/// than a call would.
fn line_of(
    interface: Interface,
    at: usize,
    case: &Case,
    begun: &StepReport,
    steps: &[StepReport],
) -> Line {
    let args = case.args.iter().map(Value::to_string).collect::<Vec<_>>().join(", then ");
    let given = format!("example {}: given {args}", at + 1);
    if steps.is_empty() {
        return Line { agrees: false, text: format!("{given} was not run") };
    }
    let value = interface.value(begun, steps);
    let agrees = value.as_ref().is_ok_and(|value| agree(&case.expect, value));
    let saw = match value {
        _ if agrees => return Line { agrees, text: format!("{given} agrees") },
        Ok(value) => format!("gave {}", value.preview(200)),
        Err(why) => why,
    };
    Line { agrees, text: format!("{given}: {saw}, expected {}", case.expect.preview(200)) }
}

/// Whether an example agrees, as far as an agent is told: a text may end in
/// more or fewer lines.
fn agree(expected: &Value, actual: &Value) -> bool {
    match (expected.as_str(), actual.as_str()) {
        (Some(expected), Some(actual)) => expected.trim_end() == actual.trim_end(),
        _ => expected == actual,
    }
}

fn output(report: &StepReport) -> String {
    if report.stdout.is_empty() {
        return String::new();
    }
    let end = report.stdout.floor_char_boundary(STDOUT_SHOWN_MAX);
    format!("\noutput: {}", &report.stdout[..end])
}
