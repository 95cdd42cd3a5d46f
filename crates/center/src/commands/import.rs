//! `request import`.

use std::sync::Arc;

use chancery_api::{CertificateDocument, Failure, FailureKind, Hash32, RequestImport, RequestView, Subject};
use chancery_pki::{CertificationRequest, Inputs, Profile, SerialNumber, Severity, ToBeSigned};
use time::OffsetDateTime;

use crate::{
    Center,
    authority::Authority,
    committer::store_failure,
    request::{Opening, view},
    text::chain,
};

impl Center {
    /// Reads a PKCS#10 request and opens a service request for it.
    ///
    /// # Errors
    /// [`FailureKind::Invalid`] names what is wrong with the request or does not fit the profile.
    pub async fn request_import(&self, call: RequestImport, uid: u32) -> Result<RequestView, Failure> {
        let csr = CertificationRequest::parse(&call.csr.0)
            .map_err(|error| Failure::new(FailureKind::Invalid, chain(&error)).with_remedy(error.remedy()))?;
        let authority = match &call.ca {
            Some(name) => self.authority(name).await?,
            None => self.only_authority().await?,
        };
        let profile = self.profile(&call.profile)?;
        if csr.key().spki() == authority.key.spki {
            return Err(Failure::new(
                FailureKind::Invalid,
                "the request is for the key of the CA itself",
            )
            .with_remedy("a key has one purpose: generate another one"));
        }
        // What cannot become a certificate is refused now, not after somebody approved it.
        self.prepare(&csr, &profile, &authority)?;
        let document = document(&csr, &profile, &authority);
        let shown = if document.subject.is_empty() {
            document.names.first().cloned().unwrap_or_default()
        } else {
            document.subject.clone()
        };
        let title = format!("{} certificate for {shown} by {}", profile.name(), authority.name);
        let csr = Arc::new(csr);
        self.lock(&self.csrs).put(document.csr, Arc::clone(&csr));
        let evidence = csr.as_der().to_vec();
        let opening = |_| Opening {
            subject: Subject::Certificate(document),
            evidence,
            title,
            writes: Vec::new(),
        };
        Ok(view(&self.open_request(uid, opening).await?))
    }

    pub(crate) fn profile(&self, name: &str) -> Result<Arc<Profile>, Failure> {
        self.profiles.get(name)
    }

    /// To-be-signed bytes for a request, linted.
    pub(crate) fn prepare(
        &self,
        csr: &CertificationRequest,
        profile: &Profile,
        authority: &Authority,
    ) -> Result<ToBeSigned, Failure> {
        let inputs = Inputs::Request {
            profile,
            request: csr,
            issuer: &authority.issuer,
        };
        self.prepare_inputs(&inputs)
    }

    pub(crate) fn prepare_inputs(&self, inputs: &Inputs<'_>) -> Result<ToBeSigned, Failure> {
        let tbs = inputs
            .prepare(SerialNumber::from_random(self.random()), self.now())
            .map_err(|error| Failure::new(FailureKind::Invalid, chain(&error)).with_remedy(error.remedy()))?;
        let findings: Vec<String> = chancery_pki::lint(tbs.as_der(), inputs.profile(), inputs.issuer())
            .into_iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| finding.to_string())
            .collect();
        if findings.is_empty() {
            Ok(tbs)
        } else {
            Err(Failure::new(
                FailureKind::Invalid,
                format!("the certificate would break the rules: {}", findings.join("; ")),
            )
            .with_remedy("change the request or the profile"))
        }
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.clock.now_ms().div_euclid(1000))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    async fn only_authority(&self) -> Result<Arc<Authority>, Failure> {
        let cas = self.store.cas().await.map_err(|error| store_failure(&error))?;
        let mut active = cas.into_iter().filter(|ca| ca.certificate.is_some());
        match (active.next(), active.next()) {
            (Some(ca), None) => self.authority(&ca.name).await,
            (None, _) => Err(
                Failure::new(FailureKind::NotFound, "there is no CA that could issue")
                    .with_remedy("chancery ca create --help"),
            ),
            (Some(_), Some(_)) => Err(Failure::new(FailureKind::Invalid, "there is more than one CA")
                .with_remedy("name one with --ca; chancery ca list")),
        }
    }
}

/// What an approval of this request will cover. Rebuilt and compared before anything is signed.
pub(crate) fn document(
    csr: &CertificationRequest,
    profile: &Profile,
    authority: &Authority,
) -> CertificateDocument {
    CertificateDocument {
        csr: Hash32(csr.fingerprint()),
        ca: authority.name.clone(),
        issuer: authority.certificate_hash,
        profile: profile.name().to_owned(),
        profile_hash: Hash32(profile.hash()),
        subject: csr.subject().to_string(),
        names: csr.names().iter().map(ToString::to_string).collect(),
        key: Hash32::of(csr.key().spki()),
        ignored: csr.ignored().iter().map(ToString::to_string).collect(),
    }
}
