//! Making, deleting and certifying keys on a token.
//!
//! What proves a key's origin is kept in the [archive](crate::archive) when the key is made, and again before anything
//! overwrites or deletes it.

use std::path::PathBuf;

use chancery_cvc::{Curve, DeviceIdentity, Genuineness, PublicKey, Reference, ReferenceError, TrustAnchors};
use chancery_driver::keystore::{KeyDescription, MAX_LABEL};
use chancery_driver::{
    AesSize, AppletAccess, AttestError, Authenticated, Error, KeyAlgorithm, KeySpec, SecretKeySpec, reading,
};
use chancery_iso7816::Transport;
use chancery_schsm::{Algorithm, AlgorithmList, KeyId, PrivateKeyDescription, fid};
use time::OffsetDateTime;

pub use self::certificate::{
    CERTIFICATE, Matched, Replaced, Restored, delete_certificate, resume_certificate, store_certificate,
    to_der, undo_certificate,
};
use crate::archive::{Archive, ArchiveError, Kept};
use crate::journal::JournalError;
use crate::key::bits_of;

mod certificate;

/// Kind and size of a key to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewKeyKind {
    /// Elliptic curve, by name.
    Ec(Curve),
    /// RSA with this modulus length in bits.
    Rsa(u16),
    /// AES.
    Aes(AesSize),
}

/// A key to make.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Where it is to stand; the lowest free id when not said.
    pub id: Option<KeyId>,
    /// Kind and size.
    pub kind: NewKeyKind,
    /// Label, at most 64 bytes.
    pub label: String,
    /// CKA_ID; the key id as one byte when not said.
    pub cka_id: Option<Vec<u8>>,
    /// What it may be used for. Empty sets no restriction, except for AES keys, which get a list of everything.
    pub algorithms: AlgorithmList,
    /// Key domain; without one, the key belongs to the token's single DKEK, if any.
    pub key_domain: Option<u8>,
    /// Uses the key has in its life, if limited.
    pub use_counter: Option<u32>,
}

/// A key that was made.
#[derive(Clone, Debug)]
pub struct MadeKey {
    /// Where it stands.
    pub id: KeyId,
    /// Its public key; none for AES.
    pub public_key: Option<PublicKey>,
    /// Whether it is proven that this token generated it.
    pub origin: Origin,
    /// Where the proof is kept.
    pub kept: Option<PathBuf>,
}

/// Whether a key's origin is proven.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The request verifies down to a trusted root.
    Proven {
        /// Device the key was generated in.
        device: Reference,
        /// What the root makes of it; `OriginVerdict::under` says what that is worth.
        genuine: Genuineness,
    },
    /// The token's own chain is not accepted, so nothing it signs proves anything.
    UnknownDevice {
        /// Why.
        why: String,
    },
    /// Nothing is signed for secret keys.
    Secret,
}

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletedKey {
    /// The key itself.
    pub key: bool,
    /// Its description.
    pub description: bool,
    /// Its certificate or request.
    pub certificate: bool,
    /// Where the proof of its origin is kept, if there was one.
    pub kept: Option<PathBuf>,
}

