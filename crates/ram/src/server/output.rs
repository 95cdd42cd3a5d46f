//! What a session gives out.

use std::fmt;

use chancery_iso7816::TransportError;
use zeroize::Zeroizing;

/// A POST that waits for its answer, as whoever owns the session numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PostId(pub u64);

/// A job for the card, numbered by its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub(super) u64);

/// Response APDU or ATR, or why there is none.
pub type JobResult = Result<Zeroizing<Vec<u8>>, TransportError>;

/// What has become of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A POST is to be answered.
    Answer {
        /// The POST.
        post: PostId,
        /// With what.
        answer: Answer,
    },
    /// A job is done.
    Done {
        /// The job.
        job: JobId,
        /// Response APDU (at least a status word) or, for a reset, the ATR. [`TransportError::Lost`] when the session
        /// ended, [`TransportError::Failed`] when only this exchange is lost and the card keeps its state.
        result: JobResult,
    },
    /// The card has carried out commands whose jobs had failed already, since the session was ended here. Their responses
    /// are dropped; whoever keeps a log writes it down.
    TooLate {
        /// INS of each.
        instructions: Vec<u8>,
    },
    /// The session takes no more jobs. Comes once.
    Ended {
        /// Why, for people; text of the client is escaped.
        because: String,
    },
}

/// Answer to a POST.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// Status 200.
    Template {
        /// The `AA` template.
        body: Zeroizing<Vec<u8>>,
        /// Its number, for our own agent; `None` also where the template only acknowledges.
        sequence: Option<u64>,
    },
    /// Status 204: the session is over in order.
    Over,
    /// Status 404: there is no such session, or none any more.
    Unknown,
    /// Status 409: the POST does not fit what was handed out.
    OutOfStep,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Template { body, sequence } => write!(f, "Template({} bytes, {sequence:?})", body.len()),
            Self::Over => f.write_str("Over"),
            Self::Unknown => f.write_str("Unknown"),
            Self::OutOfStep => f.write_str("OutOfStep"),
        }
    }
}
