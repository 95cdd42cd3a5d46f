//! A session, a card and the posts between them and a server that is the test itself.

use std::collections::VecDeque;
use std::time::Duration;

use chancery_ram::client::{
    Action, CardDid, CardWork, End, Event, Post, PostKind, Reply, Session, Unreached,
};
use chancery_ram::message::{CommandObject, CommandTemplate, ResponseObject, ResponseTemplate};
use chancery_ram::policy::Policy;
use zeroize::Zeroizing;

/// ATR of a token, as in recorded exchanges.
pub(crate) const ATR: &str = "3BFE18000081 31FE458031815448534D31738021408107FA";

/// What a card says to a command.
type Answers = Box<dyn FnMut(&[u8]) -> CardDid>;

pub(crate) struct World {
    pub(crate) session: Session,
    pub(crate) now: Duration,
    /// Commands that reached the card.
    pub(crate) seen: Vec<Vec<u8>>,
    pub(crate) resets: usize,
    /// Posts that were made and not looked at, but for fetches.
    pub(crate) posts: VecDeque<Post>,
    /// Fetches that were made and not looked at.
    pub(crate) fetches: VecDeque<Post>,
    pub(crate) events: Vec<Event>,
    pub(crate) end: Option<End>,
    answers: Answers,
    /// Whether the card answers only when the test says so.
    pub(crate) slow: bool,
    work: Option<CardWork>,
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    hex::decode(text.split_whitespace().collect::<String>()).unwrap()
}

/// `9000` to everything, eight bytes before it to GET CHALLENGE.
pub(crate) fn good_card(command: &[u8]) -> CardDid {
    let answer = match command {
        [_, 0x84, ..] => hex("0001020304050607 9000"),
        [_, 0x86, ..] => hex("7C14 8108 0102030405060708 8208 0102030405060708 9000"),
        [0x0C | 0x8C, ..] => hex("9902 9000 8E08 0102030405060708 9000"),
        _ => hex("9000"),
    };
    CardDid::Answered(Zeroizing::new(answer))
}

impl World {
    pub(crate) fn new(policy: Policy, card: impl FnMut(&[u8]) -> CardDid + 'static) -> Self {
        let mut world = Self {
            session: Session::new(policy),
            now: Duration::from_secs(1000),
            seen: Vec::new(),
            resets: 0,
            posts: VecDeque::new(),
            fetches: VecDeque::new(),
            events: Vec::new(),
            end: None,
            answers: Box::new(card),
            slow: false,
            work: None,
        };
        world.run();
        world
    }

    /// Does what the session wants until it wants nothing more.
    pub(crate) fn run(&mut self) {
        while let Some(action) = self.session.poll(self.now) {
            match action {
                Action::Post(post) if matches!(post.kind, PostKind::Fetch(_)) => self.fetches.push_back(post),
                Action::Post(post) => self.posts.push_back(post),
                Action::Tell(event) => self.events.push(event),
                Action::End(end) => {
                    assert_eq!(self.end.replace(end), None, "it ends once");
                }
                Action::Card(work) => {
                    assert!(self.work.is_none(), "one thing at a time");
                    self.work = Some(work);
                    if !self.slow {
                        self.card();
                    }
                }
            }
        }
    }

    /// The card does what it is at.
    pub(crate) fn card(&mut self) {
        let did = match self.work.take().expect("work for the card") {
            CardWork::Transmit(command) => {
                self.seen.push(command.to_vec());
                (self.answers)(&command)
            }
            CardWork::Reset => {
                self.resets += 1;
                CardDid::Reset(hex(ATR))
            }
        };
        self.session.card_did(did);
    }

    /// The card finishes one thing, and the session goes on.
    pub(crate) fn card_finishes(&mut self) {
        self.card();
        self.run();
    }

    pub(crate) fn is_card_busy(&self) -> bool {
        self.work.is_some()
    }

    /// The next post.
    #[track_caller]
    pub(crate) fn post(&mut self) -> Post {
        self.posts.pop_front().expect("a post")
    }

    /// The next fetch, which wants this template.
    #[track_caller]
    pub(crate) fn fetch(&mut self, number: u64) -> Post {
        let post = self.fetches.pop_front().expect("a fetch");
        assert_eq!(post.kind, PostKind::Fetch(number));
        assert!(post.body.is_empty());
        post
    }

    /// The next post has this body.
    #[track_caller]
    pub(crate) fn posted(&mut self, body: &str) -> Post {
        let post = self.post();
        assert_eq!(hex::encode_upper(&post.body), hex::encode_upper(hex(body)));
        post
    }

    pub(crate) fn replies(&mut self, post: &Post, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        let reply = Reply::new(status, headers.iter().copied(), Zeroizing::new(body.to_vec()));
        self.session.replied(post.id, Ok(reply), self.now);
        self.run();
    }

    /// The server answers with this template.
    pub(crate) fn ok(&mut self, post: &Post, body: &str) {
        self.replies(post, 200, &[], &hex(body));
    }

    /// Our own server answers with a numbered template.
    pub(crate) fn numbered(&mut self, post: &Post, number: u64, body: &[u8]) {
        let number = number.to_string();
        let headers = [("X-Chancery-Session", "secret"), ("X-Chancery-Sequence", &number)];
        self.replies(post, 200, &headers, body);
    }

    /// Our own server acknowledges an answer.
    pub(crate) fn acknowledged(&mut self, post: &Post) {
        self.replies(post, 200, &[], &[0xAA, 0]);
    }

    pub(crate) fn breaks(&mut self, post: &Post) {
        let why = "connection reset".to_owned();
        self.session.replied(post.id, Err(Unreached { why }), self.now);
        self.run();
    }

    pub(crate) fn later(&mut self, time: Duration) {
        self.now += time;
        self.run();
    }

    #[track_caller]
    pub(crate) fn ended(&self) -> &End {
        self.end.as_ref().expect("it has ended")
    }

    pub(crate) fn refused(&self) -> usize {
        let refused = |event: &&Event| matches!(event, Event::Refused(_));
        self.events.iter().filter(refused).count()
    }
}

/// A template of these commands.
pub(crate) fn commands(list: &[&str]) -> Vec<u8> {
    let objects = list
        .iter()
        .map(|text| CommandObject::Command(Zeroizing::new(hex(text))))
        .collect();
    CommandTemplate(objects).encode().unwrap().to_vec()
}

/// What a post answers.
pub(crate) fn answers(post: &Post) -> Vec<String> {
    let template = ResponseTemplate::parse(&post.body).unwrap();
    template
        .results
        .iter()
        .map(|result| match result {
            ResponseObject::Response(answer) => hex::encode(answer),
            ResponseObject::Atr(_) => "atr".to_owned(),
            ResponseObject::Close { reason } => format!("close: {reason}"),
        })
        .collect()
}

/// A session with our own server in which chip authentication is done; the fetch of template 2 and the answer to
/// template 1 are open, in this order.
pub(crate) fn proven(policy: Policy) -> (World, Post, Post) {
    let mut world = World::new(policy, good_card);
    let first = world.post();
    assert_eq!(first.kind, PostKind::Initiation);
    world.numbered(
        &first,
        1,
        &commands(&["002241A404 80020000", "0086000004 7C020000 00"]),
    );
    let (fetch, answer) = (world.fetch(2), world.post());
    assert_eq!(answer.kind, PostKind::Answer(1));
    (world, fetch, answer)
}
