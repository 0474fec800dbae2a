//! A running node: its sockets, its shards, its control threads.
//!
//! Promises: sockets are opened before any thread starts, so that a node runs whole or not at all; `stop` joins every
//! thread and returns the sums.

use super::accounting::Accounting;
use super::journal::{self, RunningJournal};
use super::keeper::Keeper;
use super::renewal::{ReloadOutcome, Renewal, Work};
use crate::admin::{Admin, Orders, ShardSource, Trouble, View};
use crate::clock::Clock;
use crate::control::{AdminToken, BundleSource, Faults, Listener, Steering};
use crate::counters::Counters;
use crate::event::EventSender;
use crate::metrics::{ControlMetrics, JournalMetrics, ShardMetrics};
use crate::net::{Poller, Socket, bind_group, steer};
use crate::policy::rows::Rows;
use crate::policy::{PolicyCell, Snapshot};
use crate::report::JournalSettings;
use crate::shard::{self, Shard, Stages, Switches};
use crate::uas::TransactionMemory;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long the stop waits for a policy that is being built.
const RENEWAL_STOP_TIMEOUT: Duration = Duration::from_millis(300);

/// What a node is made of.
#[derive(Debug)]
pub struct NodeSetup {
    /// UDP addresses, and how they are served; port 0 lets the kernel choose.
    pub listeners: Vec<Listener>,
    /// Receive buffer asked for on every UDP socket, octets. `RECEIVE_BUFFER_BYTES`, unless a test wants to see drops.
    pub receive_buffer_bytes: usize,
    /// Where the admin port listens.
    pub admin: SocketAddr,
    /// One entry per shard: its core, or `None` to leave it unpinned.
    pub cores: Vec<Option<usize>>,
    /// The bundle.
    pub rows: Rows,
    /// The transaction memory that the stages share, if they have one: it is kept from ageing.
    pub memory: Option<Arc<TransactionMemory>>,
    /// Where events go, one sender per shard; empty: nobody wants them. With a journal they go there instead.
    pub events: Vec<EventSender>,
    /// The journal, if there is to be one.
    pub journal: Option<JournalSettings>,
    /// How it is operated.
    pub operation: Operation,
}

/// How a node is operated while it runs. The default: not at all.
#[derive(Debug, Default)]
pub struct Operation {
    /// Its name in what it shows.
    pub name: String,
    /// Where reloads read the bundle, and where the last good one is kept.
    pub bundles: Option<BundleSource>,
    /// Why the bundle in the folder is not the one that the node starts with.
    pub refused: Option<Faults>,
    /// What whoever uses `/v1` of the admin port must know.
    pub token: Option<AdminToken>,
    /// Who takes the orders that come by the admin port.
    pub orders: Option<Orders>,
    /// The counters that the stages share, if they have any: they are swept, shown, and their holds can be ended.
    pub counters: Option<Arc<Counters>>,
    /// Where counters and holds are kept through restarts; `None`: nowhere.
    pub counters_folder: Option<PathBuf>,
}

/// Something that a node needs is not to be had; its text is a sentence for the operator.
#[derive(Debug)]
pub struct Unavailable(pub(super) String);

impl fmt::Display for Unavailable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// A running node.
#[derive(Debug)]
pub struct Node {
    listeners: Vec<SocketAddr>,
    view: Arc<View>,
    switches: Arc<Switches>,
    shards: Vec<JoinHandle<io::Result<()>>>,
    admin: Admin,
    journal: Option<RunningJournal>,
    renewal: JoinHandle<()>,
    work: Sender<Work>,
    renewal_ended: Receiver<()>,
    keepers: Vec<(Sender<()>, JoinHandle<()>)>,
    restored: String,
}

