//! Web pages, rendered on the server. Links work without script; the script
//! that ships shows progress and sends filters, nothing more.

mod chart;
mod compare;
mod dataset;
mod layout;
mod lineage;
mod login;
mod overview;
mod parts;
mod rollouts;
mod round;
mod tasks;
mod text;
mod trajectory;
mod verifiers;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};

pub(crate) use layout::failed;
pub(crate) use login::{login, login_page};

use crate::api::{ROLLOUT_PARAMS, TASK_PARAMS};
use crate::app::App;
use crate::failure::Failure;
use crate::params::Params;
use layout::{Page, framed};

type Shared = State<Arc<App>>;

pub(crate) async fn style() -> Response {
    asset("text/css; charset=utf-8", layout::STYLE)
}

pub(crate) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", layout::SCRIPT)
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
}

pub(crate) async fn home(State(app): Shared, uri: Uri) -> Response {
    show(&app, &uri, &["cursor"], overview::home).await
}

pub(crate) async fn overview(State(app): Shared, Path(run): Path<String>, uri: Uri) -> Response {
    show(&app, &uri, &[], move |app, params| overview::run(app, &app.run(&run)?, params)).await
}

pub(crate) async fn round(
    State(app): Shared,
    Path((run, round)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    show(&app, &uri, &[], move |app, params| {
        let number = crate::api::round_number(&round)?;
        round::page(app, &app.run(&run)?, number, params)
    })
    .await
}

pub(crate) async fn tasks(State(app): Shared, Path(run): Path<String>, uri: Uri) -> Response {
    let known: Vec<_> = TASK_PARAMS.into_iter().chain(["cursor", "limit"]).collect();
    show(&app, &uri, &known, move |app, params| tasks::list(app, &app.run(&run)?, params)).await
}

pub(crate) async fn task(
    State(app): Shared,
    Path((run, id)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    show(&app, &uri, &[], move |app, params| tasks::one(app, &app.run(&run)?, &id, params)).await
}

pub(crate) async fn rollouts(State(app): Shared, Path(run): Path<String>, uri: Uri) -> Response {
    let known: Vec<_> = ROLLOUT_PARAMS.into_iter().chain(["cursor", "limit"]).collect();
    show(&app, &uri, &known, move |app, params| rollouts::list(app, &app.run(&run)?, params)).await
}

pub(crate) async fn trajectory(
    State(app): Shared,
    Path((run, id)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let signed_in = app.guard.is_signed_in(&headers);
    show(&app, &uri, &[], move |app, params| {
        trajectory::page(app, &app.run(&run)?, &id, params, signed_in)
    })
    .await
}

pub(crate) async fn replay(
    State(app): Shared,
    Path((run, id)): Path<(String, String)>,
) -> Response {
    let replay = crate::replay::again(&app, run.clone(), id).await;
    let page = app.read(move |app| trajectory::replayed(&app.run(&run)?, replay?)).await;
    framed(page, false)
}

pub(crate) async fn compare(State(app): Shared, Path(run): Path<String>, uri: Uri) -> Response {
    show(&app, &uri, &["a", "b"], move |app, params| compare::page(app, &app.run(&run)?, params))
        .await
}

pub(crate) async fn dataset(State(app): Shared, Path(run): Path<String>, uri: Uri) -> Response {
    show(&app, &uri, &[], move |app, params| dataset::page(app, &app.run(&run)?, params)).await
}

pub(crate) async fn lineage(
    State(app): Shared,
    Path((run, id)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    show(&app, &uri, &[], move |app, params| lineage::page(app, &app.run(&run)?, &id, params)).await
}

pub(crate) async fn verifiers(State(app): Shared, uri: Uri) -> Response {
    show(&app, &uri, &[], verifiers::list).await
}

pub(crate) async fn verifier(State(app): Shared, Path(digest): Path<String>, uri: Uri) -> Response {
    show(&app, &uri, &[], move |app, params| verifiers::one(app, &digest, params)).await
}

/// Reads and frames a page, whose query may also hold `own` parameters.
async fn show(
    app: &Arc<App>,
    uri: &Uri,
    own: &[&'static str],
    read: impl FnOnce(&App, &Params) -> Result<Page, Failure> + Send + 'static,
) -> Response {
    let known: Vec<_> = own.iter().copied().chain(["export"]).collect();
    let params = match Params::of(uri, &known) {
        Ok(params) => params,
        Err(failure) => return failed(&failure),
    };
    let export = params.is_export();
    framed(app.read(move |app| read(app, &params)).await, export)
}

/// A page of one status, for forms.
fn plain(status: StatusCode, page: Page) -> Response {
    let mut response = framed(Ok(page), false);
    *response.status_mut() = status;
    response
}
