//! Tickets: guessed, used, expired, revoked.

use std::time::Duration;

use chancery_api::Hash32;
use chancery_gateway::ram::Options;

use crate::raw::{Client, bytes, hello};
use crate::server::{NAME, Server, TICKET, quick};

#[tokio::test(flavor = "multi_thread")]
async fn only_good_tickets_open_a_session_and_single_ones_once() {
    let mut server = Server::start_with(quick()).await;
    let path = server.ticket("00112233445566778899aabbccddeeff");
    for guess in [
        "/rt/t/00112233445566778899aabbccddeefe",
        "/rt/t/x",
        &format!("/rt/t/{TICKET}"),
    ] {
        assert_eq!(
            Client::new(server.address, guess).post(&hello()).await.status,
            404,
            "{guess}"
        );
    }
    for guess in ["", "x", "00112233445566778899aabbccddeefe"] {
        assert_eq!(
            Client::bearer(server.address, guess).post(&hello()).await.status,
            401,
            "{guess:?}"
        );
    }
    assert_eq!(
        Client::new(server.address, "/rt/connector")
            .post(&hello())
            .await
            .status,
        401
    );
    let mut basic = Client::new(server.address, "/rt/connector");
    basic.with("Authorization", &format!("Basic {TICKET}"));
    assert_eq!(basic.post(&hello()).await.status, 401);

    let mut client = Client::new(server.address, &path);
    assert_eq!(client.post(&hello()).await.status, 200);
    server.came().await;
    // Used: only the cookie counts from now on.
    assert_eq!(
        Client::new(server.address, &path).post(&hello()).await.status,
        404
    );
    assert_eq!(client.post_hex("AB03800100").await.status, 200);
    let mut elsewhere = client.beside();
    elsewhere.path = "/rt/t/anything".to_owned();
    assert_eq!(elsewhere.post_hex("AB03800100").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_ticket_expires() {
    let options = Options {
        ticket: Duration::from_millis(50),
        ..quick()
    };
    let server = Server::start_with(options).await;
    let path = server.ticket("00112233445566778899aabbccddeeff");
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(
        Client::new(server.address, &path).post(&hello()).await.status,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_connector_is_told_and_comes_in_no_more() {
    let mut server = Server::start_with(quick()).await;
    let path = server.ticket("00112233445566778899aabbccddeeff");
    let mut client = Client::bearer(server.address, TICKET);
    client.send(&[], &hello()).await;
    server.came().await;
    let command = server.on_thread(|token| token.transmit(&bytes("0084000008")));
    client.reply().await.unwrap();

    server.connectors.forget(NAME);
    assert!(command.await.unwrap().unwrap_err().is_lost(), "it fails at once");
    assert_eq!(server.went().await, "the connector was revoked");
    let told = client.post_hex("AB07 23029000 800101").await;
    assert_eq!(
        told.body,
        bytes(&format!(
            "AA20 E01E 0201FF 0C19{}",
            hex::encode("the connector was revoked")
        ))
    );
    assert_eq!(client.post_hex("AB03800100").await.status, 204);
    assert_eq!(
        Client::bearer(server.address, TICKET).post(&hello()).await.status,
        401
    );
    assert_eq!(
        Client::new(server.address, &path).post(&hello()).await.status,
        404
    );
    assert!(server.connectors.status(NAME).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_ticket_ends_sessions_of_the_old_one() {
    let mut server = Server::start_with(quick()).await;
    let mut client = Client::bearer(server.address, TICKET);
    client.send(&[], &hello()).await;
    server.came().await;
    let again = Hash32::of(TICKET.as_bytes());
    server
        .connectors
        .allow_connector(NAME, again, Some("UTCHDABCDEF00000".to_owned()));
    let status = server.connectors.status(NAME).unwrap();
    assert!(status.connected.is_some(), "the same ticket changes nothing");
    assert_eq!(status.device.as_deref(), Some("UTCHDABCDEF00000"));
    assert_eq!(
        status.connected.unwrap().address.unwrap().ip(),
        server.address.ip()
    );

    server
        .connectors
        .allow_connector(NAME, Hash32::of(b"another"), None);
    assert_eq!(server.went().await, "the connector has a new ticket");
    let told = client.reply().await.unwrap();
    assert_eq!(told.status, 200, "the notice");
    assert_eq!(
        Client::bearer(server.address, TICKET).post(&hello()).await.status,
        401
    );
}

const SINGLE: &str = "00112233445566778899aabbccddeeff";

/// Status of a first POST with this ticket.
async fn status(server: &Server, path: &str) -> u16 {
    Client::new(server.address, path).post(&hello()).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn what_opens_no_session_costs_no_ticket() {
    let mut server = Server::start_with(quick()).await;
    let path = server.ticket(SINGLE);
    // No first message, in several ways.
    for body in ["", "00", "AB03800100", "E8", "E803C10101"] {
        let status = Client::new(server.address, &path).post_hex(body).await.status;
        assert!([400, 404].contains(&status), "{body}: {status}");
    }
    // Half a message.
    Client::new(server.address, &path).send_half(&[], &hello()).await;
    // No room for another session.
    let mut waiting = Vec::new();
    for n in 0..5 {
        let mut client = Client::bearer(server.address, TICKET);
        client.send(&[], &hello()).await;
        while n > 0 && server.connectors.status(NAME).unwrap().waiting < n {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if n == 0 {
            server.came().await;
        }
        waiting.push(client);
    }
    assert_eq!(status(&server, &path).await, 503);
    drop(waiting);
    while server.connectors.status(NAME).unwrap().connected.is_some() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(status(&server, &path).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_had_its_first_answer_may_come_again() {
    let mut server = Server::start_with(quick()).await;
    let path = server.ticket(SINGLE);
    // Cut before the answer: at once.
    let mut client = Client::new(server.address, &path);
    client.send(&[], &hello()).await;
    server.came().await;
    client.cut();
    assert_eq!(
        server.went().await,
        "the connection broke before the client had its first answer"
    );
    // Cut after it, as far as can be seen here: as soon as the client is known to be gone, and not before.
    let mut client = Client::new(server.address, &path);
    assert_eq!(client.post(&hello()).await.status, 200);
    server.came().await;
    assert_eq!(
        status(&server, &path).await,
        404,
        "somebody has a session with it"
    );
    assert_eq!(server.went().await, "the client fell silent");
    // Used at last, and then for good, however that session ends.
    let mut client = Client::new(server.address, &path);
    assert_eq!(client.post(&hello()).await.status, 200);
    server.came().await;
    assert_eq!(client.post_hex("AB03800100").await.status, 200);
    client.cut();
    assert_eq!(server.went().await, "the client fell silent");
    assert_eq!(status(&server, &path).await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_does_not_come_back_after_its_time_nor_after_its_connector() {
    let options = Options {
        ticket: Duration::from_secs(2),
        ..quick()
    };
    let mut server = Server::start_with(options).await;
    let path = server.ticket(SINGLE);
    let mut client = Client::new(server.address, &path);
    client.send(&[], &hello()).await;
    server.came().await;
    tokio::time::sleep(Duration::from_millis(2010)).await;
    client.cut();
    server.went().await;
    assert_eq!(status(&server, &path).await, 404, "too late");

    let path = server.ticket(SINGLE);
    let mut client = Client::new(server.address, &path);
    client.send(&[], &hello()).await;
    server.came().await;
    server.connectors.forget(NAME);
    server.went().await;
    client.cut();
    server
        .connectors
        .allow_connector(NAME, Hash32::of(TICKET.as_bytes()), None);
    assert_eq!(status(&server, &path).await, 404, "revoked");
}
