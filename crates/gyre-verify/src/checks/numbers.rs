//! Numbers within a tolerance, wherever they are in a value.

use gyre_types::Value;

use super::shown::shown;
use crate::{Comparison, FloatTolerance, same};

/// Compares values whose numbers may differ by a tolerance, and whose integers
/// may stand for floats. A boolean is no number.
pub(super) fn close(
    expected: &Value,
    actual: &Value,
    tolerance: FloatTolerance,
) -> Result<(), String> {
    let items = |a: &[Value], b: &[Value]| {
        if a.len() != b.len() {
            return Err(format!("expected {} items, got {}", a.len(), b.len()));
        }
        let one = |(at, (a, b)): (usize, (&Value, &Value))| {
            close(a, b, tolerance).map_err(|why| format!("at [{at}]: {why}"))
        };
        a.iter().zip(b).enumerate().try_for_each(one)
    };
    match (expected, actual) {
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => items(a, b),
        (Value::Dict(a), Value::Dict(b)) => entries(a, b, tolerance),
        (Value::Int(a), Value::Int(b)) if integers_agree(*a, *b, tolerance) => Ok(()),
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_))
            if !matches!((expected, actual), (Value::Int(_), Value::Int(_)))
                && floats_agree(number(expected), number(actual), tolerance) =>
        {
            Ok(())
        }
        _ => {
            let exactly = Comparison { float_tolerance: Some(tolerance), ..Comparison::default() };
            same(expected, actual, &exactly).map_err(|mismatch| mismatch.to_string())
        }
    }
}

fn entries(
    a: &[(Value, Value)],
    b: &[(Value, Value)],
    tolerance: FloatTolerance,
) -> Result<(), String> {
    if a.len() != b.len() {
        return Err(format!("expected {} keys, got {}", a.len(), b.len()));
    }
    for (key, expected) in a {
        let found = b.iter().find(|(other, _)| same(key, other, &Comparison::default()).is_ok());
        let (_, actual) =
            found.ok_or_else(|| format!("expected the key {}, which is missing", shown(key)))?;
        close(expected, actual, tolerance).map_err(|why| format!("at [{}]: {why}", shown(key)))?;
    }
    Ok(())
}

/// In whole numbers, as floats cannot tell neighbours above 2^53 apart.
fn integers_agree(a: i64, b: i64, tolerance: FloatTolerance) -> bool {
    let apart = (i128::from(a) - i128::from(b)).unsigned_abs() as f64;
    let larger = a.unsigned_abs().max(b.unsigned_abs()) as f64;
    apart <= tolerance.absolute().max(tolerance.relative() * larger)
}

fn floats_agree(a: f64, b: f64, tolerance: FloatTolerance) -> bool {
    a == b || a.is_nan() && b.is_nan() || tolerance.allows(a, b)
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Int(value) => *value as f64,
        Value::Float(value) => *value,
        _ => f64::NAN,
    }
}
