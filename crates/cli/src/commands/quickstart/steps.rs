//! The seven steps.

use std::{fs, path::Path};

use chancery_agent::Accepted;
use chancery_api::{FailureKind, HsmState, RequestNumber, Status, Subject};
use chancery_node::{DataDir, LayoutError};

use super::{
    IssuedView, Outcome,
    certificate::{issue, next_name, openssl_line, path, verified, view},
    check,
    guide::{Guide, quoted, typed},
    look::is_held,
};
use crate::{context::Context, error::CliError, report::Report};

const HSMS: [&str; 2] = ["hsm-a", "hsm-b"];
const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];
pub(super) const MANAGER: &str = "alice";
pub(super) const REGISTRATION_OFFICER: &str = "bob";
pub(super) const CERTIFICATION_OFFICER: &str = "carol";
pub(super) const CA: &str = "root";

/// Does everything that is missing.
pub(super) fn all(guide: &Guide, csr: Option<&Path>, algorithm: &str) -> Result<Report, CliError> {
    let data = begin(guide)?;
    let was_done = guide.out("crl.pem").is_file() && guide.out("revoked.pem").is_file();
    people_and_tokens(guide, &data)?;
    hsms_and_custodians(guide, &data)?;
    unlock(guide)?;
    root_ca(guide, algorithm)?;
    let mut certificates = Vec::new();
    let leaf = first_certificate(guide, if was_done { None } else { csr })?;
    let second = without_first_hsm(guide)?;
    let leaf_revoked = revocation(guide, leaf, second)?;
    for (name, number) in [("leaf", leaf), ("revoked", second)] {
        certificates.push(view(guide, name, number)?);
    }
    let mut one_more = None;
    if was_done || leaf_revoked {
        guide.say("\n== Everything was there: one more certificate ==")?;
        let name = next_name(guide)?;
        let number = issue(guide, &name, &format!("{name}.example.com"), csr)?;
        verified(guide, &format!("{name}.pem"), 0, true)?;
        certificates.push(view(guide, &name, number)?);
        one_more = Some(name);
    }
    let good = match &one_more {
        Some(name) if leaf_revoked => format!("{name}.pem"),
        _ => "leaf.pem".to_owned(),
    };
    end(guide, &data, certificates, one_more, &good)
}

pub(super) fn begin(guide: &Guide) -> Result<DataDir, CliError> {
    let data = guide.context.data_or_new()?;
    match data.installation() {
        Ok(installation) if !installation.rehearsal => {
            return Err(CliError::with_remedy(
                FailureKind::Conflict,
                format!(
                    "{} is an installation for real use: quickstart does not touch it",
                    data.path().display()
                ),
                "name another data directory: --data-dir DIR",
            ));
        }
        Ok(_) | Err(LayoutError::NotInitialised(_)) => {}
        Err(error) => return Err(error.into()),
    }
    fs::create_dir_all(data.out()).map_err(CliError::file("make", &data.out()))?;
    guide.say(format!(
        "A trust center for rehearsal, in {}",
        data.path().display()
    ))?;
    guide.say("Every line that begins with $ can be typed as it stands, after this one:")?;
    guide.say(format!(
        "$ export CHANCERY_DATA_DIR={}",
        quoted(&data.path().display().to_string())
    ))?;
    Ok(data)
}

