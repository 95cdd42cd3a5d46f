//! A certificate request read back as exactly what was approved.

use std::sync::Arc;

use chancery_api::{CertificateDocument, Failure, FailureKind, Hash32};
use chancery_pki::{CertificationRequest, Inputs, Profile, ToBeSigned};
use chancery_store::RequestRecord;

use crate::{Center, authority::Authority, commands::certificate_document, request::altered, text::chain};

/// Everything that a certificate is made from, each part held against its digest in the approved document.
#[derive(Debug)]
pub(crate) struct Issuance {
    pub(crate) csr: Arc<CertificationRequest>,
    pub(crate) profile: Arc<Profile>,
    pub(crate) authority: Arc<Authority>,
}

impl Issuance {
    pub(crate) fn inputs(&self) -> Inputs<'_> {
        Inputs::Request {
            profile: &self.profile,
            request: &self.csr,
            issuer: &self.authority.issuer,
        }
    }

    /// Reads stored to-be-signed bytes and rebuilds them: they must be what the approved parts give.
    pub(crate) fn reproduce(&self, record: &RequestRecord, tbs: &[u8]) -> Result<ToBeSigned, Failure> {
        let stored = ToBeSigned::from_der(tbs).map_err(|error| {
            altered(
                record.number,
                &format!("its to-be-signed bytes: {}", chain(&error)),
            )
        })?;
        stored.reproduces(&self.inputs()).map_err(|error| {
            altered(
                record.number,
                &format!("its to-be-signed bytes: {}", chain(&error)),
            )
        })?;
        Ok(stored)
    }
}

impl Center {
    pub(crate) async fn issuance(
        &self,
        record: &RequestRecord,
        document: CertificateDocument,
    ) -> Result<Issuance, Failure> {
        let number = record.number;
        if Hash32::of(&record.evidence) != document.csr {
            return Err(altered(number, "the CSR is another one"));
        }
        let known = self.lock(&self.csrs).get(&document.csr);
        let csr = match known {
            Some(csr) => csr,
            None => {
                let csr = CertificationRequest::parse(&record.evidence)
                    .map_err(|error| altered(number, &format!("the CSR: {}", chain(&error))))?;
                let csr = Arc::new(csr);
                self.lock(&self.csrs).put(document.csr, Arc::clone(&csr));
                csr
            }
        };
        let authority = self.authority(&document.ca).await?;
        let profile = self.profile(&document.profile)?;
        let changed = |what: &str| {
            Failure::new(
                FailureKind::Conflict,
                format!("request {number} was made for another {what} than there is now"),
            )
            .with_remedy("reject it and import the CSR again")
        };
        if authority.certificate_hash != document.issuer {
            return Err(changed("certificate of the CA"));
        }
        if Hash32(profile.hash()) != document.profile_hash {
            return Err(changed("content of the profile"));
        }
        if certificate_document(&csr, &profile, &authority) != document {
            return Err(altered(number, "its document does not say what the CSR says"));
        }
        Ok(Issuance {
            csr,
            profile,
            authority,
        })
    }
}

/// Bytes in the place of a signature that is not there yet.
pub(crate) fn blank_signature(algorithm: chancery_pki::SignatureAlgorithm) -> Vec<u8> {
    use chancery_pki::SignatureAlgorithm as Algorithm;
    match algorithm {
        Algorithm::RsaPkcs1Sha256 | Algorithm::RsaPkcs1Sha384 | Algorithm::RsaPkcs1Sha512 => vec![0; 256],
        Algorithm::Ed25519 => vec![0; 64],
        // SEQUENCE { INTEGER 1, INTEGER 1 }
        _ => vec![0x30, 6, 2, 1, 1, 2, 1, 1],
    }
}
