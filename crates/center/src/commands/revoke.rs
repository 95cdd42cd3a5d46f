//! `cert revoke`.

use chancery_api::{Decision, Failure, FailureKind, Performed};
use chancery_pki::RevocationReason;
use chancery_store::{CertificateState, Change, Write};
use serde_json::json;

use crate::{
    Center,
    acts::ProvenAct,
    event::{Actor, event},
};

impl Center {
    pub(crate) async fn draft_revoke(&self, certificate: &str, reason: String) -> Result<Decision, Failure> {
        reason_of(&reason)?;
        let record = self.certificate_record(certificate).await?;
        match record.state {
            CertificateState::Issued => {}
            CertificateState::Revoked => {
                return Err(Failure::new(
                    FailureKind::Conflict,
                    format!("certificate {certificate} is revoked already"),
                ));
            }
            CertificateState::Signing => {
                return Err(Failure::new(
                    FailureKind::Conflict,
                    format!("certificate {certificate} is not signed yet"),
                )
                .with_remedy("finish it first: chancery request resume N"));
            }
        }
        let ca = self.certificate_view(&record).await?.ca;
        if self.authority(&ca).await?.certificate_id == record.id {
            return Err(Failure::new(
                FailureKind::Invalid,
                "a root cannot revoke itself: whoever trusts it must stop trusting it",
            ));
        }
        Ok(Decision::CertificateRevoke {
            ca,
            serial: hex::encode(&record.serial),
            reason,
        })
    }

    pub(crate) async fn revoke(
        &self,
        act: ProvenAct,
        ca: &str,
        serial: &str,
        reason: &str,
    ) -> Result<Performed, Failure> {
        let reason = reason_of(reason)?;
        let issuer = self.ca_record(ca).await?;
        let bytes = hex::decode(serial)
            .map_err(|_| Failure::new(FailureKind::Invalid, format!("{serial} is no serial number")))?;
        let record = self
            .store
            .certificates_by_serial(&bytes)
            .await
            .map_err(|error| crate::committer::store_failure(&error))?
            .into_iter()
            .find(|record| record.ca == issuer.id)
            .ok_or_else(|| {
                Failure::new(
                    FailureKind::NotFound,
                    format!("{ca} has issued no certificate {serial}"),
                )
            })?;
        let now = self.clock.now_ms();
        let data = json!({ "ca": ca, "serial": serial, "reason": reason.word() });
        let event = event(now, "certificate-revoked", &Actor::Act(&act), &data)?;
        let revoke = Write::RevokeCertificate {
            certificate: record.id,
            revoked_seconds: now.div_euclid(1000),
            reason: i64::from(reason.number()),
            act: act.record.id,
        };
        self.commit(Change {
            writes: vec![Write::InsertAct(act.record), revoke],
            events: vec![event],
        })
        .await?;
        let id = record.id;
        let record = self
            .store
            .certificate(id)
            .await
            .map_err(|error| crate::committer::store_failure(&error))?
            .ok_or_else(|| Failure::new(FailureKind::Internal, "the certificate is gone"))?;
        Ok(Performed::Certificate {
            certificate: self.certificate_detail(&record).await?,
        })
    }
}

/// Name of a stored reason code.
pub(crate) fn reason_name(code: i64) -> &'static str {
    u8::try_from(code)
        .ok()
        .and_then(RevocationReason::from_number)
        .map_or("unknown", RevocationReason::word)
}

fn reason_of(word: &str) -> Result<RevocationReason, Failure> {
    // removeFromCRL is for delta CRLs only, and a hold would have to be lifted again (RFC 5280 section 5.3.1): neither is made here.
    let usable = |reason: &RevocationReason| {
        !matches!(
            reason,
            RevocationReason::RemoveFromCrl | RevocationReason::CertificateHold
        )
    };
    RevocationReason::from_word(word).filter(usable).ok_or_else(|| {
        let known: Vec<_> = RevocationReason::ALL
            .into_iter()
            .filter(usable)
            .map(RevocationReason::word)
            .collect();
        Failure::new(
            FailureKind::Invalid,
            format!("{word:?} is no reason a certificate can be revoked for"),
        )
        .with_remedy(format!("reasons are {}", known.join(", ")))
    })
}
