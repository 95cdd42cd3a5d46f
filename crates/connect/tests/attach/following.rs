//! A server that keeps to the protocol as other programs speak it: one template at a time, cookie, keep-alive.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use chancery_api::SecretText;
use chancery_connect::{Attachment, LocalToken, Policy};
use chancery_driver::Card;
use chancery_iso7816::{Transport, TransportError};
use zeroize::Zeroizing;

use crate::agent::Agent;
use crate::http::{Reply, Request, TestServer};
use crate::tokens::{FakeCard, Virtual};

/// A card session of the server's: commands in, answers out.
#[derive(Clone, Default)]
pub(crate) struct Desk(Arc<(Mutex<Session>, Condvar)>);

#[derive(Default)]
struct Session {
    requests: Vec<Request>,
    commands: VecDeque<Vec<u8>>,
    answers: VecDeque<Vec<u8>>,
    closed: Option<String>,
    finished: bool,
}

/// How long a POST is held.
const HOLD: Duration = Duration::from_millis(300);

impl Desk {
    pub(crate) fn handle(&self, request: &Request) -> Reply {
        let (session, changed) = &*self.0;
        let mut session = session.lock().unwrap();
        session.requests.push(request.clone());
        let mut headers = Vec::new();
        match request.body.first() {
            Some(0xE8) => headers.push(("Set-Cookie", "JSESSIONID=node0abc123; Path=/rt".to_owned())),
            Some(0xAB) if request.header("cookie") == Some("JSESSIONID=node0abc123") => {
                session.take(&request.body);
                changed.notify_all();
            }
            Some(0xAB) => return Reply::status(404),
            _ => return Reply::status(400),
        }
        if session.closed.is_some() {
            return Reply::Answer(204, headers, Vec::new());
        }
        let mut session = changed
            .wait_timeout_while(session, HOLD, |session| {
                session.commands.is_empty() && !session.finished
            })
            .unwrap()
            .0;
        if session.finished {
            return Reply::Answer(204, headers, Vec::new());
        }
        let objects: Vec<u8> = session
            .commands
            .drain(..)
            .flat_map(|command| object(0x22, &command))
            .collect();
        Reply::Answer(200, headers, object(0xAA, &objects))
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.0.0.lock().unwrap().requests.clone()
    }

    fn finish(&self) {
        self.0.0.lock().unwrap().finished = true;
        self.0.1.notify_all();
    }
}

impl Session {
    /// Takes the results out of an `AB`, by a reading of its own.
    fn take(&mut self, body: &[u8]) {
        let (_, mut rest) = value(body);
        while let Some(&tag) = rest.first() {
            let (object, after) = split(rest);
            match tag {
                0x23 => self.answers.push_back(object.to_vec()),
                0xE1 => self.closed = Some(String::from_utf8_lossy(object).into_owned()),
                _ => {}
            }
            rest = after;
        }
    }
}

/// Sends commands through the server.
impl Transport for Desk {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let (session, changed) = &*self.0;
        session.lock().unwrap().commands.push_back(command.to_vec());
        changed.notify_all();
        let mut session = changed
            .wait_timeout_while(session.lock().unwrap(), Duration::from_secs(30), |session| {
                session.answers.is_empty() && session.closed.is_none()
            })
            .unwrap()
            .0;
        let answer = session.answers.pop_front();
        answer
            .map(Zeroizing::new)
            .ok_or_else(|| TransportError::lost("closed"))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}

pub(crate) fn object(tag: u8, value: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[tag, 0x82, high, low], value].concat()
}

fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (start, length) = match bytes[1] {
        0x81 => (3, usize::from(bytes[2])),
        0x82 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
        short => (2, usize::from(short)),
    };
    (&bytes[start..start + length], &bytes[start + length..])
}

