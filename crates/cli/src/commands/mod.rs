//! The commands, one file a group.

pub(crate) mod approve;
pub(crate) mod attest;
pub(crate) mod audit;
pub(crate) mod ca;
pub(crate) mod cert;
pub(crate) mod completion;
pub(crate) mod connect;
pub(crate) mod crl;
pub(crate) mod custodian;
pub(crate) mod dkek;
pub(crate) mod hsm;
pub(crate) mod init;
pub(crate) mod lease;
pub(crate) mod network;
pub(crate) mod node;
mod output;
pub(crate) mod person;
pub(crate) mod quickstart;
pub(crate) mod receipt;
pub(crate) mod request;
pub(crate) mod sign;
pub(crate) mod signer;
pub(crate) mod signing_key;
pub(crate) mod token;
mod typed;
pub(crate) mod unlock;
pub(crate) mod vtoken;

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use chancery_api::{FailureKind, RequestNumber};
use chancery_pki::pem;

use self::{
    output::{check_output, write_output},
    typed::{input_line, typed_line},
};
use crate::error::CliError;

/// Reads `7` and `#7`.
fn request_number(text: &str) -> Result<RequestNumber, String> {
    text.strip_prefix('#')
        .unwrap_or(text)
        .parse()
        .ok()
        .filter(|number| *number > 0)
        .map(RequestNumber)
        .ok_or_else(|| format!("{text:?} is no request number, such as 7"))
}

/// Reads a file, or standard input for `-`, up to `limit` bytes.
fn read_input(path: &Path, limit: u64) -> Result<Vec<u8>, CliError> {
    let failed = CliError::file("read", path);
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
    };
    read.map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        return Err(CliError::new(
            FailureKind::Invalid,
            format!("{} has more than {limit} bytes", path.display()),
        ));
    }
    Ok(bytes)
}

/// Certificates as PEM, one after another.
fn certificates_pem<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Result<String, CliError> {
    certificates
        .into_iter()
        .map(|der| pem_text(pem::CERTIFICATE, der))
        .collect()
}

/// DER as PEM.
fn pem_text(label: &str, der: &[u8]) -> Result<String, CliError> {
    pem::encode(label, der).map_err(|error| {
        CliError::new(
            FailureKind::Internal,
            format!("the {label} cannot be written: {error}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_numbers_come_with_and_without_the_sign() {
        assert_eq!(request_number("7"), Ok(RequestNumber(7)));
        assert_eq!(request_number("#7"), Ok(RequestNumber(7)));
        for bad in ["", "#", "0", "-1", "7a", "##7", "99999999999999999999"] {
            assert!(request_number(bad).is_err(), "{bad:?}");
        }
    }
}
