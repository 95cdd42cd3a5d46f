//! What a client may still sign: a lease and digests for it, and the next lease when they are used up.

use std::{
    sync::{Condvar, Mutex},
    time::Duration,
};

use chancery_api::{
    Claims, DigestValue, FailureKind, Hash32, HashName, LeaseId, LeaseRequest, LeaseShow, LeaseState,
    Mechanism, SigningSign,
};
use chancery_client::{ClientError, NodeClient};

use crate::site::SIGNER;

/// Longer than any call takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// What kind of leases a client asks for.
#[derive(Clone, Copy)]
pub(crate) enum Leases {
    /// For so many digests that nobody knows yet, which are signed one by one.
    Counted(usize),
    /// For a list of digests, which are signed several at a time.
    Listed(usize, usize),
}

/// See the module. The callers of one client share it.
pub(crate) struct Purse {
    pub(crate) client: NodeClient,
    name: &'static str,
    leases: Leases,
    content: Mutex<Content>,
    changed: Condvar,
}

#[derive(Default)]
struct Content {
    lease: Option<LeaseId>,
    left: Vec<DigestValue>,
    /// Digests taken so far, in all leases.
    made: usize,
    /// Digests taken and not signed yet.
    out: usize,
}

impl Purse {
    pub(crate) fn new(name: &'static str, leases: Leases, client: NodeClient) -> Self {
        Self {
            client,
            name,
            leases,
            content: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Digests nobody has signed, and the lease for them.
    pub(crate) fn take(&self) -> (LeaseId, Vec<DigestValue>) {
        let (size, batch) = match self.leases {
            Leases::Counted(size) => (size, 1),
            Leases::Listed(size, batch) => (size, batch),
        };
        let mut content = self.content.lock().unwrap();
        while content.left.is_empty() {
            // What the lease permits is signed, every one of it, before the next is asked for.
            if content.out > 0 {
                let (after, waited) = self.changed.wait_timeout(content, PATIENCE).unwrap();
                assert!(!waited.timed_out(), "{} is not answered", self.name);
                content = after;
                continue;
            }
            if let Some(used_up) = content.lease {
                self.is_refused(used_up, &self.digest(content.made));
                content.made += 1;
            }
            content.left = (0..size).map(|n| self.digest(content.made + n)).collect();
            content.made += size;
            content.lease = Some(self.ask(&content.left));
        }
        let rest = content.left.len().saturating_sub(batch);
        let taken = content.left.split_off(rest);
        content.out += taken.len();
        (content.lease.unwrap(), taken)
    }

    /// So many of them were signed.
    pub(crate) fn signed(&self, count: usize) {
        self.content.lock().unwrap().out -= count;
        self.changed.notify_all();
    }

    fn digest(&self, number: usize) -> DigestValue {
        let hash = Hash32::of(format!("{} {number}", self.name).as_bytes());
        DigestValue::new(HashName::Sha256, hash.0.to_vec()).unwrap()
    }

    /// One digest more than a lease permits.
    fn is_refused(&self, lease: LeaseId, digest: &DigestValue) {
        let call = SigningSign {
            signer: SIGNER.to_owned(),
            mechanism: Mechanism::Ecdsa,
            digests: vec![digest.clone()],
            lease: Some(lease),
            idempotency_key: None,
        };
        match self.client.call(&call) {
            Err(ClientError::Failed(failure)) if failure.kind == FailureKind::Blocked => {}
            other => panic!("{digest} is not permitted by lease {lease}: {other:?}"),
        }
    }

    /// Asks for a lease and waits for its custodians.
    fn ask(&self, digests: &[DigestValue]) -> LeaseId {
        let (known, further) = match self.leases {
            Leases::Counted(_) => (Vec::new(), digests.len()),
            Leases::Listed(..) => (digests.to_vec(), 0),
        };
        let asked = self.client.call(&LeaseRequest {
            signer: SIGNER.to_owned(),
            purpose: format!("load of {}", self.name),
            mechanism: Mechanism::Ecdsa,
            digests: known,
            further: u64::try_from(further).unwrap(),
            seconds: 3600,
            strict: false,
            wait_seconds: None,
            reuse: false,
            attended_seconds: Some(60),
            claimed: Claims::default(),
        });
        let mut view = asked.unwrap();
        while view.state != LeaseState::Live {
            assert!(view.state.is_open(), "{view:?}");
            let call = LeaseShow {
                lease: view.lease,
                known: Some(view.version),
                wait_seconds: 20,
            };
            view = self.client.call(&call).unwrap();
        }
        view.lease
    }
}
