//! What stands in CExx of a key: certificates stored and deleted. An older one is deleted before a shorter one is written, so
//! that both are noted first.

use std::path::PathBuf;

use chancery_driver::{Authenticated, Error, KeyCertificate, reading};
use chancery_iso7816::Transport;
use chancery_schsm::{KeyId, fid};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{KeyError, keep};
use crate::archive::Archive;
use crate::journal::Work;
use crate::key::{MOST_CERTIFICATE_BYTES, is_custodian_key, read_certificate};
use crate::transfer::Noted;

/// What stood in CExx before.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// The old content; `None` when there was none.
    pub old: Option<KeyCertificate>,
    /// Where the proof of the key's origin is kept, if the old content was one.
    pub kept: Option<PathBuf>,
    /// How it is known that the certificate is the key's.
    pub matched: Matched,
}

/// How a certificate was found to belong to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// The key made a signature that the certificate's public key verifies.
    ByUse,
    /// What stood there before names the same public key; the key's uses are counted or limited and none was spent.
    ByWhatStoodThere,
}

/// What undoing left beside a key.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The key.
    pub id: KeyId,
    /// What stands there again; `None` when there was nothing.
    pub old: Option<KeyCertificate>,
}

/// What a journal keeps of a certificate on its way. Stored: fields are only ever added.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Plan {
    /// The key.
    id: u8,
    /// What stood there, hexadecimal.
    old: Option<String>,
    /// What is to stand there, hexadecimal.
    new: String,
    /// Whether the key showed by a use that the certificate is its own.
    by_use: bool,
}

/// Stores a certificate with a key, once it is known to be the key's: the key makes a signature, unless its uses are
/// counted or limited to custodian answers.
///
/// # Errors
/// [`KeyError`]. After [`KeyError::Interrupted`] the work is open: [`resume_certificate`] finishes it, [`undo_certificate`]
/// puts back what stood there.
pub fn store_certificate<T: Transport>(
    card: &mut Authenticated<T>,
    id: KeyId,
    certificate: &[u8],
    archive: &Archive,
    now: OffsetDateTime,
    noted: &Noted<'_>,
) -> Result<Replaced, KeyError> {
    let certificate = to_der(certificate)?;
    let public_key = KeyCertificate::recognise(certificate.clone())
        .public_key()
        .ok_or(KeyError::NoCertificate)?;
    let attributes = reading::attributes(card, id)?.ok_or(KeyError::NoSuchKey(id))?;
    let old = read_certificate(card, id)?;
    let named = old.as_ref().and_then(KeyCertificate::public_key);
    let matched = if attributes.use_counter.is_some() || is_custodian_key(&attributes) {
        match named {
            Some(named) if named == public_key => Matched::ByWhatStoodThere,
            Some(_) => return Err(KeyError::OtherKey(id)),
            None => return Err(KeyError::Unverifiable(id)),
        }
    } else if card.proves(id, &public_key)? {
        Matched::ByUse
    } else {
        return Err(KeyError::OtherKey(id));
    };
    let kept = keep(card, id, archive, now)?;
    let there = there(card, id)?;
    if there.as_ref() != Some(&certificate) {
        let plan = Plan {
            id: id.0,
            old: there.map(hex::encode),
            new: hex::encode(&certificate),
            by_use: matched == Matched::ByUse,
        };
        let work = noted.begin(CERTIFICATE, &plan)?;
        write(card, &plan, Some(&certificate), work)?;
    }
    Ok(Replaced { old, kept, matched })
}

/// Stores a certificate whose storing was interrupted.
///
/// # Errors
/// [`KeyError::Changed`] when somebody else wrote there since, [`KeyError::OtherKey`] when the key is another one now; the same
/// call can be made again.
pub fn resume_certificate<T: Transport>(
    card: &mut Authenticated<T>,
    work: Work,
) -> Result<(KeyId, Replaced), KeyError> {
    let (id, plan, new) = take_up(card, &work)?;
    write(card, &plan, Some(&new), work)?;
    let matched = if plan.by_use {
        Matched::ByUse
    } else {
        Matched::ByWhatStoodThere
    };
    let replaced = Replaced {
        old: old_of(&plan).map(KeyCertificate::recognise),
        kept: None,
        matched,
    };
    Ok((id, replaced))
}

/// Puts back what stood beside a key before storing a certificate was interrupted.
///
/// # Errors
/// As [`resume_certificate`].
pub fn undo_certificate<T: Transport>(card: &mut Authenticated<T>, work: Work) -> Result<Restored, KeyError> {
    let (id, plan, _) = take_up(card, &work)?;
    let old = old_of(&plan);
    write(card, &plan, old.as_deref(), work)?;
    Ok(Restored {
        id,
        old: old.map(KeyCertificate::recognise),
    })
}

