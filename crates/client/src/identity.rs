//! Who calls.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    crypto::CryptoProvider,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use zeroize::Zeroizing;

use crate::{SettingsError, trust};

/// A client's key and certificate. The node looks at the key alone: the certificate only carries it.
#[derive(Clone)]
pub struct Identity {
    key: Arc<Zeroizing<Vec<u8>>>,
    certificates: Vec<CertificateDer<'static>>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

impl Identity {
    /// Private key as PEM (PKCS#8, SEC 1 or PKCS#1, without a passphrase), and its certificate as PEM or DER.
    ///
    /// # Errors
    /// [`SettingsError::Certificate`] or [`SettingsError::Key`]. Whether both belong together is seen when a client is made.
    pub fn new(key: Zeroizing<Vec<u8>>, certificate: &[u8]) -> Result<Self, SettingsError> {
        PrivateKeyDer::from_pem_slice(&key).map_err(|_| SettingsError::Key)?;
        Ok(Self {
            key: Arc::new(key),
            certificates: trust::certificates(certificate, "the client's certificate")?,
        })
    }

    /// As [`Identity::new`], from files. One file may hold both.
    ///
    /// # Errors
    /// As [`Identity::new`], and when a file cannot be read.
    pub fn from_files(key: &Path, certificate: &Path) -> Result<Self, SettingsError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| SettingsError::Read {
                path: path.to_owned(),
                source,
            })
        };
        Self::new(Zeroizing::new(read(key)?), &read(certificate)?)
    }

    /// As the TLS library uses it.
    pub(crate) fn resolver(&self, provider: &CryptoProvider) -> Result<Arc<SingleCertAndKey>, SettingsError> {
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| SettingsError::Key)?;
        CertifiedKey::from_der(self.certificates.clone(), key, provider)
            .map(|pair| Arc::new(SingleCertAndKey::from(pair)))
            .map_err(SettingsError::Identity)
    }
}
