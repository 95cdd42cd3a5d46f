//! Copies a key to a second token of its key domain, and finishes a copy that was interrupted.
//!
//! [`export`] takes the key, wrapped, with what stands next to it; [`import`] unwraps, has it prove itself, describes,
//! certifies. Each step looks before it acts, so that both can be run again after any failure; a token that holds another
//! key under the id is never touched.

use std::fmt;

use chancery_cvc::PublicKey;
use chancery_iso7816::Transport;
use chancery_schsm::{Fid, Kcv, KeyId, blob, fid};

use crate::card::Authenticated;
use crate::certificate::public_key_of;
use crate::error::{Doing, Error};
use crate::keystore::key_type;
use crate::session::{Session, sealed::HasSession};

/// A key on its way to another token of its key domain.
#[derive(Clone, PartialEq, Eq)]
pub struct Replica {
    /// The key under the key encryption key of its domain.
    pub wrapped: Vec<u8>,
    /// PKCS#15 description (C4xx), if the key has one.
    pub description: Option<Vec<u8>>,
    /// Certificate or request (CExx), if the key has one.
    pub certificate: Option<Vec<u8>>,
}

/// Part of a key on a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaPart {
    /// PKCS#15 description, C4xx.
    Description,
    /// Certificate or request, CExx.
    Certificate,
}

/// What stands on a token where a replica is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaState {
    /// No key under this id.
    Absent,
    /// The key is there and proven; what follows is missing or not as on the source.
    Partial {
        /// What is to be written.
        missing: Vec<ReplicaPart>,
    },
    /// The key is there and proven, description and certificate are as on the source.
    Complete,
    /// Another key stands under this id. It is never overwritten.
    OtherKey,
}

/// What a copy did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replicated {
    /// The key was copied.
    Copied,
    /// An interrupted copy was finished.
    Finished,
    /// The replica was complete already.
    Unchanged,
}