/// Step 1.
pub(super) fn people_and_tokens(guide: &Guide, data: &DataDir) -> Result<(), CliError> {
    guide.step(
        1,
        "Tokens and people",
        "Two virtual tokens will hold the trust center's keys, three belong to people. Each has its own device certificate.\n\
         alice is the TrustCenter Manager to whom all rights go back, bob a Registration Officer, carol a Certification\n\
         Officer. What a person decides is signed by a key of that person's token.",
    )?;
    let known = guide.context.tokens()?.list()?;
    let is_there = |name: &str| known.iter().any(|token| token.name.as_str() == name);
    let missing: Vec<_> = HSMS.into_iter().filter(|name| !is_there(name)).collect();
    if !missing.is_empty() {
        guide.run(&[&["vtoken", "create"], missing.as_slice()].concat())?;
    }
    let tokens = guide.context.tokens()?;
    let mut without_pin = Vec::new();
    for name in PEOPLE {
        if !is_there(name) || !tokens.open(name)?.has_pin()? {
            without_pin.push(name);
        }
    }
    if !without_pin.is_empty() {
        guide.run(
            &[
                &["vtoken", "create"],
                without_pin.as_slice(),
                &["--init", "--rehearsal"],
            ]
            .concat(),
        )?;
    }
    match data.installation() {
        Ok(_) => {}
        Err(LayoutError::NotInitialised(_)) => {
            guide.run(&["init", "--manager", MANAGER, "--token", MANAGER, "--rehearsal"])?;
        }
        Err(error) => return Err(error.into()),
    }
    let others = [
        (REGISTRATION_OFFICER, "registration-officer"),
        (CERTIFICATION_OFFICER, "certification-officer"),
    ];
    for (name, role) in others {
        if guide.has_person(name)? {
            continue;
        }
        match guide.pending(|subject| matches!(subject, Subject::Person(person) if person.name == name))? {
            Some(number) => guide.finish(number, MANAGER, CERTIFICATION_OFFICER)?,
            None => {
                guide.run(&[
                    "person", "add", name, "--role", role, "--token", name, "--as", MANAGER,
                ])?;
            }
        }
    }
    guide.run(&["vtoken", "list"])?;
    guide.run(&["person", "list"]).map(drop)
}

/// Step 2.
pub(super) fn hsms_and_custodians(guide: &Guide, data: &DataDir) -> Result<(), CliError> {
    guide.step(
        2,
        "Two HSMs of one key domain, three custodians",
        "The HSMs get the same key domain, so that keys can be copied between them and nowhere else. Any two of three\n\
         custodians open an HSM; there is no PIN and no setting that could replace one of them. Each custodian's side\n\
         remembers the device key of the HSMs it accepted.",
    )?;
    for name in HSMS {
        if guide.hsm(name)?.is_some_and(|hsm| !is_held(&hsm)) {
            guide.run(&["hsm", "attach", name, "--as", MANAGER])?;
        }
    }
    if needs_init(guide)? {
        guide.run(&[
            "hsm", "init", "hsm-a", "hsm-b", "--quorum", "2of3", "--shares", "2", "--as", MANAGER,
        ])?;
    }
    for person in PEOPLE {
        custodian(guide, data, person)?;
    }
    guide.run(&["hsm", "list"]).map(drop)
}

/// Whether the HSMs are not yet what they should be. Those that hold keys stay as they are.
fn needs_init(guide: &Guide) -> Result<bool, CliError> {
    let views = [guide.hsm(HSMS[0])?, guide.hsm(HSMS[1])?];
    if views.iter().flatten().any(|hsm| !hsm.signers.is_empty()) {
        return Ok(false);
    }
    let [Some(a), Some(b)] = views else {
        return Ok(true);
    };
    let ready = |hsm: &chancery_api::HsmView| {
        hsm.kcv.is_some()
            && hsm
                .quorum
                .is_some_and(|quorum| (quorum.required, quorum.total) == (2, 3))
    };
    Ok(!(ready(&a) && ready(&b) && a.kcv == b.kcv))
}

fn custodian(guide: &Guide, data: &DataDir, person: &str) -> Result<(), CliError> {
    let mut registered = true;
    for name in HSMS {
        let hsm = guide.hsm(name)?;
        registered &=
            hsm.is_some_and(|hsm| hsm.custodians.iter().any(|custodian| custodian.person == person));
    }
    if registered {
        return Ok(());
    }
    let wanted =
        |subject: &Subject| matches!(subject, Subject::Custodian(custodian) if custodian.name == person);
    if let Some(number) = guide.pending(wanted)? {
        let device = guide.context.person(person)?.device;
        let accepted = Accepted::load(&Context::accepted_directory(data), &device)?;
        if HSMS.iter().all(|name| accepted.hsms().contains_key(*name)) {
            return guide.finish(number, MANAGER, CERTIFICATION_OFFICER);
        }
        // Interrupted before the custodian's side accepted the HSMs: begun anew.
        let n = number.to_string();
        guide.run(&[
            "request",
            "reject",
            &n,
            "--reason",
            "interrupted, asked anew",
            "--as",
            MANAGER,
        ])?;
    }
    guide
        .run(&[
            "custodian",
            "register",
            person,
            "--hsm",
            "hsm-a,hsm-b",
            "--as",
            MANAGER,
        ])
        .map(drop)
}

