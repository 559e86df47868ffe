//! The JSON API. `openapi.rs` describes every route here.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use gyre_lineage::{Page, RolloutFilter, ScoreBounds, TaskFilter, VerdictFilter};
use gyre_orchestrator::{inspect, record_of};
use gyre_types::{CheckpointId, Digest, Split, TaskId};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::app::App;
use crate::failure::Failure;
use crate::params::Params;
use crate::present;
use crate::router::{answer, problem};

/// Edges of a lineage, each way.
pub(crate) const EDGES_MAX: u32 = 200;

type Shared = State<Arc<App>>;

pub(crate) async fn runs(State(app): Shared, uri: Uri) -> Response {
    answer(
        list(
            &app,
            uri,
            &[],
            |app, _, params| {
                let (cursor, limit) = (params.cursor()?, params.limit()?);
                let page = app.project.wait(app.project.store.runs_page(cursor.as_ref(), limit))?;
                Ok(present::page(&page, present::run))
            },
            None,
        )
        .await,
    )
}

pub(crate) async fn run(State(app): Shared, Path(run): Path<String>, uri: Uri) -> Response {
    let read = |app: &App, run: &str| {
        let run = app.run(run)?;
        let champion = app.project.wait(app.project.store.champion(&run.id))?;
        let mut body = present::run(&run);
        body["champion"] = json!(champion.map(|promotion| promotion.champion));
        Ok(body)
    };
    answer(one(&app, uri, run, read).await)
}

pub(crate) async fn rounds(State(app): Shared, Path(run): Path<String>, uri: Uri) -> Response {
    answer(
        list(
            &app,
            uri,
            &[],
            |app, run, params| {
                let figures = app.figures(&app.run(run)?)?;
                // Rounds are few; the page is cut from the whole.
                let after = params.cursor()?.map(|cursor| cursor.to_string());
                let after =
                    after.as_deref().and_then(|text| text.split(':').next()?.parse::<u32>().ok());
                let limit = params.limit()? as usize;
                let later = |round: u32| after.is_none_or(|after| round > after);
                let rest: Vec<_> =
                    figures.rounds.iter().filter(|round| later(round.round)).collect();
                let rows: Vec<_> = rest.iter().take(limit).copied().collect();
                let more = rest.len() > limit;
                let next = rows.last().filter(|_| more).map(|last| format!("{}:", last.round));
                let next = next.and_then(|text| text.parse().ok());
                Ok(present::page(&Page { rows, next }, |round| json!(round)))
            },
            Some(run),
        )
        .await,
    )
}

