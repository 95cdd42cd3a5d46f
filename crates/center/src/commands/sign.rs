//! `request sign`: the decision that certificates are signed, and the signing.
//!
//! The order is the point. To-be-signed bytes and the act are durable before the HSM is asked; the claim carries the epoch of this
//! start of the node; the result is recorded only under the same epoch. So every serial number an HSM ever signed is known.

use std::sync::Arc;

use chancery_api::{
    CertificateId, Condition, Decision, Failure, FailureKind, Hash32, Performed, RequestNumber, SignedItem,
    Subject,
};
use chancery_pki::{DistinguishedName, Inputs, Issuer, PublicKey, ToBeSigned, assemble};
use chancery_store::{
    CaRecord, CertificateRecord, CertificateState, Change, DecidedRequest, DecisionKind, RequestRecord,
    RequestState, Write,
};
use serde_json::json;

use super::{
    approve::{Approval, check_numbers},
    request_view::signed_detail,
};
use crate::{
    Center,
    acts::{ActHashes, Prepared, ProvenAct},
    authority::CaKey,
    committer::store_failure,
    event::{Actor, event},
    issuance::Issuance,
    reading::Reading,
    request::{altered, subject_of},
    text::chain,
    trust::{People, Person},
};

/// To-be-signed bytes older than this are made anew when the decision to sign is drafted.
const STALE_AFTER_SECONDS: i64 = 3600;

/// Subject of the certificate for the key that signs the head of the audit log.
const AUDIT_SUBJECT: &str = "CN=Chancery audit log";

/// A request as it was read for one decision.
struct Examined<'a> {
    decided: &'a DecidedRequest,
    subject: Subject,
    approvals: Vec<Approval>,
}

impl Examined<'_> {
    const fn asked(&self) -> (&RequestRecord, &Subject) {
        (&self.decided.request, &self.subject)
    }
}

/// What one request needs to be signed, checked.
pub(crate) struct Signable {
    /// The CA that signs.
    ca: CaRecord,
    key: CaKey,
    /// Profile and bytes of each certificate; the first is the one the request is for.
    certificates: Vec<(String, ToBeSigned)>,
}

/// A claim that is durable: what is left is to ask the HSM.
pub(crate) struct Claim {
    pub(crate) request: RequestNumber,
    pub(crate) ca: CaRecord,
    pub(crate) key: CaKey,
    pub(crate) certificates: Vec<CertificateRecord>,
}

impl Center {
    pub(crate) async fn draft_sign(
        &self,
        people: &People,
        person: &Person,
        requests: &[RequestNumber],
    ) -> Result<(Decision, Prepared), Failure> {
        check_numbers(requests)?;
        let mut items = Vec::new();
        let mut prepared = Vec::new();
        let mut unmet: Vec<Condition> = Vec::new();
        let reading = self.read(requests.to_vec()).await?;
        let mut hashes = ActHashes::default();
        for number in requests {
            let examined = self.examine(people, reading.request(*number)?, &mut hashes)?;
            let blocked = self
                .unmet_given(people, examined.asked(), &examined.approvals, Some(person))
                .await?;
            if !blocked.is_empty() {
                for condition in blocked {
                    if !unmet.contains(&condition) {
                        unmet.push(condition);
                    }
                }
                continue;
            }
            let signable = self.signable(people, &examined, None).await?;
            for (_, tbs) in &signable.certificates {
                items.push(item(*number, &signable.ca.name, tbs));
                prepared.push(tbs.as_der().to_vec());
            }
        }
        if unmet.is_empty() {
            Ok((Decision::RequestSign { items }, prepared))
        } else {
            Err(Failure::blocked(
                format!("{} cannot be signed now", numbers(requests)),
                unmet,
            ))
        }
    }

