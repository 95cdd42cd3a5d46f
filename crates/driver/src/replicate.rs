//! Copies a key to a second token of its key domain, and finishes a copy that was interrupted.
//!
//! The steps are unwrap, prove, describe, certify. Each looks before it acts, so the procedure can be run again after
//! any failure; it never touches a token that holds another key under the id.

use chancery_cvc::{AuthenticatedRequest, PublicKey};
use chancery_iso7816::Transport;
use chancery_schsm::{Kcv, KeyId, blob, fid};

use crate::card::Authenticated;
use crate::certificate::public_key_of;
use crate::error::{Doing, Error};
use crate::key::KeyAttributes;
use crate::keystore::key_type;
use crate::session::{AppletAccess, Session, sealed::HasSession};

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

/// What a replica must look like, read from the token the key is on.
#[derive(Clone, Debug)]
pub struct ReplicaSource {
    id: KeyId,
    public_key: PublicKey,
    attributes: KeyAttributes,
    description: Option<Vec<u8>>,
    certificate: Option<Vec<u8>>,
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
    /// Key or certificate on the source are not those of the signer.
    #[error("source token, key {id}: {what} is not that of the expected public key")]
    SourceDisagrees {
        /// Key id.
        id: KeyId,
        /// What disagrees.
        what: &'static str,
    },
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
    #[error("no key domain of the target token has the key encryption key {wanted:?} of the source")]
    OtherDomain {
        /// Key check value of the source's domain.
        wanted: Kcv,
    },
    /// The blob is not of the key's domain or kind.
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

impl ReplicaSource {
    /// Reads key `id` of the source, which must be the one `expected`: a certificate or request next to it must name
    /// this public key.
    ///
    /// # Errors
    /// No such key, another key, or a command failed.
    pub fn read(
        card: &mut impl AppletAccess,
        id: KeyId,
        expected: &PublicKey,
    ) -> Result<Self, ReplicateError> {
        let session = card.session();
        let source = ReplicateError::Source;
        let attributes = session
            .key_attributes(id)
            .map_err(source)?
            .ok_or(ReplicateError::NoSuchKey(id))?;
        let description = session.read_object(fid::prkd(id)).map_err(source)?;
        let certificate = session.read_object(fid::certificate(id)).map_err(source)?;
        if let Some(certificate) = &certificate
            && public_key_of(certificate).as_ref() != Some(expected)
        {
            return Err(ReplicateError::SourceDisagrees {
                id,
                what: "its certificate or request",
            });
        }
        Ok(Self {
            id,
            public_key: expected.clone(),
            attributes,
            description,
            certificate,
        })
    }

