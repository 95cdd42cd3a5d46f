//! Tokens in this process's readers, and the journal of what each did. Other processes reach them through a socket.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use chancery_iso7816::{Transport, TransportError};
use chancery_node::SystemClock;
use chancery_reader::{
    Inserted, Stop,
    socket::{Offer, SocketReader},
};
use chancery_vtoken::{AtRest, VirtualToken};

/// What a signature takes: the tokens are what everything waits for, not the machine the test runs on.
const SIGNATURE: Duration = Duration::from_millis(250);

/// Something a token did.
#[derive(Clone, Debug)]
pub(crate) enum Did {
    /// It was reset: nobody's answers count any more.
    Reset,
    /// It signed this, with this key.
    Signed { key: u8, input: Vec<u8> },
}

/// What a token did and when, in milliseconds since the Unix epoch.
pub(crate) type Journal = Arc<Mutex<Vec<(i128, Did)>>>;

/// The time, in milliseconds since the Unix epoch.
pub(crate) fn now() -> i128 {
    SystemClock.now().unix_timestamp_nanos() / 1_000_000
}

fn note(journal: &Journal, did: Did) {
    journal.lock().unwrap().push((now(), did));
}

/// A token and its journal.
struct Watched {
    token: VirtualToken,
    journal: Journal,
}

impl Transport for Watched {
    fn transmit(&mut self, command: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, TransportError> {
        self.token.transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        note(&self.journal, Did::Reset);
        self.token.reset()
    }
}

impl Inserted for Watched {
    fn atr(&self) -> &[u8] {
        self.token.atr()
    }
}

/// A reader with a token in it.
pub(crate) struct Reader {
    pub(crate) journal: Journal,
    stop: Stop,
    served: Option<JoinHandle<()>>,
}

impl Reader {
    /// Opens a token and serves it on a socket.
    pub(crate) fn with(name: &str, token: &Path, at_rest: &AtRest, socket: &Path) -> Self {
        let mut token = VirtualToken::open(token, at_rest).unwrap();
        let journal = Journal::default();
        let told = Arc::clone(&journal);
        token.set_delay(SIGNATURE);
        token.set_witness(Box::new(move |key, input| {
            let input = input.to_vec();
            note(&told, Did::Signed { key, input });
        }));
        let watched = Watched {
            token,
            journal: Arc::clone(&journal),
        };
        let reader = SocketReader::bind(socket).unwrap();
        let (name, stop) = (name.to_owned(), Stop::new());
        let stopped = stop.clone();
        let served = thread::spawn(move || reader.serve(&name, Offer::Token(watched), &stopped).unwrap());
        Self {
            journal,
            stop,
            served: Some(served),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(served) = self.served.take() {
            let _ = served.join();
        }
    }
}
