//! `crl create` and the newest CRL.

use std::sync::Arc;

use chancery_api::{Base64, CrlDetail, Decision, Failure, FailureKind, Hash32, Performed};
use chancery_keys::SigningKey as _;
use chancery_pki::{RevocationReason, Revoked, SerialNumber, assemble, prepare_crl};
use chancery_store::{CertificateState, Change, CrlRecord, Write};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::{
    Center,
    acts::ProvenAct,
    authority::Authority,
    committer::store_failure,
    env::rfc3339_seconds,
    event::{Actor, event},
    text::chain,
    tokens::key_failure,
};

/// How long a CRL is good for.
const VALIDITY: Duration = Duration::days(7);

impl Center {
    /// The newest signed CRL of a CA.
    ///
    /// # Errors
    /// [`FailureKind::NotFound`] when there is none.
    pub async fn crl_show(&self, ca: &str) -> Result<CrlDetail, Failure> {
        let record = self.ca_record(ca).await?;
        let crl = self
            .store
            .issued_crl(record.id)
            .await
            .map_err(|error| store_failure(&error))?;
        let crl = crl.ok_or_else(|| {
            Failure::new(FailureKind::NotFound, format!("CA {ca} has no CRL yet"))
                .with_remedy(format!("chancery crl create {ca} --as NAME"))
        })?;
        detail(ca, crl)
    }

    pub(crate) async fn draft_crl(&self, ca: &str) -> Result<Decision, Failure> {
        let authority = self.authority(ca).await?;
        self.require_unlocked(&authority).await?;
        Ok(Decision::CrlCreate { ca: ca.to_owned() })
    }

    pub(crate) async fn create_crl(&self, act: ProvenAct, ca: &str) -> Result<Performed, Failure> {
        let _one_at_a_time = self.procedures.lock().await;
        let authority = self.authority(ca).await?;
        self.require_unlocked(&authority).await?;
        let failed = |error| store_failure(&error);
        // A CRL whose signing was interrupted is finished first, with the bytes that were recorded: no number is given twice.
        let mut last = self.store.last_crl(authority.id).await.map_err(failed)?;
        if let Some(crl) = last.take_if(|crl| crl.state == CertificateState::Signing) {
            last = Some(self.finish_crl(&authority, crl).await?);
        }
        let number = last.map_or(0, |crl| crl.number) + 1;
        let this_update = self.now();
        let next_update = this_update + VALIDITY;
        let entries = self.revoked_entries(&authority).await?;
        let tbs = prepare_crl(
            &authority.issuer,
            u64::try_from(number).unwrap_or(1),
            this_update,
            next_update,
            &entries,
        )
        .map_err(|error| Failure::new(FailureKind::Invalid, chain(&error)))?;
        let now = self.clock.now_ms();
        let crl = CrlRecord {
            ca: authority.id,
            number,
            state: CertificateState::Signing,
            tbs: tbs.as_der().to_vec(),
            der: None,
            this_update_seconds: this_update.unix_timestamp(),
            next_update_seconds: next_update.unix_timestamp(),
            entries: i64::try_from(entries.len()).unwrap_or(i64::MAX),
            epoch: self.epoch,
            act: act.record.id,
        };
        let data = json!({ "ca": ca, "number": number, "tbs": Hash32::of(&crl.tbs), "entries": crl.entries });
        let events = vec![event(now, "crl-claimed", &Actor::Act(&act), &data)?];
        self.commit(Change {
            writes: vec![Write::InsertAct(act.record), Write::InsertCrl(crl.clone())],
            events,
        })
        .await?;
        let crl = self.finish_crl(&authority, crl).await?;
        Ok(Performed::Crl {
            crl: detail(ca, crl)?,
        })
    }

    async fn finish_crl(&self, authority: &Arc<Authority>, mut crl: CrlRecord) -> Result<CrlRecord, Failure> {
        if crl.epoch != self.epoch {
            let reclaim = Write::ReclaimCrl {
                ca: crl.ca,
                number: crl.number,
                epoch: self.epoch,
            };
            self.commit(Change {
                writes: vec![reclaim],
                events: Vec::new(),
            })
            .await?;
            crl.epoch = self.epoch;
        }
        let signature = self
            .pooled(&authority.key)
            .sign(&crl.tbs)
            .await
            .map_err(|error| {
                let mut failure = key_failure(&error);
                failure.message = format!(
                    "CRL {} is recorded and not yet signed: {}",
                    crl.number, failure.message
                );
                failure
            })?;
        let der = assemble(&crl.tbs, authority.key.algorithm(), &signature)
            .map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?;
        let issue = Write::IssueCrl {
            ca: crl.ca,
            number: crl.number,
            epoch: self.epoch,
            der: der.clone(),
        };
        let data = json!({ "ca": authority.name, "number": crl.number, "crl": Hash32::of(&der) });
        let event = event(
            self.clock.now_ms(),
            "crl-issued",
            &Actor::ActReference(crl.act),
            &data,
        )?;
        self.commit(Change {
            writes: vec![issue],
            events: vec![event],
        })
        .await?;
        crl.state = CertificateState::Issued;
        crl.der = Some(der);
        Ok(crl)
    }

    async fn revoked_entries(&self, authority: &Authority) -> Result<Vec<Revoked>, Failure> {
        let corrupt = |what: &str| {
            Failure::new(
                FailureKind::Refused,
                format!(
                    "a revoked certificate of CA {} has an impossible {what}",
                    authority.name
                ),
            )
        };
        let rows = self
            .store
            .revoked(authority.id)
            .await
            .map_err(|error| store_failure(&error))?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            entries.push(Revoked {
                serial: SerialNumber::from_bytes(&row.serial).map_err(|_| corrupt("serial number"))?,
                revoked_at: OffsetDateTime::from_unix_timestamp(row.revoked_seconds)
                    .map_err(|_| corrupt("revocation time"))?,
                reason: u8::try_from(row.reason)
                    .ok()
                    .and_then(RevocationReason::from_number)
                    .ok_or_else(|| corrupt("reason"))?,
            });
        }
        Ok(entries)
    }

    async fn require_unlocked(&self, authority: &Authority) -> Result<(), Failure> {
        if self.is_unlocked(&authority.key) {
            return Ok(());
        }
        let unmet = self.quorum_conditions(&authority.key.on).await?;
        Err(Failure::blocked(
            format!("CA {} cannot sign now", authority.name),
            unmet,
        ))
    }
}

fn detail(ca: &str, crl: CrlRecord) -> Result<CrlDetail, Failure> {
    Ok(CrlDetail {
        ca: ca.to_owned(),
        number: crl.number,
        this_update: rfc3339_seconds(crl.this_update_seconds),
        next_update: rfc3339_seconds(crl.next_update_seconds),
        entries: u64::try_from(crl.entries).unwrap_or(0),
        der: Base64(
            crl.der
                .ok_or_else(|| Failure::new(FailureKind::Internal, "an issued CRL has no bytes"))?,
        ),
    })
}
