use std::io::Read;

use anyhow::Context;
use comfy_table::{Table, presets};
use gyre_lineage::{QueryLimits, QueryRows, StoreError};
use serde_json::Value;

use crate::args::{Global, QueryArgs};
use crate::exit::Failure;
use crate::{output, session};

/// A longer text is no query that a person wrote.
const SQL_BYTES_MAX: u64 = 1 << 20;

/// What SQLite may take for a query, which PostgreSQL's server bounds itself.
const MEMORY_BYTES_MAX: u64 = 128 << 20;

/// Answers a person's own SQL over the views of the lineage.
pub(crate) fn query(global: &Global, args: &QueryArgs) -> anyhow::Result<()> {
    let sql = match args.sql.as_str() {
        "-" => from_stdin()?,
        sql => sql.to_owned(),
    };
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    project.wait(project.store.bound_memory(MEMORY_BYTES_MAX))?;
    let limits =
        QueryLimits { rows_max: args.limit, timeout: args.timeout, ..QueryLimits::default() };
    let answer = project.wait(project.store.query(&sql, &limits)).map_err(|error| match error {
        StoreError::Query { reason } => Failure::error(
            Failure::WRONG_USAGE,
            format!("the query is refused: {reason}; docs/sql.md lists the views"),
        ),
        other => other.into(),
    })?;
    if global.json {
        return output::json(&answer);
    }
    print(&answer);
    Ok(())
}

fn from_stdin() -> anyhow::Result<String> {
    let mut sql = String::new();
    let mut input = std::io::stdin().lock().take(SQL_BYTES_MAX);
    input.read_to_string(&mut sql).context("cannot read the query from standard input")?;
    Ok(sql)
}

fn print(answer: &QueryRows) {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(answer.columns.iter().map(|c| output::visible(c)));
    for row in &answer.rows {
        table.add_row(row.iter().map(shown));
    }
    output::print(&table);
    if answer.truncated {
        output::line(format!(
            "… and more: {} rows are shown; --limit shows others",
            answer.rows.len()
        ));
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => output::visible(text),
        other => other.to_string(),
    }
}
