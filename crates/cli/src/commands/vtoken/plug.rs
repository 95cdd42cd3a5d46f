//! `vtoken plug`: virtual tokens in the readers of this machine, for as long as the command runs.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use chancery_agent::AgentError;
use chancery_api::{Failure, FailureKind};
use chancery_node::DataDir;
use chancery_pcsc::{Context as Pcsc, PcscError};
use chancery_reader::{
    Stop, WithAtr,
    socket::{Offer, SocketReader},
    vpcd::{DEFAULT_PORT, Event, ReaderEntry, Slot, SlotError, TrustedUsers},
};
use chancery_vtoken::{OpenError, TokenName, VirtualToken};
use clap::{Args, ValueEnum};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};
use tracing::level_filters::LevelFilter;

use super::{
    reader_conf::ReaderConf,
    telling::{Line, Teller},
    unplug::plugged,
};
use crate::{
    context::Context,
    error::{CliError, chain},
    log_lines,
    report::Report,
};

/// Plugs tokens in.
#[derive(Args)]
#[command(
    after_help = "Example: chancery vtoken plug alice\n         chancery vtoken plug hsm-a --via socket\n\
Runs until Ctrl-C or chancery vtoken unplug. In pcscd (Debian: apt install pcscd vsmartcard-vpcd) every smart card program \
finds the token; by its socket only chancery does, and several processes take turns. A plugged token is in use: the node \
cannot have it at the same time.\n\
The pcscd driver listens on all interfaces of this machine: on an open network let no stranger reach its ports. Where another \
user than root, pcscd or you listens no token is inserted."
)]
pub(crate) struct Plug {
    /// Names, one reader each
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// How other programs reach the tokens
    #[arg(long, value_enum, default_value_t = Via::Pcsc)]
    via: Via,
    /// Port of the first reader of pcscd's driver; the next tokens take the ports after it
    #[arg(long, default_value_t = DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Host of pcscd: this machine, no other
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Number of a further user who may have the tokens in a reader, and so be told their PINs: as whom your pcscd runs
    #[arg(long, value_name = "UID")]
    trust_reader_uid: Vec<u32>,
    /// Write the reader.conf entries that these tokens need beyond Debian's two readers [default DIR: /etc/reader.conf.d]
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "/etc/reader.conf.d")]
    write_reader_conf: Option<PathBuf>,
}

/// Ways to a plugged token.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Via {
    /// A slot of pcscd, through its driver vpcd
    Pcsc,
    /// A Unix socket in the data directory
    Socket,
}

/// A token that is about to be plugged in. It is open: no other process has it.
struct Ready {
    name: TokenName,
    token: WithAtr<VirtualToken>,
    socket: PathBuf,
    stop: Stop,
}

