//! Keys of an HSM: generation, proof of origin, certificates.

use chancery_cvc::{AttestedKey, AuthenticatedRequest, Reference};
use chancery_driver::{AttestError, Error, KeyCertificate, KeyDescription, KeySpec, keystore};
use chancery_schsm::{AlgorithmList, KeyId};

use super::Worker;
use super::held::{Held, ask};
use crate::{GenerateSpec, GeneratedKey, HsmError};

impl Worker {
    pub(crate) fn generate(&mut self, spec: &GenerateSpec) -> Result<GeneratedKey, HsmError> {
        let id = KeyId(spec.key_id);
        if id.is_device() {
            return Err(self.input("key id 0 is the device's own key"));
        }
        if spec.label.len() > keystore::MAX_LABEL {
            return Err(self.input(format!("a label has at most {} bytes", keystore::MAX_LABEL)));
        }
        let chr = match &spec.chr {
            Some(chr) => Reference::new(chr),
            None => self.device.name().with_sequence(id.0.into()),
        };
        let chr = chr.map_err(|error| self.input(error.to_string()))?;
        self.require_open()?;
        let present = ask!(self.failed, "look for a key", card => card.key_attributes(id));
        let (attested, request) = if present.is_some() {
            self.generated_before(spec)?
        } else {
            let spec = KeySpec {
                id,
                algorithm: spec.algorithm.spec(),
                chr,
                algorithms: AlgorithmList::new(spec.algorithm.uses())
                    .map_err(|error| self.input(error.to_string()))?,
                key_domain: None,
                use_counter: None,
            };
            let Held::Open(card) = &mut self.card else {
                return Err(self.shared.not_open());
            };
            match card.generate_attested(&spec, &self.device) {
                Ok((generated, attested)) => (attested, generated.request),
                Err(error) => return Err(self.unattested(id, error)),
            }
        };
        let Held::Open(card) = &mut self.card else {
            return Err(self.shared.not_open());
        };
        let description = KeyDescription::new(spec.label.as_str());
        if let Err(error) = card.describe_key(id, attested.public_key(), &description) {
            return Err(self.failed("describe a key", error));
        }
        self.generated(id, &attested, request)
    }

    pub(crate) fn key(&mut self, id: KeyId) -> Result<Option<GeneratedKey>, HsmError> {
        let present = ask!(self.failed, "look for a key", card => card.key_attributes(id));
        if present.is_none() {
            return Ok(None);
        }
        let (attested, request) = self.attest(id)?;
        self.generated(id, &attested, request).map(Some)
    }

    pub(crate) fn put_certificate(&mut self, id: KeyId, der: &[u8]) -> Result<(), HsmError> {
        let named = KeyCertificate::recognise(der.to_vec()).public_key();
        let Some(public_key) = named else {
            return Err(self.input("neither a certificate nor a request"));
        };
        self.require_open()?;
        if ask!(self.failed, "look for a key", card => card.key_attributes(id)).is_none() {
            return Err(self.no_such_key(id));
        }
        let Held::Open(card) = &mut self.card else {
            return Err(self.shared.not_open());
        };
        match card.store_certificate(id, &public_key, der) {
            Ok(_) => Ok(()),
            Err(Error::Disagreement { what, .. }) => Err(self.wrong_key(format!("key {id}: {what}"))),
            Err(error) => Err(self.failed("store a certificate", error)),
        }
    }

    pub(super) fn require_open(&mut self) -> Result<(), HsmError> {
        match self.card {
            Held::Open(_) => Ok(()),
            _ => Err(self.shared.not_open()),
        }
    }

    pub(super) fn input(&self, what: impl Into<String>) -> HsmError {
        HsmError::Input {
            hsm: self.shared.name.clone(),
            what: what.into(),
        }
    }

    pub(super) fn wrong_key(&self, what: String) -> HsmError {
        HsmError::WrongKey {
            hsm: self.shared.name.clone(),
            what,
        }
    }

    pub(super) fn no_such_key(&self, id: KeyId) -> HsmError {
        HsmError::NoSuchKey {
            hsm: self.shared.name.clone(),
            key_id: id.0,
        }
    }

    /// A key that an earlier call made: its request must be this device's, its kind the one asked for, and the key
    /// itself the one the request names.
    fn generated_before(&mut self, spec: &GenerateSpec) -> Result<(AttestedKey, Vec<u8>), HsmError> {
        let id = KeyId(spec.key_id);
        let (attested, request) = self.attest(id)?;
        if !spec.algorithm.is_of(attested.public_key()) {
            return Err(self.wrong_key(format!("key {id} is no {} key", spec.algorithm)));
        }
        let Held::Open(card) = &mut self.card else {
            return Err(self.shared.not_open());
        };
        match card.proves(id, attested.public_key()) {
            Ok(true) => Ok((attested, request)),
            Ok(false) => Err(self.wrong_key(format!("key {id} is not the one its request names"))),
            Err(error) => Err(self.failed("prove a key", error)),
        }
    }

    /// The request in CExx, verified against this device.
    fn attest(&mut self, id: KeyId) -> Result<(AttestedKey, Vec<u8>), HsmError> {
        let entry = ask!(self.failed, "read a key", card => keystore::entry(card, id));
        let Some(KeyCertificate::Request(request)) = entry.and_then(|entry| entry.certificate) else {
            return Err(HsmError::Unattested {
                hsm: self.shared.name.clone(),
                key: format!("key {id}"),
                source: "there is no request with it".into(),
            });
        };
        let verified = AuthenticatedRequest::parse(&request)
            .map_err(AttestError::Format)
            .and_then(|parsed| parsed.verify(&self.device).map_err(AttestError::Request));
        match verified {
            Ok(attested) => Ok((attested, request)),
            Err(error) => Err(self.unattested(id, error)),
        }
    }

    fn unattested(&mut self, id: KeyId, error: AttestError) -> HsmError {
        match error {
            AttestError::Card(error) => self.failed("generate a key", error),
            source => HsmError::Unattested {
                hsm: self.shared.name.clone(),
                key: format!("key {id}"),
                source: Box::new(source),
            },
        }
    }

    fn generated(&self, id: KeyId, key: &AttestedKey, request: Vec<u8>) -> Result<GeneratedKey, HsmError> {
        let public_key_spki = key
            .public_key()
            .to_spki_der()
            .map_err(|error| HsmError::Unattested {
                hsm: self.shared.name.clone(),
                key: format!("key {id}"),
                source: Box::new(error),
            })?;
        Ok(GeneratedKey {
            public_key_spki,
            request,
        })
    }
}
