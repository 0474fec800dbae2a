//! The connections of the admin port: accepted, bounded, ended.
//!
//! Promises: whoever sends nothing, sends slowly or does not read takes a connection of a bounded number for a bounded
//! time; when all are taken the oldest is cut, so that a new one is always served; the stop waits a bounded time for
//! answers that are under way.
//! Leaves to `router`: what is asked and answered.

use crate::limits::ADMIN_CONNECTIONS_MAX;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeOuts {
    /// The head of a request, from the end of the answer before it: also how long a connection may lie idle.
    pub(super) head: Duration,
    /// All that a connection is used for; longer than the longest order (`tollgate reload` waits for 300 s).
    pub(super) life: Duration,
    /// The answer that is under way when its life, or the node's, is over.
    pub(super) last_answer: Duration,
}

impl TimeOuts {
    /// Those of a node.
    pub(super) const DEFAULT: Self = Self {
        head: Duration::from_secs(10),
        life: Duration::from_secs(600),
        last_answer: Duration::from_millis(300),
    };
}

/// How soon the next connection is accepted after one that could not be: no descriptor is left just now.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves until `stopped`, or until nobody is left to say so.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    time_outs: TimeOuts,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut open = Open::default();
    let (closing, closed) = watch::channel(());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    open.add(connection(stream, from, router.clone(), time_outs, closed.clone()));
                }
                Err(_for_now) => sleep(ACCEPT_AGAIN).await,
            },
            Some(_ended) = open.tasks.join_next() => {}
            _stop = &mut stopped => break,
        }
    }
    drop(closing);
    let all_ended = async { while open.tasks.join_next().await.is_some() {} };
    // Those that did not end are cut.
    let _in_time = timeout(time_outs.last_answer, all_ended).await;
}

/// The connections that are open.
#[derive(Debug, Default)]
struct Open {
    tasks: JoinSet<()>,
    oldest_first: VecDeque<AbortHandle>,
}

impl Open {
    fn add(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        self.oldest_first.retain(|task| !task.is_finished());
        if self.oldest_first.len() >= ADMIN_CONNECTIONS_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            oldest.abort();
        }
        self.oldest_first.push_back(self.tasks.spawn(connection));
    }
}

/// One connection from its first request to its last.
async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    time_outs: TimeOuts,
    mut closing: watch::Receiver<()>,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(from));
        TowerToHyperService::new(router.clone()).call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(time_outs.head)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = pin!(served);
    tokio::select! {
        // A client that went away or spoke no HTTP is nobody's fault here.
        _ended = served.as_mut() => return,
        _stop = closing.changed() => {}
        () = sleep(time_outs.life) => {}
    }
    served.as_mut().graceful_shutdown();
    let _in_time = timeout(time_outs.last_answer, served).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};
    use std::thread;

    const PATIENCE: Duration = Duration::from_secs(30);
    const LARGE: usize = 32 << 20;

    /// A port that serves `/`, and `/large`, which fits into no socket's buffer.
    struct Port {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        thread: thread::JoinHandle<()>,
    }

    impl Port {
        fn open(time_outs: TimeOuts) -> Self {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let address = listener.local_addr().unwrap();
            let (stop, stopped) = oneshot::channel();
            let thread = thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                let router = Router::new()
                    .route("/", get(async || "here"))
                    .route("/large", get(async || "x".repeat(LARGE)));
                runtime.block_on(async {
                    let listener = TcpListener::from_std(listener).unwrap();
                    serve(listener, router, time_outs, stopped).await;
                });
            });
            Self {
                address,
                stop,
                thread,
            }
        }

        fn connect(&self, sent: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(sent.as_bytes()).unwrap();
            stream
        }

        fn asked(&self) -> String {
            let mut stream = self.connect("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        }

        fn stop(self) {
            self.stop.send(()).unwrap();
            self.thread.join().unwrap();
        }
    }

    /// What is left to read until the other end closes; a reset is an end, too.
    fn rest(mut stream: TcpStream) -> usize {
        let mut text = Vec::new();
        match stream.read_to_end(&mut text) {
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => {
                panic!("the connection stays open: {error}")
            }
            _ => text.len(),
        }
    }

    const NEVER: TimeOuts = TimeOuts {
        head: Duration::from_secs(3600),
        life: Duration::from_secs(3600),
        last_answer: Duration::from_millis(300),
    };

    #[test]
    fn whoever_takes_every_connection_is_cut_and_others_are_served() {
        let port = Port::open(NEVER);
        let idle: Vec<TcpStream> = (0..2 * ADMIN_CONNECTIONS_MAX)
            .map(|number| port.connect(["", "GET / HT"][number % 2]))
            .collect();
        assert!(port.asked().ends_with("here"));
        let mut idle = idle.into_iter();
        // Those before the last were cut for them and for the one that asked.
        for stream in idle.by_ref().take(ADMIN_CONNECTIONS_MAX) {
            assert_eq!(rest(stream), 0);
        }
        let newest = idle.next_back().unwrap();
        (&newest)
            .write_all(b"TP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .unwrap();
        assert!(rest(newest) > 0, "the newest was cut before the oldest");
        port.stop();
    }

    #[test]
    fn a_request_that_does_not_come_ends_its_connection() {
        let port = Port::open(TimeOuts {
            head: Duration::from_millis(100),
            ..NEVER
        });
        for sent in ["", "GET / HTTP/1.1\r\nHost: a\r\n"] {
            rest(port.connect(sent));
        }
        // After an answer as before the first request.
        assert!(rest(port.connect("GET / HTTP/1.1\r\nHost: a\r\n\r\n")) > 0);
        port.stop();
    }

    #[test]
    fn an_answer_that_nobody_reads_holds_nobody_up_and_ends() {
        let port = Port::open(TimeOuts {
            life: Duration::from_millis(300),
            last_answer: Duration::from_millis(50),
            ..NEVER
        });
        let reader = port.connect("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(port.asked().ends_with("here"));
        // Its life and the time for its last answer are over when two lives after it are.
        rest(port.connect(""));
        rest(port.connect(""));
        let read = rest(reader);
        assert!(read < LARGE, "{read}");
        port.stop();
    }

    #[test]
    fn the_stop_does_not_wait_for_ever() {
        let port = Port::open(NEVER);
        let open = [port.connect(""), port.connect("GET / HT")];
        let unread = port.connect("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(port.asked().ends_with("here"));
        port.stop();
        unread.shutdown(Shutdown::Both).unwrap();
        for stream in open {
            rest(stream);
        }
    }
}
