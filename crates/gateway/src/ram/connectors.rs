//! Which tickets are good for what, and which connector is connected.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chancery_api::Hash32;
use chancery_keys::Token;
use chancery_ram::message::Initiation;
use chancery_ram::server::{Kind, Limits};
use tokio::sync::broadcast;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::live::{Held, Live, OnEnd};
use super::sessions::{Sessions, new_secret};
use super::tickets::{Tickets, position};
use super::{Connected, ConnectorChange, ConnectorStatus, ConnectorWay, Lost, RemoteToken};

/// The connectors of a node: an in-memory registry that the endpoint, the HSM threads and the center share.
pub struct Connectors {
    registry: Mutex<Registry>,
    changes: broadcast::Sender<ConnectorChange>,
    prover: RwLock<Option<Arc<Prover>>>,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    options: Options,
}

/// Finds out whether the token of a second session is the connector's: it carries out chip authentication and compares the
/// device with the one the connector is bound to. Blocks; called on a thread of its own. The error is for people.
pub type Prover = dyn Fn(&Provisional, Box<dyn Token>) -> Result<(), String> + Send + Sync;

/// A second session of a connector that has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisional {
    /// Name of the connector.
    pub connector: String,
    /// CHR of the device it is bound to.
    pub device: Option<String>,
}

/// Waiting times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Of each session.
    pub limits: Limits,
    /// How long a single-use ticket lasts.
    pub ticket: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            ticket: Duration::from_secs(300),
        }
    }
}

#[derive(Default)]
struct Registry {
    connectors: BTreeMap<String, Connector>,
    tickets: Tickets,
    sessions: Sessions,
    next_session: u64,
}

struct Connector {
    ticket: Hash32,
    device: Option<String>,
    current: Option<Arc<Live>>,
    /// Sessions that have to prove their token first.
    provisional: Vec<Arc<Live>>,
    lost: Option<Lost>,
}

/// A session that was opened by its first POST.
pub(super) struct Opened {
    pub(super) held: Held,
    pub(super) secret: Zeroizing<String>,
}

/// What lets a first POST in.
#[derive(Debug)]
pub(super) enum Admission {
    /// The long-lived ticket of this connector.
    Connector(String),
    /// A single-use ticket: its SHA-256.
    Single(Hash32),
}

/// Why a session was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotOpened {
    /// No such ticket, or none any more.
    Ticket,
    /// Too many sessions of this connector still have to prove their token.
    TooMany,
    /// No random numbers.
    Random,
}

/// Sessions of a connector that may wait to be proven.
const MOST_PROVISIONAL: usize = 4;

/// Changes a slow listener may be behind.
const MOST_CHANGES: usize = 1024;

impl Connectors {
    /// No connectors yet. `clock` gives milliseconds since the Unix epoch.
    #[must_use]
    pub fn new(clock: Arc<dyn Fn() -> i64 + Send + Sync>, options: Options) -> Arc<Self> {
        Arc::new(Self {
            registry: Mutex::default(),
            changes: broadcast::Sender::new(MOST_CHANGES),
            prover: RwLock::new(None),
            clock,
            options,
        })
    }

    /// Says how second sessions are proven. Without it none replaces the first as long as that lives.
    pub fn set_prover(&self, prover: Arc<Prover>) {
        *self.prover.write().unwrap_or_else(PoisonError::into_inner) = Some(prover);
    }

    /// Lets in whoever has the ticket with this SHA-256 (over its characters) as the agent of connector `name`, bound to the
    /// device with this CHR. Said again it changes the device; with another ticket it ends sessions opened with the old one.
    pub fn allow_connector(&self, name: &str, ticket: Hash32, device: Option<String>) {
        let old = {
            let mut registry = self.lock();
            let old = match registry.connectors.get_mut(name) {
                Some(known) if known.ticket == ticket => {
                    known.device = device;
                    return;
                }
                Some(_) => registry.connectors.remove(name),
                None => None,
            };
            registry.connectors.insert(
                name.to_owned(),
                Connector {
                    ticket,
                    device,
                    current: None,
                    provisional: Vec::new(),
                    lost: None,
                },
            );
            old
        };
        self.end_sessions(name, old, "the connector has a new ticket");
    }

    /// Ends a connector: its tickets are worth nothing any more, its sessions are closed.
    pub fn forget(&self, name: &str) {
        let old = {
            let mut registry = self.lock();
            registry.tickets.forget(name);
            registry.connectors.remove(name)
        };
        self.end_sessions(name, old, "the connector was revoked");
    }

    /// Lets whoever has the ticket with this SHA-256 (over its characters) open one session of connector `name`, within five
    /// minutes.
    pub fn add_ticket(&self, ticket: Hash32, name: &str) {
        let now = Instant::now();
        let until = now + self.options.ticket;
        self.lock().tickets.add(ticket, name.to_owned(), until, now);
    }

