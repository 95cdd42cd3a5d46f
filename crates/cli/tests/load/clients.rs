//! Clients that never stop signing, over mutual TLS.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use chancery_api::{DigestValue, FailureKind, LeaseId, Mechanism, SignatureView, SigningSign};
use chancery_client::ClientError;
use openssl::{bn::BigNum, ec::EcKey, ecdsa::EcdsaSig, pkey::Public};

use crate::{
    purse::{Leases, Purse},
    site::{SIGNER, Site},
};

/// Clients, and what kind of leases each asks for.
pub(crate) const CLIENTS: [(&str, Leases); 3] = [
    ("steady", Leases::Counted(100_000)),
    ("brief", Leases::Counted(30)),
    ("batches", Leases::Listed(120, 2)),
];
/// Calls of each client at any time: enough to keep the tokens at work, and no more, for custodians' answers wait with them.
const CALLERS: usize = 3;
/// Pause before a refused call is made again.
const PAUSE: Duration = Duration::from_millis(50);
/// Each call whose number this divides is made again once it was answered.
const TWICE: usize = 20;

/// Calls being made.
pub(crate) struct Load {
    shared: Arc<Shared>,
    callers: Vec<JoinHandle<()>>,
}

struct Shared {
    key: EcKey<Public>,
    over: AtomicBool,
    tolerant: AtomicBool,
    refusals: AtomicU64,
    /// When each signature was acknowledged, ascending, and each signature.
    signed: Mutex<(Vec<Instant>, Vec<Signed>)>,
}

/// A signature that a client was given, and that verifies.
pub(crate) struct Signed {
    pub(crate) digest: DigestValue,
    pub(crate) signature: Vec<u8>,
    pub(crate) lease: LeaseId,
    pub(crate) hsm: String,
}

/// What clients were given in all.
pub(crate) struct Acknowledged {
    pub(crate) signatures: Vec<Signed>,
    /// Calls that were refused while HSMs were lost, and made again.
    pub(crate) refusals: u64,
}

impl Load {
    pub(crate) fn start(site: &Site) -> Self {
        let shared = Arc::new(Shared {
            key: EcKey::public_key_from_der(&site.public_key).unwrap(),
            over: AtomicBool::new(false),
            tolerant: AtomicBool::new(false),
            refusals: AtomicU64::new(0),
            signed: Mutex::default(),
        });
        let mut callers = Vec::new();
        for (name, leases) in CLIENTS {
            let purse = Arc::new(Purse::new(name, leases, site.client(name)));
            for number in 0..CALLERS {
                let (purse, shared) = (Arc::clone(&purse), Arc::clone(&shared));
                callers.push(thread::spawn(move || {
                    shared.call(&purse, &format!("{name} {number}"))
                }));
            }
        }
        Self { shared, callers }
    }

    /// From now on HSMs are lost, and with them what custodians permitted.
    pub(crate) fn tolerate_refusals(&self) {
        self.shared.tolerant.store(true, Ordering::SeqCst);
    }

    /// Signatures a second that were acknowledged within some time.
    #[track_caller]
    pub(crate) fn rate(&self, began: Instant, length: Duration) -> f64 {
        assert!(
            !self.callers.iter().any(JoinHandle::is_finished),
            "a client gave up"
        );
        let signed = self.shared.signed.lock().unwrap();
        let before = |moment| signed.0.partition_point(|at| *at < moment);
        let count = before(began + length) - before(began);
        f64::from(u32::try_from(count).unwrap()) / length.as_secs_f64()
    }

    /// How many HSMs have signed since then.
    pub(crate) fn hsms_since(&self, began: Instant) -> usize {
        let signed = self.shared.signed.lock().unwrap();
        let first = signed.0.partition_point(|at| *at < began);
        let hsms: HashSet<_> = signed.1[first..].iter().map(|signed| &signed.hsm).collect();
        hsms.len()
    }

    pub(crate) fn stop(self) -> Acknowledged {
        self.shared.over.store(true, Ordering::SeqCst);
        for caller in self.callers {
            caller.join().unwrap();
        }
        let mut signed = self.shared.signed.lock().unwrap();
        Acknowledged {
            signatures: std::mem::take(&mut signed.1),
            refusals: self.shared.refusals.load(Ordering::SeqCst),
        }
    }
}

impl Shared {
    fn call(&self, purse: &Purse, name: &str) {
        for number in 0.. {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let (lease, digests) = purse.take();
            let call = SigningSign {
                signer: SIGNER.to_owned(),
                mechanism: Mechanism::Ecdsa,
                lease: Some(lease),
                idempotency_key: (number % 2 == 0).then(|| format!("{name} {number}")),
                digests,
            };
            let views = self.until_signed(purse, &call);
            if number % TWICE == 0 {
                assert_eq!(self.until_signed(purse, &call), views, "signed again");
            }
            purse.signed(call.digests.len());
            self.take(lease, &call.digests, views);
        }
    }

    /// No call is lost; those that could not be carried out are made again.
    fn until_signed(&self, purse: &Purse, call: &SigningSign) -> Vec<SignatureView> {
        loop {
            match purse.client.call(call) {
                Ok(views) => return views,
                Err(ClientError::Failed(failure))
                    if self.tolerant.load(Ordering::SeqCst)
                        && matches!(failure.kind, FailureKind::Blocked | FailureKind::Unavailable) =>
                {
                    self.refusals.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(PAUSE);
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    fn take(&self, lease: LeaseId, digests: &[DigestValue], views: Vec<SignatureView>) {
        let answered: Vec<_> = views.iter().map(|view| &view.digest).collect();
        assert_eq!(answered, digests.iter().collect::<Vec<_>>());
        for view in &views {
            assert_eq!(view.lease, lease);
            assert!(self.verifies(&view.digest, &view.signature.0), "{view:?}");
        }
        let mut signed = self.signed.lock().unwrap();
        for view in views {
            signed.0.push(Instant::now());
            signed.1.push(Signed {
                digest: view.digest,
                signature: view.signature.0,
                lease,
                hsm: view.hsm,
            });
        }
    }

    fn verifies(&self, digest: &DigestValue, signature: &[u8]) -> bool {
        let (r, s) = signature.split_at(signature.len() / 2);
        let number = |bytes| BigNum::from_slice(bytes).unwrap();
        EcdsaSig::from_private_components(number(r), number(s))
            .and_then(|signature| signature.verify(digest.bytes(), &self.key))
            .unwrap()
    }
}
