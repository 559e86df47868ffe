//! A run's events as they are recorded: server-sent events over the stored log.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use gyre_lineage::EventRow;
use gyre_types::RunId;
use tokio::sync::OwnedSemaphorePermit;

use crate::answer::problem;
use crate::app::App;
use crate::failure::Failure;
use crate::params::Params;
use crate::present;

/// How often the log is asked for what is new.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// Events read at once.
const BATCH: u32 = 100;

/// Streams events after `?after=` or the browser's `Last-Event-ID`, then those
/// to come, until the caller goes or the service ends.
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    Path(run): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    match open(&app, &run, &uri, &headers).await {
        Ok(tail) => {
            let stream = stream::unfold(tail, |mut tail| async move {
                let event = tail.next().await?;
                Some((Ok::<_, Infallible>(event), tail))
            });
            Sse::new(stream).keep_alive(KeepAlive::default()).into_response()
        }
        Err(failure) => problem(&failure),
    }
}

async fn open(app: &Arc<App>, run: &str, uri: &Uri, headers: &HeaderMap) -> Result<Tail, Failure> {
    let params = Params::of(uri, &["after"])?;
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let after = match (seen, params.get::<u64>("after")?) {
        (Some(seen), _) => seen,
        (None, after) => after.unwrap_or(0),
    };
    if i64::try_from(after).is_err() {
        return Err(Failure::bad("bad_parameter", "after is no number of an event"));
    }
    let id = run.to_owned();
    let run = app.read(move |app| Ok(app.run(&id)?.id)).await?;
    let permit = app.streams.clone().try_acquire_owned().map_err(|_| {
        let detail = "too many streams are open; try again later";
        Failure::busy("too_many_streams", detail)
    })?;
    Ok(Tail { app: app.clone(), run, after, waiting: Vec::new(), _permit: permit })
}

/// Where a stream stands in its log.
struct Tail {
    app: Arc<App>,
    run: RunId,
    after: u64,
    /// Read and not yet sent, newest first.
    waiting: Vec<EventRow>,
    _permit: OwnedSemaphorePermit,
}

impl Tail {
    /// The next event; none when the stream ends.
    async fn next(&mut self) -> Option<Event> {
        while self.waiting.is_empty() {
            if self.app.shutdown.is_started() {
                return None;
            }
            match self.app.project.store.events_after(&self.run, self.after, BATCH).await {
                Ok(rows) => self.waiting = rows,
                Err(error) => {
                    tracing::warn!(%error, run = %self.run, "a stream of events ends");
                    return None;
                }
            }
            self.waiting.reverse();
            if self.waiting.is_empty() {
                let shutdown = self.app.shutdown.clone();
                tokio::select! {
                    () = tokio::time::sleep(POLL_EVERY) => {}
                    () = shutdown.started() => return None,
                }
            }
        }
        let row = self.waiting.pop()?;
        self.after = row.seq;
        let data = present::event(&row).to_string();
        Some(Event::default().id(row.seq.to_string()).event("recorded").data(data))
    }
}