    /// Ends the session of a connector and tells its agent why; the agent may come back.
    pub fn disconnect(&self, name: &str, because: &str) {
        if let Some(live) = self.current(name) {
            live.with(|session, now| session.fail(because, now));
        }
    }

    /// Ends every session in order: the node stops.
    pub fn close(&self) {
        let sessions = self.lock().sessions.all();
        for live in sessions {
            live.with(|session, now| session.close("the node stops", now));
        }
    }

    /// What a connector is like now.
    #[must_use]
    pub fn status(&self, name: &str) -> Option<ConnectorStatus> {
        let registry = self.lock();
        let connector = registry.connectors.get(name)?;
        Some(connector.status(name))
    }

    /// All connectors, by name.
    #[must_use]
    pub fn all(&self) -> Vec<ConnectorStatus> {
        let registry = self.lock();
        registry
            .connectors
            .iter()
            .map(|(name, connector)| connector.status(name))
            .collect()
    }

    /// Says from now on when tokens come and go.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<ConnectorChange> {
        self.changes.subscribe()
    }

    /// The way to the token of a connector, whether it is connected or not.
    #[must_use]
    pub fn way_to(self: &Arc<Self>, name: &str) -> ConnectorWay {
        ConnectorWay::new(Arc::clone(self), name.to_owned())
    }

    /// The session of a connector.
    pub(super) fn current(&self, name: &str) -> Option<Arc<Live>> {
        self.lock()
            .connectors
            .get(name)
            .and_then(|connector| connector.current.clone())
    }

    /// The session with this secret. Who has it shows that the first answer came through.
    pub(super) fn session(&self, secret: &str) -> Option<Arc<Live>> {
        let mut registry = self.lock();
        let live = registry.sessions.find(secret)?;
        if live.confirm() {
            registry.tickets.spend(live.id);
        }
        Some(live)
    }

    /// What a long-lived or a single-use ticket is good for now. It is not used by that.
    pub(super) fn admission(&self, ticket: &str) -> Option<Admission> {
        let hash = Hash32::of(ticket.as_bytes());
        let connector = {
            let registry = self.lock();
            let connectors = &registry.connectors;
            position(connectors.values().map(|connector| connector.ticket), hash)
                .and_then(|found| connectors.keys().nth(found).cloned())
        };
        connector
            .map(Admission::Connector)
            .or_else(|| self.single(ticket))
    }

    /// The same of single-use tickets alone.
    pub(super) fn single(&self, ticket: &str) -> Option<Admission> {
        let hash = Hash32::of(ticket.as_bytes());
        let registry = self.lock();
        registry.tickets.connector_of(hash, Instant::now())?;
        Some(Admission::Single(hash))
    }

    /// Opens a session of a connector. A single-use ticket is used by that, in the same step; not by a session that is not opened.
    pub(super) fn open(
        self: &Arc<Self>,
        admission: Admission,
        kind: Kind,
        initiation: Initiation,
        address: Option<SocketAddr>,
    ) -> Result<Opened, NotOpened> {
        let secret = new_secret().map_err(|_| NotOpened::Random)?;
        let now_ms = (self.clock)();
        let (live, held, provisional, name) = {
            let mut registry = self.lock();
            let registry = &mut *registry;
            let (name, single) = match admission {
                Admission::Connector(name) => (name, None),
                Admission::Single(hash) => {
                    let name = registry.tickets.connector_of(hash, Instant::now());
                    (name.ok_or(NotOpened::Ticket)?.to_owned(), Some(hash))
                }
            };
            let id = registry.next_session;
            registry.next_session += 1;
            let connector = registry.connectors.get_mut(&name).ok_or(NotOpened::Ticket)?;
            if connector.current.is_some() && connector.provisional.len() >= MOST_PROVISIONAL {
                return Err(NotOpened::TooMany);
            }
            let limits = self.options.limits.clone();
            let on_end = self.on_end(name.clone());
            let (live, held) = Live::open(id, now_ms, address, kind, initiation, limits, on_end);
            let provisional = if connector.current.is_some() {
                connector.provisional.push(Arc::clone(&live));
                Some(Provisional {
                    connector: name.clone(),
                    device: connector.device.clone(),
                })
            } else {
                connector.current = Some(Arc::clone(&live));
                None
            };
            if let Some(hash) = single {
                registry.tickets.used(hash, id);
            }
            registry.sessions.add(&secret, Arc::clone(&live));
            (live, held, provisional, name)
        };
        self.keep_time(&live);
        info!(
            connector = name,
            session = live.id,
            address = address.map(tracing::field::display),
            second = provisional.is_some(),
            "a token was connected"
        );
        match provisional {
            Some(provisional) => self.prove(provisional, Arc::clone(&live)),
            None => self.tell(ConnectorChange::Came { name }),
        }
        Ok(Opened { held, secret })
    }

    /// What is to be done when a session of this connector ends.
    fn on_end(self: &Arc<Self>, name: String) -> Box<OnEnd> {
        let weak = Arc::downgrade(self);
        Box::new(move |id, because: &str| {
            if let Some(connectors) = weak.upgrade() {
                connectors.ended(&name, id, because);
            }
        })
    }

    /// Ticks the session as long as there is anything left of it.
    fn keep_time(self: &Arc<Self>, live: &Arc<Live>) {
        let weak = Arc::downgrade(self);
        let live = Arc::clone(live);
        tokio::spawn(async move {
            live.keep_time().await;
            if let Some(connectors) = weak.upgrade() {
                connectors.lock().sessions.remove(live.id);
            }
        });
    }

    /// Has a second session prove its token.
    fn prove(self: &Arc<Self>, provisional: Provisional, live: Arc<Live>) {
        let prover = self.prover.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(prover) = prover else {
            return;
        };
        let connectors = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let Some(token) = RemoteToken::take(&live) else {
                return;
            };
            let outcome = prover(&provisional, Box::new(token));
            let outcome = outcome.and_then(|()| {
                // Only the channel proves anything; whoever forgot it has proven nothing.
                live.is_authenticated()
                    .then_some(())
                    .ok_or_else(|| "chip authentication was not done".to_owned())
            });
            match outcome {
                Ok(()) => connectors.replace(&provisional.connector, &live),
                Err(because) => {
                    warn!(
                        connector = provisional.connector,
                        session = live.id,
                        because,
                        "a second session was refused"
                    );
                    live.with(|session, now| session.fail(&because, now));
                }
            }
        });
    }

    /// Makes a proven session the connector's.
    fn replace(&self, name: &str, live: &Arc<Live>) {
        let before = {
            let mut registry = self.lock();
            let Some(connector) = registry.connectors.get_mut(name) else {
                return;
            };
            if let Some(index) = connector.provisional.iter().position(|it| it.id == live.id) {
                let proven = connector.provisional.remove(index);
                connector.current.replace(proven)
            } else if connector.current.as_ref().is_some_and(|it| it.id == live.id) {
                // It got the place meanwhile, but could not be used while it was proven.
                None
            } else {
                return;
            }
        };
        if let Some(before) = before {
            before.with(|session, now| session.fail(REPLACED, now));
            info!(
                connector = name,
                session = live.id,
                before = before.id,
                "a session was replaced"
            );
        }
        self.tell(ConnectorChange::Came {
            name: name.to_owned(),
        });
    }

    /// A session takes no more commands.
    fn ended(&self, name: &str, id: u64, because: &str) {
        info!(connector = name, session = id, because, "a session ended");
        let at_ms = (self.clock)();
        let changes = {
            let mut registry = self.lock();
            registry.tickets.give_back(id);
            let Some(connector) = registry.connectors.get_mut(name) else {
                return;
            };
            connector.provisional.retain(|live| live.id != id);
            if connector.current.as_ref().is_none_or(|live| live.id != id) {
                return;
            }
            connector.lost = Some(Lost {
                at_ms,
                because: because.to_owned(),
            });
            // The place is free: whoever waits for it need not prove anything to get it, as nobody who comes now would.
            connector.current = (!connector.provisional.is_empty()).then(|| connector.provisional.remove(0));
            let came = connector.current.is_some().then(|| ConnectorChange::Came {
                name: name.to_owned(),
            });
            let went = ConnectorChange::Went {
                name: name.to_owned(),
                because: because.to_owned(),
            };
            [Some(went), came]
        };
        for change in changes.into_iter().flatten() {
            self.tell(change);
        }
    }

    fn end_sessions(&self, name: &str, connector: Option<Connector>, because: &str) {
        let Some(connector) = connector else { return };
        let was_connected = connector.current.is_some();
        for live in connector.provisional.into_iter().chain(connector.current) {
            live.with(|session, now| session.fail(because, now));
        }
        if was_connected {
            self.tell(ConnectorChange::Went {
                name: name.to_owned(),
                because: because.to_owned(),
            });
        }
    }

    fn tell(&self, change: ConnectorChange) {
        // Nobody need listen.
        let _ = self.changes.send(change);
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connector {
    fn status(&self, name: &str) -> ConnectorStatus {
        ConnectorStatus {
            name: name.to_owned(),
            device: self.device.clone(),
            connected: self.current.as_ref().map(|live| Connected {
                since_ms: live.since_ms,
                address: live.address,
                own: live.kind == Kind::Own,
            }),
            waiting: self.provisional.len(),
            lost: self.lost.clone(),
        }
    }
}

impl fmt::Debug for Connectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}

/// What the agent of a session that was replaced is told.
const REPLACED: &str = "another session of this connector has proven the same device";
