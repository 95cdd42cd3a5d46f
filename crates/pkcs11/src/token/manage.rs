//! Making and changing what is on a token.

use chancery_schsm::{
    CertificateDescription, DataDescription, Fid, KeyId, PrivateKeyDescription,
    fid::{self, prefix},
};
use cryptoki_sys as ck;

use super::{
    describe,
    failure::Failure,
    hand::Hand,
    objects::{Origin, public_key_of},
};
use crate::{
    attribute::{Kind, Template},
    curve::Curve,
    error::Code,
    public_key::{CertificateParts, PublicKey},
    slot::{KeyKind, ObjectId},
};

/// Longest label, in bytes: other software reads descriptions into small buffers.
const LONGEST_LABEL: usize = 64;
/// Longest identifier, in bytes.
const LONGEST_ID: usize = 64;
/// Longest value of a data object, in bytes.
const LONGEST_VALUE: usize = 32 * 1024;

impl Hand {
    /// Generates a key pair, and describes it.
    pub(super) fn generate(
        &mut self,
        kind: KeyKind<'_>,
        public: &Template,
        private: &Template,
    ) -> Result<(ObjectId, ObjectId), Failure> {
        for template in [public, private] {
            require_only(template, KEY_TEMPLATE)?;
        }
        if private.flag(ck::CKA_EXTRACTABLE)? == Some(true) || private.flag(ck::CKA_SENSITIVE)? == Some(false)
        {
            return Err(Code::TEMPLATE_INCONSISTENT.into());
        }
        let label = label_of(private)?.or(label_of(public)?).unwrap_or_default();
        let wanted_id = id_of(private)?.or(id_of(public)?);
        let list = self.list()?;
        // What a key that is gone has left behind occupies its number, too.
        let used: Vec<KeyId> = list
            .iter()
            .filter(|file| matches!(file.prefix(), prefix::KEY | prefix::PRKD | prefix::CERTIFICATE))
            .map(|file| KeyId(file.low()))
            .collect();
        let key = KeyId::lowest_free(&used).ok_or(Code::DEVICE_MEMORY)?;
        let request = self.card()?.generate(key, kind)?;
        let made = PublicKey::from_card_verifiable(&request);
        self.files.changed(fid::key(key), Some(Vec::new()));
        let id = wanted_id.unwrap_or_else(|| vec![key.0]);
        let description = match kind {
            KeyKind::Rsa { bits, .. } => PrivateKeyDescription::rsa(key, &label, &id, bits),
            KeyKind::Ec { curve } => PrivateKeyDescription::ec(key, &label, &id, curve.bits),
        };
        // Whoever asked for another key than this one must not get it.
        let fits = match (&made, kind) {
            (Some(PublicKey::Ec { curve: found, .. }), KeyKind::Ec { curve }) => *found == curve,
            (Some(found @ PublicKey::Rsa { .. }), KeyKind::Rsa { bits, .. }) => {
                found.bits() == usize::from(bits)
            }
            _ => false,
        };
        if !fits {
            self.card()?.delete(fid::key(key))?;
            self.files.changed(fid::key(key), None);
            return Err(Failure::Nonsense("generate a key pair"));
        }
        self.write(fid::prkd(key), description.encode())?;
        // The token has written the request there itself.
        self.files.changed(fid::certificate(key), Some(request.to_vec()));
        self.proven.insert(key);
        self.built.clear();
        Ok((Origin::PublicKey(key).id(), Origin::PrivateKey(key).id()))
    }

    /// Stores a certificate, a data object, or notes that a public key is there already.
    pub(super) fn create(&mut self, template: &Template) -> Result<ObjectId, Failure> {
        match template.number(ck::CKA_CLASS)? {
            Some(ck::CKO_CERTIFICATE) => self.create_certificate(template),
            Some(ck::CKO_DATA) => self.create_data(template),
            Some(ck::CKO_PUBLIC_KEY) => self.create_public_key(template),
            Some(_) => Err(Code::TEMPLATE_INCONSISTENT.into()),
            None => Err(Code::TEMPLATE_INCOMPLETE.into()),
        }
    }

