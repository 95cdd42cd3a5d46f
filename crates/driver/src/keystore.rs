//! The keys on a token as people and other software see them: labels, ids, usage, certificates.

use chancery_cvc::PublicKey;
use chancery_iso7816::Transport;
use chancery_schsm::pkcs15::KeyUsage;
use chancery_schsm::{KeyId, KeyType, PrivateKeyDescription, TokenInfo, fid};

use crate::card::Authenticated;
use crate::certificate::KeyCertificate;
use crate::error::{Doing, Error};
use crate::session::{AppletAccess, Session, sealed::HasSession};

/// Longest label written, in bytes: clients read descriptions into small buffers.
pub const MAX_LABEL: usize = 64;

/// A key as its description and certificate present it. Nothing of this proves anything about the key.
#[derive(Clone, Debug)]
pub struct KeyEntry {
    /// Id of the key on the token.
    pub id: KeyId,
    /// PKCS#15 description; `None` when there is none or it cannot be read.
    pub description: Option<PrivateKeyDescription>,
    /// What stands in CExx.
    pub certificate: Option<KeyCertificate>,
    /// Public key named in CExx.
    pub public_key: Option<PublicKey>,
}

impl KeyEntry {
    /// Label, empty when the key has no description.
    #[must_use]
    pub fn label(&self) -> &str {
        self.description
            .as_ref()
            .map_or("", |description| &description.label)
    }

    /// CKA_ID, empty when the key has no description.
    #[must_use]
    pub fn cka_id(&self) -> &[u8] {
        self.description
            .as_ref()
            .map_or(&[], |description| &description.id)
    }

    /// Size in bits: of the public key where known, else as described.
    #[must_use]
    pub fn size(&self) -> Option<u16> {
        self.public_key
            .as_ref()
            .and_then(bits)
            .or_else(|| Some(self.description.as_ref()?.key_size))
    }
}

/// How a key is to be shown by other software.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDescription {
    /// Label, at most [`MAX_LABEL`] bytes of UTF-8.
    pub label: String,
    /// CKA_ID; the key id as one byte when not given.
    pub cka_id: Option<Vec<u8>>,
    /// Usage; what suits the kind of key when not given.
    pub usage: Option<KeyUsage>,
}

impl KeyDescription {
    /// A label, everything else by default.
    #[must_use]
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            cka_id: None,
            usage: None,
        }
    }
}

/// Every key with description and certificate: one APDU for the list and at most two for each key.
///
/// # Errors
/// A command failed. A description or certificate that cannot be read is left out.
pub fn list(card: &mut impl AppletAccess) -> Result<Vec<KeyEntry>, Error> {
    let session = card.session();
    let objects = session.enumerate()?;
    // A firmware that lists no certificate at all may have them none the less.
    let certificates_listed = objects.with_prefix(fid::prefix::CERTIFICATE).next().is_some();
    objects
        .keys()
        .into_iter()
        .map(|id| {
            let described = objects.contains(fid::prkd(id));
            let certified = objects.contains(fid::certificate(id)) || !certificates_listed;
            session.key_entry(id, described, certified)
        })
        .collect()
}

/// One key; `None` when there is no such key.
///
/// # Errors
/// As [`list`].
pub fn entry(card: &mut impl AppletAccess, id: KeyId) -> Result<Option<KeyEntry>, Error> {
    let session = card.session();
    match session.key_attributes(id)? {
        Some(_) => session.key_entry(id, true, true).map(Some),
        None => Ok(None),
    }
}

/// Lowest id that neither a key nor the rest of one occupies.
///
/// # Errors
/// A command failed, or the token has no free id.
pub fn next_free_id(card: &mut impl AppletAccess) -> Result<KeyId, Error> {
    let doing = Doing::new("ENUMERATE OBJECTS", "free key id");
    card.session()
        .enumerate()?
        .next_free_key_id()
        .ok_or_else(|| Error::input(&doing, "all 255 key ids of the token are taken"))
}

/// Label and serial number of the token (EF 2F03); `None` when it has none.
///
/// # Errors
/// A command failed, or the file is malformed.
pub fn token_info(card: &mut impl AppletAccess) -> Result<Option<TokenInfo>, Error> {
    let doing = Doing::new("READ BINARY", "token information");
    match card.session().read_object(fid::TOKEN_INFO)? {
        Some(content) => TokenInfo::parse(&content)
            .map(Some)
            .map_err(|error| Error::protocol(&doing, error.to_string())),
        None => Ok(None),
    }
}