/// A key that was not made, certified or deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The token has no such key.
    #[error("the token has no key {0}")]
    NoSuchKey(KeyId),
    /// All ids are taken.
    #[error("all 255 key ids of the token are taken")]
    NoFreeId,
    /// Something stands under the id.
    #[error("key id {id} is taken: {what}")]
    Taken {
        /// The id.
        id: KeyId,
        /// What stands there.
        what: &'static str,
    },
    /// The label is too long.
    #[error("a label has at most {MAX_LABEL} bytes, this one has {0}")]
    Label(usize),
    /// The key's origin is not proven; it was deleted again.
    #[error("the new key {id} did not prove its origin and was deleted again")]
    Origin {
        /// Where it stood.
        id: KeyId,
        /// Why.
        #[source]
        source: AttestError,
    },
    /// The certificate is none.
    #[error("this is neither an X.509 certificate nor a card verifiable one, in DER or PEM")]
    NoCertificate,
    /// The certificate is for another key.
    #[error("the certificate is for another key than key {0} of the token")]
    OtherKey(KeyId),
    /// Whether the certificate is the key's cannot be found out.
    #[error(
        "whether the certificate belongs to key {0} cannot be told: its uses are counted or limited to custodian \
         answers, and nothing that names its public key stands beside it"
    )]
    Unverifiable(KeyId),
    /// There is no certificate.
    #[error("key {0} has no certificate or request")]
    NothingThere(KeyId),
    /// What proves the key's origin could not be kept.
    #[error("what proves the origin of key {id} could not be kept, and nothing was overwritten")]
    Archive {
        /// The key.
        id: KeyId,
        /// Why.
        #[source]
        source: ArchiveError,
    },
    /// The key was made, and what follows failed.
    #[error("key {id} was made, but {what} was not written")]
    Half {
        /// Where it stands.
        id: KeyId,
        /// What is missing.
        what: &'static str,
        /// Why.
        #[source]
        source: Error,
    },
    /// The key was made, and the proof of its origin is on the token alone.
    #[error(
        "key {id} was made, but the proof of its origin, which is on the token alone now, could not be kept"
    )]
    Unkept {
        /// Where it stands.
        id: KeyId,
        /// Why.
        #[source]
        source: ArchiveError,
    },
    /// Storing a certificate was interrupted; the journal has the old one and the new one.
    #[error(
        "the certificate of key {id} may be gone or half written; both the old and the new one are kept in work {work}"
    )]
    Interrupted {
        /// The key.
        id: KeyId,
        /// Id of the work, by which it is finished or undone.
        work: String,
        /// What interrupted it.
        #[source]
        source: Box<Error>,
    },
    /// What stands beside the key was written by somebody else since the work was interrupted.
    #[error(
        "what stands beside key {0} now is neither what stood there before nor what was to be stored; it is left alone"
    )]
    Changed(KeyId),
    /// The token in hand is not the one the work was begun on.
    #[error("the work was begun on token {expected}, this is {found}")]
    OtherToken {
        /// Device id in the journal.
        expected: String,
        /// Device id of the token.
        found: String,
    },
    /// The journal is of another kind of work.
    #[error("work {0} is of another kind")]
    OtherWork(String),
    /// The journal.
    #[error("the journal")]
    Journal(#[from] JournalError),
    /// No name can be made for the key.
    #[error("no name can be made for the key's request")]
    Name(#[source] ReferenceError),
    /// A command failed.
    #[error(transparent)]
    Card(#[from] Error),
}

impl NewKeyKind {
    /// Name for people: `secp256r1`, `RSA-2048`, `AES-256`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Ec(curve) => curve.name().to_owned(),
            Self::Rsa(bits) => format!("RSA-{bits}"),
            Self::Aes(size) => format!("AES-{}", size.bits()),
        }
    }

    /// The kind of this name, letters in either case: a curve, `rsa-2048`, `rsa:2048`, `rsa2048`, `aes-128` and so on.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let size = |prefix: &str| {
            let rest = lower.strip_prefix(prefix)?;
            rest.strip_prefix(['-', ':']).unwrap_or(rest).parse::<u16>().ok()
        };
        if let Some(bits) = size("rsa") {
            return matches!(bits, 1024 | 1536 | 2048 | 3072 | 4096).then_some(Self::Rsa(bits));
        }
        if let Some(bits) = size("aes") {
            return AesSize::from_bits(bits).map(Self::Aes);
        }
        Curve::from_name(lower.strip_prefix("ec:").unwrap_or(&lower)).map(Self::Ec)
    }
}

/// Makes a key, checks where it comes from, keeps the proof, and describes it for other software.
///
/// A token whose own chain is not accepted makes keys as well; that their origin is not proven is then said.
///
/// # Errors
/// [`KeyError`]. After [`KeyError::Half`] the key is there.
pub fn generate<T: Transport>(
    card: &mut Authenticated<T>,
    new: &NewKey,
    anchors: &TrustAnchors,
    archive: &Archive,
    now: OffsetDateTime,
) -> Result<MadeKey, KeyError> {
    if new.label.len() > MAX_LABEL {
        return Err(KeyError::Label(new.label.len()));
    }
    let id = free_id(card, new.id)?;
    let algorithm = match new.kind {
        NewKeyKind::Ec(curve) => KeyAlgorithm::Ec(curve),
        NewKeyKind::Rsa(bits) => KeyAlgorithm::Rsa(bits),
        NewKeyKind::Aes(size) => return generate_secret(card, id, size, new),
    };
    let (device, why) = match card.device_identity(anchors) {
        Ok(device) => (Some(device), None),
        Err(error @ (Error::Link { .. } | Error::NotSelected { .. })) => return Err(error.into()),
        Err(error) => (None, Some(crate::text::causes(&error))),
    };
    let spec = KeySpec {
        id,
        algorithm,
        chr: name_for(card, device.as_ref(), id)?,
        algorithms: new.algorithms.clone(),
        key_domain: new.key_domain,
        use_counter: new.use_counter,
    };
    let (public_key, origin) = match &device {
        Some(device) => {
            let (made, attested) = card
                .generate_attested(&spec, device)
                .map_err(|source| match source {
                    AttestError::Card(error) => KeyError::Card(error),
                    source => KeyError::Origin { id, source },
                })?;
            let device = attested.device().clone();
            let genuine = attested.genuine();
            (made.public_key, Origin::Proven { device, genuine })
        }
        None => {
            let made = card.generate(&spec)?;
            let why = why.unwrap_or_default();
            (made.public_key, Origin::UnknownDevice { why })
        }
    };
    let description = KeyDescription {
        label: new.label.clone(),
        cka_id: new.cka_id.clone(),
        usage: None,
    };
    card.describe_key(id, &public_key, &description)
        .map_err(|source| KeyError::Half {
            id,
            what: "its description",
            source,
        })?;
    let kept = keep(card, id, archive, now).map_err(|error| match error {
        KeyError::Archive { id, source } => KeyError::Unkept { id, source },
        KeyError::Card(source) => KeyError::Half {
            id,
            what: "the proof of its origin to the archive",
            source,
        },
        error => error,
    })?;
    Ok(MadeKey {
        id,
        public_key: Some(public_key),
        origin,
        kept,
    })
}

