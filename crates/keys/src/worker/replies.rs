//! Results of signatures on their way back.
//!
//! To hand over a result costs a wake-up of the one who waits, a good part of a quick signature. So results of quick
//! signatures are handed over several at a time, as long as at least as many requests are left to go on with.

use std::time::{Duration, Instant};

use super::Reply;
use crate::HsmError;
use crate::shared::Shared;

/// Signatures above this are handed over at once.
const QUICK: Duration = Duration::from_micros(250);
/// Most results kept back.
const MOST: usize = 8;

#[derive(Default)]
pub(crate) struct Replies {
    waiting: Vec<Waiting>,
}

struct Waiting {
    reply: Reply<Vec<u8>>,
    result: Result<Vec<u8>, HsmError>,
}

impl Replies {
    pub(crate) fn push(
        &mut self,
        reply: Reply<Vec<u8>>,
        result: Result<Vec<u8>, HsmError>,
        began: Instant,
        shared: &Shared,
    ) {
        let keep = result.is_ok() && began.elapsed() < QUICK;
        self.waiting.push(Waiting { reply, result });
        if !keep || self.waiting.len() >= MOST.min(shared.outstanding() / 2) {
            self.send();
        }
    }

    /// Hands over everything kept back.
    pub(crate) fn send(&mut self) {
        for Waiting { reply, result } in self.waiting.drain(..) {
            drop(reply.send(result));
        }
    }
}
