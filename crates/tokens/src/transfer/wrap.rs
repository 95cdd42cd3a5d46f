//! A key out of a token, into a container file.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use chancery_cvc::PublicKey;
use chancery_driver::{Authenticated, Error, KeyCertificate, reading};
use chancery_iso7816::{StatusWord, Transport};
use chancery_schsm::{Kcv, KeyContainer, KeyId, KeyType, blob};
use chancery_vtoken::atomic;

use super::Noted;
use super::error::{ParcelError, TransferError};
use super::install::same_device;
use super::parcel::{Parcel, digest};
use super::plan::{FileMark, KeyMark, WRAP, WRITE, WrapPlan};
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
    wrap_described(card, details)
}

fn wrap_described<T: Transport>(
    card: &mut Authenticated<T>,
    details: KeyDetails,
) -> Result<Wrapped, TransferError> {
    let id = details.id;
    let domain = details.attributes.key_domain;
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
    let wrapped = card.wrap(id).map_err(|source| match source.status() {
        Some(StatusWord::CONDITIONS_NOT_SATISFIED) => TransferError::Kept {
            id,
            why: if details.attributes.use_counter.is_some() {
                "its uses are counted, and a copy would count anew"
            } else {
                "its key domain lets no key leave as it is now"
            },
            source,
        },
        _ => TransferError::Card(source),
    })?;
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
    let details = KeyDetails::read(card, id)?.ok_or(TransferError::NoSuchKey(id))?;
    let plan = WrapPlan {
        id: id.0,
        file: std::path::absolute(file).map_err(io("find"))?,
        key: KeyMark::of(&details),
    };
    let work = noted.begin(super::WRAP, &plan)?;
    run(card, &plan, details, work)
}

/// Makes a file that was not finished. One that is there and is what this work was to write is finished as it stands, whatever
/// has become of the key since; any other stays as it is.
///
/// # Errors
/// As [`wrap_to_file`]; [`TransferError::Exchanged`] and [`TransferError::Unrecognised`] when the key may be another than the one
/// the work was begun for.
pub fn finish_wrap<T: Transport>(card: &mut Authenticated<T>, work: Work) -> Result<Wrapped, TransferError> {
    let plan = plan_of(&work)?;
    same_device(card, &work)?;
    if let Some((container, mark)) = written(&plan, &work)? {
        atomic::sync_parent(&plan.file).map_err(failed(&plan, "keep"))?;
        let wrapped = from_file(&plan, container, &mark)?;
        work.finish()?;
        return Ok(wrapped);
    }
    let id = KeyId(plan.id);
    let Some(details) = KeyDetails::read(card, id)? else {
        work.finish()?;
        return Err(TransferError::NoSuchKey(id));
    };
    match plan.key.same_key(&KeyMark::of(&details)) {
        Some(true) => run(card, &plan, details, work),
        Some(false) => Err(TransferError::Exchanged(id)),
        None => Err(TransferError::Unrecognised(id)),
    }
}

/// A file that was not to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Its name.
    pub file: PathBuf,
    /// Whether it was complete before the work was interrupted. It is left then: it may be all that is left of the key.
    pub complete: bool,
}

/// Forgets a file that was not finished. Removes none: a file is there whole or not at all, and the key may be gone from the
/// token since. Needs no token: wrapping changes none.
///
/// # Errors
/// [`TransferError::File`], [`TransferError::Journal`].
pub fn undo_wrap(work: Work) -> Result<Forgotten, TransferError> {
    let plan = plan_of(&work)?;
    let complete = written(&plan, &work)?.is_some();
    work.finish()?;
    Ok(Forgotten {
        file: plan.file,
        complete,
    })
}

fn run<T: Transport>(
    card: &mut Authenticated<T>,
    plan: &WrapPlan,
    details: KeyDetails,
    mut work: Work,
) -> Result<Wrapped, TransferError> {
    work.begin_step(WRAP, &())?;
    let wrapped = match wrap_described(card, details) {
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
    let content = wrapped.container.encode();
    let proven = wrapped.proven.as_ref().and_then(|key| key.to_spki_der().ok());
    let mark = FileMark {
        sha256: digest(&content),
        proven: proven.map(hex::encode),
    };
    work.begin_step(WRITE, &mark)?;
    let written = atomic::create(&plan.file, &content);
    work.finish()?;
    written.map_err(failed(plan, "write"))?;
    Ok(Wrapped {
        file: Some(plan.file.clone()),
        ..wrapped
    })
}

/// The file, if it is the very one that this work was to write.
fn written(plan: &WrapPlan, work: &Work) -> Result<Option<(KeyContainer, FileMark)>, TransferError> {
    let step = work.record().step(WRITE);
    let mark = step.and_then(|step| serde_json::from_value::<FileMark>(step.detail.clone()).ok());
    let Some(mark) = mark else { return Ok(None) };
    let mut content = Vec::new();
    let read =
        fs::File::open(&plan.file).and_then(|file| file.take(MOST_FILE_BYTES).read_to_end(&mut content));
    match read {
        Ok(_) if digest(&content) == mark.sha256 => {
            let container = KeyContainer::parse(&content).map_err(ParcelError::Container)?;
            Ok(Some((container, mark)))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed(plan, "read")(source)),
    }
}

/// What [`wrap_to_file`] would have returned.
fn from_file(plan: &WrapPlan, container: KeyContainer, mark: &FileMark) -> Result<Wrapped, TransferError> {
    let description = container
        .description()
        .map(chancery_schsm::PrivateKeyDescription::parse);
    let proven = mark.proven.as_ref().and_then(|spki| hex::decode(spki).ok());
    Ok(Wrapped {
        id: KeyId(plan.id),
        kcv: blob::kcv_of(container.blob()).map_err(ParcelError::Blob)?,
        key_type: blob::key_type_of(container.blob()).map_err(ParcelError::Blob)?,
        label: description
            .and_then(Result::ok)
            .map(|description| description.label)
            .unwrap_or_default(),
        proven: proven.and_then(|spki| PublicKey::from_spki_der(&spki).ok()),
        file: Some(plan.file.clone()),
        container,
    })
}

fn failed(plan: &WrapPlan, doing: &'static str) -> impl FnOnce(io::Error) -> TransferError {
    let path = plan.file.clone();
    move |source| TransferError::File { doing, path, source }
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

/// Most bytes read of a file that may be one of ours; no container is as large.
const MOST_FILE_BYTES: u64 = 1024 * 1024;
