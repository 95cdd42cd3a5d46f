//! Calling a node. Blocking, with nothing but the standard library.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::{Duration, Instant},
};

use chancery_api::{Failure, FailureKind, MAX_MESSAGE, Method, PROTOCOL_VERSION, Stop};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::{
    layout::{DataDir, LayoutError},
    socket, wire,
};

/// A connection to the node of a data directory.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    /// After a failure of the connection nothing on it can be trusted to be the answer to a call.
    broken: bool,
}

/// Why a node cannot be called.
#[derive(Debug, Error)]
pub enum ClientError {
    /// There is none.
    #[error("no node runs on data directory {}", .0.display())]
    NotRunning(PathBuf),
    /// It did not end when asked to.
    #[error("the node (process {pid}) was asked to stop and still runs after {seconds} s")]
    StillRunning {
        /// The process.
        pid: u32,
        /// How long was waited.
        seconds: u64,
    },
    /// The socket.
    #[error("cannot connect to {}", .path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The data directory.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The node's answer.
    #[error(transparent)]
    Call(#[from] Failure),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Call(failure) => failure,
            ClientError::NotRunning(_) => Self::new(FailureKind::Unavailable, error.to_string())
                .with_remedy("chancery serve, or any command that starts one"),
            ClientError::StillRunning { pid, .. } => Self::new(FailureKind::Unavailable, error.to_string())
                .with_remedy(format!("wait for its calls, or: kill {pid}")),
            ClientError::Connect { ref source, .. } => {
                Self::new(FailureKind::Unavailable, format!("{error}: {source}"))
            }
            ClientError::Layout(_) => Self::new(FailureKind::Unavailable, error.to_string()),
        }
    }
}

impl Client {
    /// Connects to the node of a data directory.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] when there is none.
    pub fn connect(directory: &DataDir) -> Result<Self, ClientError> {
        Self::attempt(directory)?.ok_or_else(|| ClientError::NotRunning(directory.path().to_owned()))
    }

    /// As [`Client::connect`]; `None` when there is no node.
    pub(crate) fn attempt(directory: &DataDir) -> Result<Option<Self>, ClientError> {
        match socket::connect(directory.path()) {
            Ok(stream) => Ok(stream.map(|stream| Self {
                stream: BufReader::new(stream),
                broken: false,
            })),
            Err(source) => Err(ClientError::Connect {
                path: directory.socket(),
                source,
            }),
        }
    }

    /// Calls a method and waits for its answer, however long that takes: the node's own waits are bounded.
    ///
    /// # Errors
    /// The node's failure, or [`FailureKind::Unavailable`] when the connection fails. In the latter case the call may have been
    /// carried out.
    pub fn call<M: Method>(&mut self, method: &M) -> Result<M::Reply, Failure> {
        let line = wire::line(&OutgoingCall {
            v: PROTOCOL_VERSION,
            method: M::NAME,
            params: method,
        })
        .map_err(|error| {
            Failure::new(
                FailureKind::Internal,
                format!("{} cannot be written: {error}", M::NAME),
            )
        })?;
        if line.len() > MAX_MESSAGE {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!(
                    "{} with {} bytes is longer than {MAX_MESSAGE} bytes",
                    M::NAME,
                    line.len()
                ),
            ));
        }
        if self.broken {
            return Err(lost(M::NAME, "the connection failed before"));
        }
        self.broken = true;
        // A node that turns somebody away answers without reading: its answer says more than the failed write.
        let written = self.stream.get_mut().write_all(line.as_slice());
        let mut answer = Vec::new();
        let limit = u64::try_from(MAX_MESSAGE).unwrap_or(u64::MAX);
        let read = (&mut self.stream).take(limit).read_until(b'\n', &mut answer);
        if answer.last() != Some(&b'\n') {
            let why = match (read, written) {
                (Err(error), _) | (_, Err(error)) => error.to_string(),
                _ if answer.is_empty() => "the node closed the connection".to_owned(),
                _ => "the answer ends in the middle".to_owned(),
            };
            return Err(lost(M::NAME, &why));
        }
        self.broken = written.is_err();
        read_answer(M::NAME, &answer)
    }
}

