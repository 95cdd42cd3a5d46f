//! Tickets as their hashes.

use std::time::Instant;

use chancery_api::Hash32;
use subtle::ConstantTimeEq;

/// Most single-use tickets at a time.
const MOST: usize = 1024;

/// Single-use tickets that were not used yet.
#[derive(Debug, Default)]
pub(super) struct Tickets(Vec<Ticket>);

#[derive(Debug)]
struct Ticket {
    hash: Hash32,
    connector: String,
    until: Instant,
}

impl Tickets {
    /// Keeps a ticket. The oldest gives way when there are too many.
    pub(super) fn add(&mut self, hash: Hash32, connector: String, until: Instant, now: Instant) {
        self.0.retain(|ticket| ticket.until > now);
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(Ticket {
            hash,
            connector,
            until,
        });
    }

    /// Uses a ticket up; the connector it is for.
    pub(super) fn take(&mut self, hash: Hash32, now: Instant) -> Option<String> {
        let found = position(self.0.iter().map(|ticket| ticket.hash), hash)?;
        let ticket = self.0.remove(found);
        (ticket.until > now).then_some(ticket.connector)
    }

    /// Drops the tickets of a connector.
    pub(super) fn forget(&mut self, connector: &str) {
        self.0.retain(|ticket| ticket.connector != connector);
    }
}

/// Where this hash is. Looks at every one, whatever it finds.
pub(super) fn position(hashes: impl Iterator<Item = Hash32>, wanted: Hash32) -> Option<usize> {
    let mut found = None;
    for (index, hash) in hashes.enumerate() {
        if bool::from(hash.0.ct_eq(&wanted.0)) {
            found = Some(index);
        }
    }
    found
}
