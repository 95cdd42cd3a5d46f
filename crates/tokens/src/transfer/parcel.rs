//! A key that is ready to travel into a token: wrapped, with what goes with it, and with what it has to prove there.

use std::path::PathBuf;

use chancery_cvc::PublicKey;
use chancery_driver::KeyCertificate;
use chancery_schsm::pkcs15::KeyAccess;
use chancery_schsm::{
    AlgorithmList, Kcv, Kek, KeyContainer, KeyId, KeyMaterial, KeyType, PrivateKeyDescription, blob,
};
use sha2::{Digest, Sha256};

use super::check::Check;
use super::error::ParcelError;
use super::open::KeyFile;
use super::plan::InstallPlan;
use crate::key::{bits_of, type_of};
use crate::keys::{KeyError, description_for};

/// A wrapped key with description, certificate or request. Its parts fit together as far as can be told outside the token.
#[derive(Clone, Debug)]
pub struct Parcel {
    kind: &'static str,
    from: String,
    file: Option<PathBuf>,
    blob: Vec<u8>,
    kcv: Kcv,
    key_type: KeyType,
    public_key: Option<PublicKey>,
    description: Label,
    certificate: Option<Vec<u8>>,
    check: Check,
}

/// What the description of a key that is imported says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportLabels {
    /// Label, at most 64 bytes.
    pub label: String,
    /// CKA_ID; the key id as one byte when not said.
    pub cka_id: Option<Vec<u8>>,
}

/// What will be written as description; it depends on the id.
#[derive(Clone, Debug)]
enum Label {
    /// As it came, the key's number put right.
    Carried(Vec<u8>),
    /// Made for a public key, with what is said of where the key comes from.
    Public(PublicKey, ImportLabels, KeyAccess),
    /// Made for a secret key of this many bits.
    Secret(u16, ImportLabels),
    /// None.
    Missing,
}

impl Parcel {
    /// From a container file. With `kek`, the key encryption key, the blob is opened and the key in it compared; without, what
    /// can be seen of it is, and the key proves itself once it has arrived.
    ///
    /// `label` makes a new description; it is needed for nothing, but a key without description is shown by no other software.
    ///
    /// # Errors
    /// [`ParcelError`]: the parts are for different keys, or the blob is not under `kek`.
    pub fn from_container(
        container: &KeyContainer,
        kek: Option<&Kek>,
        label: Option<ImportLabels>,
        from: impl Into<String>,
        file: Option<PathBuf>,
    ) -> Result<Self, ParcelError> {
        let key_type = blob::key_type_of(container.blob()).map_err(ParcelError::Blob)?;
        let kcv = blob::kcv_of(container.blob()).map_err(ParcelError::Blob)?;
        let certificate = container.certificate().map(<[u8]>::to_vec);
        let named = certificate
            .clone()
            .and_then(|bytes| KeyCertificate::recognise(bytes).public_key());
        let described = container
            .description()
            .and_then(|bytes| PrivateKeyDescription::parse(bytes).ok());
        compare(key_type, described.as_ref(), named.as_ref())?;
        let opened = kek
            .map(|kek| blob::open(kek, container.blob()))
            .transpose()
            .map_err(ParcelError::Blob)?;
        let mut public_key = named.clone();
        let mut check = if named.is_some() {
            Check::Certificate
        } else {
            Check::Nothing
        };
        if let Some(opened) = &opened {
            let inside = public_of(&opened.material)?;
            if named.is_some() && named != inside {
                return Err(ParcelError::OtherKey);
            }
            let size = u16::try_from(opened.material.bits()).unwrap_or(u16::MAX);
            if let Some(described) = &described {
                same_size(described, "wrapped key", size)?;
            }
            check = match &inside {
                Some(inside) if named.is_none() => Check::of_public_key(inside).unwrap_or(Check::Nothing),
                Some(_) => check,
                None => Check::of_material(&opened.material, &opened.algorithms, random()?)?,
            };
            public_key = public_key.or(inside);
        }
        let description = match (label, &public_key, &opened) {
            (Some(labels), Some(key), _) => {
                let carried = described.as_ref().and_then(|described| described.access);
                Label::Public(key.clone(), labels, carried.unwrap_or(KeyAccess::SENSITIVE))
            }
            (Some(labels), None, Some(opened)) => {
                Label::Secret(u16::try_from(opened.material.bits()).unwrap_or_default(), labels)
            }
            (Some(labels), None, None) => match &described {
                Some(described) if described.key_type == KeyType::Aes => {
                    Label::Secret(described.key_size, labels)
                }
                _ => {
                    return Err(ParcelError::Unsupported(
                        "its size is not known, so that no description can be made for it".to_owned(),
                    ));
                }
            },
            (None, ..) => container
                .description()
                .map_or(Label::Missing, |bytes| Label::Carried(bytes.to_vec())),
        };
        let parcel = Self {
            kind: super::UNWRAP,
            from: from.into(),
            file,
            blob: container.blob().to_vec(),
            kcv,
            key_type,
            public_key,
            description,
            certificate,
            check,
        };
        parcel.check_label()
    }