    pub(crate) async fn sign(
        &self,
        reading: &Reading,
        act: ProvenAct,
        items: Vec<SignedItem>,
        prepared: Prepared,
    ) -> Result<Performed, Failure> {
        let people = &reading.people;
        let mut order: Vec<RequestNumber> = items.iter().map(|item| item.request).collect();
        order.dedup();
        let mut pairs = items.into_iter().zip(prepared).peekable();
        let now = self.clock.now_ms();
        let mut writes = vec![Write::InsertAct(act.record.clone())];
        let mut claims = Vec::with_capacity(order.len());
        let mut serials = Vec::new();
        let mut answers = Vec::with_capacity(order.len());
        let mut hashes = ActHashes::default();
        for number in &order {
            let decided = reading.request(*number)?;
            let examined = self.examine(people, decided, &mut hashes)?;
            let unmet = self
                .unmet_given(people, examined.asked(), &examined.approvals, Some(&act.person))
                .await?;
            if !unmet.is_empty() {
                return Err(Failure::blocked(
                    format!("request {number} cannot be signed any more"),
                    unmet,
                ));
            }
            let mut given = Vec::new();
            while let Some((item, tbs)) = pairs.next_if(|(item, _)| item.request == *number) {
                if Hash32::of(&tbs) != item.tbs {
                    return Err(altered(*number, "the bytes are not those that were decided on"));
                }
                given.push(tbs);
            }
            let signable = self.signable(people, &examined, Some(&given)).await?;
            answers.push((decided, examined.subject));
            let mut certificates = Vec::with_capacity(signable.certificates.len());
            for (profile, tbs) in &signable.certificates {
                let certificate = self.certificate_row(&signable.ca, *number, &act, profile, tbs, now);
                serials.push(json!({ "ca": signable.ca.name, "serial": hex::encode(&certificate.serial), "tbs": Hash32::of(&certificate.tbs) }));
                writes.push(Write::InsertCertificate(certificate.clone()));
                certificates.push(certificate);
            }
            if let Some(first) = certificates.first() {
                writes.push(Write::ClaimRequest {
                    request: *number,
                    certificate: first.id,
                });
            }
            writes.push(Write::InsertDecision {
                request: *number,
                kind: DecisionKind::Sign,
                act: act.record.id,
            });
            claims.push(Claim {
                request: *number,
                ca: signable.ca,
                key: signable.key,
                certificates,
            });
        }
        let events = vec![event(
            now,
            "certificates-claimed",
            &Actor::Act(&act),
            &json!({ "certificates": serials }),
        )?];
        self.commit(Change { writes, events }).await?;

        let claims = Arc::new(claims);
        let finished = self.finish_all(&claims).await;
        let mut requests = Vec::with_capacity(claims.len());
        for ((result, claim), (decided, subject)) in finished.into_iter().zip(&*claims).zip(answers) {
            requests.push(signed_detail(people, &act, (decided, subject), claim, result?));
        }
        Ok(Performed::Requests { requests })
    }

