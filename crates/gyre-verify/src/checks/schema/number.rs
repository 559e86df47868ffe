//! Numbers of JSON, as the decimal numbers that they are written as: no rounding
//! decides whether one is above a bound or a multiple of another.

use std::cmp::Ordering;

use serde_json::Number;

/// `digits` times ten to the power of `exponent`, with a sign. The digits neither
/// begin nor end with a zero, and zero has none, so equal numbers are equal here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    is_negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    pub(super) fn of(number: &Number) -> Self {
        let text = number.to_string();
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.as_str()),
        };
        let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        // The library writes what it has read: the power is that of a double.
        let power = power.trim_start_matches('+').parse::<i64>().unwrap_or_default();
        let digits = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0');
        Self::normal(is_negative, digits.collect(), power - fraction.len() as i64)
    }

    fn normal(is_negative: bool, mut digits: Vec<u8>, mut exponent: i64) -> Self {
        while digits.last() == Some(&0) {
            digits.pop();
            exponent += 1;
        }
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..zeros);
        match digits.is_empty() {
            true => Self { is_negative: false, digits, exponent: 0 },
            false => Self { is_negative, digits, exponent },
        }
    }

    pub(super) fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    pub(super) fn is_positive(&self) -> bool {
        !self.is_negative && !self.digits.is_empty()
    }

    /// As a count, if it is one.
    pub(super) fn to_count(&self) -> Option<u64> {
        if self.is_negative || !self.is_integer() {
            return None;
        }
        let power = 10_u64.checked_pow(u32::try_from(self.exponent).ok()?)?;
        u64::try_from(self.magnitude()?).ok()?.checked_mul(power)
    }

    /// The digits as a number; those of 64-bit integers and doubles always fit.
    fn magnitude(&self) -> Option<u128> {
        self.digits
            .iter()
            .try_fold(0_u128, |sum, digit| sum.checked_mul(10)?.checked_add(u128::from(*digit)))
    }

    /// Whether it is a whole number of times a positive number.
    pub(super) fn is_multiple_of(&self, of: &Self) -> bool {
        let (Some(own), Some(other)) = (self.magnitude(), of.magnitude()) else { return false };
        if own == 0 || other == 0 {
            return own == 0;
        }
        let shift = self.exponent - of.exponent;
        if shift < 0 {
            // The other is the coarser one: what is divided by is larger by a power of ten.
            let power = u32::try_from(-shift).ok().and_then(|shift| 10_u128.checked_pow(shift));
            let divisor = power.and_then(|power| other.checked_mul(power));
            return divisor.is_some_and(|divisor| own % divisor == 0);
        }
        // Doubles have less than 700 decimal places on either side.
        (0..shift).fold(own % other, |rest, _| rest * 10 % other) == 0
    }

    /// The same for equal numbers, and for no others.
    pub(super) fn to_text(&self) -> String {
        let sign = if self.is_negative { "-" } else { "" };
        let digits: String = self.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        format!("{sign}{digits}e{}", self.exponent)
    }

    fn cmp_magnitude(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        // Without zeros at the front, the place of the first digit decides, then the digits.
        let place = |decimal: &Self| decimal.exponent + decimal.digits.len() as i64;
        place(self).cmp(&place(other)).then_with(|| self.digits.cmp(&other.digits))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.cmp_magnitude(other),
            (true, true) => other.cmp_magnitude(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::of(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn numbers_are_compared_exactly() {
        assert_eq!(decimal("1.0"), decimal("1"));
        assert_eq!(decimal("-0.0"), decimal("0"));
        assert_eq!(decimal("1e2"), decimal("100"));
        assert!(decimal("9007199254740993") > decimal("9007199254740992.0"));
        assert!(decimal("18446744073709551615") < decimal("18446744073709551616.0"));
        assert!(decimal("-2") < decimal("-1.5") && decimal("-1e-300") < decimal("0"));
        assert!(decimal("5e-324") > decimal("0") && decimal("0.25") < decimal("0.3"));
        assert!(decimal("1e300").is_integer() && !decimal("1.5").is_integer());
    }

    #[test]
    fn multiples_are_exact() {
        for (number, of, is_multiple) in [
            ("1.1", "0.1", true),
            ("0.3", "0.1", true),
            ("0.35", "0.1", false),
            ("9007199254740993", "2", false),
            ("9007199254740992", "2", true),
            ("1e300", "7", false),
            ("7e300", "7", true),
            ("1e-300", "1e300", false),
            ("1e300", "1e-300", true),
            ("0", "0.5", true),
            ("-4.5", "1.5", true),
            ("5", "1e1", false),
        ] {
            let found = decimal(number).is_multiple_of(&decimal(of));
            assert_eq!(found, is_multiple, "{number} of {of}");
        }
    }

    #[test]
    fn counts_are_whole_and_not_negative() {
        assert_eq!(decimal("3.0").to_count(), Some(3));
        assert_eq!(decimal("0").to_count(), Some(0));
        for text in ["-1", "1.5", "1e30"] {
            assert_eq!(decimal(text).to_count(), None, "{text}");
        }
    }
}
