//! What HTTP clients in the field need, and clients that lie.

use chancery_iso7816::TransportError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::raw::{ATR, Client, bytes, hello};
use crate::server::{NAME, Server, TICKET, quick};

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_exchange_goes_as_it_went() {
    let mut server = Server::start_with(quick()).await;
    let path = server.ticket("0123456789abcdef0123456789abcdef");
    let mut client = Client::new(server.address, &path);
    client.with("Cookie", "");
    client.send(&[], &hello()).await;
    server.came().await;
    let select = server.on_thread(|token| {
        let select = token.transmit(&bytes("00A404000BE82B0601040181C31F020100"));
        (select, token.reset())
    });
    let first = client.reply().await.unwrap();
    assert_eq!(first.status, 200);
    assert_eq!(first.body, bytes("AA13 2211 00A404000BE82B0601040181C31F020100"));
    assert_eq!(first.header("content-length"), Some("21"));
    assert_eq!(first.header("transfer-encoding"), None);
    assert_eq!(first.count("set-cookie"), 1);
    let cookie = first.header("set-cookie").unwrap().to_owned();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/rt; Secure; HttpOnly");
    assert!(!cookie.contains("0123456789abcdef"), "{cookie}");
    assert_eq!(first.sequence(), None);
    assert_eq!(first.header("x-chancery-session"), None);

    client.with("Cookie", &format!("theme=dark; {pair}"));
    let reset = client.post_hex("AB0E 2309 6F0585030205019000 800101").await;
    assert_eq!(reset.body, bytes("AA02C000"));
    assert_eq!(reset.count("set-cookie"), 0);
    // On another connection, as after a `Connection: close`.
    client.cut();
    let alive = client.post_hex(&format!("AB1D C018{ATR} 800100")).await;
    assert_eq!(alive.body, bytes("AA00"));
    let (response, reset) = select.await.unwrap();
    assert_eq!(*response.unwrap(), bytes("6F0585030205019000"));
    reset.unwrap();
    let alive = client.post_hex("AB03800100").await;
    assert_eq!((alive.status, alive.body), (200, bytes("AA00")));

    server.connectors.close();
    let over = client.post_hex("AB03800100").await;
    assert_eq!(over.status, 204);
    assert_eq!(server.went().await, "the node stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_is_refused_and_harms_nobody() {
    let mut server = Server::start_with(quick()).await;
    let mut client = Client::bearer(server.address, TICKET);
    for body in [
        "",
        "00",
        "AA00",
        "3C68746D6C3E",
        "E8",
        "E803C10101",
        "E8820000",
        "AB",
    ] {
        assert_eq!(client.post_hex(body).await.status, 400, "{body}");
    }
    assert_eq!(client.post(&[0xE8; 128 * 1024 + 1]).await.status, 413);
    client.cut();
    assert_eq!(client.post_hex("AB03800100").await.status, 404);
    client.with("Cookie", "chancery-rt=0000");
    assert_eq!(client.post_hex("AB03800100").await.status, 404);
    assert!(server.connectors.status(NAME).unwrap().connected.is_none());

    // Huge lengths and broken numbers within a session: refused, and the command still waits for its answer.
    client.send(&[], &hello()).await;
    server.came().await;
    let command = server.on_thread(|token| token.transmit(&bytes("0084000008")));
    client.reply().await.unwrap();
    for body in [
        "AB82FFFF 23020000",
        "AB05 2382FFFF90",
        "AB8300000323029000",
        "AB078005000000000190",
    ] {
        assert_eq!(client.post_hex(body).await.status, 400, "{body}");
    }
    assert_eq!(client.post_hex("AB07 23029000 8001FF").await.body, bytes("AA00"));
    assert_eq!(*command.await.unwrap().unwrap(), bytes("9000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_counts_fail_what_they_concern() {
    let mut server = Server::start_with(quick()).await;
    let mut client = Client::bearer(server.address, TICKET);
    client.send(&[], &hello()).await;
    server.came().await;
    // None for one: the exchange is lost, the session goes on.
    let command = server.on_thread(|token| {
        (
            token.transmit(&bytes("0084000008")),
            token.transmit(&bytes("0084000008")),
        )
    });
    client.reply().await.unwrap();
    let next = client.post_hex("AB03 800101").await;
    assert_eq!(next.body, bytes("AA0722050084000008"));
    // Two for one: the client is not to be trusted.
    let over = client.post_hex("AB0B 23029000 23029000 800101").await;
    assert_eq!(over.status, 204);
    let (lost, done) = command.await.unwrap();
    assert!(matches!(lost, Err(TransportError::Failed { .. })), "{lost:?}");
    assert_eq!(*done.unwrap(), bytes("9000"));
    assert_eq!(server.went().await, "the client answered more than it was asked");
    // A late answer.
    assert!(matches!(
        client.post_hex("AB07 23029000 800101").await.status,
        204 | 404
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_post_is_refused_unless_it_closes_the_session() {
    let mut server = Server::start().await;
    let mut client = Client::bearer(server.address, TICKET);
    client.send(&[], &hello()).await;
    server.came().await;
    let command = server.on_thread(|token| token.transmit(&bytes("0084000008")));
    client.reply().await.unwrap();
    client
        .send(&[], &bytes("AB0F 230A00010203040506079000 800101"))
        .await;
    command.await.unwrap().unwrap();
    // That one is held now.
    let mut beside = client.beside();
    assert_eq!(beside.post_hex("AB03800100").await.status, 409);
    assert_eq!(beside.post_hex("AB07 23029000 800101").await.status, 409);
    let close = beside.post_hex("AB0A E1050C03627965 800100").await;
    assert_eq!(close.status, 204);
    assert_eq!(client.reply().await.unwrap().status, 204);
    assert_eq!(server.went().await, "the client ended the session: bye");
    let status = server.connectors.status(NAME).unwrap();
    assert!(status.connected.is_none());
    assert_eq!(status.lost.unwrap().because, "the client ended the session: bye");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
    let server = Server::start_with(quick()).await;
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /rt/connector HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TICKET}\r\n\
         Expect: 100-continue\r\nContent-Length: 28\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&hello()).await.unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_is_gone_and_an_answer_after_that_finds_nothing() {
    let mut server = Server::start_with(quick()).await;
    let mut client = Client::bearer(server.address, TICKET);
    assert_eq!(client.post(&hello()).await.body, bytes("AA00"));
    server.came().await;
    assert_eq!(server.went().await, "the client fell silent");
    assert_eq!(client.post_hex("AB03800100").await.status, 404);
}
