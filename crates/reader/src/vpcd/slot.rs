//! A slot of a vpcd reader: a token is inserted, and inserted again whenever pcscd comes back.

use std::{
    fmt,
    io::{self, Read},
    mem,
    net::{IpAddr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use rustix::net::sockopt;
use thiserror::Error;

use super::{
    frame::{Control, Request, read_request, write_answer},
    listener::{behind, is_occupied},
    trust::{TrustedUsers, overflow},
};
use crate::{Inserted, Stop};

/// Where a slot listens, and who may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    address: SocketAddr,
    trusted: TrustedUsers,
}

/// Why a token cannot be plugged in.
#[derive(Debug, Error)]
pub enum VpcdError {
    /// The host is not this one.
    #[error(
        "{host} is not this machine: a PIN would cross the network in clear; plug into the pcscd of this machine \
         (localhost), or use the token there"
    )]
    NotLoopback {
        /// The host.
        host: String,
    },
    /// The host has no address.
    #[error("cannot find the address of {host}")]
    NoAddress {
        /// The host.
        host: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// Why a token is not kept inserted any more.
#[derive(Debug, Error)]
pub enum SlotError {
    /// The token failed; pcscd saw it pulled.
    #[error(transparent)]
    Token(#[from] chancery_iso7816::TransportError),
    /// Another user listens. No byte was exchanged.
    #[error(
        "{user} listens on port {port}, who is neither root nor pcscd's user nor you: a token inserted there would tell its PINs \
         to that user; it was not inserted"
    )]
    Stranger {
        /// The port.
        port: u16,
        /// The user.
        user: Stranger,
    },
}

/// A user, as numbered in the user namespace of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stranger {
    /// The number.
    pub uid: u32,
    /// Whether it stands for every user that has none here.
    pub anybody: bool,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}", self.uid)?;
        if self.anybody {
            f.write_str(" (nobody, or anybody outside of this user namespace)")?;
        }
        Ok(())
    }
}

/// What happens to a plugged token.
#[derive(Debug)]
pub enum Event {
    /// Nothing listens: pcscd does not run, or has no such reader. It is tried again.
    Waiting {
        /// The system's reason.
        error: io::Error,
    },
    /// Something listens and the system does not say whose it is. It is tried again.
    Unidentified {
        /// The system's reason.
        error: io::Error,
    },
    /// Another token is in this reader. It is tried again.
    Occupied,
    /// pcscd has the token.
    Inserted,
    /// pcscd has closed the connection; it is tried again.
    Ejected {
        /// The system's reason, when there is one.
        error: Option<io::Error>,
    },
}

/// Between two attempts to reach pcscd.
const PAUSE: Duration = Duration::from_millis(200);
/// A slot on this machine answers at once or not at all.
const CONNECT: Duration = Duration::from_secs(5);
/// An answer is taken at once; a pcscd that stopped must not keep the token for ever.
const WRITE: Duration = Duration::from_secs(30);

impl Slot {
    /// The slot on a port of a host, which must be this machine; of [`TrustedUsers::of_this_system`].
    ///
    /// # Errors
    /// [`VpcdError::NotLoopback`] for any other host.
    pub fn new(host: &str, port: u16) -> Result<Self, VpcdError> {
        let addresses = (host, port)
            .to_socket_addrs()
            .map_err(|source| VpcdError::NoAddress {
                host: host.to_owned(),
                source,
            })?
            .collect::<Vec<_>>();
        let elsewhere = || VpcdError::NotLoopback {
            host: host.to_owned(),
        };
        if !addresses.iter().all(|address| address.ip().is_loopback()) {
            return Err(elsewhere());
        }
        // vpcd listens on IPv4 only.
        let address = addresses
            .iter()
            .find(|address| matches!(address.ip(), IpAddr::V4(_)))
            .or_else(|| addresses.first());
        address
            .map(|address| Self {
                address: *address,
                trusted: TrustedUsers::of_this_system(),
            })
            .ok_or_else(elsewhere)
    }

