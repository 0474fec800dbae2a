//! What happens between the start of a node and its stop: signals and orders, reload, drain, and what systemd is told.

use super::node::Node;
use super::{notify, say};
use crate::admin::{Order, Orders};
use crate::clock::Clock;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// How long to wait when nothing is due: an hour is as good as for ever.
const NOTHING_DUE: Duration = Duration::from_secs(60 * 60);

/// What can happen to a running node.
#[derive(Debug)]
enum Happening {
    Signal(i32),
    Asked(Order),
    /// A reload has come to its end, whatever that was.
    Reloaded,
}

/// Signals and orders on their way to whoever waits for them.
#[derive(Debug)]
pub(super) struct Desk {
    happenings: Receiver<Happening>,
    sender: Sender<Happening>,
}

impl Desk {
    /// Catches signals from here on, so that one during the start is not lost.
    ///
    /// # Errors
    /// Signals cannot be caught, or there is no thread to wait for them.
    pub(super) fn open() -> io::Result<Self> {
        // A journal at the limit of file sizes (RLIMIT_FSIZE) is a failing disk, EFBIG, and not the end of the process.
        let _ignored = signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        let (sender, happenings) = mpsc::channel();
        let tell = sender.clone();
        // Never joined: it waits for signals until the process ends.
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for signal in signals.forever() {
                    if tell.send(Happening::Signal(signal)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self { happenings, sender })
    }

    /// Where the admin port's orders go.
    pub(super) fn orders(&self) -> Orders {
        let sender = self.sender.clone();
        Orders::new(move |order| {
            // Nobody takes orders any more: the node is stopping, and a reply is dropped with its order.
            let _told = sender.send(Happening::Asked(order));
        })
    }

    /// Operates `node` until it is to be stopped.
    pub(super) fn operate(&self, node: &Node, drain_time: Duration) {
        let clock = Clock::start();
        let alive_every = notify::alive_every();
        // When the watchdog is to hear of us next, nanoseconds of `clock`: other happenings do not put it off.
        let mut alive_due_ns = clock.now().monotonic_ns;
        // When the drain time ends, nanoseconds of `clock`.
        let mut drain_end_ns = None;
        notify::ready();
        loop {
            let now_ns = clock.now().monotonic_ns;
            let left =
                drain_end_ns.map(|end_ns: u64| Duration::from_nanos(end_ns.saturating_sub(now_ns)));
            if left == Some(Duration::ZERO) {
                return;
            }
            if let Some(every) = alive_every
                && now_ns >= alive_due_ns
            {
                // A shard that is down for good takes calls with it that nobody answers: systemd may start us anew.
                if node.is_whole() {
                    notify::alive();
                }
                alive_due_ns = now_ns + u64::try_from(every.as_nanos()).unwrap_or(u64::MAX / 2);
            }
            let until_alive =
                alive_every.map(|_every| Duration::from_nanos(alive_due_ns.saturating_sub(now_ns)));
            let wait = [left, until_alive].into_iter().flatten().min();
            let happening = match self.happenings.recv_timeout(wait.unwrap_or(NOTHING_DUE)) {
                Ok(happening) => happening,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match happening {
                Happening::Signal(SIGHUP) => {
                    self.reload(node, drain_end_ns.is_some(), |_outcome| {});
                }
                Happening::Asked(Order::Reload(reply)) => {
                    self.reload(node, drain_end_ns.is_some(), |outcome| {
                        reply.send(outcome.map_err(|faults| faults.to_string()));
                    });
                }
                Happening::Reloaded if drain_end_ns.is_none() => notify::ready(),
                Happening::Reloaded => {}
                Happening::Asked(Order::Drain) if drain_end_ns.is_some() => {}
                Happening::Signal(SIGTERM) | Happening::Asked(Order::Drain)
                    if drain_end_ns.is_none() =>
                {
                    drain_end_ns = Some(drain(node, &clock, drain_time));
                }
                // SIGINT, or SIGTERM while draining.
                Happening::Signal(_) | Happening::Asked(Order::Drain) => {
                    notify::stopping("stopping");
                    return;
                }
            }
        }
    }

    fn reload(
        &self,
        node: &Node,
        draining: bool,
        tell: impl FnOnce(super::ReloadOutcome) + Send + 'static,
    ) {
        if !draining {
            notify::reloading();
        }
        let sender = self.sender.clone();
        node.reload(move |outcome| {
            tell(outcome);
            let _told = sender.send(Happening::Reloaded);
        });
    }
}

/// Begins to drain; when the drain time ends, nanoseconds of `clock`: it is read here, since the order may have been waited for for hours.
fn drain(node: &Node, clock: &Clock, drain_time: Duration) -> u64 {
    node.drain();
    let seconds = drain_time.as_secs();
    if seconds > 0 {
        let text = format!("draining for {seconds} s");
        notify::stopping(&text);
        say(&format!(
            "tollgate: {text}: calls are answered, balancers are told to go elsewhere; another SIGTERM or SIGINT stops at once\n"
        ));
    }
    let time_ns = u64::try_from(drain_time.as_nanos()).unwrap_or(u64::MAX);
    clock.now().monotonic_ns.saturating_add(time_ns)
}
