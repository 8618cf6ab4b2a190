//! HTTP: is the server alive, is it ready, and its figures.
//!
//! | path | answers |
//! |---|---|
//! | `/healthz` | 200 when ready, 503 when not, with a JSON object that names every part |
//! | `/healthz/live` | 200 as long as requests are answered at all |
//! | `/healthz/ready` | as `/healthz` |
//! | `/metrics` | OpenMetrics text |
//!
//! Exposed to: whoever reaches the listener; it says nothing about accounts or mail. Touches: what the closure in [`Parts`] touches.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::get};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

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
pub fn router(parts: Parts) -> Router {
    Router::new()
        .route("/healthz", get(ready))
        .route("/healthz/live", get(live))
        .route("/healthz/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(parts)
}

/// Serves the pages on `listener` until `stop` completes.
pub async fn serve(
    listener: TcpListener,
    parts: Parts,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(parts)).with_graceful_shutdown(stop).await
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

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn ask(address: std::net::SocketAddr, path: &str) -> String {
        let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn pages() {
        let sound = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&sound);
        let mut registry = Registry::default();
        let counter: Counter = Counter::default();
        registry.register("rohrpost_tests", "Tests run", counter.clone());
        counter.inc();
        let parts = Parts {
            health: Arc::new(move || {
                let store = if seen.load(Ordering::Relaxed) {
                    Ok(())
                } else {
                    Err("disk full".to_owned())
                };
                vec![("store", store)]
            }),
            registry: Arc::new(registry),
            patience: Duration::from_secs(5),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, parts, std::future::pending()));
        for (path, wanted) in [
            ("/healthz/live", "200 OK"),
            ("/healthz", r#"{"parts":{"store":"ok"},"status":"ready"}"#),
            ("/metrics", "rohrpost_tests_total 1"),
            ("/elsewhere", "404 Not Found"),
        ] {
            let answer = ask(address, path).await;
            assert!(answer.contains(wanted), "{path}: {answer}");
        }
        sound.store(false, Ordering::Relaxed);
        let answer = ask(address, "/healthz/ready").await;
        assert!(
            answer.starts_with("HTTP/1.1 503")
                && answer.contains(r#"{"parts":{"store":"disk full"},"status":"not ready"}"#),
            "{answer}"
        );
        assert!(ask(address, "/healthz/live").await.contains("200 OK"));
    }
}