    fn create_certificate(&mut self, template: &Template) -> Result<ObjectId, Failure> {
        require_only(template, CERTIFICATE_TEMPLATE)?;
        if template
            .number(ck::CKA_CERTIFICATE_TYPE)?
            .unwrap_or(ck::CKC_X_509)
            != ck::CKC_X_509
        {
            return Err(Code::TEMPLATE_INCONSISTENT.into());
        }
        let content = template.filled(ck::CKA_VALUE).ok_or(Code::TEMPLATE_INCOMPLETE)?;
        let parts = CertificateParts::read(content)
            .filter(|parts| parts.whole == content)
            .ok_or(Code::ATTRIBUTE_VALUE_INVALID)?;
        let label = label_of(template)?;
        let id = id_of(template)?;
        let public = PublicKey::from_spki(parts.public_key);
        if let Some(public) = public
            && let Some(key) = self.key_with(&public)?
        {
            // It stands where the key's request stood, and the key is called as it is.
            self.write(fid::certificate(key), content.to_vec())?;
            let files = self.key_files(key, true, false)?;
            if let Some(mut description) = files.map(|files| files.description) {
                description.subject = Some(parts.subject.to_vec());
                if let Some(label) = label {
                    description.label = label;
                }
                if let Some(id) = id {
                    description.id = id;
                }
                self.write(fid::prkd(key), description.encode())?;
            }
            return Ok(Origin::KeyCertificate(key).id());
        }
        let list = self.list()?;
        let taken = |number: &u8| {
            list.contains(&fid::ca_certificate(*number))
                || list.contains(&fid::ca_certificate_description(*number))
        };
        let number = (0..=u8::MAX)
            .find(|number| !taken(number))
            .ok_or(Code::DEVICE_MEMORY)?;
        let file = fid::ca_certificate(number);
        let description =
            CertificateDescription::x509(&label.unwrap_or_default(), &id.unwrap_or_default(), file);
        self.write(file, content.to_vec())?;
        self.write(fid::ca_certificate_description(number), description.encode())?;
        Ok(Origin::CaCertificate(number).id())
    }

    fn create_data(&mut self, template: &Template) -> Result<ObjectId, Failure> {
        require_only(template, DATA_TEMPLATE)?;
        let value = template.bytes(ck::CKA_VALUE).unwrap_or_default();
        if value.len() > LONGEST_VALUE {
            return Err(Code::DEVICE_MEMORY.into());
        }
        let private = template.flag(ck::CKA_PRIVATE)?.unwrap_or(false);
        let list = self.list()?;
        let taken = |number: &u8| {
            [fid::private_data, fid::public_data, fid::data_description]
                .iter()
                .any(|file| list.contains(&file(*number)))
        };
        let number = (0..=u8::MAX)
            .find(|number| !taken(number))
            .ok_or(Code::DEVICE_MEMORY)?;
        let file = if private {
            fid::private_data(number)
        } else {
            fid::public_data(number)
        };
        let description = DataDescription {
            label: label_of(template)?.unwrap_or_default(),
            application: template.text(ck::CKA_APPLICATION)?.unwrap_or_default().to_owned(),
            file,
        };
        self.write(file, value.to_vec())?;
        self.write(fid::data_description(number), description.encode())?;
        Ok(Origin::Data(number).id())
    }

    /// A token holds the public keys of its private keys and no others.
    fn create_public_key(&mut self, template: &Template) -> Result<ObjectId, Failure> {
        let key = match template.number(ck::CKA_KEY_TYPE)? {
            Some(ck::CKK_RSA) => PublicKey::Rsa {
                modulus: template
                    .filled(ck::CKA_MODULUS)
                    .ok_or(Code::TEMPLATE_INCOMPLETE)?
                    .to_vec(),
                exponent: template
                    .filled(ck::CKA_PUBLIC_EXPONENT)
                    .ok_or(Code::TEMPLATE_INCOMPLETE)?
                    .to_vec(),
            },
            Some(ck::CKK_EC) => {
                let params = template
                    .filled(ck::CKA_EC_PARAMS)
                    .ok_or(Code::TEMPLATE_INCOMPLETE)?;
                let curve = Curve::of_params(params).ok_or(Code::CURVE_NOT_SUPPORTED)?;
                let given = template
                    .filled(ck::CKA_EC_POINT)
                    .ok_or(Code::TEMPLATE_INCOMPLETE)?;
                let length = 1 + 2 * curve.length();
                let point = given
                    .get(given.len().saturating_sub(length)..)
                    .unwrap_or_default();
                if !curve.is_point(point) {
                    return Err(Code::ATTRIBUTE_VALUE_INVALID.into());
                }
                PublicKey::Ec {
                    curve,
                    point: point.to_vec(),
                }
            }
            Some(_) => return Err(Code::TEMPLATE_INCONSISTENT.into()),
            None => return Err(Code::TEMPLATE_INCOMPLETE.into()),
        };
        match self.key_with(&key)? {
            Some(key) => Ok(Origin::PublicKey(key).id()),
            None => Err(Code::TEMPLATE_INCONSISTENT
                .because("the token holds public keys of its private keys only, and this is of none of them")
                .into()),
        }
    }