fn value(bytes: &[u8]) -> (u8, &[u8]) {
    (bytes[0], split(bytes).0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_works_with_the_token() {
    let token = Virtual::new();
    let desk = Desk::default();
    let handler = desk.clone();
    let server = TestServer::start(move |request| handler.handle(request));
    let source = LocalToken::new(token.places(), "name:hsm");
    let ticket = SecretText::new("a-ticket-of-this-test".to_owned());
    let agent = Agent::start(
        &server.url("/rt/hsm?x=1"),
        Attachment::new(source)
            .with_policy(Policy::new())
            .with_ticket(ticket),
    );
    let anchors = token.anchors();
    let work = desk.clone();
    tokio::task::spawn_blocking(move || {
        let mut card = Card::new(work).select().unwrap();
        let device = card.device_identity(&anchors).unwrap();
        let mut card = card.secured(&device).map_err(|failed| failed.error).unwrap();
        assert!(card.enumerate().is_ok());
        assert_eq!(card.random(16).unwrap().len(), 16);
        // A PIN does not pass, and the channel in which it was sent is lost.
        let pin = chancery_driver::Pin::new("648219").unwrap();
        let failed = card.verify_pin(&pin).map(drop).unwrap_err();
        assert!(failed.error.status().is_none(), "{}", failed.error);
    })
    .await
    .unwrap();
    desk.finish();
    let (ended, told) = agent.ended().await;
    ended.unwrap();
    let refused: Vec<_> = told.iter().filter(|line| line.contains("Refused")).collect();
    assert_eq!(refused.len(), 1, "{told:?}");
    assert!(refused[0].contains("instruction: 32"), "VERIFY: {refused:?}");
    let requests = desk.requests();
    let first = &requests[0];
    assert_eq!(first.target, "/rt/hsm?x=1");
    assert_eq!(
        first.header("authorization"),
        Some("Bearer a-ticket-of-this-test")
    );
    assert_eq!(first.header("cookie"), None);
    for request in &requests[1..] {
        assert_eq!(request.header("authorization"), None, "the ticket is shown once");
        assert_eq!(
            request.header("x-admin-protocol"),
            Some("openscdp-remote-admin/1.0")
        );
        assert!(
            request
                .header("content-type")
                .unwrap()
                .starts_with("application/org.openscdp")
        );
        assert!(request.header("content-length").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_alives_keep_it_alive() {
    let card = FakeCard::default();
    let desk = Desk::default();
    let handler = desk.clone();
    let server = TestServer::start(move |request| handler.handle(request));
    let agent = Agent::start(&server.url("/rt/hsm"), Attachment::new(card.source()));
    let idle = b"\xAB\x03\x80\x01\x00";
    crate::agent::until("three POSTs without results were made", || {
        desk.requests()
            .iter()
            .filter(|request| request.body == idle)
            .count()
            >= 3
    });
    desk.finish();
    let (ended, told) = agent.ended().await;
    ended.unwrap();
    assert!(
        told.iter()
            .any(|line| line.contains("Ended { end: Completed, refused: 0 }")),
        "{told:?}"
    );
    assert!(!card.is_held());
    assert_eq!(card.resets(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_resets_the_card_and_says_so() {
    let card = FakeCard::default();
    let desk = Desk::default();
    let handler = desk.clone();
    let server = TestServer::start(move |request| handler.handle(request));
    let agent = Agent::start(&server.url("/rt/hsm"), Attachment::new(card.source()).permanent());
    crate::agent::until("it is connected", || agent.count("Connected") == 1);
    agent.stop();
    let (ended, _) = agent.ended().await;
    ended.unwrap();
    assert!(!card.is_held());
    assert_eq!(card.resets(), 2);
    let closed = desk.0.0.lock().unwrap().closed.clone().unwrap();
    assert!(closed.contains("the agent was stopped"), "{closed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pulled_card_is_reported() {
    let card = FakeCard::default();
    let desk = Desk::default();
    let handler = desk.clone();
    let server = TestServer::start(move |request| handler.handle(request));
    let agent = Agent::start(&server.url("/rt/hsm"), Attachment::new(card.source()));
    crate::agent::until("it is connected", || agent.count("Connected") == 1);
    card.set_gone(true);
    let mut work = desk.clone();
    let lost = tokio::task::spawn_blocking(move || work.transmit(&[0, 0x84, 0, 0, 8]))
        .await
        .unwrap();
    assert!(lost.unwrap_err().is_lost());
    let (ended, _) = agent.ended().await;
    assert!(ended.unwrap_err().to_string().contains("the token is lost"));
    let closed = desk.0.0.lock().unwrap().closed.clone().unwrap();
    assert!(closed.contains("pulled"), "{closed}");
}
