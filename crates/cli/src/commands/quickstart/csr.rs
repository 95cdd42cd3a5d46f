//! A key and a request, as a server's administrator would make them.

use std::{fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use chancery_api::FailureKind;
use openssl::{
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    stack::Stack,
    x509::{X509NameBuilder, X509Req, extension::SubjectAlternativeName},
};

use crate::{commands::write_output, error::CliError};

/// Makes a P-256 key (mode 0600) and a request for a server of this name.
pub(super) fn make(key_file: &Path, csr_file: &Path, host: &str) -> Result<(), CliError> {
    let failed = |error: ErrorStack| {
        CliError::new(
            FailureKind::Internal,
            format!("no request for {host} was made: {error}"),
        )
    };
    let key = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)
        .and_then(|group| EcKey::generate(&group))
        .and_then(PKey::from_ec_key)
        .map_err(failed)?;
    let pem = key.private_key_to_pem_pkcs8().map_err(failed)?;
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(key_file)
        .and_then(|mut file| file.write_all(&pem).and_then(|()| file.sync_all()));
    written.map_err(CliError::file("write", key_file))?;
    // The request last: where it is, its key is.
    write_output(csr_file, &request(&key, host).map_err(failed)?)
}

fn request(key: &PKey<Private>, host: &str) -> Result<Vec<u8>, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", host)?;
    name.append_entry_by_text("O", "Chancery rehearsal")?;
    let mut builder = X509Req::builder()?;
    builder.set_subject_name(&name.build())?;
    builder.set_pubkey(key)?;
    let names = SubjectAlternativeName::new()
        .dns(host)
        .build(&builder.x509v3_context(None))?;
    let mut extensions = Stack::new()?;
    extensions.push(names)?;
    builder.add_extensions(&extensions)?;
    builder.sign(key, MessageDigest::sha256())?;
    builder.build().to_pem()
}
