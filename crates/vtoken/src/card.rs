//! What every command works on: durable state, session and parsed keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_iso7816::StatusWord;
use zeroize::Zeroizing;

use crate::access::{self, Act};
use crate::crypto::{CryptoError, Curve, EcKey, PrivateKey};
use crate::persistent::Persistent;
use crate::session::Session;
use crate::state::{Change, PinReference, State};

/// Length of a session PIN in bytes.
pub(crate) const SESSION_PIN: usize = 8;

/// A token without its transport.
pub(crate) struct Card {
    store: Persistent,
    /// Volatile state.
    pub(crate) session: Session,
    /// Stands in for the user PIN. Outlives SELECT.
    pub(crate) session_pin: Option<Zeroizing<[u8; SESSION_PIN]>>,
    /// Keys of the key store, parsed once.
    keys: BTreeMap<u8, Arc<PrivateKey>>,
    device_key: Option<Arc<EcKey>>,
    /// Who is told of signatures.
    pub(crate) witness: Option<Witness>,
}

/// Is told of each signature a token makes: the key's id and what was signed, as the command named both.
pub type Witness = Box<dyn FnMut(u8, &[u8]) + Send>;

/// What a command answers when it is not refused.
pub(crate) struct Answer {
    /// Response data field.
    pub(crate) data: Zeroizing<Vec<u8>>,
    /// 9000, or a warning.
    pub(crate) status: StatusWord,
}

/// What a command ends with; an error is a status word without data.
pub(crate) type Outcome = Result<Answer, StatusWord>;

impl Answer {
    /// 9000 without data.
    pub(crate) fn done() -> Self {
        Self::data(Vec::new())
    }

    /// 9000 with data.
    pub(crate) fn data(data: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        Self {
            data: data.into(),
            status: StatusWord::OK,
        }
    }
}

impl Card {
    /// A card that was just powered.
    pub(crate) fn new(store: Persistent) -> Self {
        Self {
            store,
            session: Session::default(),
            session_pin: None,
            keys: BTreeMap::new(),
            device_key: None,
            witness: None,
        }
    }

    /// Power cycle or reset: forgets everything volatile, but a session PIN that has to be cleared explicitly.
    pub(crate) fn reset(&mut self) {
        self.session = Session::default();
        if !access::keeps_session_pin(self.state()) {
            self.session_pin = None;
        }
    }

    /// Durable state.
    pub(crate) fn state(&self) -> &State {
        self.store.state()
    }

    /// The store itself.
    pub(crate) fn store(&self) -> &Persistent {
        &self.store
    }

    /// Makes all changes durable and visible, or none.
    ///
    /// The status word of a failure says memory failure (6581); nothing is changed then.
    pub(crate) fn commit(&mut self, changes: &[Change]) -> Result<(), StatusWord> {
        self.store.commit(changes).map_err(|error| {
            tracing::error!(%error, "token state could not be stored");
            MEMORY_FAILURE
        })?;
        for change in changes {
            match change {
                Change::PutKey { id, .. } | Change::DeleteKey { id } => {
                    self.keys.remove(id);
                }
                Change::Initialise(_) => {
                    self.keys.clear();
                    self.session_pin = None;
                }
                Change::SetPin {
                    reference: PinReference::User,
                    ..
                } => self.session_pin = None,
                Change::Personalise(_) => self.device_key = None,
                _ => {}
            }
        }
        Ok(())
    }

    /// 6982 unless the act is permitted.
    pub(crate) fn require(&self, act: Act) -> Result<(), StatusWord> {
        if access::permitted(act, self.state(), &self.session) {
            Ok(())
        } else {
            Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED)
        }
    }

    /// The parsed key with this id; 6A88 when there is none.
    pub(crate) fn key(&mut self, id: u8) -> Result<Arc<PrivateKey>, StatusWord> {
        if let Some(key) = self.keys.get(&id) {
            return Ok(Arc::clone(key));
        }
        let record = self
            .store
            .state()
            .keys
            .get(&id)
            .ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
        let key = Arc::new(PrivateKey::from_record(record).map_err(refused)?);
        self.keys.insert(id, Arc::clone(&key));
        Ok(key)
    }

    /// The device authentication key.
    pub(crate) fn device_key(&mut self) -> Result<Arc<EcKey>, StatusWord> {
        if let Some(key) = &self.device_key {
            return Ok(Arc::clone(key));
        }
        let scalar = self.store.state().device.private_key.expose();
        let key = Arc::new(EcKey::from_scalar(Curve::Brainpool256, scalar, None).map_err(refused)?);
        self.device_key = Some(Arc::clone(&key));
        Ok(key)
    }

    /// Command data, or what waits in EF 2F10 when the command has none. The file is used up by it.
    pub(crate) fn long_data(&mut self, data: &[u8]) -> Zeroizing<Vec<u8>> {
        match self.session.scratch.take() {
            Some(waiting) if data.is_empty() => waiting,
            kept => {
                self.session.scratch = kept;
                Zeroizing::new(data.to_vec())
            }
        }
    }
}

/// 6581: durable memory could not be written.
pub(crate) const MEMORY_FAILURE: StatusWord = StatusWord(0x6581);

/// The status word for a key operation that did not happen.
#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
pub(crate) fn refused(error: CryptoError) -> StatusWord {
    match error {
        CryptoError::Algorithm => StatusWord::FUNCTION_NOT_SUPPORTED,
        CryptoError::Data => StatusWord::WRONG_DATA,
        CryptoError::Library => StatusWord::UNKNOWN_ERROR,
    }
}

/// Bytes nobody can predict; 6F00 when the machine has none.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), StatusWord> {
    getrandom::fill(bytes).map_err(|_| StatusWord::UNKNOWN_ERROR)
}
