//! Objects from the files of a token.

use std::{collections::BTreeMap, sync::Arc};

use chancery_schsm::{
    CertificateDescription, DataDescription, Fid, KeyId, KeyType, PrivateKeyDescription,
    fid::{self, prefix},
};
use cryptoki_sys as ck;

use super::{describe, failure::Failure, hand::Hand};
use crate::{
    attribute::Kind,
    public_key::{CertificateParts, PublicKey},
    slot::{Object, ObjectId, Wanted},
};

/// Objects that were made of files as they were read.
#[derive(Default)]
pub(super) struct Built(BTreeMap<ObjectId, (bool, Arc<Object>)>);

/// What an object is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    PrivateKey(KeyId),
    PublicKey(KeyId),
    KeyCertificate(KeyId),
    CaCertificate(u8),
    Data(u8),
}

/// A key as its files describe it.
pub(super) struct KeyFiles {
    pub(super) description: PrivateKeyDescription,
    /// Read only when somebody wants it.
    pub(super) certificate: Option<Arc<[u8]>>,
}

impl Built {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn get(&self, wanted: &Wanted) -> Option<Arc<Object>> {
        let (whole, object) = self.0.get(&wanted.only?)?;
        (*whole || !wants_public_part(&wanted.attributes)).then(|| Arc::clone(object))
    }

    fn keep(&mut self, whole: bool, object: Object) -> Arc<Object> {
        let object = Arc::new(object);
        self.0.insert(object.id, (whole, Arc::clone(&object)));
        object
    }
}

impl Origin {
    pub(super) fn id(self) -> ObjectId {
        let (kind, low) = match self {
            Self::PrivateKey(key) => (1, key.0),
            Self::PublicKey(key) => (2, key.0),
            Self::KeyCertificate(key) => (3, key.0),
            Self::CaCertificate(number) => (4, number),
            Self::Data(number) => (5, number),
        };
        ObjectId(kind << 8 | u64::from(low))
    }

    pub(super) fn of(id: ObjectId) -> Option<Self> {
        let low = u8::try_from(id.0 & 0xFF).ok()?;
        Some(match id.0 >> 8 {
            1 => Self::PrivateKey(KeyId(low)),
            2 => Self::PublicKey(KeyId(low)),
            3 => Self::KeyCertificate(KeyId(low)),
            4 => Self::CaCertificate(low),
            5 => Self::Data(low),
            _ => return None,
        })
    }

    const fn class(self) -> ck::CK_OBJECT_CLASS {
        match self {
            Self::PrivateKey(_) => ck::CKO_PRIVATE_KEY,
            Self::PublicKey(_) => ck::CKO_PUBLIC_KEY,
            Self::KeyCertificate(_) | Self::CaCertificate(_) => ck::CKO_CERTIFICATE,
            Self::Data(_) => ck::CKO_DATA,
        }
    }
}

impl KeyFiles {
    pub(super) fn public_key(&self) -> Option<PublicKey> {
        public_key_of(self.certificate.as_deref()?)
    }
}

impl Hand {
    /// Objects, as far as somebody wants them.
    pub(super) fn objects(&mut self, wanted: &Wanted) -> Result<Vec<Arc<Object>>, Failure> {
        if let Some(only) = wanted.only {
            let Some(origin) = Origin::of(only) else {
                return Ok(Vec::new());
            };
            return Ok(self.object(origin, wanted, false)?.into_iter().collect());
        }
        let list = self.list()?;
        // Who lists a token wants to see what is there now; who looks for a key gets what was there before, and the first
        // signature shows whether it is the same.
        let fresh = wanted
            .class
            .is_none_or(|class| matches!(class, ck::CKO_CERTIFICATE | ck::CKO_DATA));
        let mut found = Vec::new();
        for origin in origins(&list) {
            if wanted.class.is_none_or(|class| class == origin.class())
                && let Some(object) = self.object(origin, wanted, fresh)?
            {
                found.push(object);
            }
        }
        Ok(found)
    }

    /// One object; `None` when there is no such thing after all.
    fn object(
        &mut self,
        origin: Origin,
        wanted: &Wanted,
        fresh: bool,
    ) -> Result<Option<Arc<Object>>, Failure> {
        let id = origin.id();
        if !fresh {
            let one = Wanted {
                only: Some(id),
                ..wanted.clone()
            };
            if let Some(object) = self.built.get(&one) {
                return Ok(Some(object));
            }
        }
        let made = match origin {
            Origin::PrivateKey(key) if wanted.private => {
                let whole = wants_public_part(&wanted.attributes);
                self.key_files(key, whole, fresh)?
                    .map(|files| (files.certificate.is_some(), describe::private_key(id, &files)))
            }
            Origin::PrivateKey(_) => None,
            Origin::PublicKey(key) => self
                .key_files(key, true, fresh)?
                .and_then(|files| Some((true, describe::public_key(id, &files, &files.public_key()?)))),
            Origin::KeyCertificate(key) => self.key_files(key, true, fresh)?.and_then(|files| {
                let content = files.certificate.clone()?;
                let parts = CertificateParts::read(&content)?;
                let description = &files.description;
                Some((
                    true,
                    describe::certificate(id, &description.label, &description.id, &parts, false),
                ))
            }),
            Origin::CaCertificate(number) => self
                .ca_certificate(id, number, fresh)?
                .map(|object| (true, object)),
            Origin::Data(number) => self
                .data_object(id, number, wanted.private, fresh)?
                .map(|object| (true, object)),
        };
        Ok(made.map(|(whole, object)| {
            if matches!(origin, Origin::Data(_)) {
                // Its value may be private.
                Arc::new(object)
            } else {
                self.built.keep(whole, object)
            }
        }))
    }