impl<T: Transport> Authenticated<T> {
    /// Writes the PKCS#15 description of a key, so that other software shows it.
    ///
    /// # Errors
    /// The label is too long, or a command failed.
    pub fn describe_key(
        &mut self,
        id: KeyId,
        public_key: &PublicKey,
        description: &KeyDescription,
    ) -> Result<(), Error> {
        let doing = Doing::new("UPDATE BINARY", format!("description of key {id}"));
        if description.label.len() > MAX_LABEL {
            return Err(Error::input(
                &doing,
                format!("a label has at most {MAX_LABEL} bytes"),
            ));
        }
        let size = bits(public_key).ok_or_else(|| Error::input(&doing, "a public key without size"))?;
        let key_number = [id.0];
        let cka_id = description.cka_id.as_deref().unwrap_or(&key_number);
        let mut object = match public_key {
            PublicKey::Rsa(_) => PrivateKeyDescription::rsa(id, &description.label, cka_id, size),
            _ => PrivateKeyDescription::ec(id, &description.label, cka_id, size),
        };
        if let Some(usage) = description.usage {
            object.usage = usage;
        }
        self.session().replace_file(fid::prkd(id), &object.encode())
    }

    /// Stores an X.509 or card verifiable certificate with a key and gives back what stood there: keep a request, it
    /// is the proof of the key's origin and cannot be had again.
    ///
    /// # Errors
    /// [`Error::Disagreement`] when the certificate is for another public key than `public_key` or than what is there
    /// names; or a command failed.
    pub fn store_certificate(
        &mut self,
        id: KeyId,
        public_key: &PublicKey,
        certificate: &[u8],
    ) -> Result<Option<KeyCertificate>, Error> {
        let doing = Doing::new("UPDATE BINARY", format!("certificate of key {id}"));
        let new = KeyCertificate::recognise(certificate.to_vec());
        if !matches!(
            new,
            KeyCertificate::X509(_) | KeyCertificate::Cvc(_) | KeyCertificate::Request(_)
        ) {
            return Err(Error::input(&doing, "neither a certificate nor a request"));
        }
        if new.public_key().as_ref() != Some(public_key) {
            return Err(Error::disagreement(
                &doing,
                "the certificate is for another public key",
            ));
        }
        let session = self.session();
        let old = session
            .read_object(fid::certificate(id))?
            .map(KeyCertificate::recognise);
        if old
            .as_ref()
            .and_then(KeyCertificate::public_key)
            .is_some_and(|named| named != *public_key)
        {
            return Err(Error::disagreement(
                &doing,
                "what stands there is for another public key",
            ));
        }
        session.replace_file(fid::certificate(id), certificate)?;
        Ok(old)
    }

    /// Deletes a key for ever, then its description and certificate.
    ///
    /// # Errors
    /// A command failed; the call can be repeated.
    pub fn delete_key(&mut self, id: KeyId) -> Result<(), Error> {
        let session = self.session();
        for file in [fid::key(id), fid::prkd(id), fid::certificate(id)] {
            session.delete_file(file)?;
        }
        Ok(())
    }

    /// Writes the token's label (EF 2F03).
    ///
    /// # Errors
    /// The label is too long, or a command failed.
    pub fn write_label(&mut self, label: &str) -> Result<(), Error> {
        self.session().write_label(label)
    }
}

impl<T: Transport> Session<T> {
    /// Writes EF 2F03.
    pub(crate) fn write_label(&mut self, label: &str) -> Result<(), Error> {
        let doing = Doing::new("UPDATE BINARY", "token information");
        if label.len() > MAX_LABEL {
            return Err(Error::input(
                &doing,
                format!("a label has at most {MAX_LABEL} bytes"),
            ));
        }
        self.replace_file(fid::TOKEN_INFO, &TokenInfo::new(label).encode())
    }

    fn key_entry(&mut self, id: KeyId, described: bool, certified: bool) -> Result<KeyEntry, Error> {
        let description = if described {
            self.read_object(fid::prkd(id))?
        } else {
            None
        };
        let certificate = if certified {
            self.read_object(fid::certificate(id))?
        } else {
            None
        };
        let certificate = certificate.map(KeyCertificate::recognise);
        Ok(KeyEntry {
            id,
            description: description.and_then(|content| PrivateKeyDescription::parse(&content).ok()),
            public_key: certificate.as_ref().and_then(KeyCertificate::public_key),
            certificate,
        })
    }
}

/// Kind of key a public key belongs to.
pub(crate) const fn key_type(key: &PublicKey) -> KeyType {
    match key {
        PublicKey::Rsa(_) => KeyType::Rsa,
        PublicKey::Ec(_) | PublicKey::EcPointOnly(_) => KeyType::Ec,
    }
}

/// Size in bits: of the curve, or of the modulus.
fn bits(key: &PublicKey) -> Option<u16> {
    match key {
        PublicKey::Ec(key) => key.domain().curve().map(|curve| curve.bits()),
        PublicKey::Rsa(key) => u16::try_from(key.bits()).ok(),
        PublicKey::EcPointOnly(_) => None,
    }
}