impl Node {
    /// Opens everything, then starts everything.
    ///
    /// # Errors
    /// A port is in use, or the machine has no room for a socket or a thread.
    pub fn start<S>(setup: NodeSetup, stages: &S) -> Result<Self, Unavailable>
    where
        S: Stages + Clone + Send + 'static,
    {
        let count = setup.cores.len();
        let (listeners, sockets) =
            open_sockets(&setup.listeners, count, setup.receive_buffer_bytes)?;
        let mut stages = stages.clone();
        stages.set_listening(&listeners);
        let admin_listener =
            TcpListener::bind(setup.admin).map_err(|error| admin_fault(setup.admin, &error))?;
        let pollers: Vec<Poller> = (0..count)
            .map(|_shard| Poller::new(listeners.len()))
            .collect::<io::Result<_>>()
            .map_err(|error| Unavailable(format!("no descriptor for a shard: {error}")))?;
        let switches = Arc::new(Switches::new(pollers.iter().map(Poller::waker).collect()));

        let clock = Clock::start();
        let now = clock.now();
        let first = Snapshot::build(&setup.rows, now);
        let next_expiry_unix_s = first.next_expiry_unix_s();
        let (policy, mut publisher) = PolicyCell::new(first);
        let operation = setup.operation;
        let control = Arc::new(ControlMetrics::new());
        control.published(now);
        let trouble = Arc::new(Trouble::default());
        if let Some(faults) = operation.refused {
            control.bundles_refused.set(1);
            control.bundle_stale.set(1);
            trouble.set(Some(faults.to_string()));
        }
        let view = Arc::new(View {
            shards: sockets
                .into_iter()
                .map(|sockets| ShardSource {
                    metrics: Arc::new(ShardMetrics::new()),
                    sockets,
                })
                .collect(),
            policy: policy.clone(),
            name: operation.name,
            bundle_read_from: operation.bundles.as_ref().map(BundleSource::shown),
            clock,
            control: Arc::clone(&control),
            trouble: Arc::clone(&trouble),
            token: operation.token,
            orders: operation.orders,
            counters: operation.counters.clone(),
            journal: Arc::new(JournalMetrics::default()),
            has_journal: setup.journal.is_some(),
            say: super::say,
        });
        let mut events = setup.events;
        let journal = match setup.journal {
            Some(settings) => {
                let opened = journal::open(settings, &view, count, publisher.follow())?;
                events = opened.senders;
                Some(journal::start(opened.journal, clock)?)
            }
            None => None,
        };

        // Before the first call is counted.
        let mut keepers = Vec::new();
        let mut restored = String::new();
        if let (Some(counters), Some(folder)) = (&operation.counters, operation.counters_folder) {
            let (opened, said) = Keeper::open(counters, &folder, clock.now());
            restored = said;
            for keeper in opened {
                let (tell, told) = mpsc::channel();
                let thread = spawn(keeper.name(), move || keeper.run(clock, &told))?;
                keepers.push((tell, thread));
            }
        }

        let mut shards = Vec::with_capacity(count);
        let mut events = events.into_iter();
        let parts = view.shards.iter().zip(pollers).zip(setup.cores);
        for (number, ((source, poller), core)) in (0..).zip(parts) {
            // Its sockets take datagrams already; the shard itself withdraws this when it ends.
            source.metrics.running.set(1);
            let shard = Shard {
                number,
                core,
                sockets: source.sockets.clone(),
                poller,
                policy: view.policy.reader(),
                clock,
                metrics: Arc::clone(&source.metrics),
                switches: Arc::clone(&switches),
                events: events.next(),
                stages: stages.clone(),
            };
            shards.push(spawn(format!("shard-{number}"), move || shard::run(shard))?);
        }
        let renewal = Renewal {
            rows: setup.rows,
            next_expiry_unix_s,
            publisher,
            policy,
            switches: Arc::clone(&switches),
            metrics: control,
            bundles: operation.bundles,
            trouble,
            memory: setup.memory,
            counters: operation.counters,
        };
        let (work, orders) = mpsc::channel();
        let (ended, renewal_ended) = mpsc::channel();
        let renewal = spawn("renewal".to_owned(), move || {
            renewal.run(clock, &orders);
            drop(ended);
        })?;
        let admin = Admin::start(admin_listener, Arc::clone(&view))
            .map_err(|error| Unavailable(format!("the admin port cannot be served: {error}")))?;
        Ok(Self {
            listeners,
            view,
            switches,
            shards,
            admin,
            journal,
            renewal,
            work,
            renewal_ended,
            keepers,
            restored,
        })
    }

