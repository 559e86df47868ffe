use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A length of time of whole seconds, written as a number and a unit: `90s`, `30m`,
/// `12h`, `7d` or `2w`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct TimeSpan {
    seconds: u64,
}

/// A text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a length of time from 1s to {max}; write a whole number and a unit (s, m, h, \
     d or w), such as 12h or 7d",
    max = TimeSpan::MAX
)]
pub struct TimeSpanError {
    /// The text.
    pub text: String,
}

/// The units, longest first, with their seconds.
static UNITS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

impl TimeSpan {
    /// Ten years: longer than anybody waits, and far from where times overflow.
    pub const MAX: Self = Self::days(3_650);

    /// So many days. Meant for constants.
    pub(crate) const fn days(days: u64) -> Self {
        Self { seconds: days * 86_400 }
    }

    /// Its length in seconds.
    pub const fn seconds(self) -> u64 {
        self.seconds
    }

    /// Its length in milliseconds.
    pub const fn milliseconds(self) -> i64 {
        self.seconds as i64 * 1_000
    }

    /// The time after it, in milliseconds since 1970.
    pub const fn after_ms(self, start_ms: i64) -> i64 {
        start_ms.saturating_add(self.milliseconds())
    }
}

impl FromStr for TimeSpan {
    type Err = TimeSpanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (unit, of_unit) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
            let number = text.strip_suffix(unit)?;
            // `parse` alone would take a plus sign.
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
            let seconds =
                number.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(*of_unit)?;
            (1..=Self::MAX.seconds).contains(&seconds).then_some(Self { seconds })
        };
        parse().ok_or_else(|| TimeSpanError { text: text.to_owned() })
    }
}

impl fmt::Display for TimeSpan {
    /// In days or shorter: `7d` rather than `1w`, as people write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, of_unit): &&(&str, u64)| self.seconds.is_multiple_of(*of_unit);
        let (unit, of_unit) = UNITS[1..].iter().find(fits).unwrap_or(&("s", 1));
        write!(f, "{}{unit}", self.seconds / of_unit)
    }
}

impl TryFrom<String> for TimeSpan {
    type Error = TimeSpanError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TimeSpan> for String {
    fn from(span: TimeSpan) -> Self {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, seconds, shown) in [
            ("1s", 1, "1s"),
            ("90s", 90, "90s"),
            ("120s", 120, "2m"),
            ("36h", 129_600, "36h"),
            ("7d", 604_800, "7d"),
            ("2w", 1_209_600, "14d"),
            ("3650d", 315_360_000, "3650d"),
        ] {
            let span: TimeSpan = text.parse().unwrap();
            assert_eq!((span.seconds(), span.to_string().as_str()), (seconds, shown), "{text}");
            assert_eq!(span.to_string().parse(), Ok(span));
        }
        assert_eq!(TimeSpan::days(7).after_ms(5), 604_800_005);
        assert_eq!(TimeSpan::MAX.after_ms(i64::MAX), i64::MAX);
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in ["", "7", "d", "0s", "-1d", "+1d", "1.5h", "7 d", "7D", "3651d", "1y", "ä"] {
            text.parse::<TimeSpan>().unwrap_err();
        }
        assert_eq!(
            "soon".parse::<TimeSpan>().unwrap_err().to_string(),
            "\"soon\" is not a length of time from 1s to 3650d; write a whole number and a unit \
             (s, m, h, d or w), such as 12h or 7d"
        );
    }
}
