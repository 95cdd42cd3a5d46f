//! Sessions by the secret their client holds.

use std::collections::HashMap;
use std::sync::Arc;

use chancery_api::Hash32;
use zeroize::Zeroizing;

use super::live::Live;

/// Bytes of a session's secret.
const SECRET: usize = 32;

/// Sessions that can still be asked. Secrets are kept as their SHA-256.
#[derive(Default)]
pub(super) struct Sessions(HashMap<Hash32, Arc<Live>>);

impl Sessions {
    pub(super) fn add(&mut self, secret: &str, live: Arc<Live>) {
        self.0.insert(Hash32::of(secret.as_bytes()), live);
    }

    pub(super) fn find(&self, secret: &str) -> Option<Arc<Live>> {
        self.0.get(&Hash32::of(secret.as_bytes())).cloned()
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.0.retain(|_, live| live.id != id);
    }

    pub(super) fn all(&self) -> Vec<Arc<Live>> {
        self.0.values().cloned().collect()
    }
}

/// A new secret: lower-case hexadecimal.
pub(super) fn new_secret() -> Result<Zeroizing<String>, openssl::error::ErrorStack> {
    let mut bytes = Zeroizing::new([0; SECRET]);
    openssl::rand::rand_bytes(bytes.as_mut_slice())?;
    let mut secret = Zeroizing::new(String::with_capacity(2 * SECRET));
    for byte in bytes.iter() {
        for nibble in [byte >> 4, byte & 15] {
            secret.push(char::from_digit(u32::from(nibble), 16).unwrap_or_default());
        }
    }
    Ok(secret)
}
