//! The server's end of a session, without sockets and without a clock: bytes and time in, answers and results out.
//!
//! Whoever owns a [`Session`] tells it of every POST, of every job for the card and of the time, and then takes
//! [`Output`]s until there are none. A POST is held until there is something to answer it with; [`Session::deadline`]
//! says when to call [`Session::tick`] if nothing else happens.
//!
//! # Two kinds of clients
//! * [`Kind::Foreign`]: one template is with the client at a time. A client that falls silent is gone, and with it
//!   everything its card knew.
//! * [`Kind::Own`]: our own agent. Templates are numbered; it may ask for the next one while the card still works on the
//!   one before, and after chip authentication it may be silent for a while and go on. Everything can be posted again:
//!   a number always stands for the same bytes, and its answer counts once.
//!
//! # Invariants
//! * Each job is done exactly once: with a response of the card, or with the reason why there is none.
//! * No template is handed out twice with other content, and no job twice in two templates.

mod batch;
mod giving;
mod handed;
mod limits;
mod output;
mod posts;
mod session;
mod timing;

pub use batch::Work;
pub use limits::{Limits, MAX_COMMAND, time_for};
pub use output::{Answer, JobId, JobResult, Output, PostId};
pub use session::{Kind, Session};
