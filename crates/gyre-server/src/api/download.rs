use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use gyre_dataset::{RowReader, read_shard};
use gyre_lineage::ShardKind;
use gyre_orchestrator::{DataDir, inspect};
use gyre_types::StoredPath;
use tokio::io::AsyncReadExt;
use tokio::sync::OwnedSemaphorePermit;

use super::{Asked, PathParts};
use crate::answer::problem;
use crate::app::App;
use crate::failure::{Failure, damaged};

/// A shard's bytes, as a download that no browser opens.
pub(crate) async fn shard_file(State(app): State<Arc<App>>, path: PathParts, uri: Uri) -> Response {
    match open_shard(&app, path, &uri).await {
        Ok(response) => response,
        Err(failure) => problem(&failure),
    }
}

async fn open_shard(app: &Arc<App>, path: PathParts, uri: &Uri) -> Result<Response, Failure> {
    let asked = Asked::new(path, uri, &[])?;
    let permit = permit(app)?;
    // The path is the lineage's: nothing of the request becomes a part of it.
    let (file, name, bytes) = app
        .read(move |app| {
            let run = asked.run(app)?;
            let id: gyre_types::ShardId = asked.name("shard").parse()?;
            let shards = inspect::shards(&app.project, &run.id)?;
            let shard = shards.into_iter().find(|shard| shard.id == id);
            let shard = shard.ok_or_else(|| Failure::not_found("shard", id.as_str()))?;
            let name = format!("{}-round-{:04}-{}.parquet", run.id, shard.round, shard.id);
            let file = app.project.data.open_file(&shard.path);
            Ok((file.map_err(|error| damaged(&error))?, name, shard.bytes))
        })
        .await?;
    let file = tokio::fs::File::from_std(file);
    let chunks =
        futures_util::stream::try_unfold((file, permit), |(mut file, permit)| async move {
            let mut chunk = vec![0; 64 << 10];
            let read = file.read(&mut chunk).await?;
            chunk.truncate(read);
            Ok::<_, std::io::Error>((read > 0).then_some((chunk, (file, permit))))
        });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/vnd.apache.parquet"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    let attached = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    headers.insert(CONTENT_DISPOSITION, attached.map_err(|error| Failure::internal(&error))?);
    Ok(response)
}

/// Bytes of lines that are read at once, about.
const LINES_BYTES: usize = 64 << 10;

/// A place among those who download.
fn permit(app: &App) -> Result<OwnedSemaphorePermit, Failure> {
    app.exports.clone().try_acquire_owned().map_err(|_| {
        let detail = "too many downloads are under way; try again later";
        Failure::busy("too_many_exports", detail)
    })
}

/// All accepted rows, a JSON object a line, read as they are sent.
pub(crate) async fn rows(State(app): State<Arc<App>>, path: PathParts, uri: Uri) -> Response {
    match open_rows(&app, path, &uri).await {
        Ok(response) => response,
        Err(failure) => problem(&failure),
    }
}

async fn open_rows(app: &Arc<App>, path: PathParts, uri: &Uri) -> Result<Response, Failure> {
    let asked = Asked::new(path, uri, &[])?;
    let permit = permit(app)?;
    let (run, paths) = app
        .read(move |app| {
            let run = asked.run(app)?.id;
            let shards = inspect::shards(&app.project, &run)?;
            let published = shards.iter().filter(|shard| shard.is_current(ShardKind::Accepted));
            let paths: Vec<_> = published.map(|shard| shard.path.clone()).collect();
            Ok((run, paths))
        })
        .await?;
    let export = Export {
        data: app.project.data.clone(),
        paths: paths.into_iter(),
        rows: None,
        _permit: permit,
    };
    let lines = futures_util::stream::try_unfold(export, next_lines);
    let mut response = Response::new(Body::from_stream(lines));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    let attached = HeaderValue::from_str(&format!("attachment; filename=\"{run}.jsonl\""));
    headers.insert(CONTENT_DISPOSITION, attached.map_err(|error| Failure::internal(&error))?);
    Ok(response)
}

/// An export of rows. Nothing is read of it until its reader took what was read
/// before, and between two reads it occupies no thread.
struct Export {
    data: DataDir,
    paths: std::vec::IntoIter<StoredPath>,
    /// The rest of the shard that is being read.
    rows: Option<RowReader>,
    _permit: OwnedSemaphorePermit,
}

/// The next lines of an export, and the rest of it.
async fn next_lines(mut export: Export) -> Result<Option<(String, Export)>, std::io::Error> {
    let read = tokio::task::spawn_blocking(move || (export.read(), export)).await;
    let (lines, export) = read.map_err(std::io::Error::other)?;
    let lines = lines.map_err(|error| {
        tracing::warn!(%error, "an export of rows ends early");
        std::io::Error::other(error)
    })?;
    Ok((!lines.is_empty()).then_some((lines, export)))
}

impl Export {
    /// Some rows as lines; none once there are no more.
    fn read(&mut self) -> Result<String, String> {
        let mut lines = String::new();
        while lines.len() < LINES_BYTES {
            let Some(rows) = &mut self.rows else {
                let Some(path) = self.paths.next() else { break };
                let shard = read_shard(self.data.open(&path));
                self.rows = Some(shard.map_err(|error| error.to_string())?);
                continue;
            };
            let Some(row) = rows.next() else {
                self.rows = None;
                continue;
            };
            let row = row.map_err(|error| error.to_string())?;
            lines.push_str(&serde_json::to_string(&row).map_err(|error| error.to_string())?);
            lines.push('\n');
        }
        Ok(lines)
    }
}