    /// What a request asks for and which approvals of it hold.
    fn examine<'a>(
        &self,
        people: &People,
        decided: &'a DecidedRequest,
        hashes: &mut ActHashes,
    ) -> Result<Examined<'a>, Failure> {
        let record = &decided.request;
        let subject = subject_of(record)?;
        let approvals = match record.state {
            RequestState::Done | RequestState::Rejected => Vec::new(),
            _ => self.approvals_among(people, record, &subject, &decided.decisions, hashes)?,
        };
        Ok(Examined {
            decided,
            subject,
            approvals,
        })
    }

    /// What signing a request takes. `given` holds the bytes that were decided on; without it they are prepared.
    async fn signable(
        &self,
        people: &People,
        examined: &Examined<'_>,
        given: Option<&[Vec<u8>]>,
    ) -> Result<Signable, Failure> {
        let (record, approvers) = (&examined.decided.request, &examined.approvals);
        // Whatever the row's state says: a request is signed once, and never after a rejection.
        let decisions = &examined.decided.decisions;
        if decisions
            .iter()
            .any(|decision| decision.kind != DecisionKind::Approve)
            || record.certificate.is_some()
        {
            return Err(altered(record.number, "it was rejected or signed before"));
        }
        if approvers.len() < super::approve::approvals_needed(people, record, approvers) {
            return Err(altered(
                record.number,
                "its state says approved, but no approval holds",
            ));
        }
        match &examined.subject {
            Subject::Certificate(document) => {
                let issuance = self.issuance(record, document.clone()).await?;
                let tbs = match given {
                    Some([tbs]) => issuance.reproduce(record, tbs)?,
                    Some(_) => return Err(altered(record.number, "one certificate was to be signed")),
                    None => self.fresh(record, &issuance, approvers)?,
                };
                Ok(Signable {
                    ca: issuance.authority.record.clone(),
                    key: issuance.authority.key.clone(),
                    certificates: vec![(issuance.profile.name().to_owned(), tbs)],
                })
            }
            Subject::Ca(_) => self.signable_ca(record, given).await,
            Subject::Person(_) | Subject::Custodian(_) | Subject::Signer(_) => Err(Failure::new(
                FailureKind::Invalid,
                format!(
                    "request {} is for no certificate: there is nothing to sign",
                    record.number
                ),
            )),
        }
    }

    /// The bytes prepared at approval, or new ones when these have become stale.
    fn fresh(
        &self,
        record: &RequestRecord,
        issuance: &Issuance,
        approvals: &[Approval],
    ) -> Result<ToBeSigned, Failure> {
        let stored = record
            .tbs
            .as_ref()
            .ok_or_else(|| altered(record.number, "its to-be-signed bytes are gone"))?;
        let hash = Hash32::of(stored);
        if approvals.iter().all(|approval| approval.tbs != Some(hash)) {
            return Err(altered(
                record.number,
                "its to-be-signed bytes are not those that were approved",
            ));
        }
        let stored = issuance.reproduce(record, stored)?;
        let begun = stored.not_before().unix_timestamp() + i64::from(issuance.profile.backdate_seconds());
        if self.now().unix_timestamp() - begun <= STALE_AFTER_SECONDS {
            return Ok(stored);
        }
        self.prepare_inputs(&issuance.inputs())
    }

    async fn signable_ca(
        &self,
        record: &RequestRecord,
        given: Option<&[Vec<u8>]>,
    ) -> Result<Signable, Failure> {
        let ca = self.ensure_ca_key(record).await?;
        let Subject::Ca(document) = subject_of(record)? else {
            return Err(altered(record.number, "it asks for no CA"));
        };
        let key = self
            .ca_key(&ca)
            .await?
            .ok_or_else(|| Failure::new(FailureKind::Internal, "the key was generated and is not known"))?;
        let profile = self.profile(&document.profile)?;
        if Hash32(profile.hash()) != document.profile_hash {
            return Err(altered(record.number, "the profile has another content now"));
        }
        let invalid = |error: String| Failure::new(FailureKind::Invalid, error);
        let subject: DistinguishedName = document
            .subject
            .parse()
            .map_err(|error| invalid(format!("the subject: {}", chain(&error))))?;
        let root = Inputs::Root {
            profile: &profile,
            subject: &subject,
            key: &key.public_key,
        };
        let mut given = given.map(|given| given.iter());
        let mut take = |inputs: &Inputs<'_>| -> Result<ToBeSigned, Failure> {
            match &mut given {
                None => self.prepare_inputs(inputs),
                Some(given) => {
                    let tbs = given
                        .next()
                        .ok_or_else(|| altered(record.number, "bytes are missing"))?;
                    let tbs =
                        ToBeSigned::from_der(tbs).map_err(|error| altered(record.number, &chain(&error)))?;
                    tbs.reproduces(inputs)
                        .map_err(|error| altered(record.number, &chain(&error)))?;
                    Ok(tbs)
                }
            }
        };
        let root_tbs = take(&root)?;
        let mut certificates = vec![(document.profile.clone(), root_tbs)];
        let first = self
            .store
            .cas()
            .await
            .map_err(|error| store_failure(&error))?
            .iter()
            .all(|other| other.certificate.is_none());
        if first {
            let issuer = self.issuer_to_be(&certificates[0].1, &key)?;
            let audit_key = PublicKey::from_spki(&self.audit_key).map_err(|error| invalid(chain(&error)))?;
            let audit_profile = self.profile("audit")?;
            let subject: DistinguishedName = AUDIT_SUBJECT
                .parse()
                .map_err(|error| invalid(format!("the audit log's name: {error}")))?;
            let inputs = Inputs::Key {
                profile: &audit_profile,
                subject: &subject,
                names: &[],
                key: &audit_key,
                issuer: &issuer,
            };
            let tbs = take(&inputs)?;
            certificates.push((audit_profile.name().to_owned(), tbs));
        }
        Ok(Signable {
            ca,
            key,
            certificates,
        })
    }

    /// The issuer that a root will be. Its signature value does not enter what it issues, so a blank one serves here.
    fn issuer_to_be(&self, root: &ToBeSigned, key: &CaKey) -> Result<Issuer, Failure> {
        let internal = |error: String| Failure::new(FailureKind::Internal, error);
        let blank = crate::issuance::blank_signature(key.algorithm());
        let der =
            assemble(root.as_der(), key.algorithm(), &blank).map_err(|error| internal(error.to_string()))?;
        Issuer::from_certificate(&der).map_err(|error| internal(error.to_string()))
    }

    fn certificate_row(
        &self,
        ca: &CaRecord,
        request: RequestNumber,
        act: &ProvenAct,
        profile: &str,
        tbs: &ToBeSigned,
        now_ms: i64,
    ) -> CertificateRecord {
        CertificateRecord {
            id: CertificateId::new(self.growing_uuid()),
            ca: ca.id,
            serial: tbs.serial().as_bytes().to_vec(),
            state: CertificateState::Signing,
            request: Some(request),
            act: act.record.id,
            profile: profile.to_owned(),
            subject: tbs.subject().to_owned(),
            names: tbs.names().join("\n"),
            not_after_seconds: tbs.not_after().unix_timestamp(),
            tbs: tbs.as_der().to_vec(),
            der: None,
            epoch: self.epoch,
            created_ms: now_ms,
            revoked: None,
        }
    }
}

fn item(request: RequestNumber, ca: &str, tbs: &ToBeSigned) -> SignedItem {
    SignedItem {
        request,
        ca: ca.to_owned(),
        serial: tbs.serial().to_hex(),
        subject: tbs.subject().to_owned(),
        names: tbs.names().to_vec(),
        tbs: Hash32::of(tbs.as_der()),
    }
}

fn numbers(requests: &[RequestNumber]) -> String {
    match requests {
        [one] => format!("request {one}"),
        many => {
            let list: Vec<_> = many.iter().map(ToString::to_string).collect();
            format!("requests {}", list.join(", "))
        }
    }
}
