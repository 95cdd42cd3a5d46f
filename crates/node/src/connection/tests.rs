use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use chancery_api::Reply;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::task::JoinHandle;

use super::*;

/// Answers `echo` with its parameters and `slow` after an hour.
#[derive(Default)]
struct Stub {
    stop: AtomicBool,
}

impl Service for Stub {
    async fn call(&self, caller: Caller, method: &str, params: &RawValue) -> Result<Buffer, Failure> {
        match method {
            "echo" => wire::ok(&params),
            "who" => wire::ok(&caller.uid),
            "slow" => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                wire::ok(&"late")
            }
            "stop" => {
                self.stop.store(true, Ordering::Release);
                wire::ok(&())
            }
            _ => Err(Failure::new(FailureKind::NotFound, "no")),
        }
    }

    fn stop_asked(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

struct Peer {
    replies: BufReader<ReadHalf<DuplexStream>>,
    calls: Option<WriteHalf<DuplexStream>>,
    task: JoinHandle<()>,
    asked: watch::Receiver<bool>,
    end: watch::Sender<bool>,
}

impl Peer {
    fn connect() -> Self {
        Self::of(&Arc::new(Stub::default()))
    }

    fn of(service: &Arc<Stub>) -> Self {
        let service = Arc::clone(service);
        let (near, far) = duplex(64 * 1024);
        let (end, ends) = watch::channel(false);
        let (ask, asked) = watch::channel(false);
        let (reader, writer) = split(far);
        let task = tokio::spawn(async move {
            run(
                &*service,
                Caller { uid: 17 },
                reader,
                writer,
                Ending { ends, ask },
            )
            .await;
        });
        let (replies, calls) = split(near);
        Self {
            replies: BufReader::new(replies),
            calls: Some(calls),
            task,
            asked,
            end,
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.calls.as_mut().unwrap().write_all(bytes).await.unwrap();
    }

    async fn call(&mut self, method: &str, params: &str) -> Reply {
        self.send(format!("{{\"v\":1,\"method\":\"{method}\",\"params\":{params}}}\n").as_bytes())
            .await;
        self.reply().await
    }

    async fn reply(&mut self) -> Reply {
        let mut line = String::new();
        self.replies.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn invalid(&mut self) {
        match self.reply().await {
            Reply::Failed(failure) => assert_eq!(failure.kind, FailureKind::Invalid),
            Reply::Ok(value) => panic!("answered {value}"),
        }
    }

    /// Nothing more comes.
    async fn closed(mut self) {
        let mut rest = Vec::new();
        self.replies.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
        self.task.await.unwrap();
    }
}

fn value(reply: Reply) -> serde_json::Value {
    match reply {
        Reply::Ok(value) => value,
        Reply::Failed(failure) => panic!("{failure}"),
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_answered_in_order_also_when_sent_at_once() {
    let mut peer = Peer::connect();
    assert_eq!(value(peer.call("who", "{}").await), 17);
    let calls: String = (0..50)
        .map(|n| format!("{{\"v\":1,\"method\":\"echo\",\"params\":{n}}}\r\n"))
        .collect();
    peer.send(calls.as_bytes()).await;
    for n in 0..50 {
        assert_eq!(value(peer.reply().await), n);
    }
    peer.calls = None;
    drop(peer.end);
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_leaves_the_connection_and_garbage_does_not() {
    for garbage in [
        &b"\n"[..],
        b"{]\n",
        b"\xff\xfe\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"[1,2]\n",
    ] {
        let mut peer = Peer::connect();
        assert!(matches!(peer.call("none", "{}").await, Reply::Failed(f) if f.kind == FailureKind::NotFound));
        peer.send(garbage).await;
        peer.invalid().await;
        peer.closed().await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_version_is_answered_as_such() {
    let mut peer = Peer::connect();
    peer.send(b"{\"v\":9,\"what\":\"ever\"}\n").await;
    assert!(matches!(peer.reply().await, Reply::Failed(f) if f.kind == FailureKind::Version));
    peer.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_line_that_never_ends_is_cut_off_by_size_and_by_time() {
    let mut peer = Peer::connect();
    let mut calls = peer.calls.take().unwrap();
    let flood = tokio::spawn(async move {
        let chunk = vec![b'x'; 64 * 1024];
        while calls.write_all(&chunk).await.is_ok() {}
    });
    peer.invalid().await;
    peer.closed().await;
    flood.await.unwrap();

    let mut peer = Peer::connect();
    let begun = Instant::now();
    peer.send(b"{\"v\":1,").await;
    let calls = peer.calls.take();
    peer.closed().await;
    assert_eq!(begun.elapsed(), LINE);
    drop(calls);
}

#[tokio::test(start_paused = true)]
async fn a_half_line_is_no_call() {
    let mut peer = Peer::connect();
    peer.send(b"{\"v\":1,\"method\":\"stop\",\"params\":{}}").await;
    peer.calls.take().unwrap().shutdown().await.unwrap();
    peer.invalid().await;
    assert!(!*peer.asked.borrow());
    peer.closed().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_its_time() {
    let mut peer = Peer::connect();
    value(peer.call("echo", "1").await);
    let begun = Instant::now();
    let calls = peer.calls.take();
    peer.closed().await;
    assert_eq!(begun.elapsed(), IDLE);
    drop(calls);
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_holds_up_nobody_else() {
    let service = Arc::new(Stub::default());
    let (mut slow, mut quick) = (Peer::of(&service), Peer::of(&service));
    let begun = Instant::now();
    slow.send(b"{\"v\":1,\"method\":\"slow\",\"params\":{}}\n").await;
    assert_eq!(value(quick.call("echo", "1").await), 1);
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(value(slow.reply().await), "late");
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_stop_comes_before_the_end() {
    let mut peer = Peer::connect();
    assert!(!*peer.asked.borrow());
    assert_eq!(value(peer.call("stop", "{}").await), serde_json::Value::Null);
    peer.asked.wait_for(|asked| *asked).await.unwrap();
    peer.end.send_replace(true);
    peer.closed().await;
}

#[tokio::test(start_paused = true)]
async fn at_the_end_a_waiting_connection_closes_and_a_fresh_or_busy_one_is_answered_first() {
    let mut waiting = Peer::connect();
    value(waiting.call("echo", "1").await);
    waiting.end.send_replace(true);
    let calls = waiting.calls.take();
    let begun = Instant::now();
    waiting.closed().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    drop(calls);

    let mut fresh = Peer::connect();
    fresh.end.send_replace(true);
    tokio::time::sleep(FRESH / 2).await;
    assert_eq!(value(fresh.call("echo", "2").await), 2);
    let calls = fresh.calls.take();
    fresh.closed().await;
    drop(calls);

    let mut busy = Peer::connect();
    busy.send(b"{\"v\":1,\"method\":\"slow\",\"params\":{}}\n").await;
    tokio::task::yield_now().await;
    busy.end.send_replace(true);
    assert_eq!(value(busy.reply().await), "late");
    let calls = busy.calls.take();
    busy.closed().await;
    drop(calls);
}
