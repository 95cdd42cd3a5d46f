//! The HSMs a node holds.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chancery_api::HsmId;
use tokio::sync::broadcast;

use crate::signing::{Checker, Replica};
use crate::{Hsm, PooledKey};

/// Changes kept for who is slow to look.
const MOST_CHANGES: usize = 256;
/// Public keys kept parsed.
const MOST_CHECKERS: usize = 256;

/// HSMs by identifier.
pub struct Pool {
    hsms: Mutex<BTreeMap<HsmId, Hsm>>,
    /// Parsed public keys, by SubjectPublicKeyInfo: signers are made for each use, and parsing costs more than a
    /// signature.
    checkers: Mutex<HashMap<Vec<u8>, Arc<Checker>>>,
    changes: broadcast::Sender<HsmId>,
}

impl Pool {
    /// No HSM.
    #[must_use]
    pub fn new() -> Self {
        Self {
            hsms: Mutex::default(),
            checkers: Mutex::default(),
            changes: broadcast::Sender::new(MOST_CHANGES),
        }
    }

    /// Tells whenever the status of an HSM changed, or an HSM came or went. Look at its [`Hsm::status`] then: several changes may
    /// have come meanwhile. Who is told that it lagged behind looks at all HSMs.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<HsmId> {
        self.changes.subscribe()
    }

    /// Puts an HSM in; another one of that identifier is dropped.
    pub fn insert(&self, id: HsmId, hsm: Hsm) {
        let changes = self.changes.clone();
        // An error says that nobody listens.
        hsm.on_change(Box::new(move || drop(changes.send(id))));
        let replaced = held(&self.hsms).insert(id, hsm);
        drop(self.changes.send(id));
        // Outside the lock: the last clone ends a thread.
        drop(replaced);
    }

    /// Takes an HSM out. Its thread lives on as long as a clone does.
    pub fn remove(&self, id: HsmId) -> Option<Hsm> {
        let removed = held(&self.hsms).remove(&id);
        drop(self.changes.send(id));
        removed
    }

    /// One HSM.
    #[must_use]
    pub fn get(&self, id: HsmId) -> Option<Hsm> {
        held(&self.hsms).get(&id).cloned()
    }

    /// All HSMs, by identifier.
    #[must_use]
    pub fn all(&self) -> Vec<(HsmId, Hsm)> {
        held(&self.hsms)
            .iter()
            .map(|(id, hsm)| (*id, hsm.clone()))
            .collect()
    }

    /// The key of this public key (SubjectPublicKeyInfo, DER), which stands under `key_id` on the HSMs `on`; for whoever uses each of
    /// them whenever it is open.
    #[must_use]
    pub fn signer(self: &Arc<Self>, spki: Vec<u8>, key_id: u8, on: Vec<HsmId>) -> PooledKey {
        let replicas = on.into_iter().map(|hsm| Replica { hsm, era: None });
        self.pooled(spki, key_id, replicas.collect())
    }

    /// As [`Pool::signer`], with the era ([`Status::era`](crate::Status::era)) of each HSM that custodians opened it in for this key: it
    /// signs in no other one. That is looked at on the HSM's thread before the command is sent.
    #[must_use]
    pub fn signer_in(self: &Arc<Self>, spki: Vec<u8>, key_id: u8, on: Vec<(HsmId, u64)>) -> PooledKey {
        let replicas = on.into_iter().map(|(hsm, era)| Replica { hsm, era: Some(era) });
        self.pooled(spki, key_id, replicas.collect())
    }

    fn pooled(self: &Arc<Self>, spki: Vec<u8>, key_id: u8, on: Vec<Replica>) -> PooledKey {
        let checker = self.checker(&spki);
        PooledKey::new(Arc::clone(self), spki, checker, key_id, on)
    }

    fn checker(&self, spki: &[u8]) -> Result<Arc<Checker>, String> {
        if let Some(known) = held(&self.checkers).get(spki) {
            return Ok(Arc::clone(known));
        }
        let checker = Arc::new(Checker::from_spki(spki)?);
        let mut known = held(&self.checkers);
        if known.len() >= MOST_CHECKERS {
            known.clear();
        }
        known.insert(spki.to_vec(), Arc::clone(&checker));
        Ok(checker)
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.all()).finish()
    }
}

/// Nothing panics while it holds one of these locks; were it otherwise, the values are still whole.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