    /// The same of other users.
    #[must_use]
    pub fn of_users(mut self, trusted: TrustedUsers) -> Self {
        self.trusted = trusted;
        self
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Keeps `token` inserted until it is stopped. Whatever ends the connection, the token is reset after it.
    ///
    /// # Errors
    /// [`SlotError`] when the token fails, or another user listens.
    pub fn keep_inserted<T: Inserted + ?Sized>(
        &self,
        token: &mut T,
        stop: &Stop,
        mut tell: impl FnMut(Event),
    ) -> Result<(), SlotError> {
        // What hinders is told once.
        let mut told = None;
        while !stop.is_stopped() {
            let news = match self.connect() {
                Ok(connection) => {
                    told = None;
                    tell(Event::Inserted);
                    let ended = connection.serve(token, stop);
                    token.reset()?;
                    let error = match ended {
                        Ok(()) => None,
                        Err(Ended::Connection(error)) => Some(error),
                        Err(Ended::Token(error)) => return Err(error.into()),
                    };
                    (!stop.is_stopped()).then_some(Event::Ejected { error })
                }
                Err(Hindered::Waiting(event)) => {
                    let kind = mem::discriminant(&event);
                    (told.replace(kind) != Some(kind)).then_some(event)
                }
                Err(Hindered::Stranger(uid)) => {
                    return Err(SlotError::Stranger {
                        port: self.port(),
                        user: Stranger {
                            uid,
                            anybody: uid == overflow(),
                        },
                    });
                }
            };
            if let Some(event) = news {
                tell(event);
            }
            if stop.wait(PAUSE) {
                break;
            }
        }
        Ok(())
    }

    /// A connection to a trusted user. To others nothing is said on it.
    fn connect(&self) -> Result<Connection, Hindered> {
        // vpcd takes one connection and lets others queue: one that is dropped again would stay before the next token.
        if is_occupied(self.address) {
            return Err(Hindered::Waiting(Event::Occupied));
        }
        let connection =
            Connection::open(self.address).map_err(|error| Hindered::Waiting(Event::Waiting { error }))?;
        let behind =
            behind(&connection.0).map_err(|error| Hindered::Waiting(Event::Unidentified { error }))?;
        match self.trusted.stranger(&behind.users) {
            Some(uid) => Err(Hindered::Stranger(uid)),
            // Another was faster.
            None if behind.queued => Err(Hindered::Waiting(Event::Occupied)),
            None => Ok(connection),
        }
    }
}

/// Why a card is not inserted now.
enum Hindered {
    Waiting(Event),
    Stranger(u32),
}

/// An inserted card.
struct Connection(TcpStream);

/// Why a card is not inserted any more.
enum Ended {
    Connection(io::Error),
    Token(chancery_iso7816::TransportError),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Connection(error)
    }
}

impl From<chancery_iso7816::TransportError> for Ended {
    fn from(error: chancery_iso7816::TransportError) -> Self {
        Self::Token(error)
    }
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT)?;
        // On loopback a connection to a port nobody listens on can meet itself.
        if stream.local_addr()? == stream.peer_addr()? {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE))?;
        Ok(Self(stream))
    }

    /// Answers requests until the connection ends.
    fn serve<T: Inserted + ?Sized>(&self, token: &mut T, stop: &Stop) -> Result<(), Ended> {
        let puller = self.0.try_clone()?;
        let _pulled = stop.on_stop(move || {
            // One that is closed already is pulled.
            let _ = puller.shutdown(Shutdown::Both);
        });
        let mut incoming = Prompt(&self.0);
        let mut outgoing = &self.0;
        while let Some(request) = read_request(&mut incoming)? {
            match request {
                Request::Control(Control::PowerOff | Control::PowerOn | Control::Reset) => token.reset()?,
                Request::Control(Control::Atr) => write_answer(&mut outgoing, token.atr())?,
                Request::Command(command) => {
                    let answer = token.transmit(&command)?;
                    write_answer(&mut outgoing, &answer)?;
                }
            }
        }
        Ok(())
    }
}

/// Reads with acknowledgements sent at once.
///
/// vpcd writes length and message apart and lets the system gather small writes: without this the second write waits for the
/// acknowledgement of the first, which is held back 40 ms. The system forgets the option by itself.
struct Prompt<'a>(&'a TcpStream);

impl Read for Prompt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        sockopt::set_tcp_quickack(self.0, true)?;
        self.0.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_plugged_into() {
        for host in ["localhost", "127.0.0.1", "127.3.2.1", "::1"] {
            assert_eq!(Slot::new(host, 35_963).unwrap().port(), 35_963, "{host}");
        }
        for host in ["192.0.2.7", "0.0.0.0", "2001:db8::1", "::ffff:127.0.0.1"] {
            assert!(
                matches!(Slot::new(host, 1), Err(VpcdError::NotLoopback { .. })),
                "{host}"
            );
        }
    }
}
