//! Tickets as their hashes.

use std::time::Instant;

use chancery_api::Hash32;
use subtle::ConstantTimeEq;

/// Most single-use tickets at a time.
const MOST: usize = 1024;

/// Single-use tickets. One is spent for good when the session it opened is used: an answer that was lost on its way leaves a
/// client without the session's secret, and that client may come again.
#[derive(Debug, Default)]
pub(super) struct Tickets(Vec<Ticket>);

#[derive(Debug)]
struct Ticket {
    hash: Hash32,
    connector: String,
    until: Instant,
    /// The session it opened.
    used: Option<u64>,
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
            used: None,
        });
    }

    /// The connector a ticket is for, if it opens a session now.
    pub(super) fn connector_of(&self, hash: Hash32, now: Instant) -> Option<&str> {
        let found = position(self.0.iter().map(|ticket| ticket.hash), hash)?;
        let ticket = self.0.get(found)?;
        (ticket.until > now && ticket.used.is_none()).then_some(ticket.connector.as_str())
    }

    /// A ticket has opened this session.
    pub(super) fn used(&mut self, hash: Hash32, session: u64) {
        let found = position(self.0.iter().map(|ticket| ticket.hash), hash);
        if let Some(ticket) = found.and_then(|found| self.0.get_mut(found)) {
            ticket.used = Some(session);
        }
    }

    /// The client of this session has its secret: the ticket is worth nothing any more.
    pub(super) fn spend(&mut self, session: u64) {
        self.0.retain(|ticket| ticket.used != Some(session));
    }

    /// This session is over, and its secret was never used: the ticket is what it was.
    pub(super) fn give_back(&mut self, session: u64) {
        for ticket in &mut self.0 {
            ticket.used = ticket.used.filter(|used| *used != session);
        }
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
