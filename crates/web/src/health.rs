//! For those who run the server, and their machines.
//!
//! | path | answers |
//! |---|---|
//! | `/healthz` | 200 when ready, 503 when not, with a JSON object that names every part |
//! | `/healthz/live` | 200 as long as requests are answered at all |
//! | `/healthz/ready` | as `/healthz` |
//! | `/metrics` | OpenMetrics text |

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::get};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;

/// How the parts of the server are: their names, and for those that do not work, why.
pub type Health = Vec<(&'static str, Result<(), String>)>;

/// What the pages need to know.
#[derive(Clone)]
pub struct Parts {
    /// Really tries each part: reads, writes. It may block; it runs on a thread that may.
    pub health: Arc<dyn Fn() -> Health + Send + Sync>,
    /// The figures.
    pub registry: Arc<Registry>,
    /// A check that takes longer counts as failed.
    pub patience: Duration,
}

/// The pages.
pub(crate) fn router(parts: Parts) -> Router {
    Router::new()
        .route("/healthz", get(ready))
        .route("/healthz/live", get(live))
        .route("/healthz/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(parts)
}

async fn live() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "live" }))
}

async fn ready(State(parts): State<Parts>) -> Response {
    let Parts { health, patience, .. } = parts;
    let asked = tokio::time::timeout(patience, tokio::task::spawn_blocking(move || health())).await;
    let health: Health = match asked {
        Ok(Ok(health)) => health,
        Ok(Err(e)) => vec![("check", Err(e.to_string()))],
        Err(_) => vec![("check", Err(format!("no answer within {} s", patience.as_secs())))],
    };
    let sound = health.iter().all(|(_, state)| state.is_ok());
    let named: serde_json::Map<String, serde_json::Value> = health
        .into_iter()
        .map(|(name, state)| (name.to_owned(), state.err().unwrap_or_else(|| "ok".to_owned()).into()))
        .collect();
    let (code, word) = if sound {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    (code, Json(serde_json::json!({ "status": word, "parts": named }))).into_response()
}

async fn metrics(State(parts): State<Parts>) -> Response {
    // Some figures are read from the disk when they are asked for.
    let encode = move || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &parts.registry).map(|()| text)
    };
    match tokio::task::spawn_blocking(encode).await {
        Ok(Ok(text)) => (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Ok(Err(e)) => (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
    }
}
