//! How a program is run on a case: the steps in a guest, the Python text that they
//! take, and the value that comes of them.

use gyre_types::{GuestOutcome, Interface, ProgramSpec, Step, StepReport, Value};

/// Gives programs a stdin, by whatever name they ask for it, and keeps what they
/// write to stderr out of what they print. What they leave for their end
/// (`atexit`) is done at the end of the next step. `gyre_stdin` is of the guest.
const STDIO_PRELUDE: &str = "\
def __gyre_stdin__(text):
    import gyre_stdin
    gyre_stdin.give(text)
";

/// Steps that [`begin`] plans.
pub const BEGIN_STEPS: usize = 1;

/// Steps that [`case`] plans.
pub fn case_steps(interface: Interface) -> usize {
    match interface {
        Interface::Call => 1,
        Interface::Stdio | Interface::Statements => 2,
    }
}

/// What a session begins with, before any case.
pub fn begin(interface: Interface, program: &str) -> Step {
    let code = match interface {
        Interface::Call | Interface::Statements => program,
        Interface::Stdio => STDIO_PRELUDE,
    };
    Step::Run { code: code.to_owned() }
}

/// The steps of one case.
pub fn case(spec: &ProgramSpec, program: &str, args: &[Value]) -> Vec<Step> {
    let call = |function: &str, args: &[Value]| Step::Call {
        function: function.to_owned(),
        args: args.to_vec(),
    };
    match spec.interface {
        Interface::Call => vec![call(&spec.entry, args)],
        Interface::Stdio => {
            vec![call("__gyre_stdin__", args), Step::Run { code: program.to_owned() }]
        }
        Interface::Statements => {
            let text = |at: usize| args.get(at).and_then(Value::as_str).unwrap_or_default();
            let (statements, expression) = (text(0), text(1));
            let code =
                format!("{statements}\ndef __gyre_case__():\n    return (\n{expression}\n)\n");
            vec![Step::Run { code }, call("__gyre_case__", &[])]
        }
    }
}

/// The value of a case, from what the session's beginning and the case's steps
/// did; fewer steps than were planned when the guest died.
///
/// # Errors
///
/// Why there is no value, in words.
pub fn value(
    interface: Interface,
    begun: &StepReport,
    case: &[StepReport],
) -> Result<Value, String> {
    if begun.outcome.value().is_none() {
        return Err(format!("the answer itself {}", begun.outcome.describe()));
    }
    let unreached = || Err("not reached: the guest had died".to_owned());
    let (Some(first), last) = (case.first(), case.get(case_steps(interface) - 1)) else {
        return unreached();
    };
    if first.outcome.value().is_none() {
        let what = match interface {
            Interface::Call => first.outcome.describe(),
            Interface::Stdio => format!("its input {}", first.outcome.describe()),
            Interface::Statements => format!("the statements: {}", first.outcome.describe()),
        };
        return Err(what);
    }
    match (interface, last) {
        (_, None) => unreached(),
        (Interface::Stdio, Some(step)) if ended_well(&step.outcome) => {
            Ok(Value::Str(step.stdout.clone()))
        }
        (_, Some(step)) => match &step.outcome {
            GuestOutcome::Value { value } => Ok(value.clone()),
            other => Err(other.describe()),
        },
    }
}

/// A program that gives the same for every case: the value of a Python expression.
pub fn constant(spec: &ProgramSpec, expression: &str) -> String {
    let entry = &spec.entry;
    match spec.interface {
        Interface::Stdio if expression == "None" => "pass\n".to_owned(),
        Interface::Stdio => format!("print({expression})\n"),
        Interface::Call | Interface::Statements => {
            format!("def {entry}(*arguments, **named):\n    return {expression}\n")
        }
    }
}

/// A program that does nothing, and one that gives back what it is given.
pub fn stubs(spec: &ProgramSpec) -> [String; 2] {
    let entry = &spec.entry;
    match spec.interface {
        Interface::Call => [
            format!("def {entry}(*arguments):\n    return None\n"),
            format!("def {entry}(*arguments):\n    return arguments[0] if arguments else None\n"),
        ],
        Interface::Stdio => {
            ["pass\n".to_owned(), "import sys\nsys.stdout.write(sys.stdin.read())\n".to_owned()]
        }
        Interface::Statements => {
            let nothing = "pass\n".to_owned();
            [nothing.clone(), nothing]
        }
    }
}

/// A program for another task, made to answer this one: `source` defines `solve`,
/// and this task's cases have so many arguments.
pub fn adapted(spec: &ProgramSpec, source: &str, arguments: usize) -> String {
    let entry = &spec.entry;
    match spec.interface {
        Interface::Stdio => {
            format!("{source}\n\nimport sys\n\nprint(solve(sys.stdin.read()), end='')\n")
        }
        Interface::Call | Interface::Statements if arguments == 1 && entry == "solve" => {
            source.to_owned()
        }
        Interface::Call | Interface::Statements => format!(
            "{source}\n\n_attack = solve\n\n\ndef {entry}(*arguments):\n    return \
             _attack(*arguments[:1])\n"
        ),
    }
}

/// Whether a program ran to its end, or left by `sys.exit(0)`.
fn ended_well(outcome: &GuestOutcome) -> bool {
    match outcome {
        GuestOutcome::Value { .. } => true,
        GuestOutcome::Exception(e) => {
            e.kind == "SystemExit" && matches!(e.message.as_str(), "" | "0" | "None")
        }
        _ => false,
    }
}
