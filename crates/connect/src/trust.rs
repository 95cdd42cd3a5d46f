//! How a server is recognised.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::ServerError;

/// How a server is recognised.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// By the authorities that this system trusts.
    #[default]
    System,
    /// By this certificate alone, whatever its names and dates.
    Certificate(Vec<u8>),
    /// By these authorities.
    Authorities(Vec<Vec<u8>>),
}

impl Trust {
    /// By this certificate alone: DER, or PEM with one certificate in it.
    ///
    /// # Errors
    /// [`ServerError::Certificate`] when there is none or more than one.
    pub fn certificate(file: &[u8]) -> Result<Self, ServerError> {
        match certificates(file)?.as_slice() {
            [only] => Ok(Self::Certificate(only.to_vec())),
            several => Err(ServerError::Certificate {
                why: format!("there are {} in the file, and one is expected", several.len()),
            }),
        }
    }

    /// By the authorities in a file: DER, or PEM with any number of certificates in it.
    ///
    /// # Errors
    /// [`ServerError::Certificate`] when there is none.
    pub fn authorities(file: &[u8]) -> Result<Self, ServerError> {
        let all = certificates(file)?;
        Ok(Self::Authorities(
            all.iter().map(|certificate| certificate.to_vec()).collect(),
        ))
    }

    /// Settings of TLS; `None` where those of the system do.
    pub(crate) fn settings(&self) -> Result<Option<ClientConfig>, ServerError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let unusable = |error: &dyn std::error::Error| ServerError::Certificate {
            why: error.to_string(),
        };
        let verifier: Arc<dyn ServerCertVerifier> = match self {
            Self::System => return Ok(None),
            Self::Certificate(certificate) => Arc::new(Pinned {
                certificate: CertificateDer::from(certificate.clone()),
                provider: Arc::clone(&provider),
            }),
            Self::Authorities(authorities) => {
                let mut roots = RootCertStore::empty();
                for authority in authorities {
                    roots
                        .add(CertificateDer::from(authority.clone()))
                        .map_err(|error| unusable(&error))?;
                }
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
                    .map_err(|error| unusable(&error))?
            }
        };
        let mut settings = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Some(settings))
    }
}

/// The certificates of a file.
fn certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    let invalid = |why: String| ServerError::Certificate { why };
    if file.first() == Some(&0x30) {
        return Ok(vec![CertificateDer::from(file.to_vec())]);
    }
    let all = CertificateDer::pem_slice_iter(file)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| invalid(error.to_string()))?;
    if all.is_empty() {
        return Err(invalid("the file holds none".to_owned()));
    }
    Ok(all)
}

/// Accepts one certificate, and whoever proves to have its key.
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
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
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
    ) -> Result<HandshakeSignatureValid, Error> {
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
