//! What the server answers.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use jenny::runtime::Handle;
use serde::Deserialize;

use crate::metrics;

/// The longest time that one request may hold a blocking thread.
const LONGEST: Duration = Duration::from_secs(10);

pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(async || "Hello from jenny!\n"))
        .route("/echo", post(echo))
        .route("/blocking", get(blocking))
        .route("/metrics", get(counters))
}

/// Sends the body back while it is still coming in.
async fn echo(body: Body) -> Body {
    body
}

#[derive(Deserialize)]
struct Blocking {
    ms: u64,
}

/// Sleeps on a thread of the blocking pool, where no task has to wait for it.
async fn blocking(Query(Blocking { ms }): Query<Blocking>) -> Result<String, (StatusCode, String)> {
    let duration = Duration::from_millis(ms);
    if duration > LONGEST {
        let longest = LONGEST.as_millis();
        return Err((StatusCode::BAD_REQUEST, format!("ms is at most {longest}\n")));
    }
    match jenny::task::spawn_blocking(move || std::thread::sleep(duration)).await {
        Ok(()) => Ok(format!("slept {ms} ms\n")),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))),
    }
}

async fn counters() -> impl IntoResponse {
    let text = metrics::prometheus(&Handle::current().metrics());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
