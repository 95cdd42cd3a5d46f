//! What `openssl verify -x509_strict -crl_check` does, with the same library.

use std::path::Path;

use chancery_api::FailureKind;
use openssl::{
    error::ErrorStack,
    ssl::SslFiletype,
    stack::Stack,
    x509::{
        X509, X509StoreContext,
        store::{X509Lookup, X509StoreBuilder},
        verify::X509VerifyFlags,
    },
};

use crate::{commands::read_input, error::CliError};

/// Certificate revoked (X509_V_ERR_CERT_REVOKED).
pub(super) const REVOKED: i32 = 23;

/// Verifies a certificate under a root, with that root's CRL when one is given; returns the error number, 0 when it is accepted.
pub(super) fn verify(root: &Path, crl: Option<&Path>, certificate: &Path) -> Result<i32, CliError> {
    let failed = |error: ErrorStack| {
        CliError::new(
            FailureKind::Refused,
            format!("{} cannot be verified: {error}", certificate.display()),
        )
    };
    let read = |path: &Path| -> Result<X509, CliError> {
        X509::from_pem(&read_input(path, 1024 * 1024)?).map_err(failed)
    };
    let (root, leaf) = (read(root)?, read(certificate)?);
    let code = || -> Result<i32, ErrorStack> {
        let mut store = X509StoreBuilder::new()?;
        store.add_cert(root)?;
        let mut flags = X509VerifyFlags::X509_STRICT;
        if let Some(crl) = crl {
            store
                .add_lookup(X509Lookup::file())?
                .load_crl_file(crl, SslFiletype::PEM)?;
            flags |= X509VerifyFlags::CRL_CHECK;
        }
        store.set_flags(flags)?;
        let store = store.build();
        let mut context = X509StoreContext::new()?;
        context.init(&store, &leaf, Stack::new()?.as_ref(), |context| {
            let accepted = context.verify_cert()?;
            Ok(if accepted { 0 } else { context.error().as_raw() })
        })
    };
    code().map_err(failed)
}
