//! How much one requester may have at a time: what its leases name is kept in memory until they are over.

use std::collections::HashMap;

use chancery_api::{Failure, FailureKind, Requester};

use super::{OpenLease, desk::Desk, desk::held, requester_key};

/// Most leases of one requester that wait or are live.
const MOST_LEASES: usize = 256;
/// Most digests that they name together.
const MOST_DIGESTS: usize = 100_000;

/// Leases that are let in and not recorded yet, by requester.
#[derive(Default)]
pub(super) struct Coming(HashMap<String, Amount>);

#[derive(Clone, Copy, Default)]
struct Amount {
    leases: usize,
    digests: usize,
}

/// There is room for one more lease of a requester, until this is dropped or the lease is put in.
pub(crate) struct Admitted {
    desk: Desk,
    requester: String,
    digests: usize,
}

impl Desk {
    /// Lets a lease in that names so many distinct digests. Counted under one lock, so that calls that come together do not pass
    /// each other by.
    pub(crate) fn admit(&self, requester: &Requester, digests: usize) -> Result<Admitted, Failure> {
        let open = self.book();
        let mut coming = held(&self.coming);
        let key = requester_key(requester);
        let mut has = coming.0.get(&key).copied().unwrap_or_default();
        for lease in open.values() {
            if lease.state.is_open() && lease.text.requester.is_same(requester) {
                has.leases += 1;
                has.digests += lease.named.as_ref().map_or(0, |named| named.digests.len());
            }
        }
        let refused = |what| {
            Err(Failure::new(FailureKind::Conflict, what).with_remedy(
                "wait until one is over, withdraw one (chancery lease list; chancery lease withdraw ID), or have one revoked \
                 (chancery lease revoke ID)",
            ))
        };
        if has.leases >= MOST_LEASES {
            return refused(format!(
                "this requester has {MOST_LEASES} leases that are not over, and no more are permitted"
            ));
        }
        if digests > 0 && has.digests + digests > MOST_DIGESTS {
            return refused(format!(
                "the leases of this requester that are not over name {} digests, and with {digests} more it would be over \
                 {MOST_DIGESTS}",
                has.digests
            ));
        }
        let of_requester = coming.0.entry(key.clone()).or_default();
        of_requester.leases += 1;
        of_requester.digests += digests;
        Ok(Admitted {
            desk: self.clone(),
            requester: key,
            digests,
        })
    }
}

impl Admitted {
    /// Puts the lease in.
    pub(crate) fn put_in(self, lease: OpenLease) {
        let desk = self.desk.clone();
        let mut open = desk.book();
        open.insert(lease.id, lease);
        // Under the same lock: it is counted once.
        drop(self);
        drop(open);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut coming = held(&self.desk.coming);
        if let Some(of_requester) = coming.0.get_mut(&self.requester) {
            of_requester.leases = of_requester.leases.saturating_sub(1);
            of_requester.digests = of_requester.digests.saturating_sub(self.digests);
            if of_requester.leases == 0 {
                coming.0.remove(&self.requester);
            }
        }
    }
}