pub(crate) async fn round(
    State(app): Shared,
    Path((run, round)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    let read = move |app: &App, run: &str| {
        let run = app.run(run)?;
        let round = round_number(&round)?;
        let (_, events) = inspect::round_state(&app.project, &run, round)?;
        if events.is_empty() {
            return Err(Failure::not_found("round", &round.to_string()));
        }
        let summary = inspect::round_summary(&app.project, &run, round)?;
        let gate = inspect::gate(&app.project, &run.id, round)?;
        Ok(json!({
            "summary": summary,
            "gate": gate.as_ref().map(present::gate),
            "events": events.len(),
        }))
    };
    answer(one(&app, uri, run, read).await)
}

/// A round's number from a path.
pub(crate) fn round_number(text: &str) -> Result<u32, Failure> {
    text.parse().map_err(|_| Failure::bad("bad_id", "a round is a number, such as 3"))
}

pub(crate) const TASK_PARAMS: [&str; 5] = ["round", "family", "split", "difficulty", "q"];

/// Which tasks a query asks for.
pub(crate) fn task_filter(params: &Params) -> Result<TaskFilter, Failure> {
    Ok(TaskFilter {
        round: params.get("round")?,
        family: params.text("family").map(str::to_owned),
        split: params.get("split")?,
        difficulty: params.get("difficulty")?,
        text: params.text("q").map(str::to_owned),
    })
}

pub(crate) async fn tasks(State(app): Shared, Path(run): Path<String>, uri: Uri) -> Response {
    answer(
        list(
            &app,
            uri,
            &TASK_PARAMS,
            |app, run, params| {
                let run = app.run(run)?;
                let filter = task_filter(params)?;
                let (cursor, limit) = (params.cursor()?, params.limit()?);
                let store = &app.project.store;
                let page =
                    app.project.wait(store.tasks(&run.id, &filter, cursor.as_ref(), limit))?;
                Ok(present::page(&page, present::task))
            },
            Some(run),
        )
        .await,
    )
}

pub(crate) async fn task(
    State(app): Shared,
    Path((run, id)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    let read = move |app: &App, run: &str| {
        let run = app.run(run)?;
        let id: TaskId = id.parse()?;
        let store = &app.project.store;
        let found = app.project.wait(store.task(&run.id, &id))?;
        let (row, key) = found.ok_or_else(|| Failure::not_found("task", id.as_str()))?;
        let rates = app.project.wait(store.rates_of_tasks(&run.id, &[id]))?;
        let mut body = present::task(&row);
        body["key"] = key;
        body["rollouts"] = rates.first().map_or(Value::Null, present::task_rate);
        Ok(body)
    };
    answer(one(&app, uri, run, read).await)
}

pub(crate) const ROLLOUT_PARAMS: [&str; 11] = [
    "round",
    "purpose",
    "task",
    "checkpoint",
    "verdict",
    "family",
    "reason",
    "score_min",
    "score_max",
    "policy",
    "q",
];

/// Which rollouts a query asks for.
pub(crate) fn rollout_filter(params: &Params) -> Result<RolloutFilter, Failure> {
    let verdict = match params.text("verdict") {
        None => None,
        Some("pass") => Some(VerdictFilter::Pass),
        Some("fail") => Some(VerdictFilter::Fail),
        Some("invalid") => Some(VerdictFilter::Invalid),
        Some("pending") => Some(VerdictFilter::Pending),
        Some(_) => {
            let detail = "verdict is pass, fail, invalid or pending";
            return Err(Failure::bad("bad_parameter", detail));
        }
    };
    Ok(RolloutFilter {
        round: params.get("round")?,
        purpose: params.get::<Split>("purpose")?,
        task: params.get::<TaskId>("task")?,
        checkpoint: params.get::<CheckpointId>("checkpoint")?,
        verdict,
        family: params.text("family").map(str::to_owned),
        reason: params.text("reason").map(str::to_owned),
        policy: params.get::<Digest>("policy")?,
        score: ScoreBounds {
            at_least: params.share("score_min")?,
            at_most: params.share("score_max")?,
            ..ScoreBounds::default()
        },
        text: params.text("q").map(str::to_owned),
    })
}

pub(crate) async fn rollouts(State(app): Shared, Path(run): Path<String>, uri: Uri) -> Response {
    answer(
        list(
            &app,
            uri,
            &ROLLOUT_PARAMS,
            |app, run, params| {
                let run = app.run(run)?;
                let filter = rollout_filter(params)?;
                let (cursor, limit) = (params.cursor()?, params.limit()?);
                let store = &app.project.store;
                let page =
                    app.project.wait(store.rollouts(&run.id, &filter, cursor.as_ref(), limit))?;
                Ok(present::page(&page, present::rollout))
            },
            Some(run),
        )
        .await,
    )
}

pub(crate) async fn rollout(
    State(app): Shared,
    Path((run, id)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    let read = move |app: &App, run: &str| {
        let run = app.run(run)?;
        let id = id.parse()?;
        let store = &app.project.store;
        let row = app.project.wait(store.rollout(&run.id, &id))?;
        let row = row.ok_or_else(|| Failure::not_found("rollout", id.as_str()))?;
        let record = record_of(&app.project, &run.id, &row)?;
        let verdicts = app.project.wait(store.verdicts(&run.id, &id))?;
        let mut body = present::rollout(&row);
        body["record"] = json!(record);
        body["verdicts"] = verdicts.iter().map(present::verdict).collect();
        Ok(body)
    };
    answer(one(&app, uri, run, read).await)
}

pub(crate) async fn verdicts(State(app): Shared, Path(run): Path<String>, uri: Uri) -> Response {
    answer(
        list(
            &app,
            uri,
            &[],
            |app, run, params| {
                let run = app.run(run)?;
                let (cursor, limit) = (params.cursor()?, params.limit()?);
                let store = &app.project.store;
                let page =
                    app.project.wait(store.verdicts_of_run(&run.id, cursor.as_ref(), limit))?;
                Ok(present::page(&page, present::verdict))
            },
            Some(run),
        )
        .await,
    )
}

pub(crate) async fn shards(State(app): Shared, Path(run): Path<String>, uri: Uri) -> Response {
    answer(
        list(
            &app,
            uri,
            &[],
            |app, run, params| {
                let run = app.run(run)?;
                let (cursor, limit) = (params.cursor()?, params.limit()?);
                let store = &app.project.store;
                let page = app.project.wait(store.shards(&run.id, cursor.as_ref(), limit))?;
                Ok(present::page(&page, present::shard))
            },
            Some(run),
        )
        .await,
    )
}

pub(crate) async fn checkpoints(State(app): Shared, Path(run): Path<String>, uri: Uri) -> Response {
    answer(
        list(
            &app,
            uri,
            &[],
            |app, run, params| {
                let run = app.run(run)?;
                let (cursor, limit) = (params.cursor()?, params.limit()?);
                let store = &app.project.store;
                let page = app.project.wait(store.checkpoints(&run.id, cursor.as_ref(), limit))?;
                Ok(present::page(&page, present::checkpoint))
            },
            Some(run),
        )
        .await,
    )
}

pub(crate) async fn lineage(
    State(app): Shared,
    Path((run, id)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    let read = move |app: &App, run: &str| {
        let run = app.run(run)?;
        let node = present::node_of(&id);
        let node = node.ok_or_else(|| Failure::bad("bad_id", "that is no id of a lineage"))?;
        let lineage = app.project.wait(app.project.store.lineage(&run.id, &node, EDGES_MAX))?;
        Ok(json!({
            "node": present::node(&node),
            "upstream": lineage.upstream.iter().map(present::edge).collect::<Vec<_>>(),
            "downstream": lineage.downstream.iter().map(present::edge).collect::<Vec<_>>(),
            "truncated": lineage.truncated,
        }))
    };
    answer(one(&app, uri, run, read).await)
}

pub(crate) async fn log(State(app): Shared, Path(run): Path<String>, uri: Uri) -> Response {
    answer(
        list(
            &app,
            uri,
            &["after"],
            |app, run, params| {
                let run = app.run(run)?;
                let after = params.get::<u32>("after")?.unwrap_or(0);
                let limit = params.limit()?;
                let events =
                    app.project.wait(app.project.store.events(&run.id, after.into(), limit))?;
                Ok(present::whole(events.iter().map(present::event).collect()))
            },
            Some(run),
        )
        .await,
    )
}

pub(crate) async fn verifiers(State(app): Shared, uri: Uri) -> Response {
    answer(
        list(
            &app,
            uri,
            &[],
            |app, _, _| {
                let verifiers = app.project.wait(app.project.store.verifiers())?;
                Ok(present::whole(verifiers.iter().map(present::verifier).collect()))
            },
            None,
        )
        .await,
    )
}

pub(crate) async fn verifier(State(app): Shared, Path(digest): Path<String>, uri: Uri) -> Response {
    let read = |app: &App, digest: &str| {
        let found = app.project.wait(app.project.store.verifier(&digest.parse()?))?;
        let row = found.ok_or_else(|| Failure::not_found("verifier", digest))?;
        Ok(present::verifier(&row))
    };
    answer(one(&app, uri, digest, read).await)
}

/// A shard's bytes, as a download that no browser opens.
pub(crate) async fn shard_file(
    State(app): Shared,
    Path((run, id)): Path<(String, String)>,
) -> Response {
    match open_shard(&app, run, id).await {
        Ok(response) => response,
        Err(failure) => problem(&failure),
    }
}

async fn open_shard(app: &Arc<App>, run: String, id: String) -> Result<Response, Failure> {
    // The path is the lineage's: nothing of the request becomes a part of it.
    let (path, name, bytes) = app
        .read(move |app| {
            let run = app.run(&run)?;
            let id: gyre_types::ShardId = id.parse()?;
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

/// Reads one document.
async fn one(
    app: &Arc<App>,
    uri: Uri,
    id: String,
    read: impl FnOnce(&App, &str) -> Result<Value, Failure> + Send + 'static,
) -> Result<Value, Failure> {
    Params::of(&uri, &[])?;
    app.read(move |app| read(app, &id)).await
}

/// Reads a page of a list, whose query may also hold `own` parameters.
async fn list(
    app: &Arc<App>,
    uri: Uri,
    own: &[&'static str],
    read: impl FnOnce(&App, &str, &Params) -> Result<Value, Failure> + Send + 'static,
    id: Option<String>,
) -> Result<Value, Failure> {
    let known: Vec<_> = own.iter().copied().chain(["cursor", "limit"]).collect();
    let params = Params::of(&uri, &known)?;
    app.read(move |app| read(app, id.as_deref().unwrap_or_default(), &params)).await
}
