use std::collections::BTreeMap;
use std::fmt;

use gyre_types::Value;

use crate::Comparison;

/// Longest rendering of a value within a mismatch, in characters.
const PREVIEW_CHARS_MAX: usize = 120;

/// Where and how two values differ. For people on the host: it shows what was
/// expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The way to the difference, such as `[2]['a']`; empty at the top.
    pub path: String,
    /// What differs, such as `expected 3 (int), got 3.0 (float)`.
    pub what: String,
}

impl Mismatch {
    fn at_top(what: String) -> Box<Self> {
        Box::new(Self { path: String::new(), what })
    }

    fn below(mut self: Box<Self>, step: &str) -> Box<Self> {
        self.path.insert_str(0, step);
        self
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.what)
        } else {
            write!(f, "at {}: {}", self.path, self.what)
        }
    }
}

/// Compares a value with the expected one, by exact type and value.
///
/// `True`, `1` and `1.0` all differ, and so do a list and a tuple. Sets and
/// dictionaries are compared regardless of order. NaN equals NaN, and the two
/// zeros are equal. A tolerance holds for a float that meets a float, but not
/// within a set or a dictionary's key.
///
/// # Errors
///
/// The first difference, in the expected value's order.
pub fn same(expected: &Value, actual: &Value, how: &Comparison) -> Result<(), Box<Mismatch>> {
    match (expected, actual) {
        (Value::Float(a), Value::Float(b)) if floats_agree(*a, *b, how) => Ok(()),
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            same_items(a, b, how)
        }
        (Value::Set(a), Value::Set(b)) | (Value::FrozenSet(a), Value::FrozenSet(b)) => {
            same_elements(a, b)
        }
        (Value::Dict(a), Value::Dict(b)) => same_entries(a, b, how),
        (Value::Float(_), Value::Float(_)) => Err(differ(expected, actual)),
        _ if expected == actual => Ok(()),
        _ => Err(differ(expected, actual)),
    }
}

fn floats_agree(a: f64, b: f64, how: &Comparison) -> bool {
    a == b || a.is_nan() && b.is_nan() || how.float_tolerance.is_some_and(|t| t.allows(a, b))
}

fn differ(expected: &Value, actual: &Value) -> Box<Mismatch> {
    let (e, a) = (expected.preview(PREVIEW_CHARS_MAX), actual.preview(PREVIEW_CHARS_MAX));
    Mismatch::at_top(if expected.type_name() == actual.type_name() {
        format!("expected {e}, got {a}")
    } else {
        format!("expected {e} ({}), got {a} ({})", expected.type_name(), actual.type_name())
    })
}

fn same_items(a: &[Value], b: &[Value], how: &Comparison) -> Result<(), Box<Mismatch>> {
    for (at, (expected, actual)) in a.iter().zip(b).enumerate() {
        same(expected, actual, how).map_err(|mismatch| mismatch.below(&format!("[{at}]")))?;
    }
    if a.len() == b.len() { Ok(()) } else { Err(lengths("items", a.len(), b.len())) }
}

fn lengths(what: &str, expected: usize, actual: usize) -> Box<Mismatch> {
    Mismatch::at_top(format!("expected {expected} {what}, got {actual}"))
}

fn same_elements(a: &[Value], b: &[Value]) -> Result<(), Box<Mismatch>> {
    let (expected, actual) = (by_canonical_text(a.iter()), by_canonical_text(b.iter()));
    if let Some((_, missing)) = expected.iter().find(|(text, _)| !actual.contains_key(*text)) {
        let missing = missing.preview(PREVIEW_CHARS_MAX);
        return Err(Mismatch::at_top(format!("expected the element {missing}, which is missing")));
    }
    if actual.len() == expected.len() && a.len() == b.len() {
        Ok(())
    } else {
        Err(lengths("elements", a.len(), b.len()))
    }
}

fn same_entries(
    a: &[(Value, Value)],
    b: &[(Value, Value)],
    how: &Comparison,
) -> Result<(), Box<Mismatch>> {
    let actual: BTreeMap<String, &Value> =
        b.iter().map(|(key, value)| (canonical_text(key), value)).collect();
    for (key, expected) in a {
        let shown = key.preview(PREVIEW_CHARS_MAX);
        match actual.get(&canonical_text(key)) {
            Some(actual) => same(expected, actual, how)
                .map_err(|mismatch| mismatch.below(&format!("[{shown}]")))?,
            None => {
                return Err(Mismatch::at_top(format!(
                    "expected the key {shown}, which is missing"
                )));
            }
        }
    }
    if a.len() == actual.len() && a.len() == b.len() {
        Ok(())
    } else {
        Err(lengths("keys", a.len(), b.len()))
    }
}

fn by_canonical_text<'a>(items: impl Iterator<Item = &'a Value>) -> BTreeMap<String, &'a Value> {
    items.map(|item| (canonical_text(item), item)).collect()
}

/// One text for all values that [`same`] holds equal without a tolerance, and
/// for no others.
pub(crate) fn canonical_text(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, out: &mut String) {
    let mut all = |tag: char, parts: Vec<String>| {
        out.push(tag);
        out.push_str(&parts.len().to_string());
        for part in parts {
            // A length before each part keeps the text injective.
            out.push_str(&format!(":{}:{part}", part.len()));
        }
    };
    let texts = |items: &[Value]| items.iter().map(canonical_text).collect::<Vec<_>>();
    let sorted = |mut parts: Vec<String>| {
        parts.sort_unstable();
        parts
    };
    match value {
        Value::Float(float) => {
            // `+ 0.0` makes the two zeros one; all NaNs print alike.
            let float = float + 0.0;
            out.push_str(&format!("f{float:?}"));
        }
        Value::List(items) => all('l', texts(items)),
        Value::Tuple(items) => all('t', texts(items)),
        Value::Set(items) => all('s', sorted(texts(items))),
        Value::FrozenSet(items) => all('z', sorted(texts(items))),
        Value::Dict(entries) => {
            let entry = |(key, value): &(Value, Value)| {
                let key = canonical_text(key);
                format!("{}:{key}{}", key.len(), canonical_text(value))
            };
            all('d', sorted(entries.iter().map(entry).collect()));
        }
        Value::Str(text) => {
            out.push('"');
            out.push_str(text);
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Bytes(_) => {
            out.push_str(value.type_name());
            out.push_str(&value.to_string());
        }
    }
}
