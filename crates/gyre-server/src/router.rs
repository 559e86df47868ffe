use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::app::App;
use crate::failure::Failure;
use crate::{api, events, guard, openapi, ops, pages, replay};

/// Bytes of a request's body: forms of a few fields are all there is.
const BODY_BYTES_MAX: usize = 16 << 10;

/// Every route, behind the guard.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .merge(operations())
        .merge(api_routes())
        .merge(page_routes())
        .fallback(async |request: Request| refusal(request.uri().path(), &nothing(&request)))
        .method_not_allowed_fallback(async |request: Request| {
            let detail = format!("{} is not answered here", request.method());
            let failure =
                Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
            refusal(request.uri().path(), &failure)
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .with_state(app)
}

fn operations() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
}

fn api_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/openapi.json", get(openapi::document))
        .route("/api/v1/runs", get(api::runs))
        .route("/api/v1/runs/{run}", get(api::run))
        .route("/api/v1/runs/{run}/rounds", get(api::rounds))
        .route("/api/v1/runs/{run}/rounds/{round}", get(api::round))
        .route("/api/v1/runs/{run}/tasks", get(api::tasks))
        .route("/api/v1/runs/{run}/tasks/{id}", get(api::task))
        .route("/api/v1/runs/{run}/rollouts", get(api::rollouts))
        .route("/api/v1/runs/{run}/rollouts/{id}", get(api::rollout))
        .route("/api/v1/runs/{run}/rollouts/{id}/replay", post(replay::replay))
        .route("/api/v1/runs/{run}/verdicts", get(api::verdicts))
        .route("/api/v1/runs/{run}/shards", get(api::shards))
        .route("/api/v1/runs/{run}/shards/{id}/file", get(api::shard_file))
        .route("/api/v1/runs/{run}/checkpoints", get(api::checkpoints))
        .route("/api/v1/runs/{run}/lineage/{id}", get(api::lineage))
        .route("/api/v1/runs/{run}/log", get(api::log))
        .route("/api/v1/runs/{run}/events", get(events::events))
        .route("/api/v1/verifiers", get(api::verifiers))
        .route("/api/v1/verifiers/{digest}", get(api::verifier))
}

fn page_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(pages::home))
        .route("/login", get(pages::login_page).post(pages::login))
        .route("/assets/style.css", get(pages::style))
        .route("/assets/app.js", get(pages::script))
        .route("/runs/{run}", get(pages::overview))
        .route("/runs/{run}/rounds/{round}", get(pages::round))
        .route("/runs/{run}/tasks", get(pages::tasks))
        .route("/runs/{run}/tasks/{id}", get(pages::task))
        .route("/runs/{run}/rollouts", get(pages::rollouts))
        .route("/runs/{run}/rollouts/{id}", get(pages::trajectory))
        .route("/runs/{run}/rollouts/{id}/replay", post(pages::replay))
        .route("/runs/{run}/compare", get(pages::compare))
        .route("/runs/{run}/dataset", get(pages::dataset))
        .route("/runs/{run}/lineage/{id}", get(pages::lineage))
        .route("/verifiers", get(pages::verifiers))
        .route("/verifiers/{digest}", get(pages::verifier))
}

fn nothing(request: &Request) -> Failure {
    Failure::not_found("page", request.uri().path())
}

/// A failure as programs or people expect it, by the path that was asked for.
pub(crate) fn refusal(path: &str, failure: &Failure) -> Response {
    let for_programs =
        ["/api/", "/metrics", "/healthz", "/readyz"].iter().any(|start| path.starts_with(start));
    if for_programs { problem(failure) } else { pages::failed(failure) }
}

/// A failure as a problem object (RFC 9457).
pub(crate) fn problem(failure: &Failure) -> Response {
    let body = json!({
        "type": format!("urn:gyre:problem:{}", failure.code),
        "title": failure.status.canonical_reason().unwrap_or("failed"),
        "status": failure.status.as_u16(),
        "code": failure.code,
        "detail": failure.detail,
    });
    let mut response = (failure.status, body.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if failure.status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"gyre\""));
    }
    response
}

/// What the API answers: a document, or a problem.
pub(crate) fn answer(result: Result<Value, Failure>) -> Response {
    match result {
        Ok(value) => {
            let json = HeaderValue::from_static("application/json");
            ([(CONTENT_TYPE, json)], value.to_string()).into_response()
        }
        Err(failure) => problem(&failure),
    }
}
