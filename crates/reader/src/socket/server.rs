//! The process that has the token open.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use chancery_iso7816::TransportError;
use rustix::net::{Shutdown, shutdown};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{
    address::{self, SocketPathError},
    converse::converse,
    peer::{Peer, own_uid},
    seat::{Client, Seat},
    wire::{Answer, Failure, write},
};
use crate::{Inserted, Stop};

/// A socket on which a token is served.
#[derive(Debug)]
pub struct SocketReader {
    listener: UnixListener,
    path: PathBuf,
}

/// What is served.
pub enum Offer<T> {
    /// The token.
    Token(T),
    /// The token is plugged in elsewhere; only its state is told, and `unplug` taken.
    Elsewhere {
        /// Where: completes the sentence "the token is plugged into ...".
        place: String,
    },
}

/// Why a token cannot be served.
#[derive(Debug, Error)]
pub enum BindError {
    /// The socket cannot be there.
    #[error(transparent)]
    Path(#[from] SocketPathError),
    /// The system gave no socket.
    #[error("cannot listen on {}", .path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// What all connections work on.
pub(super) struct Desk<T> {
    pub(super) name: String,
    pub(super) atr: Vec<u8>,
    pub(super) offer: Offer<Mutex<T>>,
    pub(super) seat: Arc<Seat>,
    pub(super) stop: Stop,
}

/// Most connections at once.
const MOST_CLIENTS: usize = 64;
/// A client that does not take its answers is cut off.
const WRITE: Duration = Duration::from_secs(10);
/// Pause after the system had no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

impl SocketReader {
    /// Makes the socket, in place of one that a dead process left; its directory too, mode 0700. The caller has the token
    /// open, so that no other process serves it.
    ///
    /// # Errors
    /// [`BindError::Path`] when the path is too long or its directory is open to others.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let new = address::name_while_made(path)?;
        address::prepare_directory(path, own_uid())?;
        address::remove_socket(&new)?;
        address::remove_socket(path)?;
        let listen = |source| BindError::Listen {
            path: path.to_owned(),
            source,
        };
        let listener = UnixListener::bind(&new).map_err(listen)?;
        address::make_private(&new)?;
        // Whoever connects finds no socket, or one in its final state.
        fs::rename(&new, path).map_err(listen)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }

    /// Serves until it is stopped, or until a client asks for the end. Afterwards the token has been reset, and the socket
    /// is gone.
    ///
    /// # Errors
    /// When the system takes the socket away.
    pub fn serve<T: Inserted>(self, name: &str, offer: Offer<T>, stop: &Stop) -> io::Result<()> {
        let (atr, offer) = match offer {
            Offer::Token(token) => (token.atr().to_vec(), Offer::Token(Mutex::new(token))),
            Offer::Elsewhere { place } => (Vec::new(), Offer::Elsewhere { place }),
        };
        let desk = Desk {
            name: name.to_owned(),
            atr,
            offer,
            seat: Arc::new(Seat::default()),
            stop: stop.clone(),
        };
        let ended = self.accept_all(&desk);
        // Those who wait, and those who ask, see the end of it before the socket is gone.
        stop.stop();
        ended
    }

    fn accept_all<T: Inserted>(&self, desk: &Desk<T>) -> io::Result<()> {
        let door = self.listener.try_clone()?;
        let seat = Arc::clone(&desk.seat);
        let _closed = desk.stop.on_stop(move || {
            // The listener's thread wakes up with an error. One that is closed already needs no waking.
            let _ = shutdown(&door, Shutdown::Both);
            seat.wake();
        });
        let uid = own_uid();
        let clients = AtomicUsize::new(0);
        thread::scope(|scope| {
            for number in 0.. {
                let stream = match self.listener.accept() {
                    _ if desk.stop.is_stopped() => return Ok(()),
                    Ok((stream, _)) => stream,
                    Err(error) if is_passing(&error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "cannot take a connection"
                        );
                        if desk.stop.wait(NO_ROOM) {
                            return Ok(());
                        }
                        continue;
                    }
                    Err(error) => {
                        desk.stop.stop();
                        return Err(error);
                    }
                };
                let peer = match Peer::of(&stream) {
                    Ok(peer) if peer.is_trusted_by(uid) => peer,
                    Ok(peer) => {
                        tracing::warn!(uid = peer.uid, "turned away a process of another user");
                        continue;
                    }
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "turned away a process that has no user"
                        );
                        continue;
                    }
                };
                if clients.load(Ordering::SeqCst) >= MOST_CLIENTS {
                    turn_away(&stream);
                    continue;
                }
                clients.fetch_add(1, Ordering::SeqCst);
                let (clients, client) = (
                    &clients,
                    Client {
                        number,
                        pid: peer.pid,
                    },
                );
                scope.spawn(move || {
                    desk.attend(&stream, client);
                    clients.fetch_sub(1, Ordering::SeqCst);
                });
            }
            Ok(())
        })
    }
}

impl Drop for SocketReader {
    fn drop(&mut self) {
        // One that cannot be removed is replaced by the next server.
        let _ = fs::remove_file(&self.path);
    }
}

impl<T: Inserted> Desk<T> {
    /// Answers one client until it goes.
    fn attend(&self, stream: &UnixStream, client: Client) {
        let outcome = stream.set_write_timeout(Some(WRITE)).and_then(|()| {
            let puller = stream.try_clone()?;
            let _pulled = self.stop.on_stop(move || {
                // One that is closed already is pulled.
                let _ = puller.shutdown(std::net::Shutdown::Both);
            });
            converse(self, stream, client)
        });
        if let Err(error) = outcome {
            tracing::debug!(
                pid = client.pid,
                error = &error as &dyn std::error::Error,
                "a client was cut off"
            );
        }
        self.seat.leave(client, || {
            if let Err(error) = self.reset() {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the token was not reset"
                );
            }
        });
    }

    pub(super) fn transmit(&self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.with_token(|token| token.transmit(command))
    }

    pub(super) fn reset(&self) -> Result<(), TransportError> {
        self.with_token(|token| token.reset())
    }

    fn with_token<V>(
        &self,
        work: impl FnOnce(&mut T) -> Result<V, TransportError>,
    ) -> Result<V, TransportError> {
        match &self.offer {
            Offer::Token(token) => work(&mut token.lock().unwrap_or_else(PoisonError::into_inner)),
            Offer::Elsewhere { place } => Err(TransportError::lost(format!("it is plugged into {place}"))),
        }
    }
}

/// Whether there may be room for a connection later.
fn is_passing(error: &io::Error) -> bool {
    // ENFILE, EMFILE, ENOMEM, ENOBUFS, and a client that has gone already.
    matches!(error.raw_os_error(), Some(23 | 24 | 12 | 105))
        || matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
        )
}

fn turn_away(mut stream: &UnixStream) {
    let answer = Answer::Failed {
        failure: Failure::Crowded,
        pid: std::process::id(),
        text: format!("there are {MOST_CLIENTS} connections, the most it takes"),
    };
    // There is room for one message in a new socket; who does not get it sees the end.
    let _ = write(&mut stream, &answer.encode()).and_then(|()| stream.flush());
}
