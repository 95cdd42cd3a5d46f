//! Attachments that are kept up.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chancery_connect::{AttachError, Attachment, LocalToken};

use crate::agent::{Agent, until};
use crate::http::{Reply, TestServer};
use crate::tokens::{FakeCard, Virtual};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_is_called_again() {
    let card = FakeCard::default();
    let server = TestServer::start(|request| match request.body.first() {
        Some(0xE8) => Reply::ok(&[0xAA, 0]),
        _ => loop {
            std::thread::park();
        },
    });
    let agent = Agent::start(&server.url("/rt/hsm"), Attachment::new(card.source()).permanent());
    until("it is connected", || agent.count("Connected") == 1);
    server.kill();
    until("it waits", || agent.count("Waiting { pause: 1s }") == 1);
    assert!(agent.count("Unreachable") >= 1);
    assert_eq!(card.resets(), 2);
    let sessions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sessions);
    let listener = TcpListener::bind(server.address).unwrap();
    let _again = TestServer::on(listener, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Reply::ok(&[0xAA, 0])
    });
    until("it is connected again", || agent.count("Connected") >= 2);
    agent.stop();
    let (ended, _) = agent.ended().await;
    ended.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_waits_long() {
    let card = FakeCard::default();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let server = TestServer::start(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Reply::status(401)
    });
    let agent = Agent::start(&server.url("/rt/hsm"), Attachment::new(card.source()).permanent());
    until("it waits", || agent.count("Waiting { pause: 600s }") == 1);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    agent.stop();
    let (ended, _) = agent.ended().await;
    ended.unwrap();
    assert!(!card.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_here_is_waited_for() {
    let card = FakeCard::default();
    card.set_gone(true);
    let server = TestServer::start(|_| Reply::ok(&[0xAA, 0]));
    let attachment = Attachment::new(card.source());
    let (ended, _) = Agent::start(&server.url("/rt/hsm"), attachment.clone())
        .ended()
        .await;
    assert!(matches!(ended, Err(AttachError::Take(_))));
    let agent = Agent::start(&server.url("/rt/hsm"), attachment.permanent());
    until("it was looked for", || agent.count("NotTaken") == 1);
    card.set_gone(false);
    until("it is connected", || agent.count("Connected") == 1);
    agent.stop();
    agent.ended().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_held_alone() {
    let token = Virtual::new();
    let server = TestServer::start(|request| match request.body.first() {
        Some(0xE8) => Reply::ok(&[0xAA, 0]),
        _ => {
            std::thread::sleep(std::time::Duration::from_millis(50));
            Reply::ok(&[0xAA, 0])
        }
    });
    let attachment = Attachment::new(LocalToken::new(token.places(), "hsm"));
    let first = Agent::start(&server.url("/rt/hsm"), attachment.clone());
    until("it is connected", || first.count("Connected") == 1);
    let (second, _) = Agent::start(&server.url("/rt/hsm"), attachment.clone())
        .ended()
        .await;
    let error = format!("{:?}", second.unwrap_err());
    assert!(error.contains("InUse"), "{error}");
    first.stop();
    first.ended().await.0.unwrap();
    let third = Agent::start(&server.url("/rt/hsm"), Attachment::new(token.source()));
    until("the next one has it", || third.count("Connected") == 1);
    third.stop();
    third.ended().await.0.unwrap();
}
