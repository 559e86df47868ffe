use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use gyre_dataset::read_shard;
use gyre_orchestrator::inspect;
use tokio::io::AsyncReadExt;

use super::{Asked, PathParts};
use crate::app::App;
use crate::failure::Failure;
use crate::router::problem;

/// A shard's bytes, as a download that no browser opens.
pub(super) async fn shard_file(State(app): State<Arc<App>>, path: PathParts, uri: Uri) -> Response {
    match open_shard(&app, path, &uri).await {
        Ok(response) => response,
        Err(failure) => problem(&failure),
    }
}

async fn open_shard(app: &Arc<App>, path: PathParts, uri: &Uri) -> Result<Response, Failure> {
    let asked = Asked::new(path, uri, &[])?;
    // The path is the lineage's: nothing of the request becomes a part of it.
    let (path, name, bytes) = app
        .read(move |app| {
            let run = asked.run(app)?;
            let id: gyre_types::ShardId = asked.name("shard").parse()?;
            let shards = inspect::shards(&app.project, &run.id)?;
            let shard = shards.into_iter().find(|shard| shard.id == id);
            let shard = shard.ok_or_else(|| Failure::not_found("shard", id.as_str()))?;
            let name = format!("{}-round-{:04}-{}.parquet", run.id, shard.round, shard.id);
            Ok((app.project.data.file(&shard.path), name, shard.bytes))
        })
        .await?;
    let file = tokio::fs::File::open(&path).await.map_err(|error| Failure::internal(&error))?;
    let chunks = futures_util::stream::try_unfold(file, |mut file| async move {
        let mut chunk = vec![0; 64 << 10];
        let read = file.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then_some((chunk, file)))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/vnd.apache.parquet"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    let attached = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    headers.insert(CONTENT_DISPOSITION, attached.map_err(|error| Failure::internal(&error))?);
    Ok(response)
}

/// Lines sent at once.
const LINES: usize = 64;

/// All published rows, a JSON object a line, read as they are sent.
pub(super) async fn rows(State(app): State<Arc<App>>, path: PathParts, uri: Uri) -> Response {
    match open_rows(&app, path, &uri).await {
        Ok(response) => response,
        Err(failure) => problem(&failure),
    }
}

async fn open_rows(app: &Arc<App>, path: PathParts, uri: &Uri) -> Result<Response, Failure> {
    let asked = Asked::new(path, uri, &[])?;
    let (run, files) = app
        .read(move |app| {
            let run = asked.run(app)?.id;
            let shards = inspect::shards(&app.project, &run)?;
            let published = shards.iter().filter(|shard| !shard.superseded);
            let files: Vec<_> = published.map(|shard| app.project.data.file(&shard.path)).collect();
            Ok((run, files))
        })
        .await?;
    let (send, receive) = tokio::sync::mpsc::channel::<Result<String, std::io::Error>>(4);
    // Ends with the dataset, or once nobody reads any more.
    tokio::task::spawn_blocking(move || {
        for file in files {
            let sent = send_shard(&file, &send);
            if let Err(error) = sent {
                tracing::warn!(%error, "an export of rows ends early");
                let _ = send.blocking_send(Err(std::io::Error::other(error)));
                return;
            }
        }
    });
    let lines = futures_util::stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|lines| (lines, receive))
    });
    let mut response = Response::new(Body::from_stream(lines));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    let attached = HeaderValue::from_str(&format!("attachment; filename=\"{run}.jsonl\""));
    headers.insert(CONTENT_DISPOSITION, attached.map_err(|error| Failure::internal(&error))?);
    Ok(response)
}

type Lines = tokio::sync::mpsc::Sender<Result<String, std::io::Error>>;

fn send_shard(file: &std::path::Path, send: &Lines) -> Result<(), String> {
    let mut lines = String::new();
    for (at, row) in read_shard(file).map_err(|error| error.to_string())?.enumerate() {
        let row = row.map_err(|error| error.to_string())?;
        lines.push_str(&serde_json::to_string(&row).map_err(|error| error.to_string())?);
        lines.push('\n');
        if (at + 1).is_multiple_of(LINES) {
            let full = std::mem::take(&mut lines);
            send.blocking_send(Ok(full)).map_err(|_| "nobody reads any more".to_owned())?;
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    send.blocking_send(Ok(lines)).map_err(|_| "nobody reads any more".to_owned())
}