/// Ends the node of a data directory and waits until the directory is free. `false` when there was no node.
///
/// # Errors
/// When the node refuses or does not end within `patience`.
pub fn stop(directory: &DataDir, patience: Duration) -> Result<bool, ClientError> {
    let deadline = Instant::now() + patience;
    let (mut asked, mut heard) = (false, false);
    loop {
        let Some(pid) = directory.node()? else {
            return Ok(asked);
        };
        if !heard && let Some(mut client) = Client::attempt(directory)? {
            match client.call(&Stop {}) {
                Ok(()) => (asked, heard) = (true, true),
                // Who closes without an answer is ending already, or had no room or time: then it is asked again.
                Err(Failure {
                    kind: FailureKind::Unavailable,
                    ..
                }) => asked = true,
                Err(failure) => return Err(failure.into()),
            }
        }
        if Instant::now() >= deadline {
            return Err(ClientError::StillRunning {
                pid,
                seconds: patience.as_secs(),
            });
        }
        std::thread::sleep(POLL);
    }
}

/// How often to look whether a node has come or gone.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// [`chancery_api::Call`] with the parameters as they are.
#[derive(Serialize)]
struct OutgoingCall<'a, M> {
    v: u32,
    method: &'static str,
    params: &'a M,
}

/// [`chancery_api::Reply`] with the reply as it is.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer<T> {
    Ok(T),
    Failed(Failure),
}

fn read_answer<T: DeserializeOwned>(method: &str, line: &[u8]) -> Result<T, Failure> {
    match serde_json::from_slice(line) {
        Ok(Answer::Ok(reply)) => Ok(reply),
        Ok(Answer::Failed(failure)) => Err(failure),
        Err(error) => Err(Failure::new(
            FailureKind::Version,
            format!("the node's answer to {method} cannot be read: {error}"),
        )
        .with_remedy("the node may be of another version: chancery stop, then repeat the command")),
    }
}

fn lost(method: &str, why: &str) -> Failure {
    Failure::new(FailureKind::Unavailable, format!("no answer to {method}: {why}"))
        .with_remedy("see node.log in the data directory; look at the state before repeating the command")
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixStream, thread};

    use chancery_api::{Call, HsmLock, HsmStatus};

    use super::*;

    fn pair() -> (Client, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        (
            Client {
                stream: BufReader::new(near),
                broken: false,
            },
            far,
        )
    }

    fn answering(answer: &'static [u8]) -> (Client, thread::JoinHandle<Vec<u8>>) {
        let (client, mut far) = pair();
        let node = thread::spawn(move || {
            let mut call = Vec::new();
            BufReader::new(far.try_clone().unwrap())
                .read_until(b'\n', &mut call)
                .unwrap();
            far.write_all(answer).unwrap();
            call
        });
        (client, node)
    }

    #[test]
    fn a_call_is_written_as_the_interface_says() {
        let (mut client, node) = answering(b"{\"ok\":[]}\n");
        assert_eq!(
            client
                .call(&HsmLock {
                    hsms: vec!["a".into()]
                })
                .unwrap(),
            []
        );
        let call: Call = serde_json::from_slice(&node.join().unwrap()).unwrap();
        assert_eq!((call.v, call.method.as_str()), (PROTOCOL_VERSION, "hsm.lock"));
        assert_eq!(call.params, serde_json::json!({ "hsms": ["a"] }));
    }

    #[test]
    fn a_failure_arrives_whole() {
        let (mut client, node) =
            answering(b"{\"failed\":{\"kind\":\"not-found\",\"message\":\"no\",\"remedy\":\"do\"}}\n");
        let failure = client.call(&HsmStatus { hsm: "a".into() }).unwrap_err();
        assert_eq!(
            failure,
            Failure::new(FailureKind::NotFound, "no").with_remedy("do")
        );
        node.join().unwrap();
    }

    #[test]
    fn a_connection_that_broke_is_not_used_again() {
        for half in [&b""[..], b"{\"ok\":"] {
            let (mut client, node) = answering(half);
            let failure = client.call(&HsmLock { hsms: Vec::new() }).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Unavailable, "{failure}");
            node.join().unwrap();
            let again = client.call(&HsmLock { hsms: Vec::new() }).unwrap_err();
            assert!(again.message.contains("failed before"), "{again}");
        }
    }

    #[test]
    fn an_answer_of_another_shape_is_a_matter_of_versions() {
        let (mut client, node) = answering(b"{\"ok\":{\"new\":1}}\n");
        assert_eq!(
            client.call(&HsmLock { hsms: Vec::new() }).unwrap_err().kind,
            FailureKind::Version
        );
        node.join().unwrap();
    }

    #[test]
    fn what_no_node_would_take_is_not_sent() {
        let (mut client, _far) = pair();
        let failure = client
            .call(&HsmStatus {
                hsm: "x".repeat(MAX_MESSAGE),
            })
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Invalid);
    }
}