/// A copy that was not made, or not finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicateError {
    /// The source has no such key.
    #[error("the source token has no key {0}")]
    NoSuchKey(KeyId),
    /// What comes with the key is for another one than expected.
    #[error("the certificate or request that comes with key {0} is not for the expected public key")]
    OtherCertificate(KeyId),
    /// The target holds another key under the id.
    #[error("the target token holds another key under id {0}, which is left alone")]
    OtherKey(KeyId),
    /// The key's domain on the source is missing or lacks shares.
    #[error("the key's domain {domain} on the source token has no complete key encryption key")]
    SourceDomain {
        /// Number of the domain on the source.
        domain: u8,
    },
    /// No domain of the target has the same key encryption key.
    #[error(
        "no key domain of the target token has the key encryption key {wanted}, its first one has {found}"
    )]
    OtherDomain {
        /// Key check value the key is wrapped under.
        wanted: Kcv,
        /// That of the target's first complete domain; zeros when there is none.
        found: Kcv,
    },
    /// The blob is none, or not of the key's domain or kind.
    #[error("the wrapped key {id} {what}")]
    Blob {
        /// Key id.
        id: KeyId,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The copied key did not prove to be the expected one; it was removed from the target again.
    #[error("the copy of key {0} did not prove to be the expected key and was removed from the target")]
    NotProven(KeyId),
    /// A command on the source token failed.
    #[error("on the source token")]
    Source(#[source] Error),
    /// A command on the target token failed.
    #[error("on the target token")]
    Target(#[source] Error),
}

/// Takes key `id` of the source, with its description and its certificate.
///
/// # Errors
/// No such key, its domain lacks shares, the key may not be wrapped, or a command failed.
pub fn export<T: Transport>(source: &mut Authenticated<T>, id: KeyId) -> Result<Replica, ReplicateError> {
    let session = source.session();
    let failed = ReplicateError::Source;
    let attributes = session
        .key_attributes(id)
        .map_err(failed)?
        .ok_or(ReplicateError::NoSuchKey(id))?;
    let domain = attributes.key_domain.unwrap_or(0);
    let kcv = session
        .key_domain(domain)
        .map_err(failed)?
        .filter(|status| status.is_complete())
        .ok_or(ReplicateError::SourceDomain { domain })?
        .kcv;
    let description = session.read_object(fid::prkd(id)).map_err(failed)?;
    let certificate = session.read_object(fid::certificate(id)).map_err(failed)?;
    let wrapped = session.wrap(id).map_err(failed)?;
    if blob::kcv_of(&wrapped).ok() != Some(kcv) {
        return Err(ReplicateError::Blob {
            id,
            what: "is not under the key encryption key of its domain",
        });
    }
    Ok(Replica {
        wrapped,
        description,
        certificate,
    })
}

/// What stands on `target` for this key. The key proves itself by one signature.
///
/// # Errors
/// [`ReplicateError::Target`].
pub fn inspect<T: Transport>(
    target: &mut Authenticated<T>,
    id: KeyId,
    replica: &Replica,
    expected: &PublicKey,
) -> Result<ReplicaState, ReplicateError> {
    look(target.session(), id, replica, expected).map_err(ReplicateError::Target)
}

/// Makes `target` hold the key of the public key `expected`, with description and certificate, whatever an earlier
/// attempt left behind. The key proves itself.
///
/// # Errors
/// [`ReplicateError`]; after a failed command the same call finishes the copy.
pub fn import<T: Transport>(
    target: &mut Authenticated<T>,
    id: KeyId,
    replica: &Replica,
    expected: &PublicKey,
) -> Result<Replicated, ReplicateError> {
    let target = target.session();
    let certified = replica.certificate.as_deref();
    if certified.is_some_and(|certificate| public_key_of(certificate).as_ref() != Some(expected)) {
        return Err(ReplicateError::OtherCertificate(id));
    }
    check_blob(target, id, &replica.wrapped, expected)?;
    let found = look(target, id, replica, expected).map_err(ReplicateError::Target)?;
    let (done, missing) = match found {
        ReplicaState::Complete => return Ok(Replicated::Unchanged),
        ReplicaState::OtherKey => return Err(ReplicateError::OtherKey(id)),
        ReplicaState::Partial { missing } => (Replicated::Finished, missing),
        ReplicaState::Absent => {
            unwrap(target, id, &replica.wrapped, expected)?;
            (
                Replicated::Copied,
                vec![ReplicaPart::Description, ReplicaPart::Certificate],
            )
        }
    };
    for part in missing {
        let (fid, content) = part.of(id, replica);
        if let Some(content) = content {
            target
                .replace_file(fid, content)
                .map_err(ReplicateError::Target)?;
        }
    }
    Ok(done)
}

impl ReplicaPart {
    /// Where it stands, and what stands there.
    fn of(self, id: KeyId, replica: &Replica) -> (Fid, Option<&[u8]>) {
        match self {
            Self::Description => (fid::prkd(id), replica.description.as_deref()),
            Self::Certificate => (fid::certificate(id), replica.certificate.as_deref()),
        }
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica")
            .field("wrapped", &format_args!("{} bytes", self.wrapped.len()))
            .finish_non_exhaustive()
    }
}

fn look<T: Transport>(
    target: &mut Session<T>,
    id: KeyId,
    replica: &Replica,
    expected: &PublicKey,
) -> Result<ReplicaState, Error> {
    let Some(attributes) = target.key_attributes(id)? else {
        return Ok(ReplicaState::Absent);
    };
    if !target.prove_key(id, &attributes, expected)? {
        return Ok(ReplicaState::OtherKey);
    }
    let mut missing = Vec::new();
    for part in [ReplicaPart::Description, ReplicaPart::Certificate] {
        let (fid, wanted) = part.of(id, replica);
        if wanted.is_some() && target.read_object(fid)?.as_deref() != wanted {
            missing.push(part);
        }
    }
    Ok(if missing.is_empty() {
        ReplicaState::Complete
    } else {
        ReplicaState::Partial { missing }
    })
}

/// What can be seen of a blob without the key encryption key: its kind, and whether the target has that key.
fn check_blob<T: Transport>(
    target: &mut Session<T>,
    id: KeyId,
    wrapped: &[u8],
    expected: &PublicKey,
) -> Result<(), ReplicateError> {
    let bad = |what| ReplicateError::Blob { id, what };
    let wanted = blob::kcv_of(wrapped).map_err(|_| bad("is too short to be one"))?;
    if blob::key_type_of(wrapped).ok() != Some(key_type(expected)) {
        return Err(bad("is of another kind than the expected public key"));
    }
    let domains = target.key_domains().map_err(ReplicateError::Target)?;
    let mut complete = domains
        .iter()
        .map(|(_, status)| status)
        .filter(|status| status.is_complete());
    if complete.clone().any(|status| status.kcv == wanted) {
        return Ok(());
    }
    let found = complete.next().map_or(Kcv::NONE, |status| status.kcv);
    Err(ReplicateError::OtherDomain { wanted, found })
}

/// Unwraps under an id that was free a moment ago, and has the key prove itself.
fn unwrap<T: Transport>(
    target: &mut Session<T>,
    id: KeyId,
    wrapped: &[u8],
    expected: &PublicKey,
) -> Result<(), ReplicateError> {
    target.unwrap_key(id, wrapped).map_err(ReplicateError::Target)?;
    let doing = Doing::new("SELECT", format!("copy of key {id}"));
    let attributes = target
        .key_attributes(id)
        .and_then(|attributes| {
            attributes.ok_or_else(|| Error::protocol(&doing, "the unwrapped key is not there"))
        })
        .map_err(ReplicateError::Target)?;
    if target
        .prove_key(id, &attributes, expected)
        .map_err(ReplicateError::Target)?
    {
        return Ok(());
    }
    // It came from the blob a moment ago and is nobody's key.
    target.delete_file(fid::key(id)).map_err(ReplicateError::Target)?;
    Err(ReplicateError::NotProven(id))
}
