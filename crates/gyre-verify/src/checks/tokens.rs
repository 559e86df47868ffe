//! Words of a text, as the judges of programming contests compare them.

use gyre_types::Value;

use super::shown::shown;
use crate::FloatTolerance;

/// Compares texts word by word. White space says only where a word ends: how
/// much of it there is, and what kind, changes nothing.
///
/// With a tolerance, a word that is a number agrees with a number that lies
/// near enough. A word that is expected to be none must be met letter by letter.
pub(super) fn same_tokens(
    expected: &str,
    actual: &str,
    tolerance: Option<FloatTolerance>,
) -> Result<(), String> {
    let (mut wanted, mut given) = (tokens(expected), tokens(actual));
    for at in 1.. {
        match (wanted.next(), given.next()) {
            (None, None) => break,
            (Some(a), Some(b)) if a == b || tolerance.is_some_and(|t| close(a, b, t)) => {}
            (Some(a), Some(b)) => {
                return Err(format!("token {at}: expected {}, got {}", quoted(a), quoted(b)));
            }
            (Some(a), None) => {
                return Err(format!("token {at}: expected {}, but the text ends", quoted(a)));
            }
            (None, Some(b)) => {
                return Err(format!("token {at}: expected the end, got {}", quoted(b)));
            }
        }
    }
    Ok(())
}

/// The words of a text, which the white space of C's `isspace` divides.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let is_space = |c: char| matches!(c, ' ' | '\t'..='\r');
    text.split(is_space).filter(|token| !token.is_empty())
}

/// Whether two words are numbers that agree within a tolerance. Integers are
/// subtracted exactly: as floats, neighbours above 2^53 would be one number.
fn close(expected: &str, actual: &str, tolerance: FloatTolerance) -> bool {
    let (Some(a), Some(b)) = (number(expected), number(actual)) else { return false };
    match (expected.parse::<i128>(), actual.parse::<i128>()) {
        (Ok(a), Ok(b)) => {
            let larger = a.unsigned_abs().max(b.unsigned_abs()) as f64;
            let bound = tolerance.absolute().max(tolerance.relative() * larger);
            a.checked_sub(b).is_some_and(|apart| apart.unsigned_abs() as f64 <= bound)
        }
        _ => tolerance.allows(a, b),
    }
}

/// A number as programs print one: decimal digits with at most one point, and
/// an exponent. Neither `nan` nor `inf`, nor what is too large for a float.
fn number(token: &str) -> Option<f64> {
    let digits = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    let number = token.parse::<f64>().ok().filter(|number| number.is_finite());
    number.filter(|_| token.chars().all(digits))
}

fn quoted(token: &str) -> String {
    shown(&Value::Str(token.to_owned()))
}
