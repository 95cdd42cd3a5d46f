//! Which local tokens are there.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chancery_pcsc::Context;

use super::{
    cache::CacheFolder,
    local::LocalSlot,
    place::{ReaderPlace, SocketPlace},
};
use crate::{
    config::{Readers, Tokens},
    library::Source,
    slot::Slot,
};

/// Tokens in readers and behind sockets, as the configuration says.
pub struct LocalTokens {
    tokens: Tokens,
    cache: Option<CacheFolder>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    sockets: BTreeMap<PathBuf, (Arc<SocketPlace>, Arc<LocalSlot>)>,
    readers: BTreeMap<String, (Arc<ReaderPlace>, Arc<LocalSlot>)>,
}

impl LocalTokens {
    /// With this configuration.
    #[must_use]
    pub fn new(tokens: Tokens, cache: Option<CacheFolder>) -> Self {
        Self {
            tokens,
            cache,
            known: Mutex::default(),
        }
    }

    fn wait(&self) -> Duration {
        Duration::from_secs(self.tokens.wait_seconds.into())
    }

    /// Sockets that are served. One that is configured by name is a slot even when it is not.
    fn sockets(&self) -> Vec<Arc<dyn Slot>> {
        let mut paths: Vec<(PathBuf, bool)> = Vec::new();
        for path in &self.tokens.sockets {
            if path.is_dir() {
                paths.extend(sockets_in(path).into_iter().map(|path| (path, false)));
            } else if is_socket_name(path) || path.exists() {
                paths.push((path.clone(), true));
            }
        }
        let mut slots: Vec<Arc<dyn Slot>> = Vec::new();
        for (path, named) in paths {
            let (place, slot) = {
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                let entry = known.sockets.entry(path.clone()).or_insert_with(|| {
                    let place = Arc::new(SocketPlace::new(&path));
                    let slot = LocalSlot::new(place.clone(), self.cache.clone(), self.wait());
                    (place, Arc::new(slot))
                });
                entry.clone()
            };
            if place.look() || named {
                slots.push(slot);
            }
        }
        slots
    }

    /// Readers with a SmartCard-HSM, and those that are configured by name.
    fn readers(&self) -> Vec<Arc<dyn Slot>> {
        let names: &[String] = match &self.tokens.readers {
            Readers::None => return Vec::new(),
            Readers::All => &[],
            Readers::Named(names) => names,
        };
        // Without PC/SC, or without pcscd, there are no readers.
        let Ok(readers) = Context::open().and_then(|context| context.readers()) else {
            return Vec::new();
        };
        let mut slots: Vec<Arc<dyn Slot>> = Vec::new();
        for reader in readers {
            let named = names.iter().any(|name| reader.name.contains(name.as_str()));
            let holds_one = reader
                .card
                .as_ref()
                .is_some_and(|card| is_smartcard_hsm(&card.atr));
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let is_known = known.readers.contains_key(&reader.name);
            if !(named || names.is_empty() && (holds_one || is_known)) {
                continue;
            }
            let (place, slot) = known
                .readers
                .entry(reader.name.clone())
                .or_insert_with(|| {
                    let place = Arc::new(ReaderPlace::new(&reader.name));
                    let slot = LocalSlot::new(place.clone(), self.cache.clone(), self.wait());
                    (place, Arc::new(slot))
                })
                .clone();
            place.set_present(if named { reader.card.is_some() } else { holds_one });
            slots.push(slot);
        }
        slots
    }
}

impl Source for LocalTokens {
    fn slots(&self) -> Vec<Arc<dyn Slot>> {
        let mut slots = self.sockets();
        slots.extend(self.readers());
        slots
    }
}

/// `NAME.sock` in a folder, by name.
fn sockets_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_socket_name(path))
        .collect();
    paths.sort();
    paths
}

/// A folder that is not there, yet, is no socket that is not served.
fn is_socket_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sock")
}

/// Whether a card says it is one: all of them have these historical bytes, or are a platform that carries the application.
fn is_smartcard_hsm(atr: &[u8]) -> bool {
    const NAME: &[u8] = b"\x81\x54HSM1s\x80\x21\x40\x81\x07";
    const PLATFORM: &[u8] = b"\x3B\xF8\x13\x00\x00\x81\x31\xFE\x45JCOPv241\xB7";
    atr.windows(NAME.len()).any(|window| window == NAME) || atr == PLATFORM
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_no_slot_and_a_socket_is() {
        let folder = tempfile::tempdir().unwrap();
        let slots = |path: PathBuf| {
            let tokens = Tokens {
                readers: Readers::None,
                sockets: vec![path],
                ..Tokens::default()
            };
            LocalTokens::new(tokens, None).slots().len()
        };
        assert_eq!(slots(folder.path().join("readers")), 0);
        assert_eq!(slots(folder.path().to_owned()), 0);
        assert_eq!(slots(folder.path().join("one.sock")), 1);
    }

    #[test]
    fn cards_are_told_by_their_historical_bytes() {
        let nitrokey = b"\x3B\xDE\x96\xFF\x81\x91\xFE\x1F\xC3\x80\x31\x81\x54\x48\x53\x4D\x31\x73\x80\x21\x40\x81\x07\x92";
        let contactless = b"\x3B\x8E\x80\x01\x80\x31\x81\x54\x48\x53\x4D\x31\x73\x80\x21\x40\x81\x07\x18";
        assert!(is_smartcard_hsm(nitrokey) && is_smartcard_hsm(contactless));
        assert!(!is_smartcard_hsm(b"\x3B\x00") && !is_smartcard_hsm(b""));
    }
}
