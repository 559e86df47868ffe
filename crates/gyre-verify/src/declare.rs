//! What a family says of its verifier: the `[verifier]` table.

use gyre_types::{Digest, Limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::FloatTolerance;

/// How a family's answers are verified. Absent in `family.toml`: the built-in
/// comparison of every hidden case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum VerifierDeclaration {
    /// Checks on every hidden case, judged on the host.
    Checks {
        /// What is checked; at least one.
        checks: Vec<CheckDeclaration>,
    },
    /// A Python program of the family's folder, run in a fresh guest.
    Python {
        /// The file that defines `verify(outcome)`.
        #[serde(default = "default_python_file")]
        file: String,
        /// What one verification may use.
        #[serde(default = "default_python_limits")]
        limits: Limits,
    },
    /// A WASM component of the world `gyre:verifier`, from the registry.
    Component {
        /// The name that it was registered under.
        #[serde(rename = "use")]
        name: String,
        /// Its digest, as the registry shows it, to accept no other under that
        /// name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    },
    /// A program of the host's, trusted: it needs `allow_commands` under
    /// `[verifiers]` in the run's configuration.
    Command {
        /// The program, absolute or relative to the family's folder, and its
        /// arguments.
        argv: Vec<String>,
        /// Digest of the program's file, checked before each run.
        sha256: Digest,
        /// Milliseconds that one verification may take on the clock.
        #[serde(default = "default_command_ms")]
        wall_ms_max: u64,
    },
}

/// One check on each hidden case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "check", rename_all = "snake_case", deny_unknown_fields)]
pub enum CheckDeclaration {
    /// The value is the expected one, as the family's comparison says.
    Exact {
        /// What it counts beside others, over all cases; by default 1.
        #[serde(default = "default_weight")]
        weight: f64,
    },
    /// The value is the expected one, where numbers agree within a tolerance
    /// and an integer may stand for a float.
    Numeric {
        /// How far two numbers may lie apart.
        tolerance: FloatTolerance,
        /// What it counts beside others.
        #[serde(default = "default_weight")]
        weight: f64,
    },
    /// The items are the expected ones, whatever their order and however often
    /// each is there.
    Set {
        /// What it counts beside others.
        #[serde(default = "default_weight")]
        weight: f64,
    },
    /// The items are the expected ones, each as often, whatever their order.
    Multiset {
        /// What it counts beside others.
        #[serde(default = "default_weight")]
        weight: f64,
    },
    /// The text is the expected one, but for white space at the ends of lines
    /// and of the text.
    Text {
        /// Where the text is.
        #[serde(default)]
        of: TextOf,
        /// What it counts beside others.
        #[serde(default = "default_weight")]
        weight: f64,
    },
    /// The text holds the expected words, whatever the white space between
    /// them; numbers among them may agree within a tolerance.
    Tokens {
        /// Where the text is.
        #[serde(default)]
        of: TextOf,
        /// How far two numbers may lie apart; without it, all words must be the
        /// expected ones, letter by letter.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tolerance: Option<FloatTolerance>,
        /// What it counts beside others.
        #[serde(default = "default_weight")]
        weight: f64,
    },
    /// The whole text matches a regular expression.
    Regex {
        /// Where the text is.
        #[serde(default)]
        of: TextOf,
        /// The expression; without it, the case's expected value is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<String>,
        /// What it counts beside others.
        #[serde(default = "default_weight")]
        weight: f64,
    },
    /// The value, or the JSON text that was printed, is valid under a schema.
    JsonSchema {
        /// Where the document is.
        #[serde(default)]
        of: TextOf,
        /// The schema. It may refer to its own parts and to nothing else.
        schema: serde_json::Value,
        /// What it counts beside others.
        #[serde(default = "default_weight")]
        weight: f64,
    },
    /// A file that the answer left in its workspace has this content.
    File {
        /// Its path in the workspace.
        path: String,
        /// A regular expression for the whole content; without it, the case's
        /// expected value is the content.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<String>,
        /// What it counts beside others.
        #[serde(default = "default_weight")]
        weight: f64,
    },
}

/// Where a check finds its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextOf {
    /// In the value that came back.
    #[default]
    Result,
    /// In what was printed.
    Stdout,
}

/// Which of the four ways a verifier goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifierKind {
    /// The built-in comparison of every hidden case.
    Cases,
    /// Declarative checks.
    Checks,
    /// `verify.py`.
    Python,
    /// A WASM component.
    Component,
    /// An external command, which is trusted.
    Command,
}

impl VerifierKind {
    /// `cases`, `checks`, `python`, `component` or `command`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cases => "cases",
            Self::Checks => "checks",
            Self::Python => "python",
            Self::Component => "component",
            Self::Command => "command",
        }
    }

    /// Whether its word is taken on trust: nothing confines it.
    pub fn is_trusted(self) -> bool {
        self == Self::Command
    }
}

impl CheckDeclaration {
    /// `exact`, `numeric` and so on.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exact { .. } => "exact",
            Self::Numeric { .. } => "numeric",
            Self::Set { .. } => "set",
            Self::Multiset { .. } => "multiset",
            Self::Text { .. } => "text",
            Self::Tokens { .. } => "tokens",
            Self::Regex { .. } => "regex",
            Self::JsonSchema { .. } => "json_schema",
            Self::File { .. } => "file",
        }
    }

    /// What it counts beside others.
    pub fn weight(&self) -> f64 {
        match self {
            Self::Exact { weight }
            | Self::Numeric { weight, .. }
            | Self::Set { weight }
            | Self::Multiset { weight }
            | Self::Text { weight, .. }
            | Self::Tokens { weight, .. }
            | Self::Regex { weight, .. }
            | Self::JsonSchema { weight, .. }
            | Self::File { weight, .. } => *weight,
        }
    }
}

impl VerifierDeclaration {
    /// Which way it goes.
    pub fn kind(&self) -> VerifierKind {
        match self {
            Self::Checks { .. } => VerifierKind::Checks,
            Self::Python { .. } => VerifierKind::Python,
            Self::Component { .. } => VerifierKind::Component,
            Self::Command { .. } => VerifierKind::Command,
        }
    }
}

/// What one verification by `verify.py` may use: five times an answer's fuel.
pub fn default_python_limits() -> Limits {
    Limits { fuel_max: 10_000_000_000, ..Limits::default() }
}

fn default_python_file() -> String {
    "verify.py".to_owned()
}

fn default_command_ms() -> u64 {
    10_000
}

fn default_weight() -> f64 {
    1.0
}
