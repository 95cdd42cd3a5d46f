//! Custodians on machines of their own: here a data directory each, which has nothing of the installation.

use std::{
    fs,
    path::{Path, PathBuf},
};

use chancery_agent::{CustodianCard, Invitation, Seat};
use chancery_api::{ClientList, Subject};
use chancery_node::DataDir;

use super::{certificate::path, guide::Guide, steps};
use crate::{context::Context, error::CliError};

/// The custodians who are elsewhere.
pub(super) const CUSTODIANS: [&str; 2] = ["bob", "carol"];

/// The data directory of a custodian's machine.
pub(super) fn machine(data: &DataDir, name: &str) -> PathBuf {
    data.path().join("machines").join(name)
}

/// Cards, registration, invitation, acceptance: whatever of it is missing.
pub(super) fn custodians(guide: &Guide, data: &DataDir, hsm: &str, url: &str) -> Result<(), CliError> {
    guide.step(
        4,
        "Two custodians on machines of their own",
        "Each machine has its own data directory and its own token, and nothing of the trust center. The token's card goes one way,\n\
         an invitation the other, and two people compare fingerprints by telephone. From then on the machine answers the HSMs of the\n\
         invitation and no others.",
    )?;
    for name in CUSTODIANS {
        register(guide, data, name, hsm)?;
    }
    let invitation = path(guide, "center.invitation");
    let missing: Vec<_> = CUSTODIANS
        .into_iter()
        .map(|name| Ok((name, has_accepted(&machine(data, name), name, hsm, url)?)))
        .collect::<Result<Vec<_>, CliError>>()?;
    for (name, _) in missing.into_iter().filter(|(_, accepted)| !accepted) {
        if !Path::new(&invitation).is_file() {
            guide.run(&["custodian", "invitation", "--node", url, "--out", &invitation])?;
        }
        let bytes = fs::read(&invitation).map_err(CliError::file("read", Path::new(&invitation)))?;
        let heard = Invitation::parse(&bytes)?.fingerprint()?.to_string();
        guide.run_at(
            &machine(data, name),
            &[
                "custodian",
                "accept",
                &invitation,
                "--as",
                name,
                "--fingerprint",
                &heard,
            ],
        )?;
    }
    Ok(())
}

fn register(guide: &Guide, data: &DataDir, name: &str, hsm: &str) -> Result<(), CliError> {
    let machine = machine(data, name);
    let card = path(guide, &format!("{name}.card"));
    if !machine.join("tokens").join(name).is_dir() {
        fs::create_dir_all(data.path().join("machines"))
            .map_err(CliError::file("make", &data.path().join("machines")))?;
        guide.run_at(&machine, &["vtoken", "create", name, "--init", "--rehearsal"])?;
    }
    if !Path::new(&card).is_file() {
        let own = machine.join("own.card").display().to_string();
        guide.run_at(&machine, &["custodian", "card", "--out", &own])?;
        // What the one reads out and the other hears.
        let heard = fingerprint(&own)?;
        guide.run(&[
            "custodian",
            "vouch",
            &own,
            "--out",
            &card,
            "--fingerprint",
            &heard,
        ])?;
    }
    let heard = fingerprint(&card)?;
    let manager = steps::MANAGER;
    if !guide.has_person(name)? {
        let person = |subject: &Subject| matches!(subject, Subject::Person(person) if person.name == name);
        match guide.pending(person)? {
            Some(number) => guide.finish(number, manager, manager)?,
            None => {
                guide.run(&[
                    "person",
                    "add",
                    name,
                    "--role",
                    "subscriber",
                    "--card",
                    &card,
                    "--fingerprint",
                    &heard,
                    "--as",
                    manager,
                ])?;
            }
        }
    }
    let known =
        |view: &chancery_api::HsmView| view.custodians.iter().any(|custodian| custodian.person == name);
    if !guide.hsm(hsm)?.is_some_and(|view| known(&view)) {
        let custodian =
            |subject: &Subject| matches!(subject, Subject::Custodian(custodian) if custodian.name == name);
        match guide.pending(custodian)? {
            Some(number) => guide.finish(number, manager, manager)?,
            None => {
                guide.run(&[
                    "custodian",
                    "register",
                    name,
                    "--card",
                    &card,
                    "--fingerprint",
                    &heard,
                    "--hsm",
                    hsm,
                    "--as",
                    manager,
                ])?;
            }
        }
    }
    let enrolled = guide
        .context
        .call(&ClientList {})?
        .iter()
        .any(|client| client.name == name && client.state == "enrolled");
    if !enrolled {
        guide.run(&[
            "client",
            "add",
            name,
            "--key",
            &card,
            "--custodian",
            name,
            "--fingerprint",
            &heard,
        ])?;
    }
    Ok(())
}

/// The fingerprint of a card.
fn fingerprint(card: &str) -> Result<String, CliError> {
    let bytes = fs::read(card).map_err(CliError::file("read", Path::new(card)))?;
    Ok(CustodianCard::parse(&bytes)?.fingerprint()?.to_string())
}

/// Whether a custodian's machine would answer this HSM, and knows where the node is.
fn has_accepted(machine: &Path, name: &str, hsm: &str, url: &str) -> Result<bool, CliError> {
    let context = Context::at(machine.to_owned(), false);
    let Some(data) = context.data_if_any()? else {
        return Ok(false);
    };
    for seat in Seat::all(&Context::accepted_directory(&data))? {
        let membership = seat.membership();
        let here = membership.node().is_some_and(|node| node.url == url);
        if membership.person() == name && here && seat.accepted()?.hsms().contains_key(hsm) {
            return Ok(true);
        }
    }
    Ok(false)
}
