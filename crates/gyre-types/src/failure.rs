use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was wrong with an answer that failed: its form, or what it does.
///
/// A model that fails by form has not learned how to answer; one that fails by
/// skill has, and answers wrongly. The two are repaired by different means.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The answer holds no code.
    NoCode,
    /// The bound on tokens cut the model off before its code was whole.
    CutOff,
    /// The code is not of the language.
    Syntax,
    /// The code does not define what the task asks for.
    WrongName,
    /// The code fails by itself, before it is called for a case.
    Crashed,
    /// The code runs, and a case disagrees: another value, an exception, a limit.
    WrongValue,
}

impl FailureKind {
    /// Every kind, form first.
    pub const ALL: [Self; 6] = [
        Self::NoCode,
        Self::CutOff,
        Self::Syntax,
        Self::WrongName,
        Self::Crashed,
        Self::WrongValue,
    ];

    /// Whether the form is at fault, and not what the code does.
    pub fn is_form(self) -> bool {
        match self {
            Self::NoCode | Self::CutOff | Self::Syntax | Self::WrongName => true,
            Self::Crashed | Self::WrongValue => false,
        }
    }

    /// The name in JSON, such as `wrong_name`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoCode => "no_code",
            Self::CutOff => "cut_off",
            Self::Syntax => "syntax",
            Self::WrongName => "wrong_name",
            Self::Crashed => "crashed",
            Self::WrongValue => "wrong_value",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCode => "no code",
            Self::CutOff => "cut off",
            Self::Syntax => "syntax",
            Self::WrongName => "wrong name",
            Self::Crashed => "crashed",
            Self::WrongValue => "wrong value",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_in_json() {
        for kind in FailureKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert!(FailureKind::ALL.is_sorted_by_key(|kind| !kind.is_form()), "form first");
    }
}
