//! The token's end of a session, without I/O: what to post, what to have the card do, what to tell.
//!
//! [`Session`] takes what happened (an answer to a POST, what the card did, a request to stop) and gives [`Action`]s. Time is
//! a parameter: a duration since whatever moment the caller likes. One session is one run of a server's commands on one
//! card:
//!
//! * it begins with a reset of the card and its ATR, and ends with a reset;
//! * commands run one after another in the order of their templates, each judged by a [`Policy`] first;
//! * a template that was numbered never runs twice; asked for its answer again, the session sends the one it kept;
//! * against our own server the next template is fetched while the card works, and after a cut the session goes on where it
//!   was, if chip authentication had been completed, for [`RESUME`] at most;
//! * at the lock time that the server gave the card is reset, whatever the server does.
//!
//! [`Pauses`] says how long to wait before the next session.

mod act;
mod card;
mod close;
mod cookies;
mod event;
mod pauses;
mod post;
mod run;
mod session;

#[cfg(doc)]
use crate::policy::Policy;

pub use act::{Action, CardDid, CardWork};
pub use event::{End, Event};
pub use pauses::Pauses;
pub use post::{Post, PostId, PostKind, Reply, SessionSecret, Unreached};
pub use session::{RESUME, Session};
