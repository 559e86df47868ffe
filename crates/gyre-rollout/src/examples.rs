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

/// Builds the feedback on an agent's program from its step reports, one at a time.
///
/// Reports can be large, so each is reduced to its line of text as soon as the
/// example it belongs to is complete.
#[derive(Debug)]
pub(crate) struct Feedback<'a> {
    task: &'a Task,
    begun: Option<StepReport>,
    /// Reports of the case that is not over.
    case: Vec<StepReport>,
    lines: Vec<Line>,
    fuel: u64,
    is_fatal: bool,
}

impl<'a> Feedback<'a> {
    pub(crate) fn new(task: &'a Task) -> Self {
        let (case, lines) = (Vec::new(), Vec::new());
        Self { task, begun: None, case, lines, fuel: 0, is_fatal: false }
    }

    /// Fuel used by all steps so far.
    pub(crate) fn fuel(&self) -> u64 {
        self.fuel
    }

    /// Whether the guest died.
    pub(crate) fn is_fatal(&self) -> bool {
        self.is_fatal
    }

    /// Whether no more steps make sense: the guest died, or the program itself
    /// did not run through.
    pub(crate) fn is_over(&self) -> bool {
        let failed = |begun: &StepReport| begun.outcome.value().is_none();
        self.is_fatal || self.begun.as_ref().is_some_and(failed)
    }

    /// Adds the report of the next step, in the order of [`steps`].
    pub(crate) fn take(&mut self, mut report: StepReport) {
        self.fuel = self.fuel.saturating_add(report.fuel);
        self.is_fatal |= report.outcome.is_fatal();
        let per_case = self.task.interface.case_steps();
        let decides = self.begun.is_some() && self.case.len() + 1 == per_case;
        if !decides && let GuestOutcome::Value { value } = &mut report.outcome {
            // Only whether this step returned a value matters, not which.
            *value = Value::Null;
        }
        if self.begun.is_none() {
            self.begun = Some(report);
        } else {
            self.case.push(report);
            if decides {
                self.end_case();
            }
        }
    }

    /// Returns the feedback text. Trailing reports may be missing, if the guest died.
    pub(crate) fn finish(mut self) -> String {
        let Some(run) = &self.begun else {
            return "the program was not run: its session had ended".to_owned();
        };
        if !matches!(run.outcome, GuestOutcome::Value { .. }) {
            return format!("the program {}{}", run.outcome.describe(), output(run));
        }
        while self.lines.len() < self.task.visible.len() {
            self.end_case();
        }
        let lines = self.lines;
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

    fn end_case(&mut self) {
        let steps = std::mem::take(&mut self.case);
        let at = self.lines.len();
        if let (Some(begun), Some(case)) = (&self.begun, self.task.visible.get(at)) {
            self.lines.push(match self.task.interface {
                Interface::Call => line(self.task, at, case, steps.first()),
                other => line_of(other, at, case, begun, &steps),
            });
        }
    }
}

#[derive(Debug)]
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
