//! The admin port: whether the node lives and is ready, and its figures, over HTTP.
//!
//! Promises: runs on one thread of its own that gives way to the shards; a scrape takes nothing from them but cache
//! lines. `/healthz`, `/readyz` and `/metrics` are for everybody; `/v1` needs the token of `admin.token_file` as
//! `Authorization: Bearer` (RFC 6750), and without a token configured it shows itself to this machine only, under no name
//! that a stranger can have, and changes nothing. Whatever may change something is said with who asked for it. Errors are `application/problem+json` (RFC 9457), but for what is no HTTP at all. Slow clients hold nobody up.
//! Leaves to `metrics`: the text; to `process`: carrying orders out.

mod connections;
mod explain;
mod holds;
mod orders;
mod rules;
mod view;

pub use orders::{Order, Orders, Reloaded, Reply, Trouble};
pub use view::{ShardSource, View};

use crate::limits::CONTROL_NICE;
use crate::sys;
use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use connections::TimeOuts;
use holds::NotReleased;
use serde_json::Value;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// The content type of Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

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
                let _nicer = sys::nice(CONTROL_NICE);
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
    connections::serve(listener, router(view), TimeOuts::DEFAULT, stopped).await;
    Ok(())
}

fn router(view: Arc<View>) -> Router {
    let guard = middleware::from_fn_with_state(Arc::clone(&view), admit);
    let guarded = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/rules", get(rules))
        .route("/v1/unknown-sources", get(unknown_sources))
        .route("/v1/explain/{peer}/{datagram}", get(explained))
        .route("/v1/holds", get(holds))
        .route("/v1/holds/{id}", delete(release_hold))
        .route("/v1/reload", post(reload))
        .route("/v1/drain", post(drain))
        .route_layer(guard);
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .merge(guarded)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(view)
}

/// Who may use `/v1`.
async fn admit(
    State(view): State<Arc<View>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let Some(token) = &view.token else {
        if request.method() != Method::GET {
            return problem(
                StatusCode::FORBIDDEN,
                "nothing can be changed here: no admin.token_file is configured",
            );
        }
        if !from.ip().to_canonical().is_loopback() {
            return problem(
                StatusCode::FORBIDDEN,
                "this is shown to this machine only: no admin.token_file is configured",
            );
        }
        if is_public_name(request.headers()) {
            return problem(
                StatusCode::FORBIDDEN,
                "without admin.token_file this is shown by address or as localhost only, not under a name that a web page may have",
            );
        }
        return next.run(request).await;
    };
    let offered = bearer(request.headers());
    if offered.is_some_and(|offered| token.admits(offered)) {
        return noted(&view, from, request, next).await;
    }
    // RFC 6750 §3 and §3.1.
    let (detail, challenge) = match offered {
        None => (
            "the token of admin.token_file is wanted, as Authorization: Bearer TOKEN",
            "Bearer",
        ),
        Some(_) => (
            "the token that came is not that of admin.token_file",
            "Bearer error=\"invalid_token\"",
        ),
    };
    let mut refusal = problem(StatusCode::UNAUTHORIZED, detail);
    let challenge = header::HeaderValue::from_static(challenge);
    refusal
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    refusal
}

/// Whether the Host is a name that could be a stranger's: a page in a browser of this machine may have its own name lead
/// here (DNS rebinding). Such a name has a dot, and is no address.
fn is_public_name(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return false;
    };
    let Ok(host) = host.to_str() else {
        return true;
    };
    // Of IPv6 the brackets end it: no dot of its own, but perhaps of an address that is mapped.
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        _ => host,
    };
    let is_address = name.parse::<Ipv4Addr>().is_ok() || name.starts_with('[');
    !is_address && name.contains('.')
}

/// What of a path is said.
const PATH_SHOWN_MAX: usize = 60;

/// Answers a request of somebody who has the token; says so if it may change something.
async fn noted(view: &View, from: SocketAddr, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    if method != Method::GET {
        // A path is ASCII without controls (RFC 3986 §2), so it can be cut anywhere.
        let path = path.get(..PATH_SHOWN_MAX).unwrap_or(&path);
        let status = response.status().as_u16();
        (view.say)(&format!(
            "tollgate: admin port: {method} {path} by {from}: {status}\n"
        ));
    }
    response
}

