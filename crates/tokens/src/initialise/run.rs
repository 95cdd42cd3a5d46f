//! The steps, the first time and when they are taken up again.

use chancery_driver::{Card, Error, Failed, Initialize, Pin, Selected, SoPin};
use chancery_iso7816::Transport;

use super::account::{CHECK, ERASE, LABEL, domain_step};
use super::{Before, Blueprint, InitialiseError, Plan, compare};
use crate::journal::Work;

/// The PINs of the token to be. Wiped when dropped.
#[derive(Debug)]
pub struct Secrets {
    /// User PIN or transport PIN.
    pub user_pin: Option<Pin>,
    /// SO-PIN.
    pub so_pin: SoPin,
}

/// Sets a token up from the beginning. Whether keys may be lost was decided by whoever calls: `plan.before` is what the person
/// who confirmed has seen, and a token that holds anything else is not touched.
///
/// # Errors
/// [`InitialiseError`]; `work` then says how far it came.
pub fn run<T: Transport>(
    mut card: Selected<T>,
    plan: &Plan,
    secrets: &Secrets,
    work: &mut Work,
) -> Result<Selected<T>, InitialiseError> {
    plan.blueprint.check()?;
    let setup = setup(&plan.blueprint, secrets)?;
    let there = Before::of(&mut card).map_err(InitialiseError::card("nothing was done"))?;
    if there != plan.before {
        return Err(InitialiseError::Changed);
    }
    erase(&mut card, &setup, work)?;
    complete(card, &plan.blueprint, secrets.user_pin.as_ref(), true, work)
}

/// Takes the work up again: erases and sets up when that has not happened, or not for certain, and then does what is left.
///
/// Nothing is erased but what stood there when the work began, or an empty token. `secrets` gives the PINs when they are
/// needed.
///
/// # Errors
/// [`InitialiseError`].
pub fn resume<T: Transport, E: From<InitialiseError>>(
    mut card: Selected<T>,
    plan: &Plan,
    work: &mut Work,
    secrets: impl FnOnce() -> Result<Secrets, E>,
) -> Result<Selected<T>, E> {
    let secrets = secrets()?;
    plan.blueprint.check()?;
    let left_to_write = |work: &Work| plan.blueprint.label.is_some() && !work.record().is_done(LABEL);
    // What is written without a login can be written only by the session that initialised.
    let needs_that_session = !plan.blueprint.opens_by_pin() && left_to_write(work);
    let mut fresh = false;
    if !work.record().is_done(ERASE) || needs_that_session {
        let there = Before::of(&mut card).map_err(InitialiseError::card("nothing was done this time"))?;
        let empty = there.keys.is_empty() && there.files.is_empty();
        if there != plan.before && !empty {
            return Err(InitialiseError::Changed.into());
        }
        if work.record().is_done(ERASE) && !is_untouched(&mut card)? {
            return Err(InitialiseError::Changed.into());
        }
        erase(&mut card, &setup(&plan.blueprint, &secrets)?, work)?;
        fresh = true;
    }
    Ok(complete(
        card,
        &plan.blueprint,
        secrets.user_pin.as_ref(),
        fresh,
        work,
    )?)
}

/// Finds out that nothing was done yet, so that the work can be forgotten.
///
/// # Errors
/// [`InitialiseError::CannotUndo`] once the token was erased.
pub fn undo<T: Transport>(card: &mut Selected<T>, plan: &Plan, work: &Work) -> Result<(), InitialiseError> {
    let record = work.record();
    if record.step(ERASE).is_none() {
        return Ok(());
    }
    if record.is_done(ERASE) {
        return Err(InitialiseError::CannotUndo);
    }
    let there = Before::of(card).map_err(InitialiseError::card("look at the token"))?;
    // An empty token that is empty tells nothing; one that still has what it had was not erased.
    if there == plan.before && !plan.before.is_empty() {
        Ok(())
    } else {
        Err(InitialiseError::CannotUndo)
    }
}

