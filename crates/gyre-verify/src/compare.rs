use std::collections::BTreeMap;
use std::fmt;

use gyre_types::Value;

use crate::{Comparison, Equality, FloatTolerance};

mod python;

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

/// Compares a value with the expected one.
///
/// Under [`Equality::Exact`] types and values must be the same: `True`, `1` and
/// `1.0` all differ, and so do a set and a frozen set. A tolerance holds for a
/// float that meets a float.
///
/// Under [`Equality::Python`] values agree that Python's `==` holds for equal.
/// Numbers are compared by their exact value, whatever their type (`True`, `1`
/// and `1.0` agree, `2**53 + 1` and `float(2**53)` differ), and a set agrees
/// with a frozen set; a list and a tuple differ, and so do text and bytes. A
/// tolerance holds for a float that meets any number.
///
/// Under both, sets and dictionaries are compared regardless of order, the two
/// zeros are equal, and a tolerance holds neither within a set nor in a
/// dictionary's key. NaN agrees with NaN, anywhere: Python's containers take an
/// item for equal to itself, and of values that come from two processes nobody
/// can say whether they were one object. If NaN never agreed, no answer could
/// meet a case that expects it.
///
/// # Errors
///
/// The first difference, in the expected value's order.
pub fn same(expected: &Value, actual: &Value, how: &Comparison) -> Result<(), Box<Mismatch>> {
    match (expected, actual) {
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            same_items(a, b, how)
        }
        (Value::Set(a), Value::Set(b)) | (Value::FrozenSet(a), Value::FrozenSet(b)) => {
            same_elements(a, b, how.equality)
        }
        (Value::Set(a), Value::FrozenSet(b)) | (Value::FrozenSet(a), Value::Set(b))
            if how.equality == Equality::Python =>
        {
            same_elements(a, b, how.equality)
        }
        (Value::Dict(a), Value::Dict(b)) => same_entries(a, b, how),
        _ if leaves_agree(expected, actual, how) => Ok(()),
        _ => Err(differ(expected, actual)),
    }
}

/// Compares values of which at least one is no container, or that are
/// containers of two kinds.
fn leaves_agree(expected: &Value, actual: &Value, how: &Comparison) -> bool {
    match (expected, actual) {
        (Value::Float(a), Value::Float(b)) => {
            let near = |tolerance: FloatTolerance| tolerance.allows(*a, *b);
            a == b || a.is_nan() && b.is_nan() || how.float_tolerance.is_some_and(near)
        }
        _ if how.equality == Equality::Python => {
            expected == actual || python::numbers_agree(expected, actual, how.float_tolerance)
        }
        _ => expected == actual,
    }
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

fn same_elements(a: &[Value], b: &[Value], how: Equality) -> Result<(), Box<Mismatch>> {
    let (expected, actual) = (by_canonical_text(a, how), by_canonical_text(b, how));
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
    let text = |key: &Value| canonical_text(key, how.equality);
    let actual: BTreeMap<String, &Value> =
        b.iter().map(|(key, value)| (text(key), value)).collect();
    for (key, expected) in a {
        let shown = key.preview(PREVIEW_CHARS_MAX);
        match actual.get(&text(key)) {
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

fn by_canonical_text(items: &[Value], how: Equality) -> BTreeMap<String, &Value> {
    items.iter().map(|item| (canonical_text(item, how), item)).collect()
}

/// One text for all values that [`same`] holds equal without a tolerance, and
/// for no others.
pub(crate) fn canonical_text(value: &Value, how: Equality) -> String {
    let mut text = String::new();
    write_canonical(value, how, &mut text);
    text
}

fn write_canonical(value: &Value, how: Equality, out: &mut String) {
    let canonical = |value: &Value| canonical_text(value, how);
    let mut all = |tag: char, parts: Vec<String>| {
        out.push(tag);
        out.push_str(&parts.len().to_string());
        for part in parts {
            // A length before each part keeps the text injective.
            out.push_str(&format!(":{}:{part}", part.len()));
        }
    };
    let texts = |items: &[Value]| items.iter().map(canonical).collect::<Vec<_>>();
    let sorted = |mut parts: Vec<String>| {
        parts.sort_unstable();
        parts
    };
    match value {
        Value::List(items) => all('l', texts(items)),
        Value::Tuple(items) => all('t', texts(items)),
        Value::FrozenSet(items) if how == Equality::Exact => all('z', sorted(texts(items))),
        Value::Set(items) | Value::FrozenSet(items) => all('s', sorted(texts(items))),
        Value::Dict(entries) => {
            let entry = |(key, value): &(Value, Value)| {
                let key = canonical(key);
                format!("{}:{key}{}", key.len(), canonical(value))
            };
            all('d', sorted(entries.iter().map(entry).collect()));
        }
        Value::Str(text) => {
            out.push('"');
            out.push_str(text);
        }
        _ => match python::integer(value).filter(|_| how == Equality::Python) {
            Some(digits) => out.push_str(&format!("int{digits}")),
            None => write_leaf(value, out),
        },
    }
}

fn write_leaf(value: &Value, out: &mut String) {
    match value {
        // `+ 0.0` makes the two zeros one; all NaNs print alike.
        Value::Float(float) => out.push_str(&format!("f{:?}", float + 0.0)),
        other => {
            out.push_str(other.type_name());
            out.push_str(&other.to_string());
        }
    }
}