    /// The UDP addresses, with the ports that the kernel chose.
    #[must_use]
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// Where the admin port listens.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin.address()
    }

    /// The smallest receive buffer of any socket, octets as the kernel charges them.
    #[must_use]
    pub fn receive_buffer_bytes(&self) -> u64 {
        let smallest = self
            .view
            .shards
            .iter()
            .map(ShardSource::receive_buffer_bytes);
        smallest.min().unwrap_or(0)
    }

    /// What counters and holds of before the start were found, and what could not be taken; lines, or nothing.
    #[must_use]
    pub fn restored(&self) -> &str {
        &self.restored
    }

    /// The sums so far.
    #[must_use]
    pub fn accounting(&self) -> Accounting {
        Accounting::of(&self.view.shards, &self.view.journal)
    }

    /// Reads the bundle anew on a thread of the control plane, puts it in force if it is whole, and tells `done`.
    pub fn reload(&self, done: impl FnOnce(ReloadOutcome) + Send + 'static) {
        // Nobody there to do it: the node is stopping, and `done` is dropped.
        let _told = self.work.send(Work::Reload(Box::new(done)));
    }

    /// From now on listed proxies hear 503 to OPTIONS, direct peers nothing, and the node is not ready. Calls are
    /// answered as before.
    pub fn drain(&self) {
        self.switches.drain();
        self.view.control.draining.set(1);
    }

    /// Whether every shard reads its sockets.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.view.not_running().is_none()
    }

    /// Lets the shards serve what their sockets hold, then ends every thread; the sums. Takes at most a second, and a few
    /// more when the journal's disk does not take what is left, or half a minute when it takes it slowly.
    #[must_use]
    pub fn stop(self) -> Accounting {
        // A bell that does not ring: that shard ends at its next datagram, and joining it waits for that.
        let _rang = self.switches.stop();
        for shard in self.shards {
            // A shard that could not go on has said so by `/readyz`; its counts stand.
            let _ended = shard.join();
        }
        // They write what there is now, which is all there will be.
        for (tell, _) in &self.keepers {
            let _told = tell.send(());
        }
        for (_, keeper) in self.keepers {
            let _ended = keeper.join();
        }
        // Nothing is decided any more, so the journal has everything there will be.
        let lost = self.journal.map_or(0, |journal| journal.stop(&self.view));
        let _told = self.work.send(Work::Stop);
        // A large bundle may just be building; nobody needs that one any more, and it ends with the process.
        let ended = self.renewal_ended.recv_timeout(RENEWAL_STOP_TIMEOUT);
        if ended == Err(RecvTimeoutError::Disconnected) {
            let _ended = self.renewal.join();
        }
        self.admin.stop();
        let mut sums = Accounting::of(&self.view.shards, &self.view.journal);
        sums.journal_lost += lost;
        sums
    }
}

type SocketsByShard = Vec<Vec<Arc<Socket>>>;

/// Opens all sockets; their addresses, and for every shard its own of each listener. They live as long as the process:
/// a shard that starts again finds its own, and closing one would move another one of its group into its place.
fn open_sockets(
    listeners: &[Listener],
    shards: usize,
    receive_buffer_bytes: usize,
) -> Result<(Vec<SocketAddr>, SocketsByShard), Unavailable> {
    let mut bound = Vec::with_capacity(listeners.len());
    let mut by_shard: SocketsByShard = (0..shards).map(|_shard| Vec::new()).collect();
    for listener in listeners {
        let group = bind_group(listener.udp, shards, receive_buffer_bytes)
            .map_err(|error| Unavailable(error.to_string()))?;
        match listener.steering {
            Steering::Kernel => {}
            Steering::Payload => steer(&group).map_err(|error| steering_fault(listener, &error))?,
        }
        bound.extend(group.first().map(Socket::address));
        for (sockets, mut socket) in by_shard.iter_mut().zip(group) {
            socket.set_sends_runs(listener.gso);
            sockets.push(Arc::new(socket));
        }
    }
    Ok((bound, by_shard))
}

fn steering_fault(listener: &Listener, error: &io::Error) -> Unavailable {
    Unavailable(format!(
        "udp {} cannot be steered by payload: {error}; set listen.steering = \"kernel\"",
        listener.udp
    ))
}

fn admin_fault(address: SocketAddr, error: &io::Error) -> Unavailable {
    Unavailable(match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("admin http {address} is in use by another process; stop it or set admin.http")
        }
        _ => format!("admin http {address} cannot be opened: {error}"),
    })
}

pub(super) fn spawn<T: Send + 'static>(
    name: String,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Unavailable> {
    thread::Builder::new()
        .name(name)
        .spawn(body)
        .map_err(|error| Unavailable(format!("no thread to be had: {error}")))
}
