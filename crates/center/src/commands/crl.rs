//! `crl create` and the newest CRL.

use std::{collections::HashSet, sync::Arc};

use chancery_api::{Base64, CrlDetail, Decision, Failure, FailureKind, Hash32, Performed, Role};
use chancery_keys::SigningKey as _;
use chancery_pki::{
    CrlToBeSigned, RevocationList, RevocationReason, Revoked, SerialNumber, assemble, prepare_crl,
};
use chancery_store::{CertificateState, Change, CrlRecord, RevokedEntry, Write};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::{
    Center,
    acts::{self, Prepared, ProvenAct},
    authority::Authority,
    committer::store_failure,
    env::rfc3339_seconds,
    event::{Actor, event},
    issuance::blank_signature,
    rights,
    text::chain,
    tokens::key_failure,
    trust::People,
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

    pub(crate) async fn draft_crl(&self, ca: &str) -> Result<(Decision, Prepared), Failure> {
        let authority = self.authority(ca).await?;
        self.require_unlocked(&authority).await?;
        let last = self
            .store
            .last_crl(authority.id)
            .await
            .map_err(|error| store_failure(&error))?;
        let this_update = self.now();
        let tbs = self
            .prepare_crl(&authority, last.map_or(0, |crl| crl.number) + 1, this_update)
            .await?;
        let decision = Decision::CrlCreate {
            ca: ca.to_owned(),
            number: i64::try_from(tbs.number()).unwrap_or(i64::MAX),
            entries: u64::try_from(tbs.entries()).unwrap_or(u64::MAX),
            next_update: rfc3339_seconds((this_update + VALIDITY).unix_timestamp()),
            tbs: Hash32::of(tbs.as_der()),
        };
        Ok((decision, vec![tbs.as_der().to_vec()]))
    }

    pub(crate) async fn create_crl(
        &self,
        act: ProvenAct,
        ca: &str,
        prepared: Prepared,
    ) -> Result<Performed, Failure> {
        let _one_at_a_time = self.procedures.lock().await;
        let authority = self.authority(ca).await?;
        self.require_unlocked(&authority).await?;
        // A CRL whose signing was interrupted is finished first, with the bytes that were recorded: no number is given twice.
        let mut last = self
            .store
            .last_crl(authority.id)
            .await
            .map_err(|error| store_failure(&error))?;
        if let Some(crl) = last.take_if(|crl| crl.state == CertificateState::Signing) {
            self.check_interrupted(&authority, &crl).await?;
            last = Some(self.finish_crl(&authority, crl).await?);
        }
        let meanwhile = || {
            Failure::new(
                FailureKind::Conflict,
                format!("what is revoked by CA {ca} has changed since the draft"),
            )
            .with_remedy("repeat the command")
        };
        let [tbs] = prepared.as_slice() else {
            return Err(meanwhile());
        };
        let made = read_tbs(&authority, tbs).map_err(|_| meanwhile())?;
        let number = last.map_or(0, |crl| crl.number) + 1;
        let again = self.prepare_crl(&authority, number, made.this_update).await?;
        if again.as_der() != tbs {
            return Err(meanwhile());
        }
        let now = self.clock.now_ms();
        let crl = CrlRecord {
            ca: authority.id,
            number,
            state: CertificateState::Signing,
            tbs: tbs.clone(),
            der: None,
            this_update_seconds: made.this_update.unix_timestamp(),
            next_update_seconds: made.next_update.unix_timestamp(),
            entries: i64::try_from(made.entries.len()).unwrap_or(i64::MAX),
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

    async fn prepare_crl(
        &self,
        authority: &Authority,
        number: i64,
        this_update: OffsetDateTime,
    ) -> Result<CrlToBeSigned, Failure> {
        let entries = self.revoked_entries(authority).await?;
        let number = u64::try_from(number)
            .map_err(|_| Failure::new(FailureKind::Refused, "the last CRL has an impossible number"))?;
        prepare_crl(
            &authority.issuer,
            number,
            this_update,
            this_update + VALIDITY,
            &entries,
        )
        .map_err(|error| Failure::new(FailureKind::Invalid, chain(&error)))
    }

    async fn finish_crl(&self, authority: &Arc<Authority>, mut crl: CrlRecord) -> Result<CrlRecord, Failure> {
        if crl.epoch != self.epoch {
            let reclaim = Write::ReclaimCrl {
                ca: crl.ca,
                number: crl.number,
                epoch: self.epoch,
            };
            let data = json!({ "ca": authority.name, "crl": crl.number, "epoch": self.epoch });
            let events = vec![event(
                self.clock.now_ms(),
                "claim-taken-over",
                &Actor::Node,
                &data,
            )?];
            self.commit(Change {
                writes: vec![reclaim],
                events,
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

    /// A recorded CRL is signed only if a Certification Officer decided on exactly these bytes.
    async fn check_interrupted(&self, authority: &Authority, crl: &CrlRecord) -> Result<(), Failure> {
        let altered = |why: String| {
            Failure::new(
                FailureKind::Refused,
                format!(
                    "CRL {} of CA {} was altered in the database: {why}",
                    crl.number, authority.name
                ),
            )
            .with_remedy("nothing was signed; find out who changed the database (`chancery audit verify`)")
        };
        let people = self.people().await?;
        let act = self
            .store
            .act(crl.act)
            .await
            .map_err(|error| store_failure(&error))?;
        let act = act.ok_or_else(|| altered("nobody decided on it".to_owned()))?;
        let officer = people
            .get(act.person)
            .filter(|person| person.has(Role::CertificationOfficer))
            .ok_or_else(|| altered("no Certification Officer decided on it".to_owned()))?;
        let payload = acts::verify_record(self.installation.id, &act, &officer.public_key)
            .map_err(|error| altered(format!("the decision of {}: {error}", officer.name)))?;
        let tbs = Hash32::of(&crl.tbs);
        let decided = matches!(
            &payload.decision,
            Decision::CrlCreate { ca, number, tbs: decided, .. }
                if *ca == authority.name && *number == crl.number && *decided == tbs
        );
        if !decided {
            return Err(altered(format!("{} decided on something else", officer.name)));
        }
        let list = read_tbs(authority, &crl.tbs).map_err(|failure| altered(failure.message))?;
        let as_recorded = list.this_update.unix_timestamp() == crl.this_update_seconds
            && list.next_update.unix_timestamp() == crl.next_update_seconds
            && i64::try_from(list.entries.len()) == Ok(crl.entries);
        if !as_recorded {
            return Err(altered(
                "its times or its length are not those of its bytes".to_owned(),
            ));
        }
        let known: HashSet<SerialNumber> = self
            .revoked_entries(authority)
            .await?
            .iter()
            .map(|entry| entry.serial)
            .collect();
        match list.entries.iter().find(|entry| !known.contains(&entry.serial)) {
            Some(entry) => Err(altered(format!(
                "certificate {} is not revoked any more",
                entry.serial.to_hex()
            ))),
            None => Ok(()),
        }
    }

    /// What is revoked, each entry held against the act that revoked it; nothing that the newest CRL lists may be missing.
    async fn revoked_entries(&self, authority: &Authority) -> Result<Vec<Revoked>, Failure> {
        let altered = |serial: &[u8], why: &str| {
            Failure::new(
                FailureKind::Refused,
                format!(
                    "the revocation of certificate {} was altered in the database: {why}",
                    hex::encode(serial)
                ),
            )
            .with_remedy("no CRL was signed; find out who changed the database (`chancery audit verify`)")
        };
        let failed = |error| store_failure(&error);
        let people = self.people().await?;
        let rows = self.store.revoked(authority.id).await.map_err(failed)?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            let reason = u8::try_from(row.reason)
                .ok()
                .and_then(RevocationReason::from_number)
                .ok_or_else(|| altered(&row.serial, "its reason is impossible"))?;
            self.revocation_holds(&people, authority, &row, reason)
                .await
                .map_err(|why| altered(&row.serial, &why))?;
            entries.push(Revoked {
                serial: SerialNumber::from_bytes(&row.serial)
                    .map_err(|_| altered(&row.serial, "its serial number is impossible"))?,
                revoked_at: OffsetDateTime::from_unix_timestamp(row.revoked_seconds)
                    .map_err(|_| altered(&row.serial, "its time is impossible"))?,
                reason,
            });
        }
        if let Some(der) = self
            .store
            .issued_crl(authority.id)
            .await
            .map_err(failed)?
            .and_then(|crl| crl.der)
        {
            let damaged = |why: String| {
                Failure::new(
                    FailureKind::Refused,
                    format!("the newest CRL does not hold: {why}"),
                )
            };
            chancery_pki::verify_signature(&der, authority.issuer.key())
                .map_err(|error| damaged(chain(&error)))?;
            let listed = RevocationList::parse(&der).map_err(|error| damaged(chain(&error)))?;
            let known: HashSet<SerialNumber> = entries.iter().map(|entry| entry.serial).collect();
            if let Some(gone) = listed.entries.iter().find(|entry| !known.contains(&entry.serial)) {
                return Err(altered(
                    gone.serial.as_bytes(),
                    "the newest CRL lists it and its row does not",
                ));
            }
        }
        Ok(entries)
    }

    /// Checks the act behind a revocation; one that was checked before costs a hash.
    async fn revocation_holds(
        &self,
        people: &People,
        authority: &Authority,
        row: &RevokedEntry,
        reason: RevocationReason,
    ) -> Result<(), String> {
        let act = self.store.act(row.act).await.map_err(|error| error.to_string())?;
        let act = act.ok_or("nobody decided on it")?;
        let person = people
            .get(act.person)
            .ok_or("somebody decided on it who gives no rights")?;
        let key = acts::digest(&[
            b"revocation",
            authority.id.as_bytes(),
            &row.serial,
            &row.reason.to_be_bytes(),
            &act.payload,
            &act.signature,
            act.id.as_bytes(),
            &person.public_key,
        ]);
        if self.lock(&self.checked).get(&key).is_some() {
            return Ok(());
        }
        let payload = acts::verify_record(self.installation.id, &act, &person.public_key)
            .map_err(|error| format!("the decision of {}: {error}", person.name))?;
        let may = rights::for_decision(&payload.decision).unwrap_or_default();
        if !may.iter().any(|role| person.has(*role)) {
            return Err(format!("{} may not decide on it", person.name));
        }
        let serial = hex::encode(&row.serial);
        match &payload.decision {
            Decision::CertificateRevoke {
                ca,
                serial: decided,
                reason: word,
            } if *ca == authority.name && *decided == serial && word == reason.word() => {
                self.lock(&self.checked).put(key, None);
                Ok(())
            }
            _ => Err(format!("{} decided on something else", person.name)),
        }
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

/// Reads to-be-signed bytes as the CRL they will be.
fn read_tbs(authority: &Authority, tbs: &[u8]) -> Result<RevocationList, Failure> {
    let internal = |why: String| Failure::new(FailureKind::Internal, why);
    let algorithm = authority.key.algorithm();
    let der =
        assemble(tbs, algorithm, &blank_signature(algorithm)).map_err(|error| internal(chain(&error)))?;
    RevocationList::parse(&der).map_err(|error| internal(chain(&error)))
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
