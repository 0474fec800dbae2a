//! The admin port: whether the node lives and is ready, and its figures, over HTTP.
//!
//! Promises: runs on one thread of its own that gives way to the shards; a scrape takes nothing from them but cache
//! lines. Errors are `application/problem+json` (RFC 9457).
//! Leaves to `metrics`: the text; to whoever exposes the port: who may reach it (the default is loopback).

mod view;

pub use view::{ShardSource, View};

use crate::sys;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long open connections may go on after the stop.
const STOP_TIMEOUT: Duration = Duration::from_millis(300);

/// The content type of Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Gives way to the shards, not to everything: a scrape under load must still come.
const NICE: i32 = 10;

/// The running admin port.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Admin {
    /// Serves on `listener`, which is bound already, so that a port in use is known before anything starts.
    ///
    /// # Errors
    /// No thread, or no runtime for it.
    pub fn start(listener: TcpListener, view: Arc<View>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || {
                // Without it the port still works.
                let _nicer = sys::nice(NICE);
                runtime.block_on(serve(listener, view, stopped))
            })?;
        Ok(Self {
            address,
            stop,
            thread,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, lets open ones end for a bounded time, and joins the thread.
    pub fn stop(self) {
        // Either may have ended already; then there is nothing left to stop.
        let _told = self.stop.send(());
        let _ended = self.thread.join();
    }
}

async fn serve(
    listener: TcpListener,
    view: Arc<View>,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (last_call, closing) = oneshot::channel::<()>();
    let served = axum::serve(listener, router(view)).with_graceful_shutdown(async {
        // A sender that is gone means stop, too.
        let _told = stopped.await;
        drop(last_call);
    });
    tokio::select! {
        outcome = async { served.await } => outcome,
        () = async {
            let _dropped = closing.await;
            tokio::time::sleep(STOP_TIMEOUT).await;
        } => Ok(()),
    }
}

fn router(view: Arc<View>) -> Router {
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/v1/unknown-sources", get(unknown_sources))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(view)
}

async fn ready(State(view): State<Arc<View>>) -> Response {
    match view.not_ready() {
        None => "ready\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n").into_response(),
    }
}

async fn metrics(State(view): State<Arc<View>>) -> Response {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], view.metrics()).into_response()
}

async fn unknown_sources(State(view): State<Arc<View>>) -> Response {
    let sources: Vec<serde_json::Value> = view
        .strangers()
        .into_iter()
        .map(|(address, datagrams)| {
            serde_json::json!({ "address": address.to_string(), "datagrams": datagrams })
        })
        .collect();
    let kind = [(header::CONTENT_TYPE, "application/json")];
    let body = serde_json::json!({ "sources": sources });
    (kind, body.to_string()).into_response()
}

async fn not_found(uri: Uri) -> Response {
    problem(
        StatusCode::NOT_FOUND,
        &format!("nothing is served at {}", uri.path()),
    )
}

async fn method_not_allowed(uri: Uri) -> Response {
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("{} is only read, with GET", uri.path()),
    )
}

/// RFC 9457 §3.
fn problem(status: StatusCode, detail: &str) -> Response {
    let body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": detail,
    });
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, body.to_string()).into_response()
}
