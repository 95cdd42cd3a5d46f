//! Who calls.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::Arc,
};

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
    /// As [`Identity::new`], when a file cannot be read, and [`SettingsError::Shared`] when others may read the key.
    pub fn from_files(key: &Path, certificate: &Path) -> Result<Self, SettingsError> {
        let certificate = fs::read(certificate).map_err(SettingsError::read(certificate))?;
        Self::new(private(key)?, &certificate)
    }

    /// As the TLS library uses it.
    pub(crate) fn resolver(&self, provider: &CryptoProvider) -> Result<Arc<SingleCertAndKey>, SettingsError> {
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| SettingsError::Key)?;
        CertifiedKey::from_der(self.certificates.clone(), key, provider)
            .map(|pair| Arc::new(SingleCertAndKey::from(pair)))
            .map_err(SettingsError::Identity)
    }
}

/// What a file holds that nobody else may read. Pipes are as private as who made them.
fn private(path: &Path) -> Result<Zeroizing<Vec<u8>>, SettingsError> {
    let mut file = File::open(path).map_err(SettingsError::read(path))?;
    let metadata = file.metadata().map_err(SettingsError::read(path))?;
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        return Err(SettingsError::Shared {
            path: path.to_owned(),
        });
    }
    // More than any key, so that the buffer does not grow, which would leave a copy behind.
    let mut content = Zeroizing::new(Vec::with_capacity(64 * 1024));
    file.read_to_end(&mut content)
        .map_err(SettingsError::read(path))?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn a_key_that_others_may_read_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("client.key");
        fs::write(&path, "a key").unwrap();
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let read = private(&path);
            assert_eq!(read.is_ok(), good, "{mode:o}");
            if let Err(error) = read {
                let remedy = format!("chmod 600 {}", path.display());
                assert!(error.to_string().contains(&remedy), "{error}");
            }
        }
        assert!(matches!(
            private(&directory.path().join("none")),
            Err(SettingsError::Read { .. })
        ));
        assert!(private(Path::new("/dev/null")).unwrap().is_empty());
    }
}
