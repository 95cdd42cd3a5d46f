//! A server of ours whose connections break: prefetch, resume, and nothing twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use chancery_connect::{AttachError, Attachment, End};

use crate::agent::{Agent, until};
use crate::following::object;
use crate::http::{Reply, Request, TestServer};
use crate::tokens::FakeCard;

/// Hands out numbered templates, one command each, and remembers answers by number.
#[derive(Clone)]
struct Own(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    posts: usize,
    initiations: usize,
    fetches: Vec<u64>,
    answers: BTreeMap<u64, Vec<u8>>,
    last: u64,
    cut: Option<(usize, bool)>,
    forgotten: bool,
}

/// What a POST wants.
enum Asked {
    First,
    Fetch(u64),
    Answer(u64),
}

const SECRET: &str = "a-secret-of-the-session";

impl Own {
    /// So many templates, and a POST, counted from 1, on which the connection breaks before or after it is read.
    fn new(last: u64, cut: Option<(usize, bool)>) -> Self {
        let state = State {
            last,
            cut,
            ..State::default()
        };
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    fn handle(&self, request: &Request) -> Reply {
        let mut state = self.0.0.lock().unwrap();
        state.posts += 1;
        let breaks = state.cut.filter(|(number, _)| *number == state.posts);
        if let Some((_, false)) = breaks {
            return Reply::Cut;
        }
        let number = |name: &str| request.header(name).and_then(|text| text.parse::<u64>().ok());
        let asked = match (request.header("x-chancery-session"), request.body.first()) {
            (None, Some(0xE8)) => {
                assert_eq!(request.header("x-chancery-agent"), Some("1"));
                state.initiations += 1;
                Asked::First
            }
            (Some(SECRET), _) if state.forgotten => return Reply::status(404),
            (Some(SECRET), None) => {
                let wanted = number("x-chancery-fetch").unwrap();
                state.fetches.push(wanted);
                Asked::Fetch(wanted)
            }
            (Some(SECRET), Some(0xAB)) => {
                let answered = number("x-chancery-sequence").unwrap();
                let before = state.answers.insert(answered, request.body.clone());
                assert!(
                    before.is_none_or(|before| before == request.body),
                    "another answer to {answered}"
                );
                Asked::Answer(answered)
            }
            _ => return Reply::status(400),
        };
        self.0.1.notify_all();
        let next = match asked {
            Asked::First => 1,
            Asked::Fetch(next) => next,
            Asked::Answer(number) if state.fetches.contains(&(number + 1)) => {
                return if breaks.is_some() {
                    Reply::Cut
                } else {
                    Reply::ok(&[0xAA, 0])
                };
            }
            Asked::Answer(number) => number + 1,
        };
        let all_answered = |state: &State| (1..=state.last).all(|number| state.answers.contains_key(&number));
        if next > state.last {
            // Held until all is done.
            state = self
                .0
                .1
                .wait_timeout_while(state, Duration::from_secs(20), |state| {
                    !all_answered(state) && !state.forgotten
                })
                .unwrap()
                .0;
            return if state.forgotten {
                Reply::status(404)
            } else {
                Reply::status(204)
            };
        }
        if breaks.is_some() {
            return Reply::Cut;
        }
        let headers = vec![
            ("X-Chancery-Session", SECRET.to_owned()),
            ("X-Chancery-Sequence", next.to_string()),
        ];
        Reply::Answer(200, headers, object(0xAA, &object(0x22, &command(next))))
    }

    fn state<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        let result = look(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
        result
    }
}

/// Chip authentication first, then READ BINARY with the number in its offset.
fn command(number: u64) -> Vec<u8> {
    let number = u8::try_from(number).unwrap();
    match number {
        1 => vec![0x00, 0x86, 0, 0, 2, 0x7C, 0, 0],
        _ => vec![0x00, 0xB1, 0x2F, 0x02, 4, 0x54, 2, 0, number, 0],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_template_is_fetched_while_the_card_works() {
    let card = FakeCard::default();
    card.answer_only(0);
    let own = Own::new(6, None);
    let handler = own.clone();
    let server = TestServer::start(move |request| handler.handle(request));
    let agent = Agent::start(&server.url("/rt/connector"), Attachment::new(card.source()));
    for working_on in 1..=6 {
        until("the card works", || card.seen().len() == working_on);
        let next: Vec<u64> = (2..).take(working_on).collect();
        until("the next template was asked for", || {
            own.state(|state| state.fetches == next)
        });
        card.answer_only(working_on);
    }
    let (ended, _) = agent.ended().await;
    ended.unwrap();
    let seen: Vec<Vec<u8>> = (1..=6).map(command).collect();
    assert_eq!(card.seen(), seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_at_any_post_costs_nothing() {
    // POST 1 is the first, 2 and 3 come with the first template: before chip authentication is known to be done there is no
    // resume.
    for number in 1..=9 {
        for after in [false, true] {
            let card = FakeCard::default();
            let own = Own::new(6, Some((number, after)));
            let handler = own.clone();
            let server = TestServer::start(move |request| handler.handle(request));
            let agent = Agent::start(&server.url("/rt/connector"), Attachment::new(card.source()));
            let (ended, told) = agent.ended().await;
            let case = format!("{number} {after}: {told:?}");
            match ended {
                Ok(()) => {
                    let seen: Vec<Vec<u8>> = (1..=6).map(command).collect();
                    assert_eq!(card.seen(), seen, "{case}");
                    let answered = own.state(|state| state.answers.keys().copied().collect::<Vec<_>>());
                    assert_eq!(answered, (1..=6).collect::<Vec<u64>>(), "{case}");
                    assert_eq!(own.state(|state| state.initiations), 1);
                }
                Err(AttachError::Session(End::Unreachable { .. })) => {
                    assert!(number <= 2, "{case}");
                    assert!(card.resets() == 2 && !card.is_held(), "{case}");
                }
                Err(error) => panic!("{error}: {case}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_gets_the_session_or_a_new_one() {
    let card = FakeCard::default();
    let own = Own::new(200, None);
    own.state(|state| state.last = 3);
    let handler = own.clone();
    let server = TestServer::start(move |request| handler.handle(request));
    let agent = Agent::start(
        &server.url("/rt/connector"),
        Attachment::new(card.source()).permanent(),
    );
    until("the session runs", || agent.count("Ended") >= 1);
    assert_eq!(card.resets(), 2);
    assert!(card.is_held(), "kept for the next session");
    // A restarted server knows nothing of the session: the card is reset, and a new one begins.
    until("another session began", || {
        own.state(|state| state.initiations) >= 2
    });
    agent.stop();
    let (ended, _) = agent.ended().await;
    ended.unwrap();
    assert!(!card.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_forgotten_resets_the_card() {
    let card = FakeCard::default();
    let own = Own::new(0, None);
    own.state(|state| state.last = 2);
    let handler = own.clone();
    let server = TestServer::start(move |request| handler.handle(request));
    card.answer_only(0);
    let agent = Agent::start(&server.url("/rt/connector"), Attachment::new(card.source()));
    until("the card works", || card.seen().len() == 1);
    own.state(|state| state.forgotten = true);
    card.answer_only(2);
    let (ended, _) = agent.ended().await;
    assert!(
        matches!(ended, Err(AttachError::Session(End::Forgotten))),
        "{ended:?}"
    );
    assert_eq!(card.resets(), 2);
}
