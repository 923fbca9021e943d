//! Paths and methods.

use super::{error::ApiError, models, openapi, proofs, queue, receipts, state::App};
use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{header, StatusCode},
    middleware::{from_fn_with_state, Next},
    response::{IntoResponse, Response},
    routing::{get, post, MethodRouter},
    Router,
};
use std::any::Any;
use tower_http::catch_panic::CatchPanicLayer;

/// A method and a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// `get` or `post`.
    pub method: &'static str,
    /// The path, with `{names}`.
    pub path: &'static str,
}

macro_rules! routes {
    ($($method:ident $path:literal => $handler:path;)*) => {
        /// All of them.
        pub const ROUTES: &[Route] = &[$(Route { method: stringify!($method), path: $path }),*];

        fn handlers() -> impl Iterator<Item = (&'static str, MethodRouter<App>)> {
            [$(($path, $method($handler))),*].into_iter()
        }
    };
}

routes! {
    get "/" => queue::dashboard;
    get "/dashboard" => queue::dashboard;
    get "/healthz" => healthz;
    get "/metrics" => metrics;
    get "/openapi.json" => document;
    get "/v1/models" => models::list;
    post "/v1/models" => models::register;
    get "/v1/models/{id}" => models::show;
    get "/v1/queue" => queue::json;
    post "/v1/verify" => proofs::one;
    post "/v1/verify-batch" => proofs::batch;
    post "/v1/receipts" => receipts::issue;
    post "/v1/receipts/verify" => receipts::verify;
}

/// The service, without its connections.
pub(super) fn router(app: App) -> Router {
    let mut router = Router::new();
    for (path, handler) in handlers() {
        router = router.route(path, handler);
    }
    router
        .fallback(|| async { ApiError::new(StatusCode::NOT_FOUND, "no_route", "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method", "not with this method")
        })
        .layer(CatchPanicLayer::custom(|_: Box<dyn Any + Send>| ApiError::internal().into_response()))
        .layer(from_fn_with_state(app.clone(), count))
        .with_state(app)
}

/// Counts answers.
async fn count(State(app): State<App>, request: Request<Body>, next: Next) -> Response {
    // Paths of strangers are no labels.
    let route = request.extensions().get::<MatchedPath>().map_or("none", |p| p.as_str()).to_owned();
    let response = next.run(request).await;
    app.metrics.requests.with_label_values(&[route.as_str(), response.status().as_str()]).inc();
    response
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let queue = match queue::snapshot(&app).await {
        None => Vec::new(),
        Some(snapshot) => queue::families(snapshot.ok().as_deref()),
    };
    let text = app.metrics.text(app.num_models(), app.gate.load(), queue);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi::DOCUMENT)
}
