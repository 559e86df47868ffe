//! Commands with placeholders.

use std::ffi::OsString;

use serde::{Deserialize, Deserializer};

/// What a trainer's command may name.
pub const TRAINER_PLACEHOLDERS: &[&str] =
    &["dataset", "parent", "output", "round", "seed", "config", "project"];

/// What the command of a server or of an update hook may name.
pub const SERVER_PLACEHOLDERS: &[&str] = &["checkpoint", "adapter", "port", "name", "project"];

/// What the command of a promotion's hook may name.
pub const HOOK_PLACEHOLDERS: &[&str] =
    &["run", "round", "checkpoint", "champion", "dataset", "project"];

/// Why a command cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is no program to start.
    #[error(
        "the command is empty; give a program and its arguments, such as [\"python3\", \"train.py\"]"
    )]
    Empty,
    /// A placeholder that does not exist.
    #[error(
        "the command's argument {argument:?} names the unknown placeholder {{{name}}}; known are {known}"
    )]
    Unknown {
        /// The argument.
        argument: String,
        /// The placeholder's name.
        name: String,
        /// The placeholders that exist.
        known: String,
    },
    /// Leaving out a value would leave its flag behind.
    #[error(
        "{{{name}}} may be missing and its argument is left out then, but {flag:?} would stay; \
         write {flag}={{{name}}} as one argument"
    )]
    Dangling {
        /// The flag before the placeholder.
        flag: String,
        /// The placeholder's name.
        name: String,
    },
}

/// Placeholders that have no value at times: the argument is left out then.
const OPTIONAL: &[&str] = &["parent", "checkpoint", "adapter", "champion"];

/// The values of placeholders; `None` leaves out the arguments that name it.
pub(crate) type Values = [(&'static str, Option<OsString>)];

/// Checks a command against the placeholders that it may name.
pub(crate) fn check(command: &[String], known: &[&str]) -> Result<(), TemplateError> {
    if command.first().is_none_or(|program| program.is_empty()) {
        return Err(TemplateError::Empty);
    }
    for argument in command {
        for name in names(argument) {
            if !known.contains(&name) {
                return Err(TemplateError::Unknown {
                    argument: argument.clone(),
                    name: name.to_owned(),
                    known: known
                        .iter()
                        .map(|name| format!("{{{name}}}"))
                        .collect::<Vec<_>>()
                        .join(", "),
                });
            }
        }
    }
    for pair in command.windows(2) {
        let value = names(&pair[1]).into_iter().find(|name| OPTIONAL.contains(name));
        let is_flag =
            pair[0].starts_with('-') && !pair[0].contains('=') && names(&pair[0]).is_empty();
        if let (Some(name), true, false) = (value, is_flag, pair[1].starts_with('-')) {
            let (flag, name) = (pair[0].clone(), name.to_owned());
            return Err(TemplateError::Dangling { flag, name });
        }
    }
    Ok(())
}

/// Whether a command names a placeholder.
pub(crate) fn uses(command: &[String], name: &str) -> bool {
    command.iter().any(|argument| names(argument).contains(&name))
}

/// The command with every placeholder filled. An argument is left out when one of
/// its placeholders has no value.
pub(crate) fn fill(command: &[String], values: &Values) -> Vec<OsString> {
    command.iter().filter_map(|argument| fill_argument(argument, values)).collect()
}

fn fill_argument(argument: &str, values: &Values) -> Option<OsString> {
    let mut filled = OsString::new();
    for piece in pieces(argument) {
        let named = match piece {
            Piece::Text(text) => {
                filled.push(text);
                continue;
            }
            Piece::Name(name) => name,
        };
        match values.iter().find(|(name, _)| *name == named) {
            Some((_, value)) => filled.push(value.as_ref()?),
            // `check` has refused commands with such a placeholder.
            None => filled.push(format!("{{{named}}}")),
        }
    }
    Some(filled)
}

#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn names(argument: &str) -> Vec<&str> {
    let name = |piece| match piece {
        Piece::Name(name) => Some(name),
        Piece::Text(_) => None,
    };
    pieces(argument).into_iter().filter_map(name).collect()
}

/// Splits an argument at its placeholders: lower-case letters and underscores in
/// braces. All other braces, such as those of JSON, are text.
fn pieces(argument: &str) -> Vec<Piece<'_>> {
    let (mut found, mut rest, mut from) = (Vec::new(), argument, 0);
    while let Some(open) = rest[from..].find('{').map(|at| at + from) {
        let inside = &rest[open + 1..];
        let length = inside.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(0);
        if length == 0 || !inside[length..].starts_with('}') {
            from = open + 1;
            continue;
        }
        if open > 0 {
            found.push(Piece::Text(&rest[..open]));
        }
        found.push(Piece::Name(&inside[..length]));
        (rest, from) = (&inside[length + 1..], 0);
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest));
    }
    found
}

/// Reads a trainer's command from a configuration.
pub(crate) fn trainer_command<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    command(from, TRAINER_PLACEHOLDERS)
}

/// Reads the command of a server or a hook from a configuration.
pub(crate) fn server_command<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    command(from, SERVER_PLACEHOLDERS)
}

/// Reads the command of a promotion's hook from a configuration.
pub(crate) fn hook_command<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    command(from, HOOK_PLACEHOLDERS)
}

fn command<'de, D: Deserializer<'de>>(from: D, known: &[&str]) -> Result<Vec<String>, D::Error> {
    let command = Vec::deserialize(from)?;
    check(&command, known).map_err(serde::de::Error::custom)?;
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(|&argument| argument.to_owned()).collect()
    }

    #[test]
    fn placeholders_are_filled_and_other_braces_are_text() {
        let values: &Values =
            &[("parent", None), ("seed", Some("7".into())), ("output", Some("/o".into()))];
        let given = command(&[
            "train",
            "--parent={parent}",
            "{output}/x-{seed}{seed}",
            "{\"lr\":{\"max\":1}}",
            "{}",
            "{ seed }",
            "{{seed}}",
            "ü{seed}ü",
        ]);
        assert_eq!(
            fill(&given, values),
            ["train", "/o/x-77", "{\"lr\":{\"max\":1}}", "{}", "{ seed }", "{7}", "ü7ü"]
        );
        assert!(uses(&given, "parent") && !uses(&given, "config"));
    }

    #[test]
    fn what_cannot_be_filled_is_refused() {
        let refused = |arguments: &[&str]| {
            check(&command(arguments), SERVER_PLACEHOLDERS).unwrap_err().to_string()
        };
        assert_eq!(
            refused(&["serve", "{prot}"]),
            "the command's argument \"{prot}\" names the unknown placeholder {prot}; known are \
             {checkpoint}, {adapter}, {port}, {name}, {project}"
        );
        assert_eq!(
            refused(&["serve", "--lora", "{adapter}"]),
            "{adapter} may be missing and its argument is left out then, but \"--lora\" would \
             stay; write --lora={adapter} as one argument"
        );
        assert!(refused(&[]).starts_with("the command is empty; "));
        assert!(refused(&["", "x"]).starts_with("the command is empty; "));
        let good = command(&["serve", "--port", "{port}", "--lora={adapter}", "{checkpoint}"]);
        assert_eq!(check(&good, SERVER_PLACEHOLDERS), Ok(()));
    }
}
