//! The HSMs a node holds.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chancery_api::HsmId;

use crate::signing::Checker;
use crate::{Hsm, PooledKey};

/// Public keys kept parsed.
const MOST_CHECKERS: usize = 256;

/// HSMs by identifier.
#[derive(Default)]
pub struct Pool {
    hsms: Mutex<BTreeMap<HsmId, Hsm>>,
    /// Parsed public keys, by SubjectPublicKeyInfo: signers are made for each use, and parsing costs more than a
    /// signature.
    checkers: Mutex<HashMap<Vec<u8>, Arc<Checker>>>,
}

impl Pool {
    /// No HSM.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an HSM in; another one of that identifier is dropped.
    pub fn insert(&self, id: HsmId, hsm: Hsm) {
        let replaced = held(&self.hsms).insert(id, hsm);
        // Outside the lock: the last clone ends a thread.
        drop(replaced);
    }

    /// Takes an HSM out. Its thread lives on as long as a clone does.
    pub fn remove(&self, id: HsmId) -> Option<Hsm> {
        held(&self.hsms).remove(&id)
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

    /// The key of this public key (SubjectPublicKeyInfo, DER), which stands under `key_id` on the HSMs `on`.
    #[must_use]
    pub fn signer(self: &Arc<Self>, spki: Vec<u8>, key_id: u8, on: Vec<HsmId>) -> PooledKey {
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

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.all()).finish()
    }
}

/// Nothing panics while it holds one of these locks; were it otherwise, the values are still whole.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
