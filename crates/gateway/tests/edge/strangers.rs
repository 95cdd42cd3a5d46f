//! What is read of people without a ticket, how much of theirs is held, and for how long.

use std::time::Duration;

use bytes::Bytes;
use chancery_ram::message::Initiation;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::client::TlsStream;

use crate::world::{NAME, TICKET, World, until_closed};

/// A POST with so long a body, which does not come.
fn head(path: &str, length: usize, more: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{more}\r\n")
}

fn bearer(ticket: &str) -> String {
    format!("authorization: Bearer {ticket}\r\n")
}

/// The first line of what comes.
async fn status(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut line = vec![0; 12];
    timeout(Duration::from_secs(8), stream.read_exact(&mut line))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(line).unwrap()
}

async fn stranger(world: &World) -> TlsStream<TcpStream> {
    world.connect(world.tokens(), None).await.unwrap()
}

#[tokio::test]
async fn nothing_is_read_of_a_request_without_a_good_ticket() {
    let world = World::new().await;
    let wrong = bearer("00112233445566778899aabbccddeeff");
    for (path, more, expected) in [
        ("/rt/connector", "", "401"),
        ("/rt/connector", &*wrong, "401"),
        ("/rt/connector", "cookie: chancery-rt=00\r\n", "404"),
        ("/rt/connector", "x-chancery-session: 00\r\n", "404"),
        ("/rt/t/00112233445566778899aabbccddeeff", "", "404"),
        ("/rt/t/x", &*bearer(TICKET), "404"),
        ("/somewhere", "", "404"),
    ] {
        // Who waits to be asked for the body is told at once, and not asked.
        let mut stream = stranger(&world).await;
        let asked = head(path, 60_000, &format!("{more}expect: 100-continue\r\n"));
        stream.write_all(asked.as_bytes()).await.unwrap();
        let answer = status(&mut stream).await;
        assert_eq!(answer, format!("HTTP/1.1 {expected}"), "{path} {more}");
    }
    // Who is about to send it anyhow gets the answer, too.
    let mut stream = stranger(&world).await;
    let asked = head("/rt/connector", 60_000, &wrong);
    stream.write_all(asked.as_bytes()).await.unwrap();
    assert_eq!(status(&mut stream).await, "HTTP/1.1 401");
}

#[tokio::test]
async fn a_good_ticket_without_a_session_brings_little_and_soon() {
    let world = World::new().await;
    let ticket = bearer(TICKET);
    let mut long = stranger(&world).await;
    let asked = head("/rt/connector", 1025, &ticket);
    long.write_all(asked.as_bytes()).await.unwrap();
    long.write_all(&[0xE8; 1025]).await.unwrap();
    assert_eq!(status(&mut long).await, "HTTP/1.1 413");
    let mut slow = stranger(&world).await;
    let asked = head("/rt/connector", 1024, &ticket);
    slow.write_all(asked.as_bytes()).await.unwrap();
    slow.write_all(&[0xE8]).await.unwrap();
    slow.flush().await.unwrap();
    tokio::time::pause();
    let begun = Instant::now();
    let mut line = vec![0; 12];
    slow.read_exact(&mut line).await.unwrap();
    assert_eq!(line, b"HTTP/1.1 408");
    assert!(
        (9..=12).contains(&begun.elapsed().as_secs()),
        "{:?}",
        begun.elapsed()
    );
    assert!(world.connectors.status(NAME).unwrap().connected.is_none());
}

#[tokio::test]
async fn a_stranger_is_let_go_soon() {
    let world = World::new().await;
    for sent in ["", "POST /rt/connector HTTP/1.1\r\nhost"] {
        let mut stream = stranger(&world).await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let took = until_closed(&mut stream).await;
        assert!((9..=20).contains(&took.as_secs()), "{sent:?}: {took:?}");
    }
    // One byte of a head now and then does not help.
    let mut stream = stranger(&world).await;
    tokio::time::pause();
    let begun = Instant::now();
    let head = "POST /rt/connector HTTP/1.1\r\nx: "
        .bytes()
        .chain(std::iter::repeat(b'x'));
    for byte in head {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
            break;
        }
        assert!(begun.elapsed().as_secs() <= 25, "still listened to");
    }
}

