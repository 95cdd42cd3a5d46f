//! A session with a clock of its own and a client that posts what a test says.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use chancery_iso7816::TransportError;
use chancery_ram::message::{CommandObject, CommandTemplate, Initiation, ResponseObject, ResponseTemplate};
use chancery_ram::server::{Answer, JobId, Kind, Limits, Output, PostId, Session, Work};
use zeroize::Zeroizing;

pub(crate) const ATR: &str = "3BFE1800008131FE458031815448534D31738021408107FA";

pub(crate) fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

pub(crate) fn command(bytes: &[u8]) -> Work {
    Work::Command(Zeroizing::new(bytes.to_vec()))
}

pub(crate) fn apdu(text: &str) -> Work {
    command(&bytes(text))
}

pub(crate) fn response(results: &[&str]) -> ResponseTemplate {
    ResponseTemplate {
        results: results
            .iter()
            .map(|text| ResponseObject::Response(Zeroizing::new(bytes(text))))
            .collect(),
        executed: i32::try_from(results.len()).ok(),
    }
}

pub(crate) fn empty() -> ResponseTemplate {
    response(&[])
}

pub(crate) fn commands(answer: &Answer) -> Vec<CommandObject> {
    match answer {
        Answer::Template { body, .. } => CommandTemplate::parse(body).unwrap().0,
        other => panic!("{other:?} is no template"),
    }
}

type Done = Result<Zeroizing<Vec<u8>>, TransportError>;

pub(crate) struct Bench {
    pub(crate) session: Session,
    pub(crate) now: Instant,
    posts: u64,
    answers: HashMap<u64, Answer>,
    done: HashMap<JobId, Vec<Done>>,
    ended: Vec<String>,
    pub(crate) too_late: Vec<u8>,
    numbers: BTreeMap<u64, Vec<u8>>,
}

impl Bench {
    pub(crate) fn open(kind: Kind) -> Self {
        Self::open_with(kind, None, Limits::default())
    }

    /// The first POST has number 1.
    pub(crate) fn open_with(kind: Kind, max_command: Option<u32>, limits: Limits) -> Self {
        let now = Instant::now();
        let initiation = Initiation {
            atr: bytes(ATR),
            max_command,
            max_response: None,
        };
        Self {
            session: Session::open(kind, initiation, limits, PostId(1), now),
            now,
            posts: 1,
            answers: HashMap::new(),
            done: HashMap::new(),
            ended: Vec::new(),
            too_late: Vec::new(),
            numbers: BTreeMap::new(),
        }
    }

    pub(crate) fn last_post(&self) -> PostId {
        PostId(self.posts)
    }

    /// Submits one command that is waited for.
    pub(crate) fn command(&mut self, text: &str) -> JobId {
        self.session.submit(apdu(text), self.now)
    }

    pub(crate) fn post(&mut self, response: &ResponseTemplate) {
        self.posts += 1;
        self.session
            .answered(PostId(self.posts), None, response.clone(), self.now);
    }

    pub(crate) fn post_bytes(&mut self, text: &str) {
        self.post(&ResponseTemplate::parse(&bytes(text)).unwrap());
    }

    pub(crate) fn post_numbered(&mut self, number: u64, response: &ResponseTemplate) {
        self.posts += 1;
        self.session
            .answered(PostId(self.posts), Some(number), response.clone(), self.now);
    }

    pub(crate) fn fetch(&mut self, number: u64) {
        self.posts += 1;
        self.session.fetch(PostId(self.posts), number, self.now);
    }

    /// Lets time pass, with every tick that falls into it.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut ticks = 0;
        while let Some(at) = self.session.deadline().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.session.tick(self.now);
            ticks += 1;
            assert!(ticks < 1000, "the session asks for ticks without end");
        }
        self.now = end;
        self.collect();
    }

    pub(crate) fn collect(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Answer { post, answer } => {
                    if let Answer::Template {
                        body,
                        sequence: Some(number),
                    } = &answer
                    {
                        let first = self.numbers.entry(*number).or_insert_with(|| body.to_vec());
                        assert_eq!(*first, **body, "number {number} stands for two contents");
                    }
                    assert!(
                        self.answers.insert(post.0, answer).is_none(),
                        "a POST was answered twice"
                    );
                }
                Output::Done { job, result } => self.done.entry(job).or_default().push(result),
                Output::TooLate { instructions } => self.too_late.extend(instructions),
                Output::Ended { because } => self.ended.push(because),
            }
        }
    }

    /// What the POST was answered with so far.
    pub(crate) fn answer(&mut self, post: u64) -> Option<Answer> {
        self.collect();
        self.answers.get(&post).cloned()
    }

    /// The template the POST was answered with.
    pub(crate) fn body(&mut self, post: u64) -> Vec<u8> {
        match self.answer(post) {
            Some(Answer::Template { body, .. }) => body.to_vec(),
            other => panic!("POST {post} was answered with {other:?}"),
        }
    }

    /// Number and count of objects of the template the POST was answered with.
    pub(crate) fn numbered(&mut self, post: u64) -> (u64, usize) {
        match self.answer(post) {
            Some(ref answer @ Answer::Template { sequence, .. }) => {
                (sequence.unwrap(), commands(answer).len())
            }
            other => panic!("POST {post} was answered with {other:?}"),
        }
    }

    pub(crate) fn done(&mut self, job: JobId) -> Result<Vec<u8>, TransportError> {
        self.collect();
        match self.done.get(&job).map(Vec::as_slice) {
            Some([result]) => result.clone().map(|bytes| bytes.to_vec()),
            other => panic!("{job:?} is done {} times", other.map_or(0, <[_]>::len)),
        }
    }

    pub(crate) fn done_count(&mut self, job: JobId) -> usize {
        self.collect();
        self.done.get(&job).map_or(0, Vec::len)
    }

    /// Why the session ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.collect();
        self.ended.last().cloned()
    }

    pub(crate) fn ends(&self) -> usize {
        self.ended.len()
    }
}

pub(crate) fn acknowledged() -> Answer {
    Answer::Template {
        body: bytes("AA00").into(),
        sequence: None,
    }
}
pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
