//! `custodian register`: a person's key becomes one of those that open an HSM.

use chancery_api::{
    Base64, Condition, CustodianDocument, CustodianRegister, Failure, FailureKind, Hash32, HsmDocument,
    HsmIdentityView, RequestNumber, RequestView, Subject, canonical_json,
};
use chancery_cvc::{DeviceChain, Genuineness};
use chancery_store::{Change, CustodianRecord, HsmRecord, RequestRecord, RequestState, Write};
use serde_json::json;

use super::hsm_attach::document;
use crate::{
    Center,
    attest::attested,
    committer::store_failure,
    event::{Actor, event},
    evidence::TokenEvidence,
    request::{Opening, altered, view},
    tokens::hsm_failure,
    trust::People,
};

impl Center {
    /// Opens a request to register a custodian.
    ///
    /// # Errors
    /// When the token does not vouch for the key, or the key cannot be a custodian's.
    pub async fn custodian_register(
        &self,
        call: CustodianRegister,
        uid: u32,
    ) -> Result<RequestView, Failure> {
        let people = self.people().await?;
        let person = people.by_name(&call.person)?;
        let what = format!("the custodian key of {}", person.name);
        let key = attested(&self.anchors, &call.chain.0, &call.key_request.0, &what)?;
        check_custodian_key(&key.spki, &what)?;
        refuse_act_key(&people, Hash32::of(&key.spki), &what)?;
        if call.hsms.is_empty() {
            return Err(Failure::new(
                FailureKind::Invalid,
                "name the HSMs the key is to be registered in",
            ));
        }
        let mut hsms = Vec::new();
        for name in &call.hsms {
            let record = self.hsm_record(name).await?;
            let hsm = self.held(&record)?;
            let genuineness = hsm.identity().genuineness;
            if genuineness == Genuineness::Production && key.genuineness != Genuineness::Production {
                return Err(Failure::new(
                    FailureKind::Refused,
                    format!("{name} is a hardware HSM and {what} is not in a genuine hardware token"),
                )
                .with_remedy("custodians of hardware HSMs need hardware tokens"));
            }
            if hsms.iter().any(|hsm: &HsmDocument| hsm.id == record.id) {
                return Err(Failure::new(
                    FailureKind::Invalid,
                    format!("{name} is named twice"),
                ));
            }
            hsms.push(document(&record));
        }
        let custodian = CustodianDocument {
            person: person.id,
            name: person.name.clone(),
            chr: key.chr,
            key: Hash32::of(&key.spki),
            device: key.device,
            hsms,
        };
        self.refuse_registered(None, &custodian).await?;
        for hsm in &custodian.hsms {
            self.refuse_full(hsm).await?;
        }
        let title = format!("custodian {} of {}", custodian.name, call.hsms.join(", "));
        let evidence = TokenEvidence {
            chain: call.chain,
            key_request: call.key_request,
        }
        .encode()?;
        let opening = |_| Opening {
            subject: Subject::Custodian(custodian),
            evidence,
            title,
            writes: Vec::new(),
        };
        Ok(view(&self.open_request(uid, opening).await?))
    }

    /// What custodians on machines of their own are told of the HSMs: name, device and key, and the certificates that show it.
    ///
    /// # Errors
    /// When the database fails, or an HSM's row contradicts the certificates in it.
    pub async fn hsm_identities(&self) -> Result<Vec<HsmIdentityView>, Failure> {
        let mut identities = Vec::new();
        for record in self.hsm_records().await? {
            let identity = DeviceChain::parse(&record.chain)
                .ok()
                .and_then(|chain| chain.verify(&self.anchors, None).ok());
            let fits = identity.is_some_and(|identity| {
                identity.name().as_str() == record.device
                    && identity.device_key().point().map(Hash32::of) == Some(document(&record).key)
            });
            if !fits {
                return Err(Failure::new(
                    FailureKind::Refused,
                    format!("the record of HSM {} contradicts its certificates", record.name),
                )
                .with_remedy("somebody changed the database: run `chancery audit verify`"));
            }
            identities.push(HsmIdentityView {
                hsm: document(&record),
                chain: Base64(record.chain),
            });
        }
        Ok(identities)
    }

