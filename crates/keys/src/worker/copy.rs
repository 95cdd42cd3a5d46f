//! A key from one HSM to another of the same key domain: the driver's procedures in this thread's terms.

use chancery_cvc::PublicKey;
use chancery_driver::{Replica, ReplicateError, Replicated, replicate};
use chancery_schsm::KeyId;

use super::Worker;
use super::held::Held;
use crate::{HsmError, ImportState, KeyCopy};

impl Worker {
    pub(crate) fn export(&mut self, id: KeyId) -> Result<KeyCopy, HsmError> {
        if id.is_device() {
            return Err(self.input("key id 0 is the device's own key"));
        }
        let Held::Open(card) = &mut self.card else {
            return Err(self.shared.not_open());
        };
        match replicate::export(card, id) {
            Ok(replica) => Ok(KeyCopy {
                blob: replica.wrapped,
                prkd: replica.description,
                request: replica.certificate,
            }),
            Err(error) => Err(self.not_copied(error)),
        }
    }

    pub(crate) fn import(
        &mut self,
        id: KeyId,
        copy: &KeyCopy,
        expected_spki: &[u8],
    ) -> Result<ImportState, HsmError> {
        if id.is_device() {
            return Err(self.input("key id 0 is the device's own key"));
        }
        let expected = PublicKey::from_spki_der(expected_spki)
            .map_err(|error| self.input(format!("the expected key: {error}")))?;
        let replica = Replica {
            wrapped: copy.blob.clone(),
            description: copy.prkd.clone(),
            certificate: copy.request.clone(),
        };
        let Held::Open(card) = &mut self.card else {
            return Err(self.shared.not_open());
        };
        match replicate::import(card, id, &replica, &expected) {
            Ok(Replicated::Copied) => Ok(ImportState::Copied),
            Ok(Replicated::Finished) => Ok(ImportState::Finished),
            Ok(Replicated::Unchanged) => Ok(ImportState::Unchanged),
            Err(error) => Err(self.not_copied(error)),
        }
    }

    fn not_copied(&mut self, error: ReplicateError) -> HsmError {
        let hsm = self.shared.name.clone();
        match error {
            ReplicateError::NoSuchKey(id) => self.no_such_key(id),
            ReplicateError::SourceDomain { domain } => HsmError::NoKeyDomain { hsm, domain },
            ReplicateError::OtherDomain { wanted, found } => HsmError::OtherKeyDomain {
                hsm,
                kcv: found,
                expected: wanted,
            },
            ReplicateError::Source(error) => self.failed("export a key", error),
            ReplicateError::Target(error) => self.failed("import a key", error),
            other => self.wrong_key(other.to_string()),
        }
    }
}
