//! A key's arrival on a token, in steps that can be finished or undone later.

use chancery_driver::{AppletAccess, Authenticated, Error, reading};
use chancery_iso7816::Transport;
use chancery_schsm::{Kcv, KeyContainer, KeyId, fid};

use super::Noted;
use super::check::Verified;
use super::error::TransferError;
use super::parcel::{Parcel, digest};
use super::plan::{CERTIFY, DESCRIBE, InstallPlan, PROVE, UNWRAP, bytes};
use crate::journal::Work;
use crate::keys::{KeyError, free_id};

/// A key that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Where it stands.
    pub id: KeyId,
    /// Whether it proved which one it is.
    pub verified: Verified,
    /// Whether a description was written.
    pub described: bool,
    /// Whether a certificate or request was written.
    pub certified: bool,
    /// What it came from.
    pub from: String,
}

/// What taking up the work again did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The key is there, complete.
    Finished(Installed),
    /// It never arrived and could not be sent again; nothing is left on the token, and the work is closed.
    NothingThere {
        /// What it was to come from.
        from: String,
    },
}

/// What undoing did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// Where the key stood.
    pub id: KeyId,
    /// Whether there was a key to delete.
    pub key: bool,
    /// Files that were deleted.
    pub files: Vec<chancery_schsm::Fid>,
    /// What it came from.
    pub from: String,
}

/// Puts a key on a token, under `id` or the lowest free one.
///
/// # Errors
/// [`TransferError`]. After [`TransferError::Interrupted`] the work is open: [`resume`] finishes it, [`undo`] takes it back.
pub fn install<T: Transport>(
    card: &mut Authenticated<T>,
    parcel: &Parcel,
    id: Option<KeyId>,
    noted: &Noted<'_>,
) -> Result<Installed, TransferError> {
    check_domain(card, parcel.kcv())?;
    let id = free_id(card, id).map_err(|error| match error {
        KeyError::Card(error) => TransferError::Card(error),
        error => TransferError::Id(error),
    })?;
    let plan = parcel.plan(id);
    let work = noted.begin(parcel.kind(), &plan)?;
    run(card, &plan, work, Some(parcel.blob()))
}

/// Finishes work that was interrupted. The token in hand must be the one it was begun on.
///
/// # Errors
/// [`TransferError`]; after [`TransferError::Interrupted`] the same call can be made again.
pub fn resume<T: Transport>(card: &mut Authenticated<T>, work: Work) -> Result<Arrival, TransferError> {
    let plan = plan_of(&work)?;
    same_device(card, &work)?;
    let id = KeyId(plan.id);
    if reading::attributes(card, id)?.is_some() {
        return run(card, &plan, work, None).map(Arrival::Finished);
    }
    if work.record().is_done(UNWRAP) {
        return Err(TransferError::Gone(id));
    }
    match again(&plan) {
        Some(blob) => {
            let kcv = chancery_schsm::blob::kcv_of(&blob)
                .map_err(|error| TransferError::Parcel(super::ParcelError::Blob(error)))?;
            check_domain(card, kcv)?;
            run(card, &plan, work, Some(&blob)).map(Arrival::Finished)
        }
        None => {
            card.delete_file(fid::SCRATCH)?;
            work.finish()?;
            Ok(Arrival::NothingThere { from: plan.from })
        }
    }
}

/// Takes back what interrupted work did: the key it brought, if it did, and the files beside it. A key that proves to be
/// another is left alone; one that cannot prove to be the one brought is deleted only when `unproven` says so.
///
/// # Errors
/// [`TransferError::Foreign`], [`TransferError::Unproven`], or a command failed; the same call can be made again.
pub fn undo<T: Transport>(
    card: &mut Authenticated<T>,
    work: Work,
    unproven: impl FnOnce(KeyId) -> bool,
) -> Result<Undone, TransferError> {
    let plan = plan_of(&work)?;
    same_device(card, &work)?;
    let id = KeyId(plan.id);
    let there = reading::attributes(card, id)?.is_some();
    if there {
        let certificate = bytes(plan.certificate.as_ref());
        match plan.check.ask(card, id, certificate.as_deref())? {
            Some(Verified::ByUse) => {}
            Some(_) if unproven(id) => {}
            Some(_) => return Err(TransferError::Unproven(id)),
            None => return Err(TransferError::Foreign(id)),
        }
        card.delete_file(fid::key(id))?;
    }
    // Nothing stood under this id when the work began. Without its key, a file is this work's only if the work began to write
    // it.
    let mut files = Vec::new();
    for (step, file) in [(DESCRIBE, fid::prkd(id)), (CERTIFY, fid::certificate(id))] {
        if (there || work.record().step(step).is_some()) && card.delete_file(file)? {
            files.push(file);
        }
    }
    card.delete_file(fid::SCRATCH)?;
    work.finish()?;
    Ok(Undone {
        id,
        key: there,
        files,
        from: plan.from,
    })
}

