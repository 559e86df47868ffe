//! What a component lacks or wrongly imports, read off its bytes before any of
//! it is compiled.

use std::fmt;

use serde::{Deserialize, Serialize};
use wasmparser::{BinaryReaderError, Encoding, Parser, Payload};

use super::interface::INTERFACE;

/// One reason why a component is no verifier, in words for its author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ComponentProblem {
    /// It is larger than a component may be.
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// One of its functions is more than the compiler is given.
    FunctionTooLarge {
        /// Its index in its core module.
        function: u32,
        /// Values that the compiler may find in it, at most.
        values: u64,
        /// The bound.
        values_max: u64,
    },
    /// It is not WebAssembly.
    NotWasm,
    /// It is a core module, not a component.
    CoreModule,
    /// It is WebAssembly that does not parse or validate.
    Invalid {
        /// The parser's own words.
        message: String,
    },
    /// It imports something; a verifier imports nothing.
    Imports {
        /// The full names of the imports, at least one.
        names: Vec<String>,
    },
    /// It does not export the interface.
    MissingInterface {
        /// What it exports instead.
        exports: Vec<String>,
    },
    /// It exports the interface without its function.
    MissingFunction,
    /// The function has another type than the interface says.
    WrongType {
        /// The engine's own words.
        message: String,
    },
    /// It cannot be instantiated within the limits.
    DoesNotStart {
        /// What it did.
        message: String,
    },
}

impl fmt::Display for ComponentProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes, bytes_max } => {
                write!(f, "it has {bytes} bytes, more than the {bytes_max} that are read")
            }
            Self::FunctionTooLarge { function, values, values_max } => write!(
                f,
                "its function {function} may come to {values} values in the compiler, and no more \
                 than {values_max} are tried: split it, or give it fewer locals"
            ),
            Self::NotWasm => f.write_str("it is not WebAssembly: it does not begin with `\\0asm`"),
            Self::CoreModule => f.write_str(
                "it is a core module, not a component: build for wasm32-wasip2, or wrap it with \
                 `wasm-tools component new`",
            ),
            Self::Invalid { message } => write!(f, "it is no valid component: {message}"),
            Self::Imports { names } => wrong_imports(f, names),
            Self::MissingInterface { exports } => missing_interface(f, exports),
            Self::MissingFunction => {
                write!(f, "it exports {INTERFACE} without its function `verify`")
            }
            Self::WrongType { message } => {
                write!(f, "`verify` has another type than {INTERFACE} says: {message}")
            }
            Self::DoesNotStart { message } => write!(f, "it cannot be started: {message}"),
        }
    }
}

fn missing_interface(f: &mut fmt::Formatter<'_>, exports: &[String]) -> fmt::Result {
    write!(f, "it does not export {INTERFACE}")?;
    let (stem, _) = INTERFACE.split_once('@').unwrap_or((INTERFACE, ""));
    match exports {
        [] => f.write_str(", nor anything else"),
        all => match all.iter().find(|name| name.starts_with(stem)) {
            Some(other) => write!(f, " but {other}, which this Gyre does not know"),
            None => write!(f, ", it exports {}", all.join(", ")),
        },
    }
}

/// What imports would give, for people who did not ask for it knowingly. The
/// gravest come first.
const OFFERS: &[(&str, &str)] = &[
    ("wasi:sockets/", "the network"),
    ("wasi:http/", "the network by HTTP"),
    ("wasi:filesystem/", "files"),
    ("wasi:clocks/", "the clock"),
    ("wasi:random/", "randomness"),
    ("wasi:cli/", "the process's environment"),
    ("wasi:io/", "streams"),
    ("", "what nothing here offers"),
];

/// `it imports the network (wasi:sockets/tcp@0.2.0) and …`.
fn wrong_imports(f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
    let kind = |name: &str| OFFERS.iter().position(|(prefix, _)| name.starts_with(prefix));
    let mut groups = Vec::new();
    for (at, (_, what)) in OFFERS.iter().enumerate() {
        let members: Vec<_> =
            names.iter().map(String::as_str).filter(|name| kind(name) == Some(at)).collect();
        if !members.is_empty() {
            groups.push(format!("{what} ({})", members.join(", ")));
        }
    }
    write!(f, "it imports {}, and a verifier imports nothing", groups.join(" and "))
}

/// Reads a component's imports and exports. Gives how many functions it has to
/// compile, or everything that is wrong with it.
pub(super) fn inspect(bytes: &[u8], bytes_max: usize) -> Result<u32, Vec<ComponentProblem>> {
    if bytes.len() > bytes_max {
        return Err(vec![ComponentProblem::TooLarge { bytes: bytes.len(), bytes_max }]);
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(vec![ComponentProblem::NotWasm]);
    }
    let seen = Seen::read(bytes);
    let seen =
        seen.map_err(|error| vec![ComponentProblem::Invalid { message: error.to_string() }])?;
    if seen.is_module {
        return Err(vec![ComponentProblem::CoreModule]);
    }
    let mut problems = Vec::new();
    if !seen.imports.is_empty() {
        problems.push(ComponentProblem::Imports { names: seen.imports });
    }
    if !seen.exports.iter().any(|name| name == INTERFACE) {
        problems.push(ComponentProblem::MissingInterface { exports: seen.exports });
    }
    if problems.is_empty() { Ok(seen.functions) } else { Err(problems) }
}

/// The outermost component's face, and the size of all that is within.
#[derive(Default)]
struct Seen {
    is_module: bool,
    imports: Vec<String>,
    exports: Vec<String>,
    functions: u32,
}

impl Seen {
    fn read(bytes: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut seen = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    seen.is_module = true;
                    break;
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CodeSectionStart { count, .. } => {
                    seen.functions = seen.functions.saturating_add(count);
                }
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        seen.imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        seen.exports.push(export?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(seen)
    }
}
