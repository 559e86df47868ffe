use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Value;

/// How a program is run on a case, and where the case's value comes from. The
/// steps that this takes are those of `gyre-env`.
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
}
