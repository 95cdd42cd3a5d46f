//! A key out of a token, into a container file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chancery_cvc::PublicKey;
use chancery_driver::{Authenticated, Error, KeyCertificate, reading};
use chancery_iso7816::Transport;
use chancery_schsm::{Kcv, KeyContainer, KeyId, KeyType, blob};
use chancery_vtoken::atomic;

use super::Noted;
use super::error::{ParcelError, TransferError};
use super::install::same_device;
use super::parcel::Parcel;
use super::plan::{WRAP, WRITE, WrapPlan};
use crate::catalogue::Description;
use crate::journal::Work;
use crate::key::{KeyDetails, is_custodian_key};

/// A key that was wrapped.
#[derive(Clone, Debug)]
pub struct Wrapped {
    /// Its id on the token it came from.
    pub id: KeyId,
    /// Blob, description, certificate or request.
    pub container: KeyContainer,
    /// Key check value of the key encryption key.
    pub kcv: Kcv,
    /// Kind of key.
    pub key_type: KeyType,
    /// Its label.
    pub label: String,
    /// Public key that the certificate or request beside it names, if the key proved to be that one by a use.
    pub proven: Option<PublicKey>,
    /// The file, where it was written.
    pub file: Option<PathBuf>,
}

/// Takes a key with its description and its certificate or request out of a token.
///
/// The key proves to be the one its certificate is for, unless its uses are counted or limited to custodian answers: a
/// certificate of another key would make the copy useless where it arrives.
///
/// # Errors
/// [`TransferError`]; nothing is changed on the token.
pub fn wrap<T: Transport>(card: &mut Authenticated<T>, id: KeyId) -> Result<Wrapped, TransferError> {
    let details = KeyDetails::read(card, id)?.ok_or(TransferError::NoSuchKey(id))?;
    let domain = details.attributes.key_domain.unwrap_or(0);
    let kcv = details.kcv().ok_or(TransferError::NoDomain { id, domain })?;
    let counted = details.attributes.use_counter.is_some() || is_custodian_key(&details.attributes);
    let proven = match &details.public_key {
        Some(key) if !counted => match card.proves(id, key) {
            Ok(true) => Some(key.clone()),
            Ok(false) => return Err(ParcelError::OtherKey.into()),
            Err(Error::Input { .. }) => None,
            Err(error) => return Err(error.into()),
        },
        _ => None,
    };
    // As they stand there, not as they were understood; what nobody understands stays behind.
    let description = match details.description {
        Description::Known(_) => read_object(card, chancery_schsm::fid::prkd(id))?,
        Description::Missing | Description::Odd { .. } => None,
    };
    let certificate = details
        .certificate
        .as_ref()
        .filter(|certificate| !matches!(certificate, KeyCertificate::Unknown(_)))
        .map(|certificate| certificate.bytes().to_vec());
    let wrapped = card.wrap(id)?;
    if blob::kcv_of(&wrapped).ok() != Some(kcv) {
        return Err(TransferError::Inconsistent(id));
    }
    let key_type = blob::key_type_of(&wrapped).map_err(ParcelError::Blob)?;
    let container = KeyContainer::new(&wrapped, description.as_deref(), certificate.as_deref())
        .map_err(ParcelError::Container)?;
    // Whoever takes the key in makes the same comparison: better to know now.
    Parcel::from_container(&container, None, None, "", None)?;
    Ok(Wrapped {
        id,
        container,
        kcv,
        key_type,
        label: details.description.label().to_owned(),
        proven,
        file: None,
    })
}

/// As [`wrap`], into a new file that its owner alone may read; durable when this returns.
///
/// # Errors
/// As [`wrap`]; a file of that name that exists is not overwritten. After [`TransferError::Interrupted`] the work is open:
/// [`finish_wrap`] makes it anew, [`undo_wrap`] forgets it.
pub fn wrap_to_file<T: Transport>(
    card: &mut Authenticated<T>,
    id: KeyId,
    file: &Path,
    noted: &Noted<'_>,
) -> Result<Wrapped, TransferError> {
    let io = |doing| {
        move |source| TransferError::File {
            doing,
            path: file.to_owned(),
            source,
        }
    };
    if file.try_exists().map_err(io("look for"))? {
        return Err(io("write")(io::ErrorKind::AlreadyExists.into()));
    }
    let plan = WrapPlan {
        id: id.0,
        file: std::path::absolute(file).map_err(io("find"))?,
    };
    let work = noted.begin(super::WRAP, &plan)?;
    run(card, &plan, work)
}

/// Makes a file that was not finished.
///
/// # Errors
/// As [`wrap_to_file`].
pub fn finish_wrap<T: Transport>(card: &mut Authenticated<T>, work: Work) -> Result<Wrapped, TransferError> {
    let plan = plan_of(&work)?;
    same_device(card, &work)?;
    remove(&plan, &work)?;
    run(card, &plan, work)
}

/// Forgets a file that was not finished, and removes it. Needs no token: wrapping changes none.
///
/// # Errors
/// [`TransferError::File`], [`TransferError::Journal`].
pub fn undo_wrap(work: Work) -> Result<PathBuf, TransferError> {
    let plan = plan_of(&work)?;
    remove(&plan, &work)?;
    work.finish()?;
    Ok(plan.file)
}

fn run<T: Transport>(
    card: &mut Authenticated<T>,
    plan: &WrapPlan,
    mut work: Work,
) -> Result<Wrapped, TransferError> {
    work.begin_step(WRAP, &())?;
    let wrapped = match wrap(card, KeyId(plan.id)) {
        Ok(wrapped) => wrapped,
        // The link is gone: it can be tried again when the token is back.
        Err(TransferError::Card(source)) if source.status().is_none() => {
            return Err(TransferError::Interrupted {
                work: work.id().to_owned(),
                done: Vec::new(),
                missing: vec![WRAP.to_owned(), WRITE.to_owned()],
                source: Box::new(source),
            });
        }
        Err(error) => {
            work.finish()?;
            return Err(error);
        }
    };
    work.end_step(WRAP, &())?;
    work.begin_step(WRITE, &())?;
    let written = atomic::create(&plan.file, &wrapped.container.encode());
    match written {
        Ok(()) => {
            work.finish()?;
            Ok(Wrapped {
                file: Some(plan.file.clone()),
                ..wrapped
            })
        }
        Err(source) => {
            work.finish()?;
            Err(TransferError::File {
                doing: "write",
                path: plan.file.clone(),
                source,
            })
        }
    }
}

/// Removes a file that this work may have written. Before it began there was none.
fn remove(plan: &WrapPlan, work: &Work) -> Result<(), TransferError> {
    if work.record().step(WRITE).is_none() {
        return Ok(());
    }
    match fs::remove_file(&plan.file) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(TransferError::File {
            doing: "remove",
            path: plan.file.clone(),
            source,
        }),
    }
}

fn plan_of(work: &Work) -> Result<WrapPlan, TransferError> {
    if work.record().kind != super::WRAP {
        return Err(TransferError::OtherWork(work.id().to_owned()));
    }
    Ok(work.record().plan()?)
}

fn read_object<T: Transport>(
    card: &mut Authenticated<T>,
    file: chancery_schsm::Fid,
) -> Result<Option<Vec<u8>>, Error> {
    const MOST_BYTES: usize = 8 * 1024;
    let content = reading::read(card, file, MOST_BYTES)?;
    Ok(content.and_then(|content| content.object().map(<[u8]>::to_vec)))
}