impl Plug {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let data = context.data()?;
        let names = distinct(&self.names)?;
        let teller = Teller::new(context.json());
        let slots = self.slots(names.len())?;
        let conf = ReaderConf::new(self.write_reader_conf.as_deref());
        let entries = conf.needed(self.port, names.len())?;
        log_lines::to_stderr(LevelFilter::WARN)?;
        let ready = names
            .into_iter()
            .map(|name| Ready::open(&data, name))
            .collect::<Result<Vec<_>, _>>()?;
        if self.via == Via::Pcsc && self.write_reader_conf.is_some() {
            write_entries(&conf, &entries, teller)?;
        }
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(CliError::Output)?;
        // Before anything is plugged in: from then on a signal is a request to pull it.
        let signals = {
            let _inside = runtime.enter();
            Signals::watch().map_err(CliError::Output)?
        };
        let ended = Arc::new(Endings::default());
        let running = match self.via {
            Via::Socket => ready
                .into_iter()
                .map(|ready| ready.serve(teller, &ended))
                .collect::<Result<Vec<_>, _>>()?,
            Via::Pcsc => {
                hold_pcscd(teller)?;
                teller.tell(&Line::new(
                    "warning",
                    "pcscd's driver listens on all interfaces of this machine: whoever reaches its ports can plug in a token \
                     of their own and be told PINs",
                ));
                let conf = Arc::new((conf, entries));
                ready
                    .into_iter()
                    .zip(slots)
                    .map(|(ready, slot)| ready.insert(slot, teller, &conf, &ended))
                    .collect()
            }
        };
        let why = runtime.block_on(until_the_end(signals, running.len(), &ended));
        for token in &running {
            token.stop.stop();
        }
        let mut failed = Vec::new();
        for token in running {
            let outcome = token.thread.join();
            let failure = match outcome {
                Ok(Ok(())) => {
                    let line = Line::new("unplugged", format!("unplugged ({why})"));
                    teller.tell(&line.token(token.name.as_str()));
                    continue;
                }
                Ok(Err(failure)) => failure,
                Err(_) => Failure::new(FailureKind::Internal, "defect of this program"),
            };
            failed.push((token.name, failure));
        }
        all_of(failed).map_or_else(|| Ok(Report::told()), |failure| Err(failure.into()))
    }

    /// A slot for each token.
    fn slots(&self, tokens: usize) -> Result<Vec<Slot>, CliError> {
        let invalid = |message: String| CliError::new(FailureKind::Invalid, message);
        (0..tokens)
            .map(|number| {
                let port = ReaderEntry::slot_port(self.port, number)
                    .ok_or_else(|| invalid("there is no port above 65535".into()))?;
                let slot = Slot::new(&self.host, port).map_err(|error| invalid(chain(&error)))?;
                let trusted = TrustedUsers::of_this_system().and(self.trust_reader_uid.iter().copied());
                Ok(slot.of_users(trusted))
            })
            .collect()
    }
}

/// How many tokens are not plugged in any more.
#[derive(Default)]
struct Endings {
    count: AtomicUsize,
    changed: Notify,
}

impl Endings {
    fn add_one(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_one();
    }
}

