//! What commands print: tables for people, JSON for programs.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Table, presets};
use gyre_orchestrator::shown;
pub(crate) use gyre_orchestrator::shown::{bytes, seconds};
use gyre_round::{Cost, ModelUsage};
use serde::Serialize;

use crate::exit;
use crate::printable::printable;

/// Prints one line. A reader that went away (`gyre … | head`) ends the process
/// quietly, as it does for other tools; whatever else keeps a line from being
/// written ends it with an error.
pub(crate) fn line(text: impl AsRef<str>) {
    write(&printable(text.as_ref()));
}

/// Prints one line in yellow; what it says is made harmless first.
pub(crate) fn coloured(text: &str) {
    write(&format!("\x1b[33m{}\x1b[0m", printable(text)));
}

#[expect(clippy::disallowed_methods, reason = "what would still be said cannot be")]
fn write(line: &str) {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            let error = anyhow::Error::new(error).context("cannot write to standard output");
            std::process::exit(i32::from(exit::tell(&error)));
        }
    }
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

/// Prints a table, or where it has no rows why that is.
pub(crate) fn print_or(table: &Table, none: &str) {
    if table.is_empty() { line(none) } else { print(table) }
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

/// `12 345`, in groups.
pub(crate) fn count(n: u64) -> String {
    shown::grouped(n, ' ')
}

/// `12 345 tokens in, 678 out, 0.12 EUR`.
pub(crate) fn usage(usage: &ModelUsage, cost: Option<&Cost>) -> String {
    let [read, sampled] = [usage.tokens.prompt, usage.tokens.completion].map(count);
    let cost = cost.map_or(String::new(), |cost| format!(", {cost}"));
    format!("{read} tokens in, {sampled} out{cost}")
}

/// The time of day and date of a moment, in UTC.
pub(crate) fn time(ms: i64) -> String {
    format!("{}Z", shown::instant(ms))
}