    /// Files of a key; `whole` with its certificate or request. `None` when nothing says what kind of key it is.
    pub(super) fn key_files(
        &mut self,
        id: KeyId,
        whole: bool,
        fresh: bool,
    ) -> Result<Option<KeyFiles>, Failure> {
        let list = self.files.list().map(<[Fid]>::to_vec).unwrap_or_default();
        if !list.is_empty() && !list.contains(&fid::key(id)) {
            return Ok(None);
        }
        let described = list.is_empty() || list.contains(&fid::prkd(id));
        let description = if described {
            self.file(fid::prkd(id), fresh)?
                .and_then(|content| PrivateKeyDescription::parse(&content).ok())
        } else {
            None
        };
        // Some tokens list no certificates and have them none the less.
        let lists_them = list.iter().any(|file| file.prefix() == prefix::CERTIFICATE);
        let certified = !lists_them || list.contains(&fid::certificate(id));
        let certificate = if certified && (whole || description.is_none()) {
            self.file(fid::certificate(id), fresh)?
        } else {
            None
        };
        let description = match description {
            Some(description) => Some(description),
            None => certificate
                .as_deref()
                .and_then(public_key_of)
                .map(|key| describe::undescribed(id, &key)),
        };
        Ok(description
            .filter(|description| description.key_type != KeyType::Aes)
            .map(|description| KeyFiles {
                description,
                certificate,
            }))
    }

    fn ca_certificate(&mut self, id: ObjectId, number: u8, fresh: bool) -> Result<Option<Object>, Failure> {
        let description = self
            .file(fid::ca_certificate_description(number), fresh)?
            .and_then(|content| CertificateDescription::parse(&content).ok());
        let Some(content) = self.file(fid::ca_certificate(number), fresh)? else {
            return Ok(None);
        };
        let (label, cka_id) = description.map_or_else(
            || (format!("CA certificate {number}"), Vec::new()),
            |description| (description.label, description.id),
        );
        Ok(CertificateParts::read(&content)
            .map(|parts| describe::certificate(id, &label, &cka_id, &parts, true)))
    }

    fn data_object(
        &mut self,
        id: ObjectId,
        number: u8,
        private: bool,
        fresh: bool,
    ) -> Result<Option<Object>, Failure> {
        let Some(description) = self
            .file(fid::data_description(number), fresh)?
            .and_then(|content| DataDescription::parse(&content).ok())
        else {
            return Ok(None);
        };
        let is_private = description.file.prefix() == prefix::PRIVATE_DATA;
        let value = match (is_private, private) {
            (true, false) => return Ok(None),
            // Never kept: it would outlive the login.
            (true, true) => self.card()?.read(description.file)?,
            (false, _) => self
                .file(description.file, fresh)?
                .map(|content| content.to_vec()),
        };
        Ok(value.map(|value| describe::data(id, &description, value, is_private)))
    }
}

/// Everything that may be an object in a token's list.
fn origins(list: &[Fid]) -> Vec<Origin> {
    let mut all = Vec::new();
    for file in list {
        match file.prefix() {
            prefix::KEY if file.low() != 0 => {
                let key = KeyId(file.low());
                all.extend([
                    Origin::PrivateKey(key),
                    Origin::PublicKey(key),
                    Origin::KeyCertificate(key),
                ]);
            }
            prefix::CA_CERTIFICATE => all.push(Origin::CaCertificate(file.low())),
            prefix::DCOD => all.push(Origin::Data(file.low())),
            _ => {}
        }
    }
    all.sort_by_key(|origin| origin.id());
    all
}

/// The public key in a certificate or request.
pub(super) fn public_key_of(content: &[u8]) -> Option<PublicKey> {
    match CertificateParts::read(content) {
        Some(parts) => PublicKey::from_spki(parts.public_key),
        None => PublicKey::from_card_verifiable(content),
    }
}

/// Whether an attribute of a key is in its certificate or request only.
fn wants_public_part(attributes: &[Kind]) -> bool {
    attributes.iter().any(|kind| {
        matches!(
            *kind,
            ck::CKA_MODULUS
                | ck::CKA_PUBLIC_EXPONENT
                | ck::CKA_EC_PARAMS
                | ck::CKA_EC_POINT
                | ck::CKA_PUBLIC_KEY_INFO
                | ck::CKA_SUBJECT
        )
    })
}
