//! Leases that are not over, in memory: what they permit, who agreed, what was counted.
//!
//! Memory decides and rows record: a lease is loaded from its row once, at the start, checked there, and from then on only written.

mod admission;
mod desk;
mod lease;
mod leftovers;
mod locking;
mod noticing;
mod recorded;
mod scheme;
mod statement;
mod turns;

pub(crate) use desk::{Asked, Desk};
pub(crate) use lease::{
    Attempt, Attended, Given, GivenTo, InForce, Named, OpenLease, Proof, Refusal, Standing,
};
pub(crate) use recorded::{Recorded, take};
pub(crate) use scheme::Scheme;
pub(crate) use statement::{requester_key, signed_by};
pub(crate) use turns::Place;