/// The steps that are not done, in order.
fn run<T: Transport>(
    card: &mut Authenticated<T>,
    plan: &InstallPlan,
    mut work: Work,
    blob: Option<&[u8]>,
) -> Result<Installed, TransferError> {
    let id = KeyId(plan.id);
    let certificate = bytes(plan.certificate.as_ref());
    let arrived_now = blob.is_some();
    if let Some(blob) = blob {
        work.begin_step(UNWRAP, &())?;
        match card.unwrap(id, blob) {
            Ok(()) => work.end_step(UNWRAP, &())?,
            // The token said no: the key is not there.
            Err(error) if error.status().is_some() => {
                work.finish()?;
                return Err(TransferError::Card(error));
            }
            Err(error) => return Err(interrupted(plan, &work, error)),
        }
    }
    let stopped = |work: &Work| {
        let work_id = work.id().to_owned();
        let (done, missing) = progress(plan, work);
        move |source| TransferError::Interrupted {
            work: work_id,
            done,
            missing,
            source: Box::new(source),
        }
    };
    work.begin_step(PROVE, &())?;
    let verified = plan
        .check
        .ask(card, id, certificate.as_deref())
        .map_err(stopped(&work))?;
    let Some(verified) = verified else {
        // What stood there when this call began may be somebody else's.
        if !arrived_now {
            return Err(TransferError::Foreign(id));
        }
        card.delete_file(fid::key(id)).map_err(stopped(&work))?;
        work.finish()?;
        return Err(TransferError::NotProven);
    };
    if verified != Verified::ByUse && !work.record().is_done(UNWRAP) {
        return Err(TransferError::Unproven(id));
    }
    if verified != Verified::ByUse && !arrived_now {
        // What somebody else put there since shows at least by the files beside it.
        for (file, planned) in [
            (fid::prkd(id), bytes(plan.description.as_ref())),
            (fid::certificate(id), certificate.clone()),
        ] {
            let there = card.read_file(file).map_err(stopped(&work))?.unwrap_or_default();
            if !planned.unwrap_or_default().starts_with(&there) {
                return Err(TransferError::Unproven(id));
            }
        }
    }
    work.end_step(UNWRAP, &())?;
    work.end_step(PROVE, &())?;
    let files = [
        (DESCRIBE, fid::prkd(id), bytes(plan.description.as_ref())),
        (CERTIFY, fid::certificate(id), certificate),
    ];
    let (mut described, mut certified) = (false, false);
    for (step, file, content) in files {
        let Some(content) = content else { continue };
        work.begin_step(step, &())?;
        card.write_file(file, &content).map_err(stopped(&work))?;
        work.end_step(step, &())?;
        if step == DESCRIBE {
            described = true;
        } else {
            certified = true;
        }
    }
    work.finish()?;
    Ok(Installed {
        id,
        verified,
        described,
        certified,
        from: plan.from.clone(),
    })
}

/// Refuses a blob under a key encryption key that the token does not have, before anything is sent. Needs no PIN.
///
/// # Errors
/// [`TransferError::OtherDomain`], or a command failed.
pub fn check_domain(card: &mut impl AppletAccess, wanted: Kcv) -> Result<(), TransferError> {
    let found: Vec<(u8, Kcv)> = reading::domains(card)?
        .into_iter()
        .filter(|(_, status)| status.is_complete() && status.kcv != Kcv::NONE)
        .map(|(number, status)| (number, status.kcv))
        .collect();
    if found.iter().any(|(_, kcv)| *kcv == wanted) {
        Ok(())
    } else {
        Err(TransferError::OtherDomain { wanted, found })
    }
}

pub(super) fn same_device<T: Transport>(
    card: &mut Authenticated<T>,
    work: &Work,
) -> Result<(), TransferError> {
    let chain = card.device_chain()?;
    let found = chain.device_name().map_or("", |name| name.holder());
    let expected = &work.record().device;
    if found == expected {
        Ok(())
    } else {
        Err(TransferError::OtherToken {
            expected: expected.clone(),
            found: found.to_owned(),
        })
    }
}

fn plan_of(work: &Work) -> Result<InstallPlan, TransferError> {
    if ![super::UNWRAP, super::IMPORT].contains(&work.record().kind.as_str()) {
        return Err(TransferError::OtherWork(work.id().to_owned()));
    }
    Ok(work.record().plan()?)
}

/// The blob from the container it came from, if that is still there unchanged.
fn again(plan: &InstallPlan) -> Option<Vec<u8>> {
    let content = std::fs::read(plan.file.as_ref()?).ok()?;
    let container = KeyContainer::parse(&content).ok()?;
    (digest(container.blob()) == plan.blob).then(|| container.blob().to_vec())
}

fn interrupted(plan: &InstallPlan, work: &Work, source: Error) -> TransferError {
    let (done, missing) = progress(plan, work);
    TransferError::Interrupted {
        work: work.id().to_owned(),
        done,
        missing,
        source: Box::new(source),
    }
}

/// Which steps are done, and which are not or may not be.
fn progress(plan: &InstallPlan, work: &Work) -> (Vec<String>, Vec<String>) {
    let mut done = Vec::new();
    let mut missing = Vec::new();
    for step in plan.steps() {
        if work.record().is_done(step) {
            done.push(step.to_owned());
        } else if work.record().is_in_doubt(step) {
            missing.push(format!("{step} (perhaps done: the token's answer is missing)"));
        } else {
            missing.push(step.to_owned());
        }
    }
    (done, missing)
}
