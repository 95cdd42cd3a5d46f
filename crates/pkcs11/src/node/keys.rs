//! The keys of a node, asked for now and then.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chancery_api::{Hash32, Mechanism, SigningKeyView};

use super::Calls;
use crate::{
    public_key::PublicKey,
    slot::{Object, ObjectId},
};

/// A signer, with what programs see of it.
pub(super) struct Key {
    pub(super) name: String,
    pub(super) public: PublicKey,
    /// SHA-256 of its SubjectPublicKeyInfo (DER).
    pub(super) hash: Hash32,
    pub(super) objects: Vec<Arc<Object>>,
}

/// What is known of a node's keys. Shared by its slots.
pub(super) struct Keys {
    calls: Box<dyn Calls>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    keys: Arc<[Key]>,
    asked: Option<Instant>,
    /// When the node did not answer, and why.
    failed: Option<(Instant, String)>,
}

/// Keys are asked for again after this time.
const FRESH: Duration = Duration::from_secs(30);
/// A node that did not answer is left alone for this time.
const SILENT: Duration = Duration::from_secs(5);

impl Key {
    fn new(view: &SigningKeyView) -> Option<Self> {
        let public = PublicKey::from_spki(&view.public_key.0)?;
        let hash = Hash32::of(&view.public_key.0);
        let objects = super::objects::of_key(&view.name, &public, hash, view.certificate.as_ref());
        Some(Self {
            name: view.name.clone(),
            public,
            hash,
            objects: objects.into_iter().map(Arc::new).collect(),
        })
    }

    /// Whether an object is this key's private one.
    pub(super) fn is(&self, id: ObjectId) -> bool {
        super::objects::private_id(self.hash) == id
    }

    /// How it signs; RSA keys in more ways than one.
    pub(super) const fn mechanism(&self, rsa: Mechanism) -> Mechanism {
        match self.public {
            PublicKey::Rsa { .. } => rsa,
            PublicKey::Ec { .. } => Mechanism::Ecdsa,
        }
    }
}

impl Keys {
    pub(super) fn new(calls: Box<dyn Calls>) -> Self {
        Self {
            calls,
            known: Mutex::default(),
        }
    }

    pub(super) fn calls(&self) -> &dyn Calls {
        self.calls.as_ref()
    }

    /// What is known, however old.
    pub(super) fn known(&self) -> Arc<[Key]> {
        Arc::clone(&self.held().keys)
    }

    /// What is known, asked for again when it is old. When the node does not answer, what was known stays.
    ///
    /// # Errors
    /// Why nothing is known, in words for people.
    pub(super) fn fresh(&self) -> Result<Arc<[Key]>, String> {
        {
            let known = self.held();
            if known.asked.is_some_and(|asked| asked.elapsed() < FRESH) {
                return Ok(Arc::clone(&known.keys));
            }
            if let Some((at, why)) = &known.failed
                && at.elapsed() < SILENT
            {
                return known.or_why(why);
            }
        }
        let answer = self.calls.keys();
        let mut known = self.held();
        match answer {
            Ok(views) => {
                // Keys of kinds that are not known here are left out.
                known.keys = views.iter().filter_map(Key::new).collect();
                known.asked = Some(Instant::now());
                known.failed = None;
                Ok(Arc::clone(&known.keys))
            }
            Err(error) => {
                let why = super::words::failed(&self.calls.name(), error);
                known.failed = Some((Instant::now(), why.clone()));
                known.or_why(&why)
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Known> {
        // Held for single steps only, never while the node is asked.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn or_why(&self, why: &str) -> Result<Arc<[Key]>, String> {
        if self.keys.is_empty() {
            Err(why.to_owned())
        } else {
            Ok(Arc::clone(&self.keys))
        }
    }
}
