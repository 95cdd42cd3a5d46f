//! A process that uses a token which another has open.

use std::{
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use chancery_iso7816::{Transport, TransportError};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{
    address::{self, SocketPathError},
    peer::{Peer, own_uid},
    wire::{Answer, Failure, Request, Status, VERSION, read, write},
};

/// A token behind a socket. It can be used between [`SocketToken::begin`] and [`SocketToken::end`]; dropping it ends that,
/// too, and the token is reset before another client gets it.
#[derive(Debug)]
pub struct SocketToken {
    stream: UnixStream,
    path: PathBuf,
    name: String,
    atr: Vec<u8>,
    held: bool,
}

/// Why a token behind a socket cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SocketError {
    /// No socket can be there.
    #[error(transparent)]
    Path(#[from] SocketPathError),
    /// Nobody serves the token.
    #[error("no process serves the token at {}", .path.display())]
    NotServed {
        /// The socket.
        path: PathBuf,
    },
    /// The socket is another user's: a PIN sent there would be theirs.
    #[error("{} is served by a process of another user ({uid})", .path.display())]
    OtherUser {
        /// The socket.
        path: PathBuf,
        /// The user.
        uid: u32,
    },
    /// Another process holds the token and did not let go in time.
    #[error("the token is held by process {pid}")]
    Busy {
        /// The process; 0 when several wait for it.
        pid: u32,
    },
    /// The token is plugged in elsewhere.
    #[error("{place}; process {pid} plugs it")]
    Elsewhere {
        /// Where.
        place: String,
        /// The process that serves it there.
        pid: u32,
    },
    /// Server and client are of different versions of this program.
    #[error("process {pid} serves the token in another version: {text}")]
    Version {
        /// The server.
        pid: u32,
        /// Its words.
        text: String,
    },
    /// The server refused.
    #[error("the token cannot be used: {text}")]
    Refused {
        /// Its words.
        text: String,
    },
    /// The server said something that is no answer.
    #[error("{} does not speak the language of a reader", .path.display())]
    Protocol {
        /// The socket.
        path: PathBuf,
        /// What is wrong, when it is more than the wrong answer.
        #[source]
        source: Option<io::Error>,
    },
    /// The connection broke: the server has ended, or the token was unplugged.
    #[error("the connection to the token at {} broke", .path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// A server answers at once, but for commands.
const PROMPT: Duration = Duration::from_secs(10);
/// Longest command: generation of a long RSA key by a busy machine.
const COMMAND: Duration = Duration::from_secs(900);
/// Longest command APDU in bytes: header, extended Lc, data, extended Le.
const LONGEST_COMMAND: usize = 4 + 3 + 65_535 + 2;

impl SocketToken {
    /// Connects to the process that serves the token.
    ///
    /// # Errors
    /// [`SocketError::NotServed`], [`SocketError::OtherUser`], [`SocketError::Version`].
    pub fn connect(path: &Path) -> Result<Self, SocketError> {
        address::check_length(path, 0)?;
        let broken = |source| SocketError::Broken {
            path: path.to_owned(),
            source,
        };
        let stream = match UnixStream::connect(path) {
            Ok(stream) => stream,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                return Err(SocketError::NotServed {
                    path: path.to_owned(),
                });
            }
            Err(error) => return Err(broken(error)),
        };
        let peer = Peer::of(&stream).map_err(broken)?;
        if !peer.is_trusted_by(own_uid()) {
            return Err(SocketError::OtherUser {
                path: path.to_owned(),
                uid: peer.uid,
            });
        }
        stream.set_write_timeout(Some(PROMPT)).map_err(broken)?;
        let mut token = Self {
            stream,
            path: path.to_owned(),
            name: String::new(),
            atr: Vec::new(),
            held: false,
        };
        match token.ask(&Request::Hello { version: VERSION }, PROMPT)? {
            Answer::Hello {
                version: VERSION,
                name,
                atr,
            } => {
                token.name = name;
                token.atr = atr;
                Ok(token)
            }
            Answer::Hello { version, .. } => Err(SocketError::Version {
                pid: peer.pid,
                text: format!("{version}"),
            }),
            other => Err(token.unexpected(other)),
        }
    }

    /// The token's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Answer to reset (ISO/IEC 7816-3 8); empty when the token is plugged in elsewhere.
    #[must_use]
    pub fn atr(&self) -> &[u8] {
        &self.atr
    }

    /// Whether this client holds the token.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.held
    }

    /// Holds the token until [`SocketToken::end`]. `true` when it was reset since this client held it last, so that nothing
    /// it was told then counts any more.
    ///
    /// # Errors
    /// [`SocketError::Busy`] with the process that holds it when that does not let go in time; [`SocketError::Elsewhere`].
    pub fn begin(&mut self, wait: Duration) -> Result<bool, SocketError> {
        if self.held {
            return Ok(false);
        }
        let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        let patience = Duration::from_millis(wait_ms.into()) + PROMPT;
        match self.ask(&Request::Begin { wait_ms }, patience)? {
            Answer::Begun { reset } => {
                self.held = true;
                Ok(reset)
            }
            other => Err(self.unexpected(other)),
        }
    }

    /// Lets others hold the token.
    ///
    /// # Errors
    /// [`SocketError::Broken`].
    pub fn end(&mut self) -> Result<(), SocketError> {
        if !std::mem::take(&mut self.held) {
            return Ok(());
        }
        self.done(&Request::End)
    }

    /// Who serves the token and who holds it.
    ///
    /// # Errors
    /// [`SocketError::Broken`].
    pub fn status(&mut self) -> Result<Status, SocketError> {
        match self.ask(&Request::Status, PROMPT)? {
            Answer::Status(status) => Ok(status),
            other => Err(self.unexpected(other)),
        }
    }

    /// Has the token unplugged: all its clients see it gone.
    ///
    /// # Errors
    /// [`SocketError::Broken`].
    pub fn unplug(mut self) -> Result<(), SocketError> {
        self.done(&Request::Unplug)?;
        // The server closes the connection when it has let go.
        match read(&mut &self.stream) {
            Ok(None) | Err(_) => Ok(()),
            Ok(Some(_)) => Err(self.protocol(None)),
        }
    }

    fn done(&mut self, request: &Request) -> Result<(), SocketError> {
        match self.ask(request, PROMPT)? {
            Answer::Done => Ok(()),
            other => Err(self.unexpected(other)),
        }
    }

    fn ask(&mut self, request: &Request, patience: Duration) -> Result<Answer, SocketError> {
        let mut stream = &self.stream;
        let exchanged = stream.set_read_timeout(Some(patience)).and_then(|()| {
            let written = write(&mut stream, &request.encode());
            match (written, read(&mut stream)) {
                (_, Ok(Some(message))) => Ok(message),
                // A server may have said why it does not listen and closed the connection before.
                (Err(error), _) | (Ok(()), Err(error)) => Err(error),
                (Ok(()), Ok(None)) => Err(io::ErrorKind::UnexpectedEof.into()),
            }
        });
        match exchanged {
            Ok(message) => Answer::parse(&message).map_err(|error| self.protocol(Some(error.into()))),
            Err(source) => {
                // An answer that comes too late must not be taken for that to the next question.
                let _ = self.stream.shutdown(std::net::Shutdown::Both);
                self.held = false;
                Err(match source.kind() {
                    io::ErrorKind::InvalidData => self.protocol(Some(source)),
                    _ => SocketError::Broken {
                        path: self.path.clone(),
                        source,
                    },
                })
            }
        }
    }

    fn unexpected(&self, answer: Answer) -> SocketError {
        let Answer::Failed { failure, pid, text } = answer else {
            return self.protocol(None);
        };
        match failure {
            Failure::Busy => SocketError::Busy { pid },
            Failure::Elsewhere => SocketError::Elsewhere { place: text, pid },
            Failure::Version => SocketError::Version { pid, text },
            Failure::NotHeld | Failure::Lost | Failure::Exchange | Failure::Crowded => {
                SocketError::Refused { text }
            }
        }
    }

    fn protocol(&self, source: Option<io::Error>) -> SocketError {
        SocketError::Protocol {
            path: self.path.clone(),
            source,
        }
    }

    /// As [`SocketToken::ask`], in a transport's words.
    fn exchange(&mut self, request: &Request) -> Result<Answer, TransportError> {
        match self.ask(request, COMMAND) {
            Ok(Answer::Failed { failure, text, .. }) => Err(match failure {
                Failure::Lost => TransportError::Lost { reason: text },
                _ => TransportError::Failed { reason: text },
            }),
            Ok(answer) => Ok(answer),
            Err(error) => Err(TransportError::lost(error.to_string())),
        }
    }
}

impl Transport for SocketToken {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        if command.len() > LONGEST_COMMAND {
            return Err(TransportError::TooLong {
                length: command.len(),
                limit: LONGEST_COMMAND,
            });
        }
        let request = Request::Command(Zeroizing::new(command.to_vec()));
        match self.exchange(&request)? {
            Answer::Response(response) => Ok(response),
            _ => Err(TransportError::lost("the reader answered something else")),
        }
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        match self.exchange(&Request::Reset)? {
            Answer::Done => Ok(()),
            _ => Err(TransportError::lost("the reader answered something else")),
        }
    }
}
