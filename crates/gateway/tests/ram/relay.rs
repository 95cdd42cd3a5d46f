//! A TCP relay that delays every byte by the same time in each direction, keeps their order, and can be severed.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// A line to a server.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    severed: watch::Sender<bool>,
}

impl Relay {
    /// Listens before `server`.
    pub(crate) async fn start(server: SocketAddr, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (severed, sever) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let mut sever = sever.clone();
                if *sever.borrow() {
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(server).await else {
                        return;
                    };
                    near.set_nodelay(true).unwrap();
                    far.set_nodelay(true).unwrap();
                    let (near_in, near_out) = near.into_split();
                    let (far_in, far_out) = far.into_split();
                    tokio::select! {
                        _ = sever.wait_for(|severed| *severed) => {}
                        _ = async { tokio::join!(carry(near_in, far_out, delay), carry(far_in, near_out, delay)) } => {}
                    }
                });
            }
        });
        Self { address, severed }
    }

    /// Cuts every connection, and lets nobody through until it is mended.
    pub(crate) fn sever(&self) {
        self.severed.send_replace(true);
    }

    pub(crate) fn mend(&self) {
        self.severed.send_replace(false);
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    delay: Duration,
) {
    let (queue, mut queued) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let _ = queue.send((Instant::now() + delay, buffer[..count].to_vec()));
        }
    };
    let write = async move {
        while let Some((at, bytes)) = queued.recv().await {
            sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
