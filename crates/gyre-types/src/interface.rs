use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GuestOutcome, Step, StepReport, Value};

/// Gives programs a stdin, by whatever name they ask for it, and keeps what they
/// write to stderr out of what they print. What they leave for their end
/// (`atexit`) is done at the end of the next step. `gyre_stdin` is of the guest.
const STDIO_PRELUDE: &str = "\
def __gyre_stdin__(text):
    import gyre_stdin
    gyre_stdin.give(text)
";

/// How a program is run on a case, and where the case's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interface {
    /// It defines a function, which is called with the case's arguments. The
    /// value is what that returns.
    #[default]
    Call,
    /// It is a program that reads stdin: the case's one argument, a text. The
    /// value is the text that it prints.
    Stdio,
    /// The case's two arguments are statements and an expression, run and
    /// evaluated after the program. The value is the expression's.
    Statements,
}

impl Interface {
    /// Steps that [`Interface::begin`] plans.
    pub const BEGIN_STEPS: usize = 1;

    /// Whether it is [`Interface::Call`], which is not written down.
    pub fn is_call(&self) -> bool {
        *self == Self::Call
    }

    /// `call`, `stdio` or `statements`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Stdio => "stdio",
            Self::Statements => "statements",
        }
    }

    /// Steps that [`Interface::case`] plans.
    pub fn case_steps(self) -> usize {
        match self {
            Self::Call => 1,
            Self::Stdio | Self::Statements => 2,
        }
    }

    /// What a session begins with, before any case.
    pub fn begin(self, program: &str) -> Step {
        let code = match self {
            Self::Call | Self::Statements => program,
            Self::Stdio => STDIO_PRELUDE,
        };
        Step::Run { code: code.to_owned() }
    }

    /// The steps of one case.
    pub fn case(self, program: &str, entry: &str, args: &[Value]) -> Vec<Step> {
        let call = |function: &str, args: &[Value]| Step::Call {
            function: function.to_owned(),
            args: args.to_vec(),
        };
        match self {
            Self::Call => vec![call(entry, args)],
            Self::Stdio => {
                vec![call("__gyre_stdin__", args), Step::Run { code: program.to_owned() }]
            }
            Self::Statements => {
                let text = |at: usize| args.get(at).and_then(Value::as_str).unwrap_or_default();
                let (statements, expression) = (text(0), text(1));
                let code =
                    format!("{statements}\ndef __gyre_case__():\n    return (\n{expression}\n)\n");
                vec![Step::Run { code }, call("__gyre_case__", &[])]
            }
        }
    }

    /// Checks the arguments of a case.
    ///
    /// # Errors
    ///
    /// What is wrong, when they are not of this interface's form.
    pub fn require_args(self, args: &[Value]) -> Result<(), String> {
        let texts = args.iter().filter(|arg| arg.as_str().is_some()).count();
        let (wanted, what) = match self {
            Self::Call => return Ok(()),
            Self::Stdio => (1, "one text, its stdin"),
            Self::Statements => (2, "two texts, statements and an expression"),
        };
        if texts == wanted && args.len() == wanted {
            Ok(())
        } else {
            Err(format!("a case of the interface {} has {what}", self.as_str()))
        }
    }

    /// The value of a case, from what the session's beginning and the case's
    /// steps did; fewer steps than were planned when the guest died.
    ///
    /// # Errors
    ///
    /// Why there is no value, in words.
    pub fn value(self, begun: &StepReport, case: &[StepReport]) -> Result<Value, String> {
        if begun.outcome.value().is_none() {
            return Err(format!("the answer itself {}", begun.outcome.describe()));
        }
        let unreached = || Err("not reached: the guest had died".to_owned());
        let (Some(first), last) = (case.first(), case.get(self.case_steps() - 1)) else {
            return unreached();
        };
        if first.outcome.value().is_none() {
            let what = match self {
                Self::Call => first.outcome.describe(),
                Self::Stdio => format!("its input {}", first.outcome.describe()),
                Self::Statements => format!("the statements: {}", first.outcome.describe()),
            };
            return Err(what);
        }
        match (self, last) {
            (_, None) => unreached(),
            (Self::Stdio, Some(step)) if ended_well(&step.outcome) => {
                Ok(Value::Str(step.stdout.clone()))
            }
            (_, Some(step)) => match &step.outcome {
                GuestOutcome::Value { value } => Ok(value.clone()),
                other => Err(other.describe()),
            },
        }
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