    /// Deletes an object.
    pub(super) fn destroy(&mut self, id: ObjectId) -> Result<(), Failure> {
        let files: &[Fid] = match Origin::of(id).ok_or(Code::OBJECT_HANDLE_INVALID)? {
            // A certificate of the key stays, as it does elsewhere; a request is of no use without its key.
            Origin::PrivateKey(key) => {
                let request = self
                    .file(fid::certificate(key), false)?
                    .is_some_and(|content| CertificateParts::read(&content).is_none());
                self.remove(fid::key(key))?;
                self.remove(fid::prkd(key))?;
                if request {
                    self.remove(fid::certificate(key))?;
                }
                return Ok(());
            }
            Origin::PublicKey(_) => return Err(Code::ACTION_PROHIBITED.into()),
            Origin::KeyCertificate(key) => &[fid::certificate(key)],
            Origin::CaCertificate(number) => &[
                fid::ca_certificate(number),
                fid::ca_certificate_description(number),
            ],
            Origin::Data(number) => {
                let content = self.file(fid::data_description(number), false)?;
                let description = content.and_then(|content| DataDescription::parse(&content).ok());
                if let Some(description) = description {
                    self.remove(description.file)?;
                }
                &[fid::data_description(number)]
            }
        };
        for file in files {
            self.remove(*file)?;
        }
        Ok(())
    }

    /// Changes labels and identifiers.
    pub(super) fn change(&mut self, id: ObjectId, template: &Template) -> Result<(), Failure> {
        require_only(
            template,
            &[ck::CKA_LABEL, ck::CKA_ID, ck::CKA_APPLICATION, ck::CKA_SUBJECT],
        )?;
        let (label, new_id) = (label_of(template)?, id_of(template)?);
        match Origin::of(id).ok_or(Code::OBJECT_HANDLE_INVALID)? {
            // Key, public key and certificate share one description.
            Origin::PrivateKey(key) | Origin::PublicKey(key) | Origin::KeyCertificate(key) => {
                let files = self
                    .key_files(key, false, false)?
                    .ok_or(Code::OBJECT_HANDLE_INVALID)?;
                let mut description = files.description;
                description.label = label.unwrap_or(description.label);
                description.id = new_id.unwrap_or(description.id);
                if let Some(subject) = template.filled(ck::CKA_SUBJECT) {
                    description.subject = Some(subject.to_vec());
                }
                self.write(fid::prkd(key), description.encode())
            }
            Origin::CaCertificate(number) => {
                let file = fid::ca_certificate_description(number);
                let content = self.file(file, false)?;
                let mut description = content
                    .and_then(|content| CertificateDescription::parse(&content).ok())
                    .unwrap_or_else(|| CertificateDescription::x509("", &[], fid::ca_certificate(number)));
                description.label = label.unwrap_or(description.label);
                description.id = new_id.unwrap_or(description.id);
                self.write(file, description.encode())
            }
            Origin::Data(number) => {
                let file = fid::data_description(number);
                let content = self.file(file, false)?;
                let mut description = content
                    .and_then(|content| DataDescription::parse(&content).ok())
                    .ok_or(Code::OBJECT_HANDLE_INVALID)?;
                description.label = label.unwrap_or(description.label);
                if let Some(application) = template.text(ck::CKA_APPLICATION)? {
                    description.application = application.to_owned();
                }
                self.write(file, description.encode())
            }
        }
    }