/// An HTTP/2 connection of a stranger.
async fn h2(world: &World) -> h2::client::SendRequest<Bytes> {
    let stream = world.connect_with(world.tokens(), None, &[b"h2"]).await.unwrap();
    let (send, connection) = h2::client::Builder::new()
        .max_send_buffer_size(16 << 20)
        .handshake::<_, Bytes>(stream)
        .await
        .unwrap();
    tokio::spawn(connection);
    send.ready().await.unwrap()
}

fn post(ticket: &str) -> axum::http::Request<()> {
    axum::http::Request::post("https://localhost/rt/connector")
        .header("authorization", format!("Bearer {ticket}"))
        .body(())
        .unwrap()
}

#[tokio::test]
async fn many_requests_of_one_connection_hold_little_and_are_all_answered() {
    let world = World::new().await;
    let mut client = h2(&world).await;
    // The server's settings are here after one answer.
    let (answer, _) = client.send_request(post("guess"), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 401);
    let mut granted = 0;
    let mut bodies = Vec::new();
    for _ in 0..64 {
        client = client.ready().await.unwrap();
        let (answer, mut body) = client.send_request(post("guess"), false).unwrap();
        body.reserve_capacity(8 << 20);
        granted += body.capacity();
        bodies.push((answer, body));
    }
    assert!(granted <= 65_535, "{granted} bytes could be sent unasked");
    for (answer, _body) in bodies {
        let answer = timeout(Duration::from_secs(5), answer).await.unwrap();
        assert_eq!(answer.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn an_agent_speaks_http_2_as_well() {
    let world = World::new().await;
    let mut changes = world.connectors.changes();
    let client = h2(&world).await;
    let atr = vec![0x3B, 0x00];
    let hello = Initiation {
        atr,
        max_command: None,
        max_response: None,
    };
    let mut client = client.ready().await.unwrap();
    let (answer, mut body) = client.send_request(post(TICKET), false).unwrap();
    let hello = hello.encode().unwrap().to_vec();
    body.send_data(hello.into(), true).unwrap();
    changes.recv().await.unwrap();
    // The connection goes while the answer is waited for: nobody has the session any more.
    drop((answer, body, client));
    let went = timeout(Duration::from_secs(5), changes.recv()).await.unwrap();
    let went = format!("{:?}", went.unwrap());
    assert!(went.contains("before the client had its first answer"), "{went}");
}

/// As many strangers as one address may have.
const STRANGERS: usize = 128;

#[tokio::test]
async fn strangers_of_one_address_wait_for_each_other_and_hinder_nobody_else() {
    let world = World::new().await;
    let mut changes = world.connectors.changes();
    let mut change = async || format!("{:?}", changes.recv().await.unwrap());
    // An agent that is attached.
    let mut agent = stranger(&world).await;
    let hello = [
        head("/rt/connector", 4, &bearer(TICKET)).as_bytes(),
        &[0xE8, 2, 0xC0, 0],
    ]
    .concat();
    agent.write_all(&hello).await.unwrap();
    assert!(change().await.starts_with("Came"));
    let mut strangers = Vec::new();
    for _ in 0..STRANGERS {
        strangers.push(stranger(&world).await);
    }
    let mut next = std::pin::pin!(world.connect(world.tokens(), None));
    let early = timeout(Duration::from_millis(300), next.as_mut()).await;
    assert!(early.is_err(), "one more was let in");
    // Who has shown that he belongs here is none of them: the agent's session ends in order over its connection.
    world.connectors.close();
    assert!(change().await.contains("the node stops"));
    assert_eq!(status(&mut agent).await, "HTTP/1.1 204");
    strangers.pop();
    let mut let_in = timeout(Duration::from_secs(5), next).await.unwrap().unwrap();
    // One that shows a good ticket makes room for another.
    let_in.write_all(&hello).await.unwrap();
    let another = timeout(Duration::from_secs(5), stranger(&world)).await;
    assert!(another.is_ok());
}