    /// The key's id, the same on source and target.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The key's public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The request with which a token proved the key's origin, while it has not been replaced by a certificate.
    #[must_use]
    pub fn request(&self) -> Option<AuthenticatedRequest> {
        AuthenticatedRequest::parse(self.certificate.as_deref()?).ok()
    }
}

/// What stands on `target` for this key. The key proves itself by one signature.
///
/// # Errors
/// [`ReplicateError::Target`].
pub fn inspect_replica<B: Transport>(
    target: &mut Authenticated<B>,
    source: &ReplicaSource,
) -> Result<ReplicaState, ReplicateError> {
    inspect(target.session(), source).map_err(ReplicateError::Target)
}

fn inspect<B: Transport>(target: &mut Session<B>, source: &ReplicaSource) -> Result<ReplicaState, Error> {
    let Some(attributes) = target.key_attributes(source.id)? else {
        return Ok(ReplicaState::Absent);
    };
    if !target.prove_key(source.id, &attributes, &source.public_key)? {
        return Ok(ReplicaState::OtherKey);
    }
    let mut missing = Vec::new();
    let parts = [
        (
            ReplicaPart::Description,
            fid::prkd(source.id),
            &source.description,
        ),
        (
            ReplicaPart::Certificate,
            fid::certificate(source.id),
            &source.certificate,
        ),
    ];
    for (part, fid, wanted) in parts {
        if wanted.is_some() && target.read_object(fid)? != *wanted {
            missing.push(part);
        }
    }
    Ok(if missing.is_empty() {
        ReplicaState::Complete
    } else {
        ReplicaState::Partial { missing }
    })
}

/// Makes `target` hold the key, its description and its certificate as `source` has them, whatever an earlier attempt
/// left behind; ends with a proof by the copied key.
///
/// # Errors
/// [`ReplicateError`]; after a failed command the same call finishes the copy.
pub fn replicate<A: Transport, B: Transport>(
    source: &mut Authenticated<A>,
    target: &mut Authenticated<B>,
    id: KeyId,
    expected: &PublicKey,
) -> Result<Replicated, ReplicateError> {
    let plan = ReplicaSource::read(source, id, expected)?;
    let (source, target) = (source.session(), target.session());
    let (done, missing) = match inspect(target, &plan).map_err(ReplicateError::Target)? {
        ReplicaState::Complete => return Ok(Replicated::Unchanged),
        ReplicaState::OtherKey => return Err(ReplicateError::OtherKey(id)),
        ReplicaState::Partial { missing } => (Replicated::Finished, missing),
        ReplicaState::Absent => {
            copy_key(source, target, &plan)?;
            (
                Replicated::Copied,
                vec![ReplicaPart::Description, ReplicaPart::Certificate],
            )
        }
    };
    for part in missing {
        let (fid, content) = match part {
            ReplicaPart::Description => (fid::prkd(id), &plan.description),
            ReplicaPart::Certificate => (fid::certificate(id), &plan.certificate),
        };
        if let Some(content) = content {
            target
                .replace_file(fid, content)
                .map_err(ReplicateError::Target)?;
        }
    }
    Ok(done)
}

/// Wrap, check, unwrap, prove. The key is not on the target before.
fn copy_key<A: Transport, B: Transport>(
    source: &mut Session<A>,
    target: &mut Session<B>,
    plan: &ReplicaSource,
) -> Result<(), ReplicateError> {
    let id = plan.id;
    let domain = plan.attributes.key_domain.unwrap_or(0);
    let wanted = source
        .key_domain(domain)
        .map_err(ReplicateError::Source)?
        .filter(|status| status.is_complete())
        .ok_or(ReplicateError::SourceDomain { domain })?
        .kcv;
    let domains = target.key_domains().map_err(ReplicateError::Target)?;
    if !domains
        .iter()
        .any(|(_, status)| status.is_complete() && status.kcv == wanted)
    {
        return Err(ReplicateError::OtherDomain { wanted });
    }
    if !source
        .prove_key(id, &plan.attributes, &plan.public_key)
        .map_err(ReplicateError::Source)?
    {
        return Err(ReplicateError::SourceDisagrees {
            id,
            what: "the key itself",
        });
    }
    let wrapped = source.wrap(id).map_err(ReplicateError::Source)?;
    check_blob(id, &wrapped, wanted, &plan.public_key)?;
    target.unwrap_key(id, &wrapped).map_err(ReplicateError::Target)?;
    let doing = Doing::new("SELECT", format!("copy of key {id}"));
    let attributes = target
        .key_attributes(id)
        .and_then(|attributes| {
            attributes.ok_or_else(|| Error::protocol(&doing, "the unwrapped key is not there"))
        })
        .map_err(ReplicateError::Target)?;
    if target
        .prove_key(id, &attributes, &plan.public_key)
        .map_err(ReplicateError::Target)?
    {
        return Ok(());
    }
    // It came from the blob a moment ago and is nobody's key.
    target.delete_file(fid::key(id)).map_err(ReplicateError::Target)?;
    Err(ReplicateError::NotProven(id))
}

/// What can be seen of a blob without the key encryption key.
fn check_blob(id: KeyId, wrapped: &[u8], wanted: Kcv, expected: &PublicKey) -> Result<(), ReplicateError> {
    if blob::kcv_of(wrapped).ok() != Some(wanted) {
        return Err(ReplicateError::Blob {
            id,
            what: "is not under the key encryption key of its domain",
        });
    }
    if blob::key_type_of(wrapped).ok() != Some(key_type(expected)) {
        return Err(ReplicateError::Blob {
            id,
            what: "is of another kind than the expected public key",
        });
    }
    Ok(())
}