/// A token that is plugged in.
struct Running {
    name: TokenName,
    stop: Stop,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Ready {
    fn open(data: &DataDir, name: TokenName) -> Result<Self, CliError> {
        let token =
            VirtualToken::open(&data.tokens().join(name.as_str()), &data.at_rest()).map_err(|source| {
                let source = match source {
                    OpenError::NotFound(_) => {
                        return AgentError::NoToken {
                            what: name.to_string(),
                        }
                        .into();
                    }
                    OpenError::InUse { .. } => match plugged(data, &name) {
                        Some(error) => return error,
                        None => source,
                    },
                    source => source,
                };
                CliError::from(AgentError::Open {
                    name: name.to_string(),
                    source,
                })
            })?;
        let atr = token.atr().to_vec();
        Ok(Self {
            socket: socket_of(data, &name),
            token: WithAtr::new(token, atr),
            name,
            stop: Stop::new(),
        })
    }

    /// Serves it on its socket.
    fn serve(self, teller: Teller, ended: &Arc<Endings>) -> Result<Running, CliError> {
        let reader = SocketReader::bind(&self.socket)
            .map_err(|error| CliError::new(FailureKind::Unavailable, chain(&error)))?;
        let Self {
            name,
            token,
            socket,
            stop,
        } = self;
        teller.tell(&Line::new("served", format!("served on {}", socket.display())).token(name.as_str()));
        let (thread_name, thread_stop, ended) = (name.clone(), stop.clone(), Arc::clone(ended));
        let thread = thread::spawn(move || {
            let served = reader.serve(thread_name.as_str(), Offer::Token(token), &thread_stop);
            ended.add_one();
            served.map_err(|error| {
                Failure::new(
                    FailureKind::Unavailable,
                    format!("cannot serve it any more: {error}"),
                )
            })
        });
        Ok(Running { name, stop, thread })
    }

    /// Keeps it in a slot; its socket takes the request to pull it.
    fn insert(
        self,
        slot: Slot,
        teller: Teller,
        conf: &Arc<(ReaderConf, Vec<ReaderEntry>)>,
        ended: &Arc<Endings>,
    ) -> Running {
        let Self {
            name,
            mut token,
            socket,
            stop,
        } = self;
        let control = match SocketReader::bind(&socket) {
            Ok(reader) => Some(reader),
            Err(error) => {
                let text = format!("chancery vtoken unplug will not reach it: {}", chain(&error));
                teller.tell(&Line::new("warning", text).token(name.as_str()));
                None
            }
        };
        let (thread_name, thread_stop) = (name.clone(), stop.clone());
        let (conf, ended) = (Arc::clone(conf), Arc::clone(ended));
        let thread = thread::spawn(move || {
            let port = slot.port();
            let controlled = control.map(|reader| {
                let place = format!("pcscd, port {port}");
                let (name, stop) = (thread_name.clone(), thread_stop.clone());
                thread::spawn(move || {
                    reader.serve(
                        name.as_str(),
                        Offer::<WithAtr<VirtualToken>>::Elsewhere { place },
                        &stop,
                    )
                })
            });
            let outcome = slot.keep_inserted(&mut token, &thread_stop, |event| {
                teller.tell(&told(&event, port, &conf).token(thread_name.as_str()));
            });
            thread_stop.stop();
            if let Some(Ok(Err(error))) = controlled.map(JoinHandle::join) {
                tracing::warn!(error = &error as &dyn std::error::Error, "control socket failed");
            }
            // Before the token is said to be pulled it is closed.
            drop(token);
            let outcome = outcome.map_err(|error| failure_of(&error));
            if let Err(failure) = &outcome {
                // Other tokens may go on.
                let line = Line::new("failed", failure.message.clone());
                teller.tell(&line.token(thread_name.as_str()).port(port));
            }
            ended.add_one();
            outcome
        });
        Running { name, stop, thread }
    }
}

/// Where the socket of a token is.
pub(super) fn socket_of(data: &DataDir, name: &TokenName) -> PathBuf {
    data.path().join("readers").join(format!("{name}.sock"))
}

/// Why a slot has a token no more, with the next step.
fn failure_of(error: &SlotError) -> Failure {
    match error {
        SlotError::Token(error) => Failure::new(FailureKind::Unavailable, error.to_string()),
        SlotError::Stranger { port, user } => {
            let remedy = format!(
                "see as root which process it is (ss -ltnp 'sport = :{port}'), end it, and start pcscd (systemctl restart pcscd); \
                 when it is your pcscd: --trust-reader-uid {}",
                user.uid
            );
            Failure::new(FailureKind::Refused, error.to_string()).with_remedy(remedy)
        }
    }
}

/// Failures of tokens as one; a refusal is the worst.
fn all_of(failed: Vec<(TokenName, Failure)>) -> Option<Failure> {
    let worst = failed
        .iter()
        .map(|(_, failure)| failure.kind)
        .reduce(|one, other| if one == FailureKind::Refused { one } else { other })?;
    let mut messages = Vec::new();
    let mut remedies: Vec<String> = Vec::new();
    for (name, failure) in failed {
        messages.push(format!("{name}: {}", failure.message));
        remedies.extend(failure.remedy);
    }
    let failure = Failure::new(worst, messages.join("; "));
    Some(if remedies.is_empty() {
        failure
    } else {
        failure.with_remedy(remedies.join("; "))
    })
}

/// An event of a slot in words.
fn told(event: &Event, port: u16, (conf, entries): &(ReaderConf, Vec<ReaderEntry>)) -> Line<'static> {
    match event {
        Event::Inserted => Line::new("inserted", format!("inserted into pcscd (port {port})")),
        Event::Ejected { .. } => Line::new("ejected", "pcscd closed the connection; plugging in again"),
        Event::Occupied => Line::new(
            "occupied",
            format!(
                "the reader on port {port} is occupied: another token is in it; waiting until that is pulled (chancery vtoken unplug \
                 TOKEN); --port names another reader"
            ),
        ),
        Event::Unidentified { error } => Line::new(
            "waiting",
            format!("waiting for pcscd on port {port}: whose reader it is cannot be told ({error})"),
        ),
        Event::Waiting { error } => {
            let remedy = match entries.iter().find(|entry| entry.has_slot(port)) {
                Some(entry) => format!(
                    "pcscd does not run, or has no reader on port {port}. Such a reader needs, {}",
                    conf.by_hand(entry)
                ),
                None => "pcscd does not run, or its driver is not installed (Debian: apt install pcscd vsmartcard-vpcd)"
                    .to_owned(),
            };
            Line::new(
                "waiting",
                format!("waiting for pcscd on port {port} ({error}): {remedy}"),
            )
        }
    }
    .port(port)
}

