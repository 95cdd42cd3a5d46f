//! A relay that delays every byte by the same time in each direction and keeps their order.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// Listens, and passes on to `server` until the runtime ends.
pub(super) async fn start(server: SocketAddr, delay: Duration) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let far = TcpStream::connect(server).await?;
                near.set_nodelay(true)?;
                far.set_nodelay(true)?;
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                tokio::join!(carry(near_in, far_out, delay), carry(far_in, near_out, delay));
                anyhow::Ok(())
            });
        }
    });
    Ok(address)
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, delay: Duration) {
    let (queue, mut queued) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let bytes = buffer.get(..count).unwrap_or_default().to_vec();
            if queue.send((Instant::now() + delay, bytes)).is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((at, bytes)) = queued.recv().await {
            sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        // The other end may be gone already.
        drop(to.shutdown().await);
    };
    tokio::join!(read, write);
}
