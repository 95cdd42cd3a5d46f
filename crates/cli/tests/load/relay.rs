//! A relay whose connections can be cut, and that can stay down for a while.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// Carries connections to one address until the process ends.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    line: Arc<Mutex<Line>>,
}

struct Line {
    carried: Vec<[TcpStream; 2]>,
    down_until: Instant,
}

impl Relay {
    pub(crate) fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let line = Arc::new(Mutex::new(Line {
            carried: Vec::new(),
            down_until: Instant::now(),
        }));
        let (server, shared) = (server.to_owned(), Arc::clone(&line));
        thread::spawn(move || {
            for near in listener.incoming() {
                let mut line = shared.lock().unwrap();
                let Ok(near) = near else { return };
                // Down, or no node there: a connection that is closed.
                if Instant::now() < line.down_until {
                    continue;
                }
                let Ok(far) = TcpStream::connect(&server) else {
                    continue;
                };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    from.set_nodelay(true).unwrap();
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || {
                        // Ended by either side, or by a cut: the other one ends, too.
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                        let _ = from.shutdown(Shutdown::Both);
                    });
                }
                line.carried.push([near, far]);
            }
        });
        Self { address, line }
    }

    /// Cuts every connection, wherever it is in what it carries; no other is carried for a while.
    pub(crate) fn cut(&self, down: Duration) {
        let mut line = self.line.lock().unwrap();
        line.down_until = line.down_until.max(Instant::now() + down);
        for stream in line.carried.drain(..).flatten() {
            // One that has ended is not there any more.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Waits until connections are carried again.
    pub(crate) fn is_up_again(&self) {
        let until = self.line.lock().unwrap().down_until;
        thread::sleep(until.saturating_duration_since(Instant::now()));
    }
}