fn write_entries(conf: &ReaderConf, entries: &[ReaderEntry], teller: Teller) -> Result<(), CliError> {
    let mut changed = false;
    for entry in entries {
        changed |= conf.write(entry)?;
    }
    let text = match (entries.is_empty(), changed) {
        (true, _) => "Debian's configuration has readers enough: nothing was written",
        (false, true) => "reader.conf entries are written; pcscd sees them after systemctl restart pcscd",
        (false, false) => "the reader.conf entries are there already",
    };
    teller.tell(&Line::new("configured", text));
    Ok(())
}

/// Has pcscd started and keeps it from ending for want of clients, for as long as this process lives.
fn hold_pcscd(teller: Teller) -> Result<(), CliError> {
    let held = match Pcsc::open() {
        Ok(held) => Some(held),
        Err(error @ PcscError::NotInstalled { .. }) => {
            return Err(CliError::with_remedy(
                FailureKind::Unavailable,
                error.to_string(),
                "apt install pcscd vsmartcard-vpcd, or chancery vtoken plug --via socket",
            ));
        }
        Err(error) => {
            teller.tell(&Line::new("warning", error.to_string()));
            None
        }
    };
    // It ends with the process: whatever it waits for then is of no interest.
    thread::spawn(move || {
        let mut held = held;
        loop {
            if let Some(pcscd) = &held {
                // pcscd says nothing new for as long as it lives.
                let alive = pcscd
                    .readers()
                    .and_then(|readers| pcscd.wait_for_change(&readers, HELD));
                if let Err(error) = alive {
                    tracing::info!(%error, "pcscd has ended");
                    held = None;
                }
            } else {
                thread::sleep(AGAIN);
                held = Pcsc::open().ok();
            }
        }
    });
    Ok(())
}

/// What ends this process.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn watch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

/// Waits for a signal, or until no token is plugged in any more; why it ended.
async fn until_the_end(mut signals: Signals, tokens: usize, ended: &Endings) -> &'static str {
    loop {
        if ended.count.load(Ordering::SeqCst) >= tokens {
            return "on request";
        }
        tokio::select! {
            _ = signals.interrupt.recv() => return "interrupted",
            _ = signals.terminate.recv() => return "terminated",
            _ = signals.hang_up.recv() => return "its terminal was closed",
            () = ended.changed.notified() => {}
        }
    }
}

fn distinct(names: &[String]) -> Result<Vec<TokenName>, CliError> {
    let invalid = |message: String| CliError::new(FailureKind::Invalid, message);
    let mut distinct: Vec<TokenName> = Vec::new();
    for name in names {
        let name = TokenName::new(name).map_err(|error| invalid(error.to_string()))?;
        if distinct.contains(&name) {
            return Err(invalid(format!("{name} is named twice")));
        }
        distinct.push(name);
    }
    Ok(distinct)
}

/// Between two looks at pcscd.
const HELD: Duration = Duration::from_secs(5);
/// Between two attempts to reach it.
const AGAIN: Duration = Duration::from_millis(500);
