//! A small HTTP server: a thread for each connection, a function for each request.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What to do with it.
pub(crate) enum Reply {
    /// Status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The bytes of an answer, as they are, which say that the connection is closed then.
    Raw(Vec<u8>),
    /// The connection is closed without an answer.
    Cut,
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// Listens until it is dropped or killed.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    stopped: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Reads one; `None` at the end of the connection.
    pub(crate) fn read(stream: &mut impl Read) -> Option<Self> {
        let mut reader = BufReader::with_capacity(1, stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let target = line.split(' ').nth(1)?.to_owned();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut request = Self {
            target,
            headers,
            body: Vec::new(),
        };
        let length: usize = request
            .header("content-length")
            .map_or(0, |text| text.parse().unwrap());
        request.body = vec![0; length];
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }
}

impl Reply {
    /// `200` with a body.
    pub(crate) fn ok(body: &[u8]) -> Self {
        Self::Answer(200, Vec::new(), body.to_vec())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), b"because".to_vec())
    }

    /// Its bytes, and whether the connection goes on.
    pub(crate) fn bytes(self) -> Option<(Vec<u8>, bool)> {
        match self {
            Self::Answer(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                head.push_str("\r\n");
                Some(([head.into_bytes(), body].concat(), true))
            }
            Self::Raw(bytes) => Some((bytes, false)),
            Self::Cut => None,
        }
    }
}

impl TestServer {
    pub(crate) fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), handler)
    }

    pub(crate) fn on(
        listener: TcpListener,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (stop, open) = (Arc::clone(&stopped), Arc::clone(&connections));
        let handler: Arc<Handler> = Arc::new(handler);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                open.lock().unwrap().push(stream.try_clone().unwrap());
                let handler = Arc::clone(&handler);
                thread::spawn(move || converse(stream, &*handler));
            }
        });
        Self {
            address,
            stopped,
            connections,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that listens.
        drop(TcpStream::connect(self.address));
        for connection in self.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn converse(mut stream: TcpStream, handler: &Handler) {
    while let Some(request) = Request::read(&mut stream) {
        let Some((bytes, goes_on)) = handler(&request).bytes() else {
            break;
        };
        if stream.write_all(&bytes).is_err() || !goes_on {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}
