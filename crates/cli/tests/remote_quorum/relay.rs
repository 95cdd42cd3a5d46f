//! A relay that is slow and keeps the order of bytes.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// What a byte takes in one direction.
const DELAY: Duration = Duration::from_millis(25);

/// Carries what comes to one address to another, until the process ends; how many connections it carried.
pub(crate) fn relay(from: &str, to: &str) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind(from).unwrap();
    let carried = Arc::new(AtomicUsize::new(0));
    let (count, to) = (Arc::clone(&carried), to.to_owned());
    thread::spawn(move || {
        for near in listener.incoming() {
            let Ok(near) = near else { return };
            // A node that is not there is a connection that is closed.
            let Ok(far) = TcpStream::connect(&to) else {
                continue;
            };
            count.fetch_add(1, Ordering::SeqCst);
            for (from, to) in [(&near, &far), (&far, &near)] {
                let _ = from.set_nodelay(true);
                carry(from.try_clone().unwrap(), to.try_clone().unwrap());
            }
        }
    });
    carried
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let (read, waiting) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if read
                .send((Instant::now() + DELAY, buffer[..length].to_vec()))
                .is_err()
            {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in waiting {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