fn setup(blueprint: &Blueprint, secrets: &Secrets) -> Result<Initialize, InitialiseError> {
    if blueprint.with_pin && secrets.user_pin.is_none() {
        return Err(InitialiseError::PinMissing { what: "PIN" });
    }
    let pin = secrets.user_pin.clone().filter(|_| blueprint.with_pin);
    let setup = blueprint.setup(pin, secrets.so_pin.clone());
    setup.check().map_err(|error| InitialiseError::Rule {
        rule: match error {
            Error::Input { reason, .. } => reason.into_owned(),
            other => other.to_string(),
        },
    })?;
    Ok(setup)
}

fn erase<T: Transport>(
    card: &mut Selected<T>,
    setup: &Initialize,
    work: &mut Work,
) -> Result<(), InitialiseError> {
    work.begin_step(ERASE, &())?;
    match card.initialize(setup) {
        Ok(()) => Ok(work.end_step(ERASE, &())?),
        Err(error) => {
            if error.status().is_some() {
                // The token said no: it is as it was.
                work.forget_step(ERASE)?;
            }
            Err(InitialiseError::card("erase and set up the token")(error))
        }
    }
}

/// Key domains, label, reading back.
fn complete<T: Transport>(
    mut card: Selected<T>,
    blueprint: &Blueprint,
    pin: Option<&Pin>,
    fresh: bool,
    work: &mut Work,
) -> Result<Selected<T>, InitialiseError> {
    let domains: Vec<(usize, u8, u8)> = blueprint
        .domain_shares
        .iter()
        .enumerate()
        .filter(|(domain, _)| !work.record().is_done(&domain_step(*domain)))
        .filter_map(|(domain, shares)| Some((domain, u8::try_from(domain).ok()?, *shares)))
        .collect();
    let label = blueprint
        .label
        .as_deref()
        .filter(|_| !work.record().is_done(LABEL));
    let card = if domains.is_empty() && label.is_none() {
        card.disconnect()
    } else if blueprint.opens_by_pin() {
        let Some(pin) = pin else {
            return Err(InitialiseError::PinMissing { what: "PIN" });
        };
        let mut open = card
            .verify_pin(pin)
            .map_err(|failed: Failed<_>| InitialiseError::card("present the new PIN")(failed.error))?;
        for (index, number, shares) in domains {
            let step = domain_step(index);
            let exists = open
                .key_domain(number)
                .map_err(InitialiseError::card(&step))?
                .is_some();
            work.begin_step(&step, &shares)?;
            if !exists {
                open.create_key_domain(number, shares)
                    .map_err(InitialiseError::card(&step))?;
            }
            work.end_step(&step, &shares)?;
        }
        if let Some(label) = label {
            work.begin_step(LABEL, &label)?;
            open.write_label(label).map_err(InitialiseError::card(LABEL))?;
            work.end_step(LABEL, &label)?;
        }
        open.disconnect()
    } else {
        // Nobody can log in yet; only the session that initialised the token may write.
        assert!(
            fresh,
            "the caller erases again when this session did not initialise"
        );
        if let Some(label) = label {
            work.begin_step(LABEL, &label)?;
            card.write_label_after_initialization(label)
                .map_err(InitialiseError::card(LABEL))?;
            work.end_step(LABEL, &label)?;
        }
        card.disconnect()
    };
    work.begin_step(CHECK, &())?;
    let mut card = select(card)?;
    let differences = compare(&mut card, blueprint).map_err(InitialiseError::card(CHECK))?;
    if !differences.is_empty() {
        return Err(InitialiseError::Differs(differences));
    }
    work.end_step(CHECK, &())?;
    Ok(card)
}

/// Selecting it again also logs out.
fn select<T: Transport>(card: Card<T>) -> Result<Selected<T>, InitialiseError> {
    card.select()
        .map_err(|failed| InitialiseError::card(CHECK)(failed.error))
}

/// Whether nobody has put shares or custodians into the token since it was set up.
fn is_untouched<T: Transport>(card: &mut Selected<T>) -> Result<bool, InitialiseError> {
    let failed = || InitialiseError::card("look at the token");
    let no_share = card
        .key_domains()
        .map_err(failed())?
        .iter()
        .all(|(_, status)| status.outstanding == status.shares);
    let no_custodian = card
        .pka_status()
        .map_err(failed())?
        .is_none_or(|status| status.missing == status.total);
    Ok(no_share && no_custodian)
}
