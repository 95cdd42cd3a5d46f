//! `ca create`, `ca list`, `ca show`, and the birth of a CA's key inside an HSM.

use chancery_api::{
    Base64, CaCreate, CaDetail, CaDocument, CaId, CaView, Failure, FailureKind, Hash32, RequestView, Subject,
};
use chancery_keys::KeyAlgorithm;
use chancery_pki::{DistinguishedName, Kind};
use chancery_store::{CaRecord, Change, RequestRecord, RequestState, Write};
use serde_json::json;

use super::{
    birth::{Birth, Wanted},
    hsm_attach::document,
    person::check_name,
    signer::Owner,
};
use crate::{
    Center,
    committer::store_failure,
    env::rfc3339_seconds,
    event::{Actor, event},
    request::{Opening, altered, subject_of, view},
    text::chain,
};

impl Center {
    /// Opens a request for a new CA.
    ///
    /// # Errors
    /// When name, subject, algorithm or profile cannot be.
    pub async fn ca_create(&self, call: CaCreate, uid: u32) -> Result<RequestView, Failure> {
        check_name(&call.name)?;
        self.refuse_signing_key_name(&call.name).await?;
        if let Some(known) = self
            .store
            .ca_by_name(&call.name)
            .await
            .map_err(|error| store_failure(&error))?
        {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("there is a CA named {} already", call.name),
            )
            .with_remedy(format!("chancery request why {}", known.request)));
        }
        let subject: DistinguishedName = call
            .subject
            .parse()
            .map_err(|error| Failure::new(FailureKind::Invalid, format!("the subject: {}", chain(&error))))?;
        let algorithm: KeyAlgorithm = call
            .algorithm
            .parse()
            .map_err(|error| Failure::new(FailureKind::Invalid, format!("the key algorithm: {error}")))?;
        let profile = self.profile(&call.profile)?;
        if profile.kind() != Kind::Root {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!("profile {} makes no root CAs", profile.name()),
            ));
        }
        let hsm = self.hsm_record(&call.hsm).await?;
        let document = CaDocument {
            name: call.name,
            subject: subject.to_string(),
            algorithm: algorithm.to_string(),
            profile: profile.name().to_owned(),
            profile_hash: Hash32(profile.hash()),
            hsm: document(&hsm),
        };
        let title = format!("CA {}: {}", document.name, document.subject);
        let opening = |_| Opening {
            subject: Subject::Ca(document),
            evidence: Vec::new(),
            title,
            writes: Vec::new(),
        };
        Ok(view(&self.open_request(uid, opening).await?))
    }

    /// The rows that an approval of a CA makes: the CA with the key id its key will have.
    pub(crate) async fn ca_writes(
        &self,
        record: &RequestRecord,
        ca: &CaDocument,
    ) -> Result<Vec<Write>, Failure> {
        self.refuse_signing_key_name(&ca.name).await?;
        let key_id = self.free_key_id().await?;
        Ok(vec![Write::InsertCa(CaRecord {
            id: CaId::new(self.uuid()),
            name: ca.name.clone(),
            request: record.number,
            key_id,
            signer: None,
            certificate: None,
            created_ms: self.clock.now_ms(),
        })])
    }

    /// A key id that no CA and no signing key has, and under which no HSM holds anything.
    pub(crate) async fn free_key_id(&self) -> Result<i64, Failure> {
        let failed = |error| store_failure(&error);
        let cas = self.store.cas().await.map_err(failed)?;
        let signing = self.store.signing_keys().await.map_err(failed)?;
        let taken = cas.iter().map(|ca| ca.key_id);
        let taken = taken.chain(signing.iter().map(|key| key.key_id));
        let mut key_id = taken.max().unwrap_or(0) + 1;
        // What stands under an id already was not generated for this one.
        let present: Vec<u8> = self
            .lock(&self.seen)
            .values()
            .flat_map(|inspection| inspection.keys.iter().copied())
            .collect();
        while present.iter().any(|id| i64::from(*id) == key_id) {
            key_id += 1;
        }
        if key_id > 255 {
            return Err(Failure::new(
                FailureKind::Invalid,
                "no key id is left for another key",
            ));
        }
        Ok(key_id)
    }

    /// Has the CA's key generated inside the HSM that was approved, unless it is there already: a key that an interrupted attempt
    /// left under the reserved id, with the device's statement that it was born there, is taken.
    pub(crate) async fn ensure_ca_key(&self, request: &RequestRecord) -> Result<CaRecord, Failure> {
        let _one_at_a_time = self.procedures.lock().await;
        let Subject::Ca(document) = subject_of(request)? else {
            return Err(altered(request.number, "it asks for no CA"));
        };
        let record = self.ca_record(&document.name).await?;
        if record.request != request.number {
            return Err(altered(
                request.number,
                "the CA of that name belongs to another request",
            ));
        }
        if record.signer.is_some() {
            return Ok(record);
        }
        let hsm = self.approved_hsm(request, &document.hsm).await?;
        self.refuse_open_for_leases(&hsm)?;
        let wanted = Wanted {
            request,
            key_id: record.key_id,
            algorithm: &document.algorithm,
            chr: None,
            label: &document.name,
        };
        let born = self.generate(&hsm, wanted).await?;
        let Birth {
            signer,
            mut writes,
            mut data,
        } = self
            .birth(&hsm, born, record.key_id, &document.algorithm, request)
            .await?;
        data["ca"] = json!(document.name);
        writes.push(Write::SetCaSigner {
            ca: record.id,
            signer,
        });
        let events = vec![event(
            self.clock.now_ms(),
            "signer-generated",
            &Actor::Node,
            &data,
        )?];
        self.commit(Change { writes, events }).await?;
        Ok(CaRecord {
            signer: Some(signer),
            ..record
        })
    }

    /// Generates the key at once when the HSM happens to be open; otherwise it waits for the decision to sign.
    pub(crate) async fn try_ca_key(&self, request: &RequestRecord, ca: &CaDocument) -> Result<(), Failure> {
        let record = self.hsm_record(&ca.hsm.name).await?;
        let open = self.desk.is_open_for_all(record.id);
        if open {
            self.ensure_ca_key(request).await?;
        }
        Ok(())
    }

    /// All CAs, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ca_list(&self) -> Result<Vec<CaView>, Failure> {
        let mut views = Vec::new();
        for record in self.store.cas().await.map_err(|error| store_failure(&error))? {
            views.push(self.ca_view(&record).await?);
        }
        Ok(views)
    }

    /// One CA with its certificate.
    ///
    /// # Errors
    /// [`FailureKind::NotFound`] for an unknown name.
    pub async fn ca_show(&self, name: &str) -> Result<CaDetail, Failure> {
        let failed = |error| store_failure(&error);
        let record = self.ca_record(name).await?;
        let certificate = match record.certificate {
            Some(id) => self
                .store
                .certificate(id)
                .await
                .map_err(failed)?
                .and_then(|certificate| certificate.der),
            None => None,
        };
        Ok(CaDetail {
            ca: self.ca_view(&record).await?,
            certificate: certificate.map(Base64),
            signer: match record.signer {
                Some(signer) => Some(self.signer_view(&Owner::Ca(record.clone()), signer).await?),
                None => None,
            },
            crl_number: self
                .store
                .issued_crl(record.id)
                .await
                .map_err(failed)?
                .map(|crl| crl.number),
        })
    }

    async fn ca_view(&self, record: &CaRecord) -> Result<CaView, Failure> {
        let failed = |error| store_failure(&error);
        let request = self.request_record(record.request).await?;
        let Subject::Ca(document) = subject_of(&request)? else {
            return Err(altered(request.number, "it asks for no CA"));
        };
        let certificate = match record.certificate {
            Some(id) => self.store.certificate(id).await.map_err(failed)?,
            None => None,
        };
        let mut hsms = Vec::new();
        if let Some(key) = self.ca_key(record).await? {
            for hsm in self.hsm_records().await? {
                if key.on.contains(&hsm.id) {
                    hsms.push(hsm.name);
                }
            }
        }
        let state = match (record.signer, certificate.is_some(), request.state) {
            (_, true, _) => "active",
            (_, _, RequestState::Rejected) => "rejected",
            (_, _, RequestState::Signing) => "signing",
            (Some(_), ..) => "key-generated",
            (None, ..) => "requested",
        };
        Ok(CaView {
            name: record.name.clone(),
            state: state.to_owned(),
            subject: document.subject,
            algorithm: document.algorithm,
            not_after: certificate.map(|certificate| rfc3339_seconds(certificate.not_after_seconds)),
            hsms,
        })
    }
}
