//! A key from one HSM to another of the same key domain. Each step looks before it acts, so an interrupted import is
//! finished by the same call.

use chancery_cvc::PublicKey;
use chancery_driver::{Error, KeyCertificate};
use chancery_schsm::{Fid, Kcv, KeyId, blob, fid};

use super::Worker;
use super::held::{Held, ask};
use crate::signing::Checker;
use crate::{HsmError, ImportState, KeyCopy};

impl Worker {
    pub(crate) fn export(&mut self, id: KeyId) -> Result<KeyCopy, HsmError> {
        if id.is_device() {
            return Err(self.input("key id 0 is the device's own key"));
        }
        self.require_open()?;
        if ask!(self.failed, "look for a key", card => card.key_attributes(id)).is_none() {
            return Err(self.no_such_key(id));
        }
        let prkd = ask!(self.failed, "read a description", card => card.read_file(fid::prkd(id)));
        let request = ask!(self.failed, "read a request", card => card.read_file(fid::certificate(id)));
        let Held::Open(card) = &mut self.card else {
            return Err(self.shared.not_open());
        };
        match card.wrap(id) {
            Ok(blob) => Ok(KeyCopy { blob, prkd, request }),
            Err(error) => Err(self.failed("wrap a key", error)),
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
        let checker = self.checker(&expected)?;
        let named = copy
            .request
            .clone()
            .map(|request| KeyCertificate::recognise(request).public_key());
        if named.is_some_and(|named| named.as_ref() != Some(&expected)) {
            return Err(self.wrong_key(format!("the request that comes with key {id} is for another key")));
        }
        self.require_open()?;
        self.require_domain_of(copy)?;

        let present = ask!(self.failed, "look for a key", card => card.key_attributes(id)).is_some();
        if present {
            if !self.proves(id, &checker)? {
                return Err(self.wrong_key(format!("key {id} is another key, which is left alone")));
            }
        } else {
            self.unwrap(id, copy, &checker)?;
        }
        let described = self.complete(fid::prkd(id), copy.prkd.as_deref())?;
        let certified = self.complete(fid::certificate(id), copy.request.as_deref())?;
        Ok(match (present, described || certified) {
            (false, _) => ImportState::Copied,
            (true, true) => ImportState::Finished,
            (true, false) => ImportState::Unchanged,
        })
    }

    /// The blob must be under the key encryption key of this HSM's key domain.
    fn require_domain_of(&mut self, copy: &KeyCopy) -> Result<(), HsmError> {
        let expected =
            blob::kcv_of(&copy.blob).map_err(|error| self.input(format!("the copied key: {error}")))?;
        let domains = ask!(self.failed, "tell its key domains", card => card.key_domains());
        let mut complete = domains.iter().filter(|(_, domain)| domain.is_complete());
        if complete.clone().any(|(_, domain)| domain.kcv == expected) {
            return Ok(());
        }
        Err(HsmError::OtherKeyDomain {
            hsm: self.shared.name.clone(),
            kcv: complete.next().map_or(Kcv::NONE, |(_, domain)| domain.kcv),
            expected,
        })
    }

    /// Puts the key under its free id and has it prove itself; what does not is removed again.
    fn unwrap(&mut self, id: KeyId, copy: &KeyCopy, checker: &Checker) -> Result<(), HsmError> {
        let Held::Open(card) = &mut self.card else {
            return Err(self.shared.not_open());
        };
        match card.unwrap(id, &copy.blob) {
            Ok(()) => {}
            Err(Error::KeyExists { .. }) => {
                return Err(self.wrong_key(format!("key {id} appeared meanwhile")));
            }
            Err(error) => return Err(self.failed("unwrap a key", error)),
        }
        if self.proves(id, checker)? {
            return Ok(());
        }
        // It came from the blob a moment ago and is nobody's key.
        let Held::Open(card) = &mut self.card else {
            return Err(self.shared.not_open());
        };
        if let Err(error) = card.delete_file(fid::key(id)) {
            return Err(self.failed("delete a key", error));
        }
        Err(self.wrong_key(format!(
            "the copy of key {id} is not the expected key and was removed"
        )))
    }

    /// Makes a file hold what came with the key; whether anything had to be written.
    fn complete(&mut self, fid: Fid, content: Option<&[u8]>) -> Result<bool, HsmError> {
        let Some(content) = content else { return Ok(false) };
        let there = ask!(self.failed, "read a file", card => card.read_file(fid));
        if there.as_deref() == Some(content) {
            return Ok(false);
        }
        let Held::Open(card) = &mut self.card else {
            return Err(self.shared.not_open());
        };
        match card.write_file(fid, content) {
            Ok(()) => Ok(true),
            Err(error) => Err(self.failed("write a file", error)),
        }
    }
}