fn generate_secret<T: Transport>(
    card: &mut Authenticated<T>,
    id: KeyId,
    size: AesSize,
    new: &NewKey,
) -> Result<MadeKey, KeyError> {
    let algorithms = if new.algorithms.is_unrestricted() {
        AlgorithmList::new(&[
            Algorithm::AesCbcEncrypt,
            Algorithm::AesCbcDecrypt,
            Algorithm::AesCmac,
            Algorithm::AesDerive,
            Algorithm::Wrap,
        ])
        .unwrap_or_default()
    } else {
        new.algorithms.clone()
    };
    card.generate_secret(&SecretKeySpec {
        id,
        size,
        algorithms,
        key_domain: new.key_domain,
        use_counter: new.use_counter,
    })?;
    let number = [id.0];
    let cka_id = new.cka_id.as_deref().unwrap_or(&number);
    let description = PrivateKeyDescription::aes(&new.label, cka_id, size.bits());
    card.write_file(fid::prkd(id), &description.encode())
        .map_err(|source| KeyError::Half {
            id,
            what: "its description",
            source,
        })?;
    Ok(MadeKey {
        id,
        public_key: None,
        origin: Origin::Secret,
        kept: None,
    })
}

/// The id wanted if nothing stands there, or the lowest free one.
pub(crate) fn free_id(card: &mut impl AppletAccess, wanted: Option<KeyId>) -> Result<KeyId, KeyError> {
    let objects = reading::objects(card)?;
    let Some(id) = wanted else {
        return objects.next_free_key_id().ok_or(KeyError::NoFreeId);
    };
    if id.is_device() {
        return Err(KeyError::Taken {
            id,
            what: "the device's own key",
        });
    }
    let taken = [
        (fid::key(id), "a key"),
        (fid::prkd(id), "the description of a key that is gone"),
        (
            fid::certificate(id),
            "the certificate or request of a key that is gone",
        ),
    ];
    match taken.into_iter().find(|(file, _)| objects.contains(*file)) {
        Some((_, what)) => Err(KeyError::Taken { id, what }),
        None => Ok(id),
    }
}

/// Deletes a key for ever, with its description and its certificate; also what is left of a key that is gone.
///
/// # Errors
/// [`KeyError`]. After a failed command the call can be repeated.
pub fn delete<T: Transport>(
    card: &mut Authenticated<T>,
    id: KeyId,
    archive: &Archive,
    now: OffsetDateTime,
) -> Result<DeletedKey, KeyError> {
    let kept = keep(card, id, archive, now)?;
    // The key first: a description without key is found by everybody, a key without description by few.
    let deleted = DeletedKey {
        key: card.delete_file(fid::key(id))?,
        description: card.delete_file(fid::prkd(id))?,
        certificate: card.delete_file(fid::certificate(id))?,
        kept,
    };
    if !deleted.key && !deleted.description && !deleted.certificate {
        return Err(KeyError::NoSuchKey(id));
    }
    Ok(deleted)
}

/// Keeps the proof of a key's origin, if it has one to show.
fn keep(
    card: &mut impl AppletAccess,
    id: KeyId,
    archive: &Archive,
    now: OffsetDateTime,
) -> Result<Option<PathBuf>, KeyError> {
    match archive.keep(card, id, now) {
        Ok(kept) => Ok(kept.as_ref().map(Kept::path).map(ToOwned::to_owned)),
        Err(ArchiveError::Card(error)) => Err(KeyError::Card(error)),
        Err(source) => Err(KeyError::Archive { id, source }),
    }
}

/// Name of a key in its request: the token's serial number and the key id in five digits.
fn name_for<T: Transport>(
    card: &mut Authenticated<T>,
    device: Option<&DeviceIdentity>,
    id: KeyId,
) -> Result<Reference, KeyError> {
    let name = match device {
        Some(device) => Some(device.name().clone()),
        None => card
            .device_chain()
            .ok()
            .and_then(|chain| chain.device_name().cloned()),
    };
    match name.and_then(|name| name.with_sequence(id.0.into()).ok()) {
        Some(name) => Ok(name),
        None => Reference::new("UTDUMMY00000").map_err(KeyError::Name),
    }
}

/// Description of a key that other software is to find; `None` for a public key without size.
pub(crate) fn description_for(
    id: KeyId,
    public_key: &PublicKey,
    label: &str,
    cka_id: &[u8],
) -> Option<PrivateKeyDescription> {
    let bits = bits_of(public_key)?;
    Some(match public_key {
        PublicKey::Rsa(_) => PrivateKeyDescription::rsa(id, label, cka_id, bits),
        _ => PrivateKeyDescription::ec(id, label, cka_id, bits),
    })
}
