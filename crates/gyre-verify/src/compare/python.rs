//! Numbers as Python's `==` compares them: by their exact value.

use gyre_types::Value;

use crate::FloatTolerance;

/// Whether two values are numbers that agree. A tolerance holds where one of
/// them is a float; two integers are never rounded.
pub(super) fn numbers_agree(
    expected: &Value,
    actual: &Value,
    tolerance: Option<FloatTolerance>,
) -> bool {
    if integer(expected).is_some_and(|digits| Some(digits) == integer(actual)) {
        return true;
    }
    let is_float = |value: &Value| matches!(value, Value::Float(_));
    match (number(expected), number(actual), tolerance) {
        (Some(a), Some(b), Some(tolerance)) if is_float(expected) || is_float(actual) => {
            tolerance.allows(a, b)
        }
        _ => false,
    }
}

/// The digits of a number that is whole, whatever its type: one text for all
/// that Python holds for equal.
pub(super) fn integer(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(i64::from(*value).to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::BigInt(digits) => Some(digits.clone()),
        // Without a fraction all digits are written, and they are exact;
        // `+ 0.0` makes the two zeros one.
        Value::Float(value) if value.fract() == 0.0 => Some(format!("{:.0}", value + 0.0)),
        _ => None,
    }
}

/// The nearest float, as arithmetic with a float would make of it.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        Value::Int(value) => Some(*value as f64),
        // One beyond all floats is near none of them, infinity included.
        Value::BigInt(digits) => digits.parse().ok().filter(|number: &f64| number.is_finite()),
        Value::Float(value) => Some(*value),
        _ => None,
    }
}