    /// The key of the token that a public key belongs to.
    fn key_with(&mut self, public: &PublicKey) -> Result<Option<KeyId>, Failure> {
        let keys: Vec<KeyId> = self
            .list()?
            .into_iter()
            .filter_map(Fid::as_key)
            .filter(|key| !key.is_device())
            .collect();
        for key in keys {
            let content = self.file(fid::certificate(key), true)?;
            if content.as_deref().and_then(public_key_of).as_ref() == Some(public) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    fn write(&mut self, file: Fid, content: Vec<u8>) -> Result<(), Failure> {
        self.card()?.write(file, &content)?;
        self.files.changed(file, Some(content));
        self.built.clear();
        Ok(())
    }

    fn remove(&mut self, file: Fid) -> Result<(), Failure> {
        self.card()?.delete(file)?;
        self.files.changed(file, None);
        self.built.clear();
        if let Some(key) = file.as_key() {
            self.proven.remove(&key);
            self.unraw.remove(&key);
        }
        Ok(())
    }
}

/// What templates of new keys may say; the token decides most of it itself.
const KEY_TEMPLATE: &[Kind] = &[
    ck::CKA_CLASS,
    ck::CKA_TOKEN,
    ck::CKA_PRIVATE,
    ck::CKA_LABEL,
    ck::CKA_ID,
    ck::CKA_KEY_TYPE,
    ck::CKA_MODIFIABLE,
    ck::CKA_DESTROYABLE,
    ck::CKA_COPYABLE,
    ck::CKA_SUBJECT,
    ck::CKA_START_DATE,
    ck::CKA_END_DATE,
    ck::CKA_MODULUS_BITS,
    ck::CKA_PUBLIC_EXPONENT,
    ck::CKA_EC_PARAMS,
    ck::CKA_ENCRYPT,
    ck::CKA_DECRYPT,
    ck::CKA_SIGN,
    ck::CKA_SIGN_RECOVER,
    ck::CKA_VERIFY,
    ck::CKA_VERIFY_RECOVER,
    ck::CKA_WRAP,
    ck::CKA_UNWRAP,
    ck::CKA_DERIVE,
    ck::CKA_SENSITIVE,
    ck::CKA_EXTRACTABLE,
    ck::CKA_ALWAYS_AUTHENTICATE,
    ck::CKA_ALLOWED_MECHANISMS,
];

const CERTIFICATE_TEMPLATE: &[Kind] = &[
    ck::CKA_CLASS,
    ck::CKA_TOKEN,
    ck::CKA_PRIVATE,
    ck::CKA_LABEL,
    ck::CKA_ID,
    ck::CKA_MODIFIABLE,
    ck::CKA_DESTROYABLE,
    ck::CKA_COPYABLE,
    ck::CKA_CERTIFICATE_TYPE,
    ck::CKA_CERTIFICATE_CATEGORY,
    ck::CKA_TRUSTED,
    ck::CKA_CHECK_VALUE,
    ck::CKA_SUBJECT,
    ck::CKA_ISSUER,
    ck::CKA_SERIAL_NUMBER,
    ck::CKA_START_DATE,
    ck::CKA_END_DATE,
    ck::CKA_PUBLIC_KEY_INFO,
    ck::CKA_VALUE,
];

const DATA_TEMPLATE: &[Kind] = &[
    ck::CKA_CLASS,
    ck::CKA_TOKEN,
    ck::CKA_PRIVATE,
    ck::CKA_LABEL,
    ck::CKA_MODIFIABLE,
    ck::CKA_DESTROYABLE,
    ck::CKA_COPYABLE,
    ck::CKA_APPLICATION,
    ck::CKA_OBJECT_ID,
    ck::CKA_VALUE,
];

fn require_only(template: &Template, allowed: &[Kind]) -> Result<(), Failure> {
    match template.iter().find(|(kind, _)| !allowed.contains(kind)) {
        None => Ok(()),
        Some(_) => Err(Code::ATTRIBUTE_TYPE_INVALID.into()),
    }
}

fn label_of(template: &Template) -> Result<Option<String>, Failure> {
    match template.text(ck::CKA_LABEL)? {
        Some(label) if label.len() > LONGEST_LABEL => Err(Code::ATTRIBUTE_VALUE_INVALID.into()),
        label => Ok(label.map(str::to_owned)),
    }
}

fn id_of(template: &Template) -> Result<Option<Vec<u8>>, Failure> {
    match template.filled(ck::CKA_ID) {
        Some(id) if id.len() > LONGEST_ID => Err(Code::ATTRIBUTE_VALUE_INVALID.into()),
        id => Ok(id.map(<[u8]>::to_vec)),
    }
}

/// Whether a PIN has a length the token takes.
pub(super) fn require_pin_length(length: usize) -> Result<(), Failure> {
    if describe::PIN_LENGTH.contains(&length) {
        Ok(())
    } else {
        Err(Code::PIN_LEN_RANGE.into())
    }
}