/// The token that is offered (RFC 6750 §2.1); the scheme's name has no case (RFC 9110 §11.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

async fn ready(State(view): State<Arc<View>>) -> Response {
    if let Some(why) = view.not_ready() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, &why);
    }
    // A refused bundle does not unready a node: it answers by the one that was good.
    let trouble = view.trouble.get().map_or_else(String::new, |faults| {
        let generation = view.policy.current().generation().to_owned();
        format!(
            "the bundle in the folder was refused; in force is generation {generation}\n{faults}\n"
        )
    });
    format!("ready\n{trouble}").into_response()
}

async fn status(State(view): State<Arc<View>>) -> Response {
    json(&view.status())
}

async fn rules(State(view): State<Arc<View>>) -> Response {
    json(&rules::shown(&view))
}

async fn explained(
    State(view): State<Arc<View>>,
    Path((peer, datagram)): Path<(String, String)>,
) -> Response {
    match explain::answered(&view, &peer, &datagram) {
        Ok(body) => json(&body),
        // Whoever asks has to know by which bundle it is no call.
        Err(sentence) => problem_with(
            StatusCode::UNPROCESSABLE_ENTITY,
            &sentence,
            &[
                ("node", view.name.as_str().into()),
                ("bundle", view.in_force(&view.policy.current())),
            ],
        ),
    }
}

async fn holds(State(view): State<Arc<View>>) -> Response {
    json(&holds::shown(&view))
}

async fn release_hold(State(view): State<Arc<View>>, Path(id): Path<String>) -> Response {
    match holds::release(&view, &id) {
        Ok(released) => json(&released),
        Err(NotReleased::NoNumber) => problem(
            StatusCode::BAD_REQUEST,
            "a hold is named by the 16 hexadecimal digits that /v1/holds shows",
        ),
        Err(NotReleased::NotThere) => {
            problem(StatusCode::NOT_FOUND, &format!("no hold {id} is in force"))
        }
    }
}

async fn reload(State(view): State<Arc<View>>) -> Response {
    let Some(orders) = &view.orders else {
        return no_orders();
    };
    let (reply, outcome) = Reply::new();
    orders.give(Order::Reload(reply));
    match outcome.await {
        Ok(Ok(Reloaded {
            generation,
            changed,
        })) => json(&serde_json::json!({ "generation": generation, "changed": changed })),
        Ok(Err(faults)) => {
            let faults: Vec<&str> = faults.lines().collect();
            let generation = view.policy.current().generation().to_owned();
            let detail =
                format!("the bundle was refused; the one in force stays: generation {generation}");
            problem_with(
                StatusCode::UNPROCESSABLE_ENTITY,
                &detail,
                &[("faults", faults.into())],
            )
        }
        Err(_gone) => problem(StatusCode::SERVICE_UNAVAILABLE, "the node is stopping"),
    }
}

async fn drain(State(view): State<Arc<View>>) -> Response {
    let Some(orders) = &view.orders else {
        return no_orders();
    };
    orders.give(Order::Drain);
    let body = serde_json::json!({ "draining": true });
    (StatusCode::ACCEPTED, json(&body)).into_response()
}

fn no_orders() -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "this node takes no orders")
}

async fn metrics(State(view): State<Arc<View>>) -> Response {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], view.metrics()).into_response()
}

async fn unknown_sources(State(view): State<Arc<View>>) -> Response {
    let sources = view.strangers_as_json();
    json(&serde_json::json!({ "sources": sources }))
}

fn json(body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
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
        &format!("{} is not served with this method", uri.path()),
    )
}

fn problem(status: StatusCode, detail: &str) -> Response {
    problem_with(status, detail, &[])
}

/// RFC 9457 §3, with members of our own (§3.2).
fn problem_with(status: StatusCode, detail: &str, members: &[(&str, Value)]) -> Response {
    let mut body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": detail,
    });
    if let Some(body) = body.as_object_mut() {
        for (name, value) in members {
            body.insert((*name).to_owned(), value.clone());
        }
    }
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, body.to_string()).into_response()
}
