//! Web pages, rendered on the server. Links work without script; the script
//! that ships shows progress and sends filters, nothing more.

mod approval;
mod chart;
mod compare;
mod dataset;
mod graph;
mod layout;
mod lineage;
mod login;
mod overview;
mod parts;
mod rollouts;
mod round;
mod schedules;
mod tasks;
mod text;
mod trajectory;
mod verifiers;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

pub(crate) use layout::failed;

use crate::api::{Asked, PathParts};
use crate::app::App;
use crate::failure::Failure;
use crate::filters::{ROLLOUT_PAGE_PARAMS, TASK_PAGE_PARAMS};
use layout::{Page, framed};

type Shared = State<Arc<App>>;

/// Makes a page.
type Show = fn(&App, &Asked) -> Result<Page, Failure>;

/// Every page that is read: its path, the parameters of its query, and who
/// makes it.
static PAGES: [(&str, &[&str], Show); 14] = [
    ("/", &["cursor"], overview::home),
    ("/runs/{run}", &[], overview::run),
    ("/runs/{run}/rounds/{round}", &[], round::page),
    ("/runs/{run}/tasks", &TASK_PAGE_PARAMS, tasks::list),
    ("/runs/{run}/tasks/{task}", &[], tasks::one),
    ("/runs/{run}/rollouts", &ROLLOUT_PAGE_PARAMS, rollouts::list),
    ("/runs/{run}/rollouts/{rollout}", &[], trajectory::page),
    ("/runs/{run}/compare", &["a", "b"], compare::page),
    ("/runs/{run}/dataset", &[], dataset::page),
    ("/runs/{run}/lineage/{node}", &[], lineage::page),
    ("/verifiers", &[], verifiers::list),
    ("/verifiers/{digest}", &[], verifiers::one),
    ("/schedules", &[], schedules::list),
    ("/schedules/{schedule}", &["cursor", "tick"], schedules::one),
];

/// The pages' part of the router.
pub(crate) fn routes() -> Router<Arc<App>> {
    let router = PAGES.iter().fold(Router::new(), |router, &(path, own, read)| {
        router.route(
            path,
            get(async move |State(app): Shared, path: PathParts, uri: Uri, headers: HeaderMap| {
                show(&app, path, &uri, &headers, own, read).await
            }),
        )
    });
    router
        .route("/login", get(login::login_page).post(login::login))
        .route("/assets/style.css", get(style))
        .route("/assets/app.js", get(script))
        .route("/runs/{run}/rollouts/{rollout}/replay", post(replay))
        .route("/runs/{run}/rounds/{round}/{answer}", post(approval::answer))
        .route("/schedules/{schedule}/{change}", post(schedules::change))
}

async fn style() -> Response {
    asset("text/css; charset=utf-8", layout::STYLE)
}

async fn script() -> Response {
    asset("text/javascript; charset=utf-8", layout::SCRIPT)
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
}

async fn replay(State(app): Shared, Path((run, id)): Path<(String, String)>) -> Response {
    let replay = crate::replay::again(&app, run.clone(), id).await;
    let page = app.read(move |app| trajectory::replayed(&app.run(&run)?, replay?)).await;
    framed(page, false)
}

/// Reads and frames a page, whose query may also hold `own` parameters.
async fn show(
    app: &Arc<App>,
    path: PathParts,
    uri: &Uri,
    headers: &HeaderMap,
    own: &'static [&'static str],
    read: Show,
) -> Response {
    let known: Vec<_> = own.iter().copied().chain(["export"]).collect();
    let mut asked = match Asked::new(path, uri, &known) {
        Ok(asked) => asked,
        Err(failure) => return failed(&failure),
    };
    asked.signed_in = app.guard.is_signed_in(headers);
    let export = asked.params.is_export();
    framed(app.read(move |app| read(app, &asked)).await, export)
}

/// A page of one status, for forms.
fn plain(status: StatusCode, page: Page) -> Response {
    let mut response = framed(Ok(page), false);
    *response.status_mut() = status;
    response
}