    /// What may have come in between since the request was opened.
    pub(crate) async fn refuse_custodian(
        &self,
        request: RequestNumber,
        custodian: &CustodianDocument,
    ) -> Result<(), Failure> {
        let what = format!("the custodian key of {}", custodian.name);
        refuse_act_key(&*self.people().await?, custodian.key, &what)?;
        self.refuse_registered(Some(request), custodian).await
    }

    /// A person is one custodian of an HSM, with one key.
    async fn refuse_registered(
        &self,
        request: Option<RequestNumber>,
        custodian: &CustodianDocument,
    ) -> Result<(), Failure> {
        for hsm in &custodian.hsms {
            let rows = self
                .store
                .custodians(hsm.id)
                .await
                .map_err(|error| store_failure(&error))?;
            let same = |row: &CustodianRecord| {
                Some(row.request) != request
                    && (row.person == custodian.person
                        || Hash32::of(&row.public_key) == custodian.key
                        || row.chr == custodian.chr)
            };
            if rows.iter().any(same) {
                return Err(Failure::new(
                    FailureKind::Conflict,
                    format!(
                        "{} or this key is registered in HSM {} already",
                        custodian.name, hsm.name
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Custodians are registered until the number is reached that was set at initialisation, and never after.
    async fn refuse_full(&self, hsm: &HsmDocument) -> Result<(), Failure> {
        let record = self.hsm_record(&hsm.name).await?;
        let inspection = self
            .inspect(record.id, &self.held(&record)?)
            .await
            .map_err(|error| hsm_failure(&error))?;
        let Some(quorum) = inspection.quorum else {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("HSM {} is not opened by custodians", hsm.name),
            ));
        };
        if quorum.missing > 0 {
            return Ok(());
        }
        Err(Failure::new(
            FailureKind::Conflict,
            format!(
                "all {} custodians of HSM {} are registered",
                quorum.total, hsm.name
            ),
        )
        .with_remedy(
            "custodians are never replaced: initialise another HSM with the new ones and copy the keys to it",
        ))
    }

    /// Registers an approved custodian in the HSMs; HSMs that have the key already are passed over.
    pub(crate) async fn register_custodian(
        &self,
        request: &RequestRecord,
        custodian: &CustodianDocument,
    ) -> Result<(), Failure> {
        let _one_at_a_time = self.procedures.lock().await;
        let evidence = TokenEvidence::decode(&request.evidence)?;
        let what = format!("the custodian key of {}", custodian.name);
        let key = attested(&self.anchors, &evidence.chain.0, &evidence.key_request.0, &what)?;
        if Hash32::of(&key.spki) != custodian.key || key.chr != custodian.chr {
            return Err(altered(request.number, "its evidence is about another key"));
        }
        if self
            .people()
            .await?
            .all()
            .iter()
            .any(|person| person.public_key == key.spki)
        {
            return Err(Failure::new(
                FailureKind::Refused,
                format!("{what} signs acts; a custodian key is used for nothing else"),
            )
            .with_remedy("reject this request and register another key"));
        }
        for hsm in &custodian.hsms {
            let record = self.hsm_record(&hsm.name).await?;
            if document(&record) != *hsm {
                return Err(altered(request.number, "it names an HSM that is another one now"));
            }
            let rows = self
                .store
                .custodians(record.id)
                .await
                .map_err(|error| store_failure(&error))?;
            if rows.iter().any(|row| row.request == request.number) {
                continue;
            }
            // Looked at again with the card in hand: two requests of one person may both have been approved.
            let taken = rows.iter().any(|row| {
                row.person == custodian.person || row.public_key == key.spki || row.chr == custodian.chr
            });
            if taken {
                return Err(Failure::new(
                    FailureKind::Conflict,
                    format!(
                        "{} or this key is registered in HSM {} already",
                        custodian.name, hsm.name
                    ),
                )
                .with_remedy("one person is one custodian; reject this request"));
            }
            let handle = self.held(&record)?;
            let inspection = handle
                .register(evidence.chain.0.clone(), evidence.key_request.0.clone())
                .await
                .map_err(|error| hsm_failure(&error))?;
            let row = CustodianRecord {
                hsm: record.id,
                person: custodian.person,
                chr: custodian.chr.clone(),
                public_key: key.spki.clone(),
                chain: evidence.chain.0.clone(),
                key_request: evidence.key_request.0.clone(),
                request: request.number,
            };
            let mut writes = vec![Write::InsertCustodian(row)];
            writes.extend(Self::mark_write(record.id, &inspection));
            self.lock(&self.seen).insert(record.id, inspection);
            let data = json!({
                "request": request.number, "hsm": hsm, "person": custodian.name, "chr": custodian.chr,
                "chain": evidence.chain, "key_request": evidence.key_request,
            });
            let event = event(self.clock.now_ms(), "custodian-registered", &Actor::Node, &data)?;
            self.commit(Change {
                writes,
                events: vec![event],
            })
            .await?;
        }
        let done = Write::MoveRequest {
            request: request.number,
            from: RequestState::Approved,
            to: RequestState::Done,
        };
        let data = json!({ "request": request.number });
        let event = event(self.clock.now_ms(), "request-carried-out", &Actor::Node, &data)?;
        self.commit(Change {
            writes: vec![done],
            events: vec![event],
        })
        .await
    }

    /// No key is made in or copied to an HSM that somebody could open whom no manager approved.
    pub(crate) async fn refuse_unknown_custodians(&self, record: &HsmRecord) -> Result<(), Failure> {
        let hsm = self.held(record)?;
        let inspection = self
            .inspect(record.id, &hsm)
            .await
            .map_err(|error| hsm_failure(&error))?;
        let names = self.custodian_names(record.id).await?;
        let unknown: Vec<_> = inspection
            .custodians
            .iter()
            .filter(|custodian| !names.contains_key(&custodian.chr))
            .map(|custodian| custodian.chr.clone())
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let what = format!(
            "HSM {} can be opened with keys that no manager approved: {}",
            record.name,
            unknown.join(", ")
        );
        Err(Failure::blocked(
            format!("no key is put into HSM {}", record.name),
            vec![Condition::new(
                "custodian-unknown",
                what,
                "initialise another HSM with known custodians",
                Vec::new(),
            )],
        ))
    }

    /// Whether managers approved this registration.
    pub(crate) async fn custodian_holds(
        &self,
        people: &People,
        row: &CustodianRecord,
    ) -> Result<bool, Failure> {
        let Some(request) = self
            .store
            .request(row.request)
            .await
            .map_err(|error| store_failure(&error))?
        else {
            return Ok(false);
        };
        let Ok(Subject::Custodian(custodian)) = crate::request::subject_of(&request) else {
            return Ok(false);
        };
        let names_row = custodian.person == row.person
            && custodian.chr == row.chr
            && custodian.key == Hash32::of(&row.public_key)
            && custodian.hsms.iter().any(|hsm| hsm.id == row.hsm);
        let subject = Subject::Custodian(custodian);
        if !names_row || canonical_json(&subject).ok().as_deref() != Some(&request.document) {
            return Ok(false);
        }
        let approvals = self
            .store
            .decisions(row.request)
            .await
            .map_err(|error| store_failure(&error))?;
        let managers = people.approving_managers(&self.installation, &request, &subject, &approvals);
        let needed = people.managers_needed_at(&crate::trust::newest_approval(&approvals));
        Ok(managers.len() >= needed)
    }
}

/// A key has one purpose: it opens HSMs or it signs acts.
fn refuse_act_key(people: &People, key: Hash32, what: &str) -> Result<(), Failure> {
    if people
        .all()
        .iter()
        .any(|person| Hash32::of(&person.public_key) == key)
    {
        return Err(Failure::new(
            FailureKind::Refused,
            format!("{what} signs acts already; a custodian key is used for nothing else"),
        ));
    }
    Ok(())
}

/// HSMs accept custodian signatures of 64 bytes only: keys on 256-bit curves.
fn check_custodian_key(spki: &[u8], what: &str) -> Result<(), Failure> {
    let key = openssl::pkey::PKey::public_key_from_der(spki)
        .ok()
        .and_then(|key| key.ec_key().ok())
        .ok_or_else(|| Failure::new(FailureKind::Invalid, format!("{what} is no elliptic curve key")))?;
    let bits = key.group().order_bits();
    if bits == 256 {
        Ok(())
    } else {
        Err(
            Failure::new(FailureKind::Invalid, format!("{what} is on a {bits}-bit curve"))
                .with_remedy("HSMs accept custodian keys on 256-bit curves only: use brainpoolP256r1"),
        )
    }
}
