//! Enrolled clients, requests of all sizes and speeds, and the end.

use std::{sync::Arc, time::Duration};

use axum::Router;
use chancery_gateway::{
    Addresses, Edge, EdgeError, Service,
    identity::{Usage, make},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{World, call, identity, pair, read, until_closed};

#[tokio::test]
async fn a_certificate_without_its_key_is_no_proof() {
    let world = World::new().await;
    let other = make(Usage::Client, &["other".to_owned()]).unwrap();
    let borrowed = pair(&world.client.certificate, &other.key);
    // The client learns of it when it reads, the handshake's end being its own.
    let answer = match world.connect(world.api(), Some(borrowed)).await {
        Ok(mut stream) => {
            let _ = stream.write_all(call("hsm.list").as_bytes()).await;
            read(&mut stream).await
        }
        Err(_) => String::new(),
    };
    assert_eq!(answer, "");
    let mut stream = world.enrolled().await;
    stream.write_all(call("hsm.list").as_bytes()).await.unwrap();
    let answer = read(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"ok":"hsm.list"}"#),
        "{answer}"
    );
}

#[tokio::test]
async fn who_is_not_enrolled_is_turned_away_before_the_request_is_read() {
    let world = World::new().await;
    let other = make(Usage::Client, &["other".to_owned()]).unwrap();
    let stranger = pair(&other.certificate, &other.key);
    let mut stream = world.connect(world.api(), Some(stranger)).await.unwrap();
    let head = "POST /v1/call HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 401") && answer.contains("nobody"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_that_does_not_say_how_long_it_is_ends_at_the_limit() {
    let world = World::new().await;
    let mut stream = world.enrolled().await;
    let head = "POST /v1/call HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(0x10_0000));
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sent = tokio::spawn(async move { while writer.write_all(chunk.as_bytes()).await.is_ok() {} });
    let mut answer = vec![0; 12];
    reader.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
    drop(reader);
    sent.abort();
}

#[tokio::test]
async fn heads_have_a_limit() {
    let world = World::new().await;
    let mut stream = world.enrolled().await;
    let long = format!(
        "GET /v1/hsms HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let _ = stream.write_all(long.as_bytes()).await;
    let answer = read(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let mut stream = world.enrolled().await;
    let many = format!(
        "GET /v1/hsms HTTP/1.1\r\nhost: localhost\r\n{}\r\n",
        "x: y\r\n".repeat(100)
    );
    let _ = stream.write_all(many.as_bytes()).await;
    let answer = read(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn who_says_nothing_or_too_slowly_is_let_go() {
    let world = World::new().await;
    for address in [world.api(), world.edge.tokens().unwrap()] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let took = until_closed(&mut stream).await;
        assert!((9..=20).contains(&took.as_secs()), "no handshake: {took:?}");
    }
    // Who has shown nothing yet gets less time than who has.
    for sent in ["", "POST /v1/call HTTP/1.1\r\nhost"] {
        let mut stream = world.enrolled().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let took = until_closed(&mut stream).await;
        assert!((9..=20).contains(&took.as_secs()), "{sent:?}: {took:?}");

        let mut stream = world.enrolled().await;
        stream.write_all(call("hsm.list").as_bytes()).await.unwrap();
        read(&mut stream).await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let took = until_closed(&mut stream).await;
        assert!((50..=130).contains(&took.as_secs()), "{sent:?}: {took:?}");
    }
    let mut stream = world.enrolled().await;
    let half = "POST /v1/call HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(half.as_bytes()).await.unwrap();
    let took = until_closed(&mut stream).await;
    assert!((29..=200).contains(&took.as_secs()), "half a body: {took:?}");
}

#[tokio::test]
async fn a_call_in_progress_is_answered_before_the_end() {
    let world = World::new().await;
    let address = world.api();
    let mut busy = world.enrolled().await;
    let mut idle = world.enrolled().await;
    busy.write_all(call("slow").as_bytes()).await.unwrap();
    world.node.called.notified().await;
    let World { edge, node, .. } = world;
    let closing = tokio::spawn(edge.close(Duration::from_secs(10)));
    // The idle one is closed at once, and nobody comes in any more.
    assert_eq!(read(&mut idle).await, "");
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    node.go_on.notify_one();
    let answer = read(&mut busy).await;
    assert!(answer.ends_with(r#"{"ok":"slow"}"#), "{answer}");
    closing.await.unwrap();
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_cut_off_at_the_end() {
    let world = World::new().await;
    let mut busy = world.enrolled().await;
    busy.write_all(call("slow").as_bytes()).await.unwrap();
    world.node.called.notified().await;
    world.edge.close(Duration::from_millis(50)).await;
    assert_eq!(read(&mut busy).await, "");
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_told_and_nothing_listens() {
    let world = World::new().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let tokens = free.local_addr().unwrap();
    drop(free);
    let open = |tokens: String, api: String| {
        let addresses = Addresses {
            tokens: Some(tokens),
            api: Some(api),
        };
        let identity = identity(world.directory.path());
        let node = Arc::clone(&world.node) as Arc<dyn Service>;
        async move { Edge::open(&addresses, identity, Router::new(), node).await }
    };
    let error = open(tokens.to_string(), world.api().to_string())
        .await
        .unwrap_err();
    assert!(
        matches!(error, EdgeError::InUse { address } if address == world.api()),
        "{error}"
    );
    assert!(TcpStream::connect(tokens).await.is_err());
    for text in ["8443", "localhost", "no host:1", ""] {
        let error = open(text.to_owned(), "127.0.0.1:0".to_owned()).await.unwrap_err();
        assert!(matches!(error, EdgeError::Address { .. }), "{text:?}: {error}");
    }
}