    /// Wraps a key that lies in clear in a file.
    ///
    /// # Errors
    /// [`ParcelError`]: no token takes such a key, or the certificate is for another one.
    pub fn import(
        key: &KeyFile,
        kek: &Kek,
        algorithms: &AlgorithmList,
        labels: ImportLabels,
        from: impl Into<String>,
    ) -> Result<Self, ParcelError> {
        let material = key.material();
        check(key)?;
        let public_key = public_of(material)?;
        let blob = blob::seal(kek, material, algorithms, random()?).map_err(ParcelError::Blob)?;
        // What cannot be opened again must not be all that is left of a key.
        let again = blob::open(kek, &blob).map_err(ParcelError::Blob)?;
        if again.material != *material || again.algorithms != *algorithms {
            return Err(ParcelError::OtherKey);
        }
        let check = match &public_key {
            Some(key) => Check::of_public_key(key)
                .ok_or_else(|| ParcelError::Unsupported("its curve has no name".to_owned()))?,
            None => Check::of_material(material, algorithms, random()?)?,
        };
        let description = match public_key.clone() {
            // It was in clear outside, and nobody can say that it never will be again.
            Some(key) => Label::Public(key, labels, KeyAccess::SENSITIVE),
            None => Label::Secret(u16::try_from(material.bits()).unwrap_or_default(), labels),
        };
        let parcel = Self {
            kind: super::IMPORT,
            from: from.into(),
            file: None,
            kcv: kek.kcv(),
            key_type: material.key_type(),
            public_key,
            blob,
            description,
            certificate: key.certificate().map(<[u8]>::to_vec),
            check,
        };
        parcel.check_label()
    }

    /// Key check value of the key encryption key it is wrapped under.
    #[must_use]
    pub const fn kcv(&self) -> Kcv {
        self.kcv
    }

    /// Kind of key.
    #[must_use]
    pub const fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// Its public key, where that is known.
    #[must_use]
    pub const fn public_key(&self) -> Option<&PublicKey> {
        self.public_key.as_ref()
    }

    /// Whether a description will be written.
    #[must_use]
    pub const fn has_description(&self) -> bool {
        !matches!(self.description, Label::Missing)
    }

    /// Whether a certificate or request will be written.
    #[must_use]
    pub const fn has_certificate(&self) -> bool {
        self.certificate.is_some()
    }

    /// The wrapped key.
    pub(super) fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// Kind of journal.
    pub(super) const fn kind(&self) -> &'static str {
        self.kind
    }

    /// What is to be done, with the key under this id.
    pub(super) fn plan(&self, id: KeyId) -> InstallPlan {
        InstallPlan {
            from: self.from.clone(),
            file: self.file.clone(),
            blob: digest(&self.blob),
            id: id.0,
            description: self.description.for_id(id).map(hex::encode),
            certificate: self.certificate.as_deref().map(hex::encode),
            check: self.check.clone(),
        }
    }

    fn check_label(self) -> Result<Self, ParcelError> {
        let label = match &self.description {
            Label::Public(_, labels, _) | Label::Secret(_, labels) => labels.label.len(),
            Label::Carried(_) | Label::Missing => 0,
        };
        if label > chancery_driver::keystore::MAX_LABEL {
            return Err(ParcelError::Label(KeyError::Label(label)));
        }
        Ok(self)
    }
}

