//! What a call of a tool gives. It is typed: what an episode does next follows from
//! a variant or a field, and the text for the model is made from them.

use std::fmt;

/// What a call of a tool gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// A program was run on the visible examples.
    Examples(ExamplesReport),
    /// The call was not carried out.
    Refused(Refusal),
}

impl Observation {
    /// Whether it settles the answer: the program agreed with all that is known.
    pub fn settles(&self) -> bool {
        match self {
            Self::Examples(report) => report.all_agree(),
            Self::Refused(_) => false,
        }
    }

    /// As the model reads it.
    pub fn text(&self) -> String {
        match self {
            Self::Examples(report) => report.text(),
            Self::Refused(why) => why.to_string(),
        }
    }
}

/// What a program did on the visible examples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExamplesReport {
    /// It ran, and each example has its line.
    Ran {
        /// Examples that agree.
        agree: usize,
        /// One text for each example.
        lines: Vec<String>,
    },
    /// It did not get as far as the examples.
    NotRun {
        /// What happened.
        why: String,
    },
}

impl ExamplesReport {
    /// Whether every example agrees.
    pub fn all_agree(&self) -> bool {
        matches!(self, Self::Ran { agree, lines } if *agree == lines.len())
    }

    fn text(&self) -> String {
        let (agree, lines) = match self {
            Self::NotRun { why } => return why.clone(),
            Self::Ran { agree, lines } => (agree, lines),
        };
        let head = if self.all_agree() {
            "all examples agree".to_owned()
        } else {
            format!("{agree} of {} examples agree", lines.len())
        };
        std::iter::once(&head).chain(lines).map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// Why a call was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Its arguments are not what the tool declares.
    MalformedArguments {
        /// What is wrong with them.
        error: String,
    },
    /// No tool of that name is offered.
    UnknownTool {
        /// The name that was called.
        name: String,
        /// The names that are offered.
        offered: Vec<String>,
    },
    /// The message holds no program.
    NoProgram {
        /// How the model was told to answer.
        how_to_answer: String,
    },
    /// An earlier call of the same turn submitted the answer.
    Submitted,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MalformedArguments { error } => {
                write!(f, "the arguments are malformed: {error}")
            }
            Self::UnknownTool { name, offered } => {
                write!(f, "there is no tool {name:?}: use {}", offered.join(" or "))
            }
            Self::NoProgram { how_to_answer } => {
                write!(f, "Your answer holds no program. {how_to_answer}")
            }
            Self::Submitted => f.write_str("not run: the answer was submitted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Models were trained on these texts, and recorded episodes hold them.
    #[test]
    fn what_a_model_is_told_of_a_refused_call_stays_word_for_word() {
        let offered = ["run_examples", "submit"].map(str::to_owned).to_vec();
        let told = [
            Refusal::MalformedArguments { error: "missing field `code`".to_owned() },
            Refusal::UnknownTool { name: "cheat".to_owned(), offered },
            Refusal::NoProgram { how_to_answer: "Answer with one block.".to_owned() },
            Refusal::Submitted,
        ]
        .map(|refusal| Observation::Refused(refusal).text());
        assert_eq!(
            told,
            [
                "the arguments are malformed: missing field `code`",
                "there is no tool \"cheat\": use run_examples or submit",
                "Your answer holds no program. Answer with one block.",
                "not run: the answer was submitted",
            ]
        );
    }
}