/// Step 3.
fn unlock(guide: &Guide) -> Result<(), CliError> {
    guide.step(
        3,
        "One custodian is not enough, two unlock",
        "An HSM gives a challenge, a custodian's token answers it. The first answer opens nothing; the HSM itself counts.",
    )?;
    unlock_hsm(guide, "hsm-a", ["alice", "bob", "carol"])?;
    unlock_hsm(guide, "hsm-b", ["bob", "carol", "alice"])
}

fn unlock_hsm(guide: &Guide, name: &str, custodians: [&str; 3]) -> Result<(), CliError> {
    for custodian in custodians {
        let hsm = guide.hsm(name)?;
        let Some(hsm) = hsm else { continue };
        match &hsm.state {
            HsmState::Unlocked { .. } => break,
            HsmState::Quorum { answered, .. } if answered.iter().any(|person| person == custodian) => {}
            _ => {
                guide.run(&["hsm", "unlock", name, "--as", custodian])?;
            }
        }
    }
    guide.run(&["hsm", "status", name]).map(drop)
}

/// Step 4.
fn root_ca(guide: &Guide, algorithm: &str) -> Result<(), CliError> {
    guide.step(
        4,
        "The root CA, its key born in an HSM and copied to the other",
        "The key is generated inside hsm-a, with the device's statement that it was. It leaves it only wrapped, for hsm-b,\n\
         where a test signature proves that it arrived. One person approves the CA, another has its certificate signed.",
    )?;
    if !guide.has_active_ca(CA)? {
        match guide.pending(|subject| matches!(subject, Subject::Ca(ca) if ca.name == CA))? {
            Some(number) => guide.finish(number, MANAGER, CERTIFICATION_OFFICER)?,
            None => {
                let subject = "CN=Chancery Rehearsal Root CA,O=Chancery rehearsal";
                guide.run(&[
                    "ca",
                    "create",
                    CA,
                    "--subject",
                    subject,
                    "--hsm",
                    "hsm-a",
                    "--algorithm",
                    algorithm,
                    "--as",
                    MANAGER,
                    "--sign-as",
                    CERTIFICATION_OFFICER,
                ])?;
            }
        }
    }
    guide.run(&["ca", "show", CA, "--pem", "--out", &path(guide, "root.pem")])?;
    if !guide.has_replica(CA, "hsm-b")? {
        guide.run(&["signer", "replicate", CA, "--to", "hsm-b", "--as", MANAGER])?;
    }
    guide.run(&["signer", "verify", CA]).map(drop)
}

/// Step 5.
fn first_certificate(guide: &Guide, csr: Option<&Path>) -> Result<RequestNumber, CliError> {
    guide.step(
        5,
        "From a request to a certificate",
        "A request proves that its maker holds the key. bob approves what it asks for, carol has it signed: nobody can do both.",
    )?;
    let number = issue(guide, "leaf", "www.example.com", csr)?;
    guide.run(&[
        "cert",
        "export",
        &format!("#{number}"),
        "--chain",
        "--out",
        &path(guide, "chain.pem"),
    ])?;
    verified(guide, "leaf.pem", 0, false)?;
    Ok(number)
}

/// Step 6.
fn without_first_hsm(guide: &Guide) -> Result<RequestNumber, CliError> {
    guide.step(
        6,
        "Without the first HSM",
        "hsm-a is unplugged, and the trust center goes on with hsm-b: there is no single point of failure.",
    )?;
    let done = guide.out("second.pem").is_file();
    if !done && guide.hsm("hsm-a")?.is_some_and(|hsm| is_held(&hsm)) {
        guide.run(&["hsm", "detach", "hsm-a", "--as", MANAGER])?;
    }
    let number = issue(guide, "second", "mail.example.com", None)?;
    if guide.hsm("hsm-a")?.is_some_and(|hsm| !is_held(&hsm)) {
        guide.run(&["hsm", "attach", "hsm-a", "--as", MANAGER])?;
    }
    Ok(number)
}

