use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Digest;

/// What an episode leaves to be graded, by kind of environment.
///
/// In JSON a program is its text: rollouts have had it so since the first
/// version of their records, and the API gives it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The source text of a program; empty where the policy gave none.
    Program(String),
}

/// A borrowed [`Answer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerRef<'a> {
    /// The source text of a program.
    Program(&'a str),
}

impl Answer {
    /// Borrows it.
    pub fn view(&self) -> AnswerRef<'_> {
        match self {
            Self::Program(program) => AnswerRef::Program(program),
        }
    }

    /// Identifies it: of a program, the digest of its text.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Program(program) => Digest::of(program.as_bytes()),
        }
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Program(program) => serializer.serialize_str(program),
        }
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::Program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_written_and_identified_by_its_text() {
        let answer = Answer::Program("x = 1\n".to_owned());
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#""x = 1\n""#);
        assert_eq!(serde_json::from_str::<Answer>(r#""x = 1\n""#).unwrap(), answer);
        assert_eq!(answer.digest(), Digest::of(b"x = 1\n"));
    }
}
