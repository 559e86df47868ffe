//! What commands print: tables for people, JSON for programs.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use comfy_table::{Table, presets};
use serde::Serialize;

/// Prints one line. A reader that went away (`gyre … | head`) ends the process
/// quietly, as it does for other tools.
#[expect(clippy::disallowed_methods, reason = "nobody reads what would still be said")]
pub(crate) fn line(text: impl AsRef<str>) {
    let mut out = io::stdout().lock();
    if writeln!(out, "{}", printable(text.as_ref())).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints one line in yellow; what it says is made harmless first.
#[expect(clippy::disallowed_methods, reason = "nobody reads what would still be said")]
pub(crate) fn coloured(text: &str) {
    let mut out = io::stdout().lock();
    let text = printable(text);
    if writeln!(out, "\x1b[33m{text}\x1b[0m").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// A text in which nothing moves a cursor, clears a screen or turns the
/// direction of reading: guests write much of what is shown here.
///
/// What could is written as JSON would, `\\u001b`, so a line of JSON stays the
/// same document.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(misleads) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if misleads(c) {
            shown.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal would do something else with it than show it.
fn misleads(c: char) -> bool {
    let turns =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}');
    c.is_control() && c != '\n' && c != '\t' || turns
}

/// Prints a value as one line of JSON.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> anyhow::Result<()> {
    line(serde_json::to_string(value)?);
    Ok(())
}

/// Prints a value as indented JSON.
pub(crate) fn json_pretty<T: Serialize + ?Sized>(value: &T) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A table with these headings, without borders: it pastes and greps well.
pub(crate) fn table<const N: usize>(headings: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings);
    table
}

/// Prints a table.
pub(crate) fn print(table: &Table) {
    for row in table.lines() {
        line(row.trim_end());
    }
}

/// Whether a person watches.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// What a model, a guest or a verifier wrote may hold terminal escapes: shown,
/// not obeyed.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}

/// `41.2%`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// `41.2% [38.0, 44.4]`.
pub(crate) fn percent_with(share: f64, [low, high]: [f64; 2]) -> String {
    format!("{:.1}% [{:.1}, {:.1}]", 100.0 * share, 100.0 * low, 100.0 * high)
}

/// `1 m 05 s`.
pub(crate) fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, _) => format!("{seconds:.1} s"),
        (0, m, s) => format!("{m} m {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} m"),
    }
}

/// `12 345`, with thin groups.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1.5 MiB`.
pub(crate) fn bytes(n: u64) -> String {
    match n {
        0..1024 => format!("{n} B"),
        1024..1_048_576 => format!("{:.1} KiB", n as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", n as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", n as f64 / 1_073_741_824.0),
    }
}

/// The time of day and date of a moment, in UTC.
pub(crate) fn time(ms: i64) -> String {
    let days = ms.div_euclid(86_400_000);
    let second = ms.rem_euclid(86_400_000) / 1000;
    let (year, month, day) = civil(days);
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {h:02}:{m:02}:{s:02}Z")
}

/// The date of a day counted from 1970-01-01 (Hinnant, "chrono-compatible
/// low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(count(12), "12");
        assert_eq!(seconds(65.2), "1 m 05 s");
        assert_eq!(seconds(2.34), "2.3 s");
        assert_eq!(time(1_763_782_500_000), "2025-11-22 03:35:00Z");
        assert_eq!(time(951_782_400_000), "2000-02-29 00:00:00Z");
        assert_eq!(bytes(1_572_864), "1.5 MiB");
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        let fair = "plain, größer, 数, tab\tand\nline";
        assert!(matches!(printable(fair), Cow::Borrowed(text) if text == fair));
        assert_eq!(printable("a\x1b[2J\rb\u{9b}c\x7f"), r"a\u001b[2J\u000db\u009bc\u007f");
        assert_eq!(printable("\u{202e}ssap\u{200b}"), r"\u202essap\u200b");
        let json = serde_json::json!({ "detail": "\u{202e}x\u{7f}" });
        let shown = printable(&json.to_string()).into_owned();
        assert!(!shown.chars().any(misleads));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), json);
    }
}
