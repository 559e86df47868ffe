//! The lines of a backup.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};

use gyre_types::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::database::Cell;

/// The version of the format that is written and read.
const FORMAT: u32 = 1;

/// A line of a table's body may be long, but not without end.
const LINE_BYTES_MAX: u64 = 256 << 20;

/// Enough of compression: rows are much alike.
const LEVEL: i32 = 3;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    gyre_backup: u32,
    pub(super) schema_version: i64,
    pub(super) created_at_ms: i64,
}

impl Header {
    pub(super) fn new(schema_version: i64, created_at_ms: i64) -> Self {
        Self { gyre_backup: FORMAT, schema_version, created_at_ms }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        match self.gyre_backup {
            FORMAT => Ok(()),
            other => Err(format!("it has format {other}, this gyre reads format {FORMAT}")),
        }
    }
}

/// A line after the first.
pub(super) enum Line {
    Table { name: String, columns: Vec<String> },
    Row(Vec<Cell>),
    End(BTreeMap<String, u64>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableLine {
    table: String,
    columns: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    end: BTreeMap<String, u64>,
    lines: Digest,
}

/// Writes lines and digests them.
pub(super) struct LineWriter<'a> {
    out: zstd::stream::write::Encoder<'static, &'a mut (dyn Write + Send)>,
    lines: Digest,
}

impl<'a> LineWriter<'a> {
    pub(super) fn new(out: &'a mut (dyn Write + Send)) -> io::Result<Self> {
        let mut out = zstd::stream::write::Encoder::new(out, LEVEL)?;
        out.include_checksum(true)?;
        Ok(Self { out, lines: start() })
    }

    pub(super) fn line<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        let text = serde_json::to_string(value)?;
        self.lines = self.lines.chain(text.as_bytes());
        self.out.write_all(text.as_bytes())?;
        self.out.write_all(b"\n")
    }

    pub(super) fn table(&mut self, name: &str, columns: &[String]) -> io::Result<()> {
        self.line(&TableLine { table: name.to_owned(), columns: columns.to_vec() })
    }

    pub(super) fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        let value = |cell: &Cell| match cell {
            Cell::Null => Value::Null,
            Cell::Int(value) => (*value).into(),
            Cell::Real(value) => (*value).into(),
            Cell::Text(value) => value.as_str().into(),
        };
        self.line(&cells.iter().map(value).collect::<Vec<_>>())
    }

    pub(super) fn finish(mut self, rows: &BTreeMap<String, u64>) -> io::Result<()> {
        let lines = self.lines;
        self.line(&EndLine { end: rows.clone(), lines })?;
        self.out.finish()?.flush()
    }
}

/// Reads lines and digests them.
pub(super) struct LineReader<'a> {
    input: BufReader<zstd::stream::read::Decoder<'static, BufReader<&'a mut (dyn Read + Send)>>>,
    lines: Digest,
}

impl<'a> LineReader<'a> {
    pub(super) fn new(input: &'a mut (dyn Read + Send)) -> io::Result<Self> {
        let input = BufReader::new(zstd::stream::read::Decoder::new(input)?);
        Ok(Self { input, lines: start() })
    }

    /// The header; what is wrong with it otherwise.
    pub(super) fn header(&mut self) -> Result<Header, String> {
        let text = self.text()?.ok_or("it is empty")?;
        let header: Header =
            serde_json::from_str(&text).map_err(|_| "it is no backup of a lineage".to_owned())?;
        header.check()?;
        self.lines = self.lines.chain(text.as_bytes());
        Ok(header)
    }

    /// The next line; what is wrong with it otherwise.
    pub(super) fn line(&mut self) -> Result<Line, String> {
        let text = self.text()?.ok_or("it ends too early")?;
        let damaged = |error: serde_json::Error| format!("a line of it is damaged: {error}");
        if text.starts_with("{\"end\"") {
            let end: EndLine = serde_json::from_str(&text).map_err(damaged)?;
            if end.lines != self.lines {
                return Err("its lines are not those that were written".to_owned());
            }
            return Ok(Line::End(end.end));
        }
        self.lines = self.lines.chain(text.as_bytes());
        if text.starts_with('{') {
            let TableLine { table, columns } = serde_json::from_str(&text).map_err(damaged)?;
            return Ok(Line::Table { name: table, columns });
        }
        let values: Vec<Value> = serde_json::from_str(&text).map_err(damaged)?;
        values.into_iter().map(cell).collect::<Result<_, _>>().map(Line::Row)
    }

    fn text(&mut self) -> Result<Option<String>, String> {
        let mut text = String::new();
        let read = (&mut self.input).take(LINE_BYTES_MAX).read_line(&mut text);
        match read.map_err(|error| format!("it cannot be read: {error}"))? {
            0 => Ok(None),
            _ if text.ends_with('\n') => {
                text.pop();
                Ok(Some(text))
            }
            _ => Err("it ends too early".to_owned()),
        }
    }
}

fn start() -> Digest {
    Digest::of(b"gyre backup")
}

fn cell(value: Value) -> Result<Cell, String> {
    match value {
        Value::Null => Ok(Cell::Null),
        Value::String(text) => Ok(Cell::Text(text)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Cell::Int(whole)),
            (None, Some(real)) => Ok(Cell::Real(real)),
            (None, None) => Err(format!("the number {number} has no type")),
        },
        other => Err(format!("{other} is no value of a row")),
    }
}
