//! Whom to talk to.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};

use crate::SettingsError;

/// What proves that somebody is the node.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The node's own certificate, byte by byte: name, validity and issuer do not matter. PEM or DER.
    PinnedCertificate(Vec<u8>),
    /// Certification authorities under one of which the node's certificate must be valid for the host that is called. PEM or DER.
    CaFile(Vec<u8>),
}

impl Trust {
    /// [`Trust::PinnedCertificate`] from a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn pinned(path: &Path) -> Result<Self, SettingsError> {
        read(path).map(Self::PinnedCertificate)
    }

    /// [`Trust::CaFile`] from a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn authorities(path: &Path) -> Result<Self, SettingsError> {
        read(path).map(Self::CaFile)
    }

    /// As the TLS library uses it.
    pub(crate) fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, SettingsError> {
        match self {
            Self::PinnedCertificate(bytes) => Ok(Arc::new(Pinned {
                certificate: certificates(bytes, "the node's certificate")?.swap_remove(0),
                provider: Arc::clone(provider),
            })),
            Self::CaFile(bytes) => {
                let what = "the file of certification authorities";
                let untrusted = |why: String| SettingsError::Trust {
                    what: what.to_owned(),
                    why,
                };
                let mut roots = RootCertStore::empty();
                for certificate in certificates(bytes, what)? {
                    roots
                        .add(certificate)
                        .map_err(|error| untrusted(error.to_string()))?;
                }
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                    .build()
                    .map(|verifier| verifier as Arc<dyn ServerCertVerifier>)
                    .map_err(|error| untrusted(error.to_string()))
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, SettingsError> {
    fs::read(path).map_err(SettingsError::read(path))
}

/// First byte of an ASN.1 SEQUENCE, with which a certificate in DER begins.
const SEQUENCE: u8 = 0x30;

/// The certificates in these bytes, PEM or DER; at least one.
pub(crate) fn certificates(bytes: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    let none = || SettingsError::Certificate {
        what: what.to_owned(),
    };
    if bytes.first() == Some(&SEQUENCE) {
        return Ok(vec![CertificateDer::from(bytes.to_vec())]);
    }
    let found: Vec<_> = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|_| none())?;
    if found.is_empty() { Err(none()) } else { Ok(found) }
}

/// Accepts one certificate. That its key is used by the other side is proven by the handshake's signature, as always.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
