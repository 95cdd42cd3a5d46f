//! Certificates of a quickstart: issued, exported, verified as other software would.

use std::path::Path;

use chancery_api::{FailureKind, RequestNumber, Subject};

use super::{
    IssuedView, check, csr,
    guide::{Guide, quoted},
    look::csr_hash,
    steps::{CA, CERTIFICATION_OFFICER, REGISTRATION_OFFICER},
};
use crate::{
    commands::{read_input, write_output},
    error::CliError,
};

/// Has a certificate issued, or finds the one that was, and writes it to `NAME.pem`.
pub(super) fn issue(
    guide: &Guide,
    name: &str,
    host: &str,
    csr: Option<&Path>,
) -> Result<RequestNumber, CliError> {
    let own = guide.out(&format!("{name}.csr"));
    let file = match csr {
        Some(given) if !own.is_file() => given.to_owned(),
        _ => {
            if !own.is_file() {
                guide.say(format!("a key and a request for {host}: {}", own.display()))?;
                csr::make(&guide.out(&format!("{name}.key")), &own, host)?;
            }
            own.clone()
        }
    };
    let bytes = read_input(&file, 1024 * 1024)?;
    let hash = csr_hash(&bytes)?;
    let wanted =
        |subject: &Subject| matches!(subject, Subject::Certificate(document) if document.csr == hash);
    // A request given again asks for another certificate, once the one it got is on record here.
    let known = if file == own {
        guide.request_for(wanted)?.map(|detail| detail.request.request)
    } else {
        guide.pending(wanted)?
    };
    let number = match known {
        Some(number) => number,
        None => {
            guide.run(&[
                "request",
                "import",
                &file.display().to_string(),
                "--ca",
                CA,
                "--profile",
                "server",
            ])?;
            let found = guide.request_for(wanted)?;
            found.map(|detail| detail.request.request).ok_or_else(|| {
                CliError::new(
                    FailureKind::Internal,
                    "the request that was imported is not there",
                )
            })?
        }
    };
    if file != own {
        write_output(&own, &bytes)?;
    }
    guide.finish(number, REGISTRATION_OFFICER, CERTIFICATION_OFFICER)?;
    guide.run(&[
        "cert",
        "export",
        &format!("#{number}"),
        "--out",
        &path(guide, &format!("{name}.pem")),
    ])?;
    Ok(number)
}

/// The name of the next certificate, or of one that an earlier run left unfinished.
pub(super) fn next_name(guide: &Guide) -> Result<String, CliError> {
    for number in 2_u32..=10_000 {
        let name = format!("more-{number}");
        if !guide.out(&format!("{name}.pem")).exists() {
            return Ok(name);
        }
    }
    Err(CliError::with_remedy(
        FailureKind::Conflict,
        "there are 10 000 certificates of this rehearsal",
        "begin another one: --data-dir DIR",
    ))
}

/// Shows the line for `openssl`, and has the same library come to the same end.
pub(super) fn verified(guide: &Guide, name: &str, expected: i32, with_crl: bool) -> Result<(), CliError> {
    let (root, crl, certificate) = (guide.out("root.pem"), guide.out("crl.pem"), guide.out(name));
    let line = openssl_line(guide, name, with_crl);
    guide.say(format!("$ {line}"))?;
    let found = check::verify(&root, with_crl.then_some(crl.as_path()), &certificate)?;
    if found != expected {
        return Err(CliError::new(
            FailureKind::Refused,
            format!(
                "{} should verify with result {expected} and gives {found}",
                certificate.display()
            ),
        ));
    }
    guide.say(match found {
        0 => format!("  {}: OK", certificate.display()),
        _ => format!("  error {found} at 0 depth lookup: certificate revoked (as it should be)"),
    })
}

/// The line that has `openssl` verify a file.
pub(super) fn openssl_line(guide: &Guide, name: &str, with_crl: bool) -> String {
    let crl = if with_crl {
        format!(" -crl_check -CRLfile {}", quoted(&path(guide, "crl.pem")))
    } else {
        String::new()
    };
    format!(
        "openssl verify -x509_strict{crl} -CAfile {} {}",
        quoted(&path(guide, "root.pem")),
        quoted(&path(guide, name))
    )
}

/// A certificate as the outcome shows it.
pub(super) fn view(guide: &Guide, name: &str, number: RequestNumber) -> Result<IssuedView, CliError> {
    let certificate = guide.certificate(number)?.certificate;
    Ok(IssuedView {
        name: name.to_owned(),
        request: number.0,
        serial: certificate.serial,
        state: certificate.state,
    })
}

/// A file among what is given out, as it is typed.
pub(super) fn path(guide: &Guide, name: &str) -> String {
    guide.out(name).display().to_string()
}
