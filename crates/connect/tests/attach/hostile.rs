//! Servers that lie, break rules, or are no servers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chancery_connect::{AttachError, Attachment, End, Policy};

use crate::agent::Agent;
use crate::following::object;
use crate::http::{Reply, TestServer};
use crate::tokens::FakeCard;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn commands(list: &[&str]) -> Vec<u8> {
    let objects: Vec<u8> = list
        .iter()
        .flat_map(|command| object(0x22, &hex(command)))
        .collect();
    object(0xAA, &objects)
}

/// A session with a server that sends one template and then says it is done; what the agent answered.
async fn one_template(body: Vec<u8>, policy: Policy) -> (FakeCard, Vec<u8>, Vec<String>) {
    let card = FakeCard::default();
    let answered = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&answered);
    let server = TestServer::start(move |request| match request.body.first() {
        Some(0xE8) => Reply::ok(&body),
        _ => {
            kept.lock().unwrap().clone_from(&request.body);
            Reply::status(204)
        }
    });
    let agent = Agent::start(
        &server.url("/rt/hsm"),
        Attachment::new(card.source()).with_policy(policy),
    );
    let (_, told) = agent.ended().await;
    let answered = answered.lock().unwrap().clone();
    (card, answered, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lying_server_gets_nothing_to_the_card() {
    let evil = [
        "805000000E 80020001 8106363438323139 9008 00",
        "0020008106 363438323139",
        "002400810C 363438323139363438323138",
        "002C00810E 3537363231383830363438323139",
        "00D7C40107 54020000 530100",
        "00E4020002 CC01",
        "8068027004 01020304 00",
        "8062028004 01020304 00",
        "0C5000001D 871101000102030405060708090A0B0C0D0E0F 8E080102030405060708 00",
        "0C2000811D 871101000102030405060708090A0B0C0D0E0F 8E080102030405060708 00",
        "8C68027 01D 871101000102030405060708090A0B0C0D0E0F 8E080102030405060708 00",
    ]
    .map(|text| text.replace(' ', ""));
    let evil: Vec<&str> = evil.iter().map(String::as_str).collect();
    // A channel is open, as far as the agent can see.
    let opening = ["002241A404 80020000", "0086000004 7C020000 00"];
    let body = commands(&[&opening[..], &evil].concat());
    let (card, answered, told) = one_template(body, Policy::new().with_key(1)).await;
    assert_eq!(card.seen().len(), opening.len(), "{:?}", card.seen());
    let refusals = answered
        .windows(4)
        .filter(|bytes| *bytes == [0x23, 2, 0x69, 0x82])
        .count();
    assert_eq!(refusals, evil.len());
    assert_eq!(
        told.iter().filter(|line| line.starts_with("Refused")).count(),
        evil.len()
    );
    assert!(
        told.last().unwrap().contains(&format!("refused: {}", evil.len())),
        "{told:?}"
    );
    assert!(!told.concat().contains("36343832"));
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_statuses_end_it_with_their_number_and_text() {
    for status in [301, 400, 401, 403, 404, 409, 418, 500, 503] {
        let card = FakeCard::default();
        let server = TestServer::start(move |_| Reply::status(status));
        let agent = Agent::start(&server.url("/rt/hsm"), Attachment::new(card.source()));
        let (ended, _) = agent.ended().await;
        let Err(AttachError::Session(End::Status { status: seen, text })) = ended else {
            panic!("{status}: {ended:?}");
        };
        assert_eq!((seen, text.as_str()), (status, "because"));
        assert!(card.seen().is_empty() && !card.is_held());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let elsewhere = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&elsewhere);
    let other = TestServer::start(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Reply::status(204)
    });
    let target = other.url("/rt/hsm");
    let server =
        TestServer::start(move |_| Reply::Answer(307, vec![("Location", target.clone())], Vec::new()));
    let agent = Agent::start(
        &server.url("/rt/hsm"),
        Attachment::new(FakeCard::default().source()),
    );
    let (ended, _) = agent.ended().await;
    assert!(matches!(
        ended,
        Err(AttachError::Session(End::Status { status: 307, .. }))
    ));
    assert_eq!(elsewhere.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_messages_end_it() {
    let endless = [object(0xAA, &[]), vec![0; 600_000]].concat();
    for body in [
        b"<html>".to_vec(),
        Vec::new(),
        vec![0xAA, 0x83, 0, 0, 0],
        vec![0xAA, 0x82, 0xFF, 0xFF],
        vec![0xAB, 0x03, 0x80, 0x01, 0x00],
    ] {
        let (card, _, told) = one_template(body.clone(), Policy::new()).await;
        assert!(card.seen().is_empty());
        assert!(
            told.last().unwrap().contains("NoTerminalServer"),
            "{body:?}: {told:?}"
        );
    }
    // What follows a message is ignored, however much it is.
    let (_, answered, _) = one_template(endless, Policy::new()).await;
    assert_eq!(answered, [0xAB, 0x03, 0x80, 0x01, 0x00]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_ways_of_framing_an_answer_are_understood() {
    let card = FakeCard::default();
    let server = TestServer::start(|request| {
        match request.body.first() {
        Some(0xE8) => Reply::Raw(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\xAA\x07\x22\x05\r\n5\r\n\x00\x84\x00\x00\x08\r\n0\r\n\r\n"
                .to_vec(),
        ),
        _ if request.body.len() > 5 => {
            Reply::Raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nConnection: close\r\n\r\n\xAA\x00".to_vec())
        }
        _ => Reply::status(204),
    }
    });
    let agent = Agent::start(&server.url("/rt/hsm"), Attachment::new(card.source()));
    let (ended, _) = agent.ended().await;
    ended.unwrap();
    assert_eq!(card.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_said_at_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let card = FakeCard::default();
    let began = Instant::now();
    let secret = format!("http://{address}/rt/t/sEcReT");
    let agent = Agent::start(&secret, Attachment::new(card.source()));
    let (ended, told) = agent.ended().await;
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
    assert!(!error.contains("sEcReT") && !told.concat().contains("sEcReT"));
    assert!(began.elapsed() < Duration::from_secs(10));
}
