//! POSTs and what comes back.

use std::time::Duration;

use zeroize::Zeroizing;

use super::{AHEAD, Cut, Posted, Server, Session};
use crate::client::act::Action;
use crate::client::cookies::Cookies;
use crate::client::event::{End, Event};
use crate::client::post::{self, Post, PostId, PostKind, Reply};
use crate::message::CommandTemplate;

/// The server holds a POST for 15 s or 30 s when it has nothing to do.
const POST_LIMIT: Duration = Duration::from_secs(75);
const FAREWELL_LIMIT: Duration = Duration::from_secs(5);
/// Between attempts in a cut.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const SLOWEST_RETRY: Duration = Duration::from_secs(4);
/// A server that is there locks the token itself at the lock time; the agent comes after it.
pub(super) const LOCK_GRACE: Duration = Duration::from_secs(2);

impl Session {
    pub(super) fn answered(&mut self, posted: Posted, reply: &Reply, now: Duration) {
        if let Server::Foreign(cookies) = &mut self.server {
            cookies.take(reply);
        }
        let first = posted.kind == PostKind::Initiation;
        match reply.status {
            200 => self.received(first, reply, now),
            204 => {
                let end = self.over();
                self.close(end, None);
            }
            504 if first => self.close(End::NotWanted, None),
            // What stands between us and the server says that the server is not there.
            status @ (502..=504) if !first && self.is_resumable() => {
                self.unreached(posted, format!("status {status}"), now);
            }
            504 => self.close(End::Aborted, None),
            // It may have said why before.
            404 if !first => {
                let end = self
                    .reported
                    .take()
                    .map_or(End::Forgotten, |why| End::Failed { why });
                self.close(end, None);
            }
            // It came another way meanwhile.
            409 if matches!(posted.kind, PostKind::Fetch(number) if number <= self.begun) => {}
            status => {
                let text = reply.text();
                self.close(End::Status { status, text }, None);
            }
        }
    }

    fn received(&mut self, first: bool, reply: &Reply, now: Duration) {
        if let Some(cut) = self.cut.take() {
            let after = now.saturating_sub(cut.since);
            self.tell(Event::Resumed { after });
        }
        // What was locked already needs no second reset.
        self.lock_at = reply
            .lock_in
            .map(|left| now + left)
            .filter(|at| *at > self.locked_for + LOCK_GRACE);
        if first {
            self.server = match &reply.session {
                Some(secret) => Server::Own(secret.clone()),
                None => {
                    let mut cookies = Cookies::default();
                    cookies.take(reply);
                    Server::Foreign(cookies)
                }
            };
            self.tell(Event::Connected { own: self.is_own() });
        }
        let template = match CommandTemplate::parse(&reply.body) {
            Ok(template) => template,
            Err(error) => return self.nonsense(error.to_string()),
        };
        let number = match (&self.server, reply.sequence) {
            (Server::Own(_), Some(number)) => number,
            // Only an acknowledgement: the next template comes with a fetch.
            (Server::Own(_), None) if template.0.is_empty() => return,
            (Server::Own(_), None) => return self.nonsense("commands without a number".to_owned()),
            // One at a time: whatever comes is the next.
            _ => self.begun + 1,
        };
        if number <= self.begun {
            self.answer_again(number);
        } else if number > self.begun + AHEAD {
            self.nonsense(format!("commands {number} follow on {}", self.begun));
        } else {
            self.waiting.entry(number).or_insert(template);
        }
    }

    /// A template came again that was run or is running: the answer to it is sent again, if there is one.
    fn answer_again(&mut self, number: u64) {
        let kind = PostKind::Answer(number);
        let under_way = self
            .open
            .values()
            .chain(&self.failed)
            .any(|posted| posted.kind == kind);
        if let Some(body) = self.kept.get(&number)
            && !under_way
        {
            self.post(kind, body.clone());
        }
    }

    pub(super) fn unreached(&mut self, posted: Posted, why: String, now: Duration) {
        if posted.kind == PostKind::Initiation || !self.is_resumable() {
            return self.close(End::Unreachable { why }, None);
        }
        if self.cut.is_none() {
            self.tell(Event::Cut { why: why.clone() });
        }
        let cut = self.cut.get_or_insert(Cut {
            since: now,
            pause: FIRST_RETRY,
            why: String::new(),
        });
        cut.why = why;
        self.retry_at = Some(now + cut.pause);
        cut.pause = (cut.pause * 2).min(SLOWEST_RETRY);
        self.failed.push(posted);
    }

    fn nonsense(&mut self, why: String) {
        self.leave(End::NoTerminalServer { why }, "the server's message is none");
    }

    pub(super) fn post(&mut self, kind: PostKind, body: Zeroizing<Vec<u8>>) -> PostId {
        self.posts += 1;
        let id = PostId(self.posts);
        let plain = |text: &str| Zeroizing::new(text.to_owned());
        let mut headers = vec![
            (post::CONTENT_TYPE.0, plain(post::CONTENT_TYPE.1)),
            (post::ADMIN_PROTOCOL.0, plain(post::ADMIN_PROTOCOL.1)),
        ];
        match &self.server {
            Server::Unknown => headers.push((post::AGENT.0, plain(post::AGENT.1))),
            Server::Foreign(cookies) => headers.extend(cookies.header().map(|value| (post::COOKIE, value))),
            Server::Own(secret) => {
                headers.push((post::SESSION, secret.secret_text()));
                let (name, number) = match kind {
                    PostKind::Fetch(number) => (post::FETCH, number),
                    PostKind::Answer(number) => (post::SEQUENCE, number),
                    PostKind::Initiation | PostKind::Farewell => (post::SEQUENCE, self.begun),
                };
                headers.push((name, Zeroizing::new(number.to_string())));
            }
        }
        let limit = if kind == PostKind::Farewell {
            FAREWELL_LIMIT
        } else {
            POST_LIMIT
        };
        self.actions.push_back(Action::Post(Post {
            id,
            kind,
            headers,
            body: body.clone(),
            limit,
        }));
        self.open.insert(id, Posted { kind, body });
        id
    }
}
