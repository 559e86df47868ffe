use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, Uri};
use axum::middleware;
use axum::routing::{get, post};
use serde_json::Value;

use crate::answer::answer;
use crate::api::{self, Asked, Kind, PathParts, ROUTES, Read};
use crate::app::App;
use crate::failure::Failure;
use crate::limits::BODY_BYTES_MAX;
use crate::refusal::refusal;
use crate::{admission, events, openapi, ops, pages, replay};

type Shared = State<Arc<App>>;

/// Every route, behind the guard.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .merge(operations())
        .merge(api_routes())
        .merge(pages::routes())
        .fallback(async |request: Request| refusal(request.uri().path(), &nothing(&request)))
        .method_not_allowed_fallback(async |request: Request| {
            let detail = format!("{} is not answered here", request.method());
            let failure =
                Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
            refusal(request.uri().path(), &failure)
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(app.clone(), admission::admit))
        .with_state(app)
}

fn operations() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(ops::healthz))
        .route("/livez", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
}

fn nothing(request: &Request) -> Failure {
    Failure::not_found("page", request.uri().path())
}

/// The routes of the API's table.
fn api_routes() -> Router<Arc<App>> {
    ROUTES.iter().fold(Router::new(), |router, route| {
        let path = format!("/api/v1{}", route.path);
        let own = route.own;
        router.route(
            &path,
            match route.kind {
                Kind::One(read) | Kind::Whole(read) => {
                    get(async move |State(app): Shared, path: PathParts, uri: Uri| {
                        answer(ask(&app, path, &uri, own.to_vec(), read).await)
                    })
                }
                Kind::List(read) => {
                    get(async move |State(app): Shared, path: PathParts, uri: Uri| {
                        let known = own.iter().copied().chain(["cursor", "limit"]).collect();
                        answer(ask(&app, path, &uri, known, read).await)
                    })
                }
                Kind::Change(read) => {
                    post(async move |State(app): Shared, path: PathParts, uri: Uri| {
                        answer(ask(&app, path, &uri, own.to_vec(), read).await)
                    })
                }
                Kind::Replay => post(replay::replay),
                Kind::Stream => get(events::events),
                Kind::File => get(api::download::shard_file),
                Kind::Rows => get(api::download::rows),
                Kind::Document => get(openapi::document),
            },
        )
    })
}

async fn ask(
    app: &Arc<App>,
    path: PathParts,
    uri: &Uri,
    known: Vec<&'static str>,
    read: Read,
) -> Result<Value, Failure> {
    let asked = Asked::new(path, uri, &known)?;
    app.read(move |app| read(app, &asked)).await
}
