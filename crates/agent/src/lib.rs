//! A person's side: the own token, the PIN, acts, answers to HSMs' challenges, and which HSMs this custodian accepted.
//!
//! Nothing here lets a server drive the token. What is signed is built here from what is shown here: the statement over an act's own
//! bytes, an HSM's name with its challenge for an HSM that this custodian accepted before, and the statement over a lease's text.

mod accepted;
mod act;
mod answer;
mod custodian;
mod error;
mod intent;
mod kept;
mod lease;
mod pins;
mod prepare;
mod screen;
mod terminal;
mod text;
mod token;

pub use accepted::{Accepted, AcceptedHsm};
pub use act::{ShownAct, sign_act};
pub use answer::answer_challenge;
pub use custodian::{
    CardProof, CustodianCard, Fingerprint, Invitation, InvitedHsm, InvitedNode, Membership, Seat, SeenHsm,
};
pub use error::AgentError;
pub use lease::{
    Answered, Asked, Comparison, Custodian, Growth, LeaseDecision, LeaseNode, MANIFEST_PAGE, SeenLog,
    ShownLease, Wider, digest_of, duration, fetch_manifest,
};
pub use pins::{PinSource, RehearsalPins, TokenPins};
pub use prepare::{ACT_KEY, CUSTODIAN_KEY, Evidence, act_key, custodian_key};
pub use screen::{PrivateScreen, ScreenError};
pub use terminal::{ask_secret, drop_typed, forbid_core_dumps};
pub use text::{one_line, own_lines, short_line};
pub use token::{LocalTokens, OwnToken, UnlockedToken, Way, initialise};