/// Step 7. Says whether the first certificate was revoked too, which nothing here does.
fn revocation(guide: &Guide, leaf: RequestNumber, second: RequestNumber) -> Result<bool, CliError> {
    guide.step(
        7,
        "A revocation and a CRL",
        "The second certificate is revoked, and a list that says so is signed. The first is good under the same list.",
    )?;
    let reference = format!("#{second}");
    if guide.certificate(second)?.certificate.revoked.is_none() {
        guide.run(&[
            "cert",
            "revoke",
            &reference,
            "--reason",
            "superseded",
            "--as",
            CERTIFICATION_OFFICER,
        ])?;
    }
    guide.run(&["cert", "export", &reference, "--out", &path(guide, "revoked.pem")])?;
    guide.run(&[
        "crl",
        "create",
        CA,
        "--as",
        CERTIFICATION_OFFICER,
        "--out",
        &path(guide, "crl.pem"),
    ])?;
    verified(guide, "revoked.pem", check::REVOKED, true)?;
    let first = guide.certificate(leaf)?.certificate;
    let Some((time, reason)) = &first.revoked else {
        verified(guide, "leaf.pem", 0, true)?;
        return Ok(false);
    };
    guide.say(format!(
        "leaf.pem, certificate {} of request {leaf}, was revoked at {time} ({reason}): one more takes its place",
        first.serial
    ))?;
    verified(guide, "leaf.pem", check::REVOKED, true)?;
    Ok(true)
}

fn end(
    guide: &Guide,
    data: &DataDir,
    certificates: Vec<IssuedView>,
    one_more: Option<String>,
    good: &str,
) -> Result<Report, CliError> {
    guide.say("\n== The record of it all ==")?;
    guide.run(&["audit", "verify"])?;
    let node = guide.context.call(&Status {})?.pid;
    let next: Vec<String> = [
        ["hsm", "list"].as_slice(),
        &["cert", "list"],
        &["request", "list"],
        &["hsm", "unlock", "hsm-a", "--as", "alice"],
        &["audit", "log"],
        &["stop"],
    ]
    .into_iter()
    .map(typed)
    .collect();
    let mut text = String::from("\n== Done ==\n");
    text.push_str("A root CA whose key is in two HSMs, opened by any two of three custodians; certificates approved by one person and\n");
    text.push_str(
        "signed by another; a CRL; a log of every decision that can be checked without the node.\n",
    );
    for certificate in &certificates {
        text.push_str(&format!(
            "  {}  request {}, serial {}, {}\n",
            guide.out(&format!("{}.pem", certificate.name)).display(),
            certificate.request,
            certificate.serial,
            certificate.state
        ));
    }
    text.push_str(&format!("Data:   {}\n", guide.directory().display()));
    text.push_str(&format!(
        "Files:  {}: root.pem leaf.pem chain.pem revoked.pem crl.pem\n",
        guide.directory().join("out").display()
    ));
    text.push_str(&format!(
        "PINs:   {} (for rehearsal only)\n",
        guide.directory().join("rehearsal-pins.json").display()
    ));
    text.push_str(&format!(
        "Node:   process {node}, runs on while an HSM is unlocked\n"
    ));
    text.push_str("Check it with other software:\n");
    text.push_str(&format!("  {}\n", openssl_line(guide, good, true)));
    text.push_str(&format!(
        "  {}   (error 23: revoked)\n",
        openssl_line(guide, "revoked.pem", true)
    ));
    text.push_str(&format!(
        "Go on, after export CHANCERY_DATA_DIR={}\n",
        quoted(&data.path().display().to_string())
    ));
    for line in &next {
        text.push_str(&format!("  {line}\n"));
    }
    let outcome = Outcome {
        data_dir: data.path().to_owned(),
        out: data.out(),
        node,
        certificates,
        one_more,
        next,
    };
    Report::new(&outcome, text)
}