impl Label {
    /// The description of the key under this id.
    fn for_id(&self, id: KeyId) -> Option<Vec<u8>> {
        let number = [id.0];
        match self {
            Self::Missing => None,
            Self::Carried(bytes) => Some(match PrivateKeyDescription::parse(bytes) {
                Ok(mut description) if description.key_reference.is_some_and(|old| old != id.0) => {
                    description.key_reference = Some(id.0);
                    description.encode()
                }
                _ => bytes.clone(),
            }),
            Self::Public(key, labels, access) => {
                let cka_id = labels.cka_id.as_deref().unwrap_or(&number);
                description_for(id, key, &labels.label, cka_id).map(|mut description| {
                    description.access = Some(*access);
                    description.encode()
                })
            }
            Self::Secret(bits, labels) => {
                let cka_id = labels.cka_id.as_deref().unwrap_or(&number);
                Some(PrivateKeyDescription::aes(&labels.label, cka_id, *bits).encode())
            }
        }
    }
}

/// Whether a certificate that comes with a key is for it.
///
/// # Errors
/// [`ParcelError::OtherKey`], or no token takes such a key.
pub fn check(key: &KeyFile) -> Result<(), ParcelError> {
    let public_key = public_of(key.material())?;
    match key.certificate() {
        Some(certificate) if KeyCertificate::recognise(certificate.to_vec()).public_key() != public_key => {
            Err(ParcelError::OtherKey)
        }
        _ => Ok(()),
    }
}

/// SHA-256, hexadecimal.
pub(super) fn digest(blob: &[u8]) -> String {
    hex::encode(Sha256::digest(blob))
}

/// What can be compared without opening the blob.
fn compare(
    key_type: KeyType,
    described: Option<&PrivateKeyDescription>,
    named: Option<&PublicKey>,
) -> Result<(), ParcelError> {
    let kinds = [
        described.map(|described| ("description", described.key_type)),
        named.map(|named| ("certificate or request", type_of(named))),
    ];
    for (part, other) in kinds.into_iter().flatten() {
        if other != key_type {
            return Err(ParcelError::Kind {
                blob: key_type,
                part,
                other,
            });
        }
    }
    match (described, named.and_then(bits_of)) {
        (Some(described), Some(bits)) => same_size(described, "certificate or request", bits),
        _ => Ok(()),
    }
}

/// Some tools write the size of whole bytes, 528 for 521.
fn same_size(described: &PrivateKeyDescription, part: &'static str, bits: u16) -> Result<(), ParcelError> {
    if described.key_size == bits || described.key_size == bits.next_multiple_of(8) {
        return Ok(());
    }
    Err(ParcelError::Size {
        described: described.key_size,
        part,
        bits,
    })
}

/// The public half; `None` for AES.
fn public_of(material: &KeyMaterial) -> Result<Option<PublicKey>, ParcelError> {
    let unsupported = |error: chancery_cvc::KeyError| ParcelError::Unsupported(error.to_string());
    match material {
        KeyMaterial::Aes { .. } => Ok(None),
        KeyMaterial::Rsa { n, e, .. } => chancery_cvc::RsaPublicKey::new(n, e)
            .map(|key| Some(PublicKey::Rsa(key)))
            .map_err(unsupported),
        KeyMaterial::Ec { a, b, p, n, g, q, .. } => {
            chancery_cvc::DomainParameters::new(p, a, b, g, n, Some(&[1]))
                .and_then(chancery_cvc::EcDomain::from_parameters)
                .and_then(|domain| chancery_cvc::EcPublicKey::new(domain, q))
                .map(|key| Some(PublicKey::Ec(key)))
                .map_err(unsupported)
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N], ParcelError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| ParcelError::Unsupported("the system gives no random bytes".to_owned()))?;
    Ok(bytes)
}
