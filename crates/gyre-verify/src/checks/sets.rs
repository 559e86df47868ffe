//! Items regardless of order.

use std::collections::BTreeMap;

use gyre_types::Value;

use super::shown::shown;
use crate::Equality;
use crate::compare::canonical_text;

/// Whether two collections hold the same items, however often.
pub(super) fn same_set(expected: &Value, actual: &Value) -> Result<(), String> {
    let (expected, actual) = (counted(expected)?, counted(actual)?);
    missing(&expected, &actual)?;
    match actual.iter().find(|(text, _)| !expected.contains_key(*text)) {
        None => Ok(()),
        Some((_, (item, _))) => Err(format!("the item {} is not expected", shown(item))),
    }
}

/// Whether two collections hold the same items, each as often.
pub(super) fn same_multiset(expected: &Value, actual: &Value) -> Result<(), String> {
    same_set(expected, actual)?;
    let (expected, actual) = (counted(expected)?, counted(actual)?);
    let other =
        expected.iter().find(|(text, (_, n))| actual.get(*text).is_none_or(|(_, m)| m != n));
    match other {
        None => Ok(()),
        Some((text, (item, wanted))) => {
            let got = actual.get(text).map_or(0, |(_, n)| *n);
            Err(format!("expected the item {} {wanted} times, got it {got} times", shown(item)))
        }
    }
}

/// Items by their canonical text, each with how often it is there.
type Counted<'a> = BTreeMap<String, (&'a Value, usize)>;

fn counted(value: &Value) -> Result<Counted<'_>, String> {
    let (Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items)) =
        value
    else {
        return Err(format!("expected items, got {} ({})", shown(value), value.type_name()));
    };
    let mut counted = Counted::new();
    for item in items {
        counted.entry(canonical_text(item, Equality::Exact)).or_insert((item, 0)).1 += 1;
    }
    Ok(counted)
}

fn missing(expected: &Counted<'_>, actual: &Counted<'_>) -> Result<(), String> {
    match expected.iter().find(|(text, _)| !actual.contains_key(*text)) {
        None => Ok(()),
        Some((_, (item, _))) => Err(format!("expected the item {}, which is missing", shown(item))),
    }
}
