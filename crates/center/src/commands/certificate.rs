//! `cert list`, `cert show`.

use chancery_api::{
    Base64, CertList, CertificateDetail, CertificateId, CertificatePage, CertificateView, Failure,
    FailureKind, RequestNumber,
};
use chancery_store::{CertificateRecord, CertificateState};

use crate::{Center, committer::store_failure, env::rfc3339_seconds};

impl Center {
    /// Certificates, newest first.
    ///
    /// # Errors
    /// [`FailureKind::NotFound`] for an unknown CA, [`FailureKind::Invalid`] for a cursor that is none.
    pub async fn cert_list(&self, call: &CertList) -> Result<CertificatePage, Failure> {
        let ca = match &call.ca {
            Some(name) => Some(self.ca_record(name).await?.id),
            None => None,
        };
        let before =
            match &call.before {
                None => None,
                Some(text) => Some(text.parse().map(CertificateId::new).map_err(|_| {
                    Failure::new(FailureKind::Invalid, "the cursor is not one of a page before")
                })?),
            };
        let limit = call.limit.clamp(1, 200);
        let records = self
            .store
            .certificates(ca, before, limit)
            .await
            .map_err(|error| store_failure(&error))?;
        let full = u32::try_from(records.len()) == Ok(limit);
        let next = records
            .last()
            .filter(|_| full)
            .map(|record| record.id.to_string());
        let mut certificates = Vec::with_capacity(records.len());
        for record in &records {
            certificates.push(self.certificate_view(record).await?);
        }
        Ok(CertificatePage { certificates, next })
    }

    /// One certificate with its chain.
    ///
    /// # Errors
    /// [`FailureKind::NotFound`] for an unknown one.
    pub async fn cert_show(&self, reference: &str) -> Result<CertificateDetail, Failure> {
        let record = self.certificate_record(reference).await?;
        self.certificate_detail(&record).await
    }

    pub(crate) async fn certificate_detail(
        &self,
        record: &CertificateRecord,
    ) -> Result<CertificateDetail, Failure> {
        let mut chain = Vec::new();
        if let Some(ca) = self
            .store
            .ca(record.ca)
            .await
            .map_err(|error| store_failure(&error))?
            && let Some(own) = ca.certificate
            && own != record.id
            && let Some(issuer) = self
                .store
                .certificate(own)
                .await
                .map_err(|error| store_failure(&error))?
            && let Some(der) = issuer.der
        {
            chain.push(Base64(der));
        }
        Ok(CertificateDetail {
            certificate: self.certificate_view(record).await?,
            der: record.der.clone().map(Base64),
            chain,
        })
    }

    /// A certificate by serial number or `#N`.
    pub(crate) async fn certificate_record(&self, reference: &str) -> Result<CertificateRecord, Failure> {
        let missing = || {
            Failure::new(
                FailureKind::NotFound,
                format!("there is no certificate {reference}"),
            )
            .with_remedy("name it by its serial number (chancery cert list) or as #N for request N")
        };
        if let Some(number) = reference.strip_prefix('#') {
            let number = number.parse().map(RequestNumber).map_err(|_| missing())?;
            let id = self
                .request_record(number)
                .await?
                .certificate
                .ok_or_else(missing)?;
            return self
                .store
                .certificate(id)
                .await
                .map_err(|error| store_failure(&error))?
                .ok_or_else(missing);
        }
        let digits: String = reference.chars().filter(|c| *c != ':').collect();
        let serial = hex::decode(digits).map_err(|_| missing())?;
        let mut found = self
            .store
            .certificates_by_serial(&serial)
            .await
            .map_err(|error| store_failure(&error))?;
        match (found.pop(), found.is_empty()) {
            (Some(record), true) => Ok(record),
            (None, _) => Err(missing()),
            (Some(_), false) => Err(Failure::new(
                FailureKind::Invalid,
                format!("serial number {reference} was given by more than one CA"),
            )
            .with_remedy("name the certificate by its request: #N")),
        }
    }

    pub(crate) async fn certificate_view(
        &self,
        record: &CertificateRecord,
    ) -> Result<CertificateView, Failure> {
        let ca = self
            .store
            .ca(record.ca)
            .await
            .map_err(|error| store_failure(&error))?;
        Ok(view(
            record,
            ca.map_or_else(|| record.ca.to_string(), |ca| ca.name),
        ))
    }
}

/// A certificate as lists show it, with the name of its CA.
pub(crate) fn view(record: &CertificateRecord, ca: String) -> CertificateView {
    CertificateView {
        id: record.id,
        ca,
        serial: hex::encode(&record.serial),
        state: record.state.name().to_owned(),
        subject: record.subject.clone(),
        names: record.names.lines().map(str::to_owned).collect(),
        not_after: rfc3339_seconds(record.not_after_seconds),
        request: record.request,
        revoked: record.revoked.as_ref().map(|(seconds, reason, _)| {
            (
                rfc3339_seconds(*seconds),
                crate::commands::revoke::reason_name(*reason).to_owned(),
            )
        }),
    }
}

/// Whether the certificate counts as issued (revoked ones were).
pub(crate) const fn was_issued(record: &CertificateRecord) -> bool {
    matches!(record.state, CertificateState::Issued | CertificateState::Revoked)
}
