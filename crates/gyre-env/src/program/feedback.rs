//! Reports to the agent how its program did on the visible examples.

use gyre_types::{Case, GuestOutcome, Interface, ProgramSpec, Step, StepReport, Value};

use super::interface;
use crate::observation::ExamplesReport;

/// Bytes of a program's output that an observation repeats.
const STDOUT_SHOWN_MAX: usize = 400;

/// A program that is run on the visible examples, as far as it is.
///
/// Reports can be large, so each is reduced to its line of text as soon as the
/// example it belongs to is complete.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    spec: &'a ProgramSpec,
    begun: Option<StepReport>,
    /// Reports of the case that is not over.
    case: Vec<StepReport>,
    lines: Vec<Line>,
    fuel: u64,
    is_fatal: bool,
}

impl<'a> Run<'a> {
    /// A run of a program, and the steps that it takes.
    pub(crate) fn new(spec: &'a ProgramSpec, code: &str) -> (Self, Vec<Step>) {
        let cases = spec.visible.iter().flat_map(|case| interface::case(spec, code, &case.args));
        let steps = std::iter::once(interface::begin(spec.interface, code)).chain(cases).collect();
        let (case, lines) = (Vec::new(), Vec::new());
        (Self { spec, begun: None, case, lines, fuel: 0, is_fatal: false }, steps)
    }

    /// Fuel used by all steps so far.
    pub(crate) fn fuel(&self) -> u64 {
        self.fuel
    }

    /// Whether no more steps make sense: the guest died, or the program itself
    /// did not run through.
    pub(crate) fn is_over(&self) -> bool {
        let failed = |begun: &StepReport| begun.outcome.value().is_none();
        self.is_fatal || self.begun.as_ref().is_some_and(failed)
    }

    /// Adds the report of the next step, in the order of the steps.
    pub(crate) fn take(&mut self, mut report: StepReport) {
        self.fuel = self.fuel.saturating_add(report.fuel);
        self.is_fatal |= report.outcome.is_fatal();
        let per_case = interface::case_steps(self.spec.interface);
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

    /// What it came to. Trailing reports may be missing, if the guest died.
    pub(crate) fn finish(mut self) -> ExamplesReport {
        let why = match &self.begun {
            None => "the program was not run: its session had ended".to_owned(),
            Some(run) if !matches!(run.outcome, GuestOutcome::Value { .. }) => {
                format!("the program {}{}", run.outcome.describe(), output(run))
            }
            Some(_) => {
                while self.lines.len() < self.spec.visible.len() {
                    self.end_case();
                }
                let agree = self.lines.iter().filter(|line| line.agrees).count();
                let lines = self.lines.into_iter().map(|line| line.text).collect();
                return ExamplesReport::Ran { agree, lines };
            }
        };
        ExamplesReport::NotRun { why }
    }

    fn end_case(&mut self) {
        let steps = std::mem::take(&mut self.case);
        let at = self.lines.len();
        if let (Some(begun), Some(case)) = (&self.begun, self.spec.visible.get(at)) {
            self.lines.push(match self.spec.interface {
                Interface::Call => line(self.spec, at, case, steps.first()),
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

fn line(spec: &ProgramSpec, at: usize, case: &Case, report: Option<&StepReport>) -> Line {
    let args = case.args.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    let call = format!("example {}: {}({args})", at + 1, spec.entry);
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
    let value = interface::value(interface, begun, steps);
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
