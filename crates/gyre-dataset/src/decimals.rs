//! Numbers that every reader of a dataset keeps: pandas, and `datasets` with it,
//! writes ten decimals to JSON and rounds the others away.

/// The nearest number of at most nine decimals.
pub(crate) fn nine_decimals(number: f64) -> f64 {
    let rounded = (number * 1e9).round() / 1e9;
    if rounded.is_finite() { rounded } else { number }
}

pub(crate) fn nine_decimals_of_32_bits(number: f32) -> f32 {
    nine_decimals(decimal(number)) as f32
}

/// The number that people read: 0.7 and not 0.699999988079071.
pub(crate) fn decimal(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}
