//! TLS as the listeners speak it: versions 1.2 and 1.3, HTTP/2 and HTTP/1.1.

use std::sync::Arc;

use chancery_api::Hash32;
use openssl::x509::X509;
use rustls::{
    DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::identity::NodeIdentity;

/// HTTP/2 in the handshake (RFC 7301).
pub(crate) const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// Without client certificates: programs that attach tokens have none.
pub(crate) fn open(identity: NodeIdentity) -> Result<Arc<ServerConfig>, rustls::Error> {
    config(identity, None)
}

/// With client certificates: nobody comes in without proving a key. Whose key it is, is looked up for each request.
pub(crate) fn mutual(identity: NodeIdentity) -> Result<Arc<ServerConfig>, rustls::Error> {
    config(identity, Some(AnyKey::new))
}

fn config(
    identity: NodeIdentity,
    clients: Option<fn(Arc<CryptoProvider>) -> AnyKey>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(Arc::new(clients(provider))),
        None => builder.with_no_client_auth(),
    };
    let (certificates, key) = identity.into_parts();
    let mut config = builder.with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    Ok(Arc::new(config))
}

/// SHA-256 of the SubjectPublicKeyInfo (DER) in a certificate; `None` for keys nobody can enrol.
pub(crate) fn key_hash(certificate: &CertificateDer<'_>) -> Option<Hash32> {
    let spki = X509::from_der(certificate)
        .ok()?
        .public_key()
        .ok()?
        .public_key_to_der()
        .ok()?;
    Some(Hash32::of(&spki))
}

/// Accepts every certificate whose key the other side proves to have; issuer, names and validity are not looked at. Trust is in
/// the key, and whether it is enrolled is asked for each request, so that revocation counts at once.
#[derive(Debug)]
struct AnyKey(Arc<CryptoProvider>);

impl AnyKey {
    const fn new(provider: Arc<CryptoProvider>) -> Self {
        Self(provider)
    }
}

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
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
            &self.0.signature_verification_algorithms,
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
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
