//! POSTs and the answers to them.

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

/// One POST of a session, for [`Session::replied`](super::Session::replied).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PostId(pub(super) u64);

/// What a POST is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostKind {
    /// The first: it carries the ticket.
    Initiation,
    /// Results of this template.
    Answer(u64),
    /// Nothing: this template is wanted ahead of the results of the one before.
    Fetch(u64),
    /// The end, or results that nothing more will follow.
    Farewell,
}

/// A POST to make.
#[derive(Clone, PartialEq, Eq)]
pub struct Post {
    /// Which one.
    pub id: PostId,
    /// What it is for.
    pub kind: PostKind,
    /// Headers to send, names in lower case. Some are secret.
    pub headers: Vec<(&'static str, Zeroizing<String>)>,
    /// The body.
    pub body: Zeroizing<Vec<u8>>,
    /// How long to wait for the answer.
    pub limit: Duration,
}

/// A session's name and proof at a server of ours. Wiped, redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSecret(Zeroizing<String>);

/// The answer to a POST.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// Status.
    pub status: u16,
    /// Body.
    pub body: Zeroizing<Vec<u8>>,
    pub(super) session: Option<SessionSecret>,
    pub(super) sequence: Option<u64>,
    pub(super) lock_in: Option<Duration>,
    pub(super) cookies: Vec<Zeroizing<String>>,
}

/// There was no answer to a POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// What was seen.
    pub why: String,
}

pub(super) const CONTENT_TYPE: (&str, &str) = (
    "content-type",
    "application/org.openscdp-content-mgt-response;version=1.0",
);
pub(super) const ADMIN_PROTOCOL: (&str, &str) = ("x-admin-protocol", "openscdp-remote-admin/1.0");
pub(super) const AGENT: (&str, &str) = ("x-chancery-agent", "1");
pub(super) const SESSION: &str = "x-chancery-session";
pub(super) const SEQUENCE: &str = "x-chancery-sequence";
pub(super) const FETCH: &str = "x-chancery-fetch";
pub(super) const LOCK_IN: &str = "x-chancery-lock-in";
pub(super) const COOKIE: &str = "cookie";
const SET_COOKIE: &str = "set-cookie";
/// Longest secret taken.
const LONGEST_SECRET: usize = 512;
/// Longest lock time that is believed, seconds: 31 days.
const LONGEST_LOCK: u64 = 31 * 24 * 3600;

impl SessionSecret {
    fn new(text: &str) -> Option<Self> {
        let fits =
            !text.is_empty() && text.len() <= LONGEST_SECRET && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The secret itself, for a header.
    pub(super) fn secret_text(&self) -> Zeroizing<String> {
        self.0.clone()
    }
}

impl Reply {
    /// From what HTTP gives. Header names match in either case; headers that say nothing sensible are ignored.
    pub fn new<'a>(
        status: u16,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: Zeroizing<Vec<u8>>,
    ) -> Self {
        let mut reply = Self {
            status,
            body,
            ..Self::default()
        };
        for (name, value) in headers {
            let value = value.trim();
            if name.eq_ignore_ascii_case(SESSION) {
                reply.session = SessionSecret::new(value);
            } else if name.eq_ignore_ascii_case(SEQUENCE) {
                reply.sequence = value.parse().ok().filter(|number| *number > 0);
            } else if name.eq_ignore_ascii_case(LOCK_IN) {
                reply.lock_in = value
                    .parse::<u64>()
                    .ok()
                    .map(|seconds| Duration::from_secs(seconds.min(LONGEST_LOCK)));
            } else if name.eq_ignore_ascii_case(SET_COOKIE) {
                reply.cookies.push(Zeroizing::new(value.to_owned()));
            }
        }
        reply
    }

    /// The beginning of the body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body)
            .chars()
            .take(200)
            .collect::<String>()
            .trim()
            .to_owned()
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(..)")
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Post({:?}, {} bytes)", self.kind, self.body.len())
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Reply({}, {} bytes, {:?})",
            self.status,
            self.body.len(),
            self.sequence
        )
    }
}