/// Whether the work can go on with the token in hand: the same token, the same key, and nothing of anybody else's beside it.
fn take_up<T: Transport>(
    card: &mut Authenticated<T>,
    work: &Work,
) -> Result<(KeyId, Plan, Vec<u8>), KeyError> {
    let record = work.record();
    let plan: Plan = match record.kind.as_str() {
        CERTIFICATE => record.plan()?,
        _ => return Err(KeyError::OtherWork(work.id().to_owned())),
    };
    let chain = card.device_chain()?;
    let found = chain.device_name().map_or("", |name| name.holder());
    if found != record.device {
        return Err(KeyError::OtherToken {
            expected: record.device.clone(),
            found: found.to_owned(),
        });
    }
    let id = KeyId(plan.id);
    if reading::attributes(card, id)?.is_none() {
        return Err(KeyError::NoSuchKey(id));
    }
    let new = hex::decode(&plan.new).map_err(|_| KeyError::NoCertificate)?;
    let old = old_of(&plan).unwrap_or_default();
    // Every byte is of the one or the other: a new key's request, or a third certificate, is not.
    let there = there(card, id)?.unwrap_or_default();
    let known = |(at, byte)| new.get(at) == Some(byte) || old.get(at) == Some(byte);
    if !there.iter().enumerate().all(known) {
        return Err(KeyError::Changed(id));
    }
    if plan.by_use {
        let public_key = KeyCertificate::recognise(new.clone()).public_key();
        if !card.proves(id, &public_key.ok_or(KeyError::NoCertificate)?)? {
            return Err(KeyError::OtherKey(id));
        }
    }
    Ok((id, plan, new))
}

/// Has `content` stand beside the key, or nothing, and closes the work.
fn write<T: Transport>(
    card: &mut Authenticated<T>,
    plan: &Plan,
    content: Option<&[u8]>,
    mut work: Work,
) -> Result<(), KeyError> {
    let id = KeyId(plan.id);
    work.begin_step(STEP, &())?;
    let Err(error) = put(card, id, content) else {
        work.finish()?;
        return Ok(());
    };
    // The token said no, perhaps when the old one was deleted already: it is put back while the token is at hand.
    let restored = error.status().is_some() && put(card, id, old_of(plan).as_deref()).is_ok();
    if restored {
        work.finish()?;
        return Err(KeyError::Card(error));
    }
    Err(KeyError::Interrupted {
        id,
        work: work.id().to_owned(),
        source: Box::new(error),
    })
}

fn put<T: Transport>(card: &mut Authenticated<T>, id: KeyId, content: Option<&[u8]>) -> Result<(), Error> {
    match content {
        Some(content) => card.write_file(fid::certificate(id), content),
        None => card.delete_file(fid::certificate(id)).map(drop),
    }
}

fn there<T: Transport>(card: &mut Authenticated<T>, id: KeyId) -> Result<Option<Vec<u8>>, Error> {
    let content = reading::read(card, fid::certificate(id), MOST_CERTIFICATE_BYTES)?;
    Ok(content
        .map(|content| content.bytes)
        .filter(|bytes| !bytes.is_empty()))
}

fn old_of(plan: &Plan) -> Option<Vec<u8>> {
    hex::decode(plan.old.as_ref()?).ok()
}

/// Deletes what stands in CExx of a key.
///
/// # Errors
/// [`KeyError`].
pub fn delete_certificate<T: Transport>(
    card: &mut Authenticated<T>,
    id: KeyId,
    archive: &Archive,
    now: OffsetDateTime,
) -> Result<Replaced, KeyError> {
    let old = read_certificate(card, id)?;
    let kept = keep(card, id, archive, now)?;
    if !card.delete_file(fid::certificate(id))? {
        return Err(KeyError::NothingThere(id));
    }
    Ok(Replaced {
        old,
        kept,
        matched: Matched::ByWhatStoodThere,
    })
}

/// A certificate as a token stores it, from DER or PEM.
///
/// # Errors
/// [`KeyError::NoCertificate`].
pub fn to_der(certificate: &[u8]) -> Result<Vec<u8>, KeyError> {
    let der =
        if certificate.starts_with(b"-----") || certificate.windows(11).any(|part| part == b"-----BEGIN ") {
            openssl::x509::X509::from_pem(certificate)
                .and_then(|certificate| certificate.to_der())
                .map_err(|_| KeyError::NoCertificate)?
        } else {
            certificate.to_vec()
        };
    match KeyCertificate::recognise(der) {
        KeyCertificate::X509(der) => {
            match openssl::x509::X509::from_der(&der).and_then(|parsed| parsed.to_der()) {
                // What follows the certificate is none of it.
                Ok(whole) if der.starts_with(&whole) => Ok(whole),
                _ => Err(KeyError::NoCertificate),
            }
        }
        KeyCertificate::Cvc(bytes) | KeyCertificate::Request(bytes) => Ok(bytes),
        _ => Err(KeyError::NoCertificate),
    }
}

/// Kind of journal: a certificate that is stored with a key.
pub const CERTIFICATE: &str = "certificate";

/// The only step.
const STEP: &str = "certificate";
