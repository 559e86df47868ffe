use std::fmt;

use gyre_types::{Case, Digest};
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// What decides a task, and never leaves the host, by kind of environment.
///
/// Only `gyre-verify` and `gyre-tasks` define what can hold one; the crates
/// that talk to an agent or write a training row do not depend on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GradingKey {
    /// Of a task whose answer is a program.
    Program(ProgramKey),
}

impl GradingKey {
    /// Identifies the key, without telling anything of it.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Program(key) => key.digest(),
        }
    }
}

/// What decides a program: hidden cases, reference solution, and programs that
/// must fail.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramKey {
    /// The calls that decide, each with the value that it must return.
    pub hidden: Vec<Case>,
    /// How values are compared.
    #[serde(default)]
    pub comparison: Comparison,
    /// A program that passes.
    pub reference: String,
    /// Programs that must fail: each a plausible mistake.
    pub failures: Vec<String>,
}

impl ProgramKey {
    /// Identifies the key. Its kind is not part of it: programs' keys had this
    /// digest before there were kinds, and tasks are named by it.
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }
}

impl fmt::Debug for ProgramKey {
    /// Names the key without showing it: debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgramKey")
            .field("digest", &self.digest().short())
            .field("hidden", &self.hidden.len())
            .field("failures", &self.failures.len())
            .finish_non_exhaustive()
    }
}

/// How an actual value is compared with the expected one. By default exactly.
///
/// It is written as a table with these fields, or as the name of an equality
/// alone: `comparison = "python"`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Comparison {
    /// Which values count as equal.
    #[serde(skip_serializing_if = "Equality::is_exact")]
    pub equality: Equality,
    /// How far two floats may lie apart. None: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float_tolerance: Option<FloatTolerance>,
}

/// Which values count as equal; [`same`](crate::same) says how in detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Equality {
    /// Those of one type and value: `1`, `1.0` and `True` are three values.
    #[default]
    Exact,
    /// Those that Python's `==` holds for equal: `1`, `1.0` and `True` are one.
    Python,
}

impl Equality {
    fn is_exact(&self) -> bool {
        *self == Self::Exact
    }
}

impl From<Equality> for Comparison {
    fn from(equality: Equality) -> Self {
        Self { equality, float_tolerance: None }
    }
}

impl<'de> Deserialize<'de> for Comparison {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ComparisonVisitor)
    }
}

struct ComparisonVisitor;

/// The written form of a [`Comparison`] that is a table.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ComparisonFields {
    equality: Equality,
    float_tolerance: Option<FloatTolerance>,
}

impl<'de> Visitor<'de> for ComparisonVisitor {
    type Value = Comparison;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#""exact", "python", or a table of `equality` and `float_tolerance`"#)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Comparison, E> {
        Equality::deserialize(name.into_deserializer()).map(Comparison::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Comparison, A::Error> {
        let fields = ComparisonFields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Comparison { equality: fields.equality, float_tolerance: fields.float_tolerance })
    }
}

/// How far two finite floats may lie apart and still agree: by `absolute`, or
/// by `relative` times the larger magnitude, whichever is more.
///
/// It holds where a float meets a float as a value and, under
/// [`Equality::Python`], where a float meets any number. Elements of sets and
/// keys of dictionaries are compared without it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "ToleranceFields", into = "ToleranceFields")]
#[schemars(with = "ToleranceFields")]
pub struct FloatTolerance {
    absolute: f64,
    relative: f64,
}

/// A tolerance that is negative, not finite, or so wide that it would accept
/// anything.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "a float tolerance must be finite and not negative, and the relative one below {max}: got \
     absolute {absolute}, relative {relative}",
    max = FloatTolerance::RELATIVE_MAX
)]
pub struct ToleranceError {
    absolute: f64,
    relative: f64,
}

impl FloatTolerance {
    /// With a relative tolerance of 1, zero would agree with everything.
    pub const RELATIVE_MAX: f64 = 0.5;

    /// Checks and makes a tolerance.
    ///
    /// # Errors
    ///
    /// When a part is negative, NaN or infinite, or the relative part reaches
    /// [`FloatTolerance::RELATIVE_MAX`].
    pub fn new(absolute: f64, relative: f64) -> Result<Self, ToleranceError> {
        let fine = absolute.is_finite()
            && absolute >= 0.0
            && (0.0..Self::RELATIVE_MAX).contains(&relative);
        if fine {
            Ok(Self { absolute, relative })
        } else {
            Err(ToleranceError { absolute, relative })
        }
    }

    /// The absolute part.
    pub fn absolute(self) -> f64 {
        self.absolute
    }

    /// The relative part.
    pub fn relative(self) -> f64 {
        self.relative
    }

    /// Whether two floats agree. Infinities agree only with themselves.
    pub(crate) fn allows(self, a: f64, b: f64) -> bool {
        if !a.is_finite() || !b.is_finite() {
            return a == b;
        }
        (a - b).abs() <= self.absolute.max(self.relative * a.abs().max(b.abs()))
    }
}

/// The written form of a [`FloatTolerance`].
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToleranceFields {
    #[serde(default)]
    absolute: f64,
    #[serde(default)]
    relative: f64,
}

impl TryFrom<ToleranceFields> for FloatTolerance {
    type Error = ToleranceError;

    fn try_from(fields: ToleranceFields) -> Result<Self, ToleranceError> {
        Self::new(fields.absolute, fields.relative)
    }
}

impl From<FloatTolerance> for ToleranceFields {
    fn from(tolerance: FloatTolerance) -> Self {
        Self { absolute: tolerance.absolute, relative: tolerance.relative }
    }
}
