//! `signer create`, `signing.keys`, `signing.certificate`: keys that are for signing, for life.
//!
//! That a key is for signing stands in its own statement of origin, which the HSM signed when it generated the key: the holder
//! reference begins with [`COUNTRY`] and [`WORD`] and goes on with a hash of installation and name. So no edit of the database makes a
//! signing key of a CA's, or the other way round.

use chancery_api::{
    Base64, Failure, FailureKind, Hash32, ReplicaStateView, RequestView, SignerCreate, SignerDocument,
    SignerId, SigningCertificate, SigningKeyView, Subject,
};
use chancery_cvc::AuthenticatedRequest;
use chancery_keys::{KeyAlgorithm, State};
use chancery_store::{Change, RequestRecord, RequestState, SigningKeyRecord, Write};
use serde_json::json;

use super::{
    birth::{Birth, Wanted},
    hsm_attach::document,
    person::check_name,
};
use crate::{
    Center, acts,
    attest::attested,
    authority::CaKey,
    committer::store_failure,
    event::{Actor, event},
    request::{Opening, altered, subject_of, view},
};

/// Country of the holder reference of signing keys: one that ISO 3166 leaves to users.
const COUNTRY: &str = "ZZ";
/// What the holder reference of a signing key says after the country.
const WORD: &str = "SIGN";

impl Center {
    /// Opens a request for a new signing key.
    ///
    /// # Errors
    /// When name or algorithm cannot be, or the name is taken by a signer or a CA.
    pub async fn signer_create(&self, call: SignerCreate, uid: u32) -> Result<RequestView, Failure> {
        check_name(&call.name)?;
        self.refuse_signing_key_name(&call.name).await?;
        self.refuse_ca_name(&call.name).await?;
        let algorithm: KeyAlgorithm = call
            .algorithm
            .parse()
            .map_err(|error| Failure::new(FailureKind::Invalid, format!("the key algorithm: {error}")))?;
        let hsm = self.hsm_record(&call.hsm).await?;
        let document = SignerDocument {
            name: call.name,
            algorithm: algorithm.to_string(),
            hsm: document(&hsm),
        };
        let title = format!("signing key {}: {}", document.name, document.algorithm);
        let opening = |_| Opening {
            subject: Subject::Signer(document),
            evidence: Vec::new(),
            title,
            writes: Vec::new(),
        };
        Ok(view(&self.open_request(uid, opening).await?))
    }

    /// Signing keys that exist, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyView>, Failure> {
        let mut views = Vec::new();
        for record in self.signing_key_records().await? {
            if record.signer.is_some() {
                views.push(self.signing_key_view(&record).await?);
            }
        }
        Ok(views)
    }

    /// Stores an X.509 certificate with a signing key.
    ///
    /// # Errors
    /// [`FailureKind::Invalid`] when it is no certificate, or one for another key.
    pub async fn signing_certificate(
        &self,
        call: SigningCertificate,
        uid: u32,
    ) -> Result<SigningKeyView, Failure> {
        let (mut record, key) = self.signing_key(&call.signer).await?;
        let der = certificate_for(&call.certificate.0, &key.spki)
            .map_err(|why| Failure::new(FailureKind::Invalid, format!("the certificate: {why}")))?;
        let data = json!({ "signer": record.name, "certificate": Hash32::of(&der) });
        let now = self.clock.now_ms();
        let events = vec![event(now, "signing-certificate", &Actor::Local(uid), &data)?];
        let writes = vec![Write::SetSigningKeyCertificate {
            request: record.request,
            certificate: der.clone(),
        }];
        self.commit(Change { writes, events }).await?;
        record.certificate = Some(der);
        self.signing_key_view(&record).await
    }

    /// The rows that an approval of a signing key makes: its name, and the key id it will have.
    pub(crate) async fn signing_key_writes(
        &self,
        record: &RequestRecord,
        signer: &SignerDocument,
    ) -> Result<Vec<Write>, Failure> {
        self.refuse_signing_key_name(&signer.name).await?;
        self.refuse_ca_name(&signer.name).await?;
        Ok(vec![Write::InsertSigningKey(SigningKeyRecord {
            request: record.number,
            name: signer.name.clone(),
            key_id: self.free_key_id().await?,
            signer: None,
            certificate: None,
            created_ms: self.clock.now_ms(),
        })])
    }

    /// Has a signing key generated inside the HSM that was approved, unless it is there already.
    pub(crate) async fn ensure_signing_key(&self, request: &RequestRecord) -> Result<(), Failure> {
        let _one_at_a_time = self.procedures.lock().await;
        let Subject::Signer(document) = subject_of(request)? else {
            return Err(altered(request.number, "it asks for no signing key"));
        };
        let record = self.signing_key_record(&document.name).await?;
        if record.request != request.number {
            return Err(altered(
                request.number,
                "the signing key of that name belongs to another request",
            ));
        }
        if record.signer.is_some() {
            return Ok(());
        }
        let hsm_record = self.approved_hsm(request, &document.hsm).await?;
        let unmet = self.quorum_conditions(&[hsm_record.id]).await?;
        if !unmet.is_empty() {
            return Err(Failure::blocked("the key cannot be generated now", unmet));
        }
        let chr = self.signing_chr(&document.name, record.key_id);
        let wanted = Wanted {
            request,
            key_id: record.key_id,
            algorithm: &document.algorithm,
            chr: Some(chr.clone()),
            label: &document.name,
        };
        let generated = self.generate(&hsm_record, wanted).await?;
        let what = format!("the key of signer {}", document.name);
        let (chain, key) = (&generated.hsm.identity().chain, &generated.key);
        let born = attested(&self.anchors, chain, &key.request, &what)?;
        if born.chr != chr || born.spki != key.public_key_spki {
            return Err(Failure::new(
                FailureKind::Refused,
                format!(
                    "key {} of HSM {} was generated for something else",
                    record.key_id, hsm_record.name
                ),
            ));
        }
        let Birth {
            signer,
            mut writes,
            mut data,
        } = self
            .birth(
                &hsm_record,
                generated,
                record.key_id,
                &document.algorithm,
                request,
            )
            .await?;
        data["name"] = json!(document.name);
        data["purpose"] = json!("signing");
        writes.extend([
            Write::SetSigningKeySigner {
                request: request.number,
                signer,
            },
            Write::MoveRequest {
                request: request.number,
                from: RequestState::Approved,
                to: RequestState::Done,
            },
        ]);
        let events = vec![event(
            self.clock.now_ms(),
            "signer-generated",
            &Actor::Node,
            &data,
        )?];
        self.commit(Change { writes, events }).await
    }

    pub(crate) async fn signing_key_records(&self) -> Result<Vec<SigningKeyRecord>, Failure> {
        let keys = self.store.signing_keys().await;
        keys.map_err(|error| store_failure(&error))
    }

    pub(crate) async fn signing_key_record(&self, name: &str) -> Result<SigningKeyRecord, Failure> {
        let known = self.signing_key_records().await?;
        if let Some(record) = known.into_iter().find(|record| record.name == name) {
            return Ok(record);
        }
        let ca = self.store.ca_by_name(name).await;
        if ca.map_err(|error| store_failure(&error))?.is_some() {
            return Err(Failure::new(
                FailureKind::Refused,
                format!("{name} is a CA: its key issues certificates and signs nothing else"),
            )
            .with_remedy("chancery signer create makes a key for signing"));
        }
        Err(Failure::new(
            FailureKind::NotFound,
            format!("there is no signing key named {name}"),
        )
        .with_remedy("chancery signer list; chancery signer create --help"))
    }

    /// A signing key by name, checked: managers approved it, an HSM vouches that it was born under this name for signing, and it is no
    /// CA's.
    pub(crate) async fn signing_key(&self, name: &str) -> Result<(SigningKeyRecord, CaKey), Failure> {
        let failed = |error| store_failure(&error);
        let record = self.signing_key_record(name).await?;
        let Some(id) = record.signer else {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("signing key {name} is not generated yet"),
            )
            .with_remedy(format!("chancery request why {}", record.request)));
        };
        let damaged = |why: &str| {
            Failure::new(
                FailureKind::Refused,
                format!("signing key {name} does not hold: {why}"),
            )
            .with_remedy("somebody changed the database; run `chancery audit verify`")
        };
        let request = self.request_record(record.request).await?;
        let subject = subject_of(&request)?;
        let Subject::Signer(document) = &subject else {
            return Err(damaged("its request asks for something else"));
        };
        if document.name != record.name {
            return Err(damaged("its request asks for a key of another name"));
        }
        let people = self.people().await?;
        self.require_approval(&people, &request, &subject).await?;
        if self
            .store
            .cas()
            .await
            .map_err(failed)?
            .iter()
            .any(|ca| ca.signer == Some(id))
        {
            return Err(damaged("it is the key of a CA"));
        }
        let signer = self
            .store
            .signer(id)
            .await
            .map_err(failed)?
            .ok_or_else(|| damaged("its signer is gone"))?;
        let born = attested(
            &self.anchors,
            &signer.chain,
            &signer.attestation,
            &format!("signing key {name}"),
        )?;
        if born.spki != signer.public_key
            || born.device != document.hsm.device
            || born.chr != self.signing_chr(name, record.key_id)
            || signer.key_id != record.key_id
            || signer.algorithm != document.algorithm
        {
            return Err(damaged("the HSM vouches for another key"));
        }
        let key = self.key_of(id, &format!("signing key {name}")).await?;
        Ok((record, key))
    }

    /// Whether an HSM vouches that the key of this signer was generated for signing.
    pub(crate) async fn is_born_for_signing(&self, signer: SignerId) -> Result<bool, Failure> {
        let signing = self.signing_key_records().await?;
        if signing.iter().any(|record| record.signer == Some(signer)) {
            return Ok(true);
        }
        let record = self
            .store
            .signer(signer)
            .await
            .map_err(|error| store_failure(&error))?;
        let request = record.and_then(|record| AuthenticatedRequest::parse(&record.attestation).ok());
        Ok(request.is_some_and(|request| is_for_signing(request.request().chr().as_str())))
    }

    /// A name is one signing key's.
    pub(crate) async fn refuse_signing_key_name(&self, name: &str) -> Result<(), Failure> {
        let known = self.signing_key_records().await?;
        match known.into_iter().find(|record| record.name == name) {
            Some(known) => Err(taken("signing key", name, known.request)),
            None => Ok(()),
        }
    }

    async fn refuse_ca_name(&self, name: &str) -> Result<(), Failure> {
        let known = self.store.ca_by_name(name).await;
        match known.map_err(|error| store_failure(&error))? {
            Some(known) => Err(taken("CA", name, known.request)),
            None => Ok(()),
        }
    }

    async fn signing_key_view(&self, record: &SigningKeyRecord) -> Result<SigningKeyView, Failure> {
        let failed = |error| store_failure(&error);
        let gone = || {
            Failure::new(
                FailureKind::Refused,
                format!("signing key {} is gone", record.name),
            )
        };
        let id = record.signer.ok_or_else(gone)?;
        let signer = self.store.signer(id).await.map_err(failed)?.ok_or_else(gone)?;
        let key = self.key_of(id, &format!("signing key {}", record.name)).await?;
        let mut replicas = Vec::new();
        for hsm in self.hsm_records().await? {
            if key.on.contains(&hsm.id) {
                replicas.push(ReplicaStateView {
                    state: self.brief_state(hsm.id),
                    hsm: hsm.name,
                });
            }
        }
        Ok(SigningKeyView {
            name: record.name.clone(),
            algorithm: signer.algorithm,
            public_key: Base64(signer.public_key),
            key_id: key.key_id,
            key_domain: hex::encode_upper(&signer.kcv),
            certificate: record.certificate.clone().map(Base64),
            replicas,
        })
    }

    /// State of an HSM in a few words, without asking it.
    pub(crate) fn brief_state(&self, hsm: chancery_api::HsmId) -> String {
        match self.pool.get(hsm).map(|hsm| hsm.state()) {
            None => "not attached".to_owned(),
            Some(State::Quorum { have, need }) => format!("quorum {have} of {need}"),
            // No key of it is used any more.
            Some(State::Unlocked { .. }) if self.desk.is_unneeded(hsm) => "being locked".to_owned(),
            Some(state) => state.to_string(),
        }
    }

    /// Holder reference of a signing key.
    fn signing_chr(&self, name: &str, key_id: i64) -> String {
        // The digits of base 32: five of them are 25 bits, enough to tell keys of one trust center apart.
        const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let hash = acts::digest(&[b"signing key", self.installation.id.as_bytes(), name.as_bytes()]);
        let digits = hash.0.iter().take(5).map(|byte| {
            let digit = DIGITS.get(usize::from(byte & 0x1F)).copied();
            char::from(digit.unwrap_or(b'A'))
        });
        let digits: String = digits.collect();
        format!("{COUNTRY}{WORD}{digits}{key_id:05}")
    }
}

fn is_for_signing(chr: &str) -> bool {
    chr.strip_prefix(COUNTRY)
        .is_some_and(|rest| rest.starts_with(WORD))
}

fn taken(what: &str, name: &str, request: chancery_api::RequestNumber) -> Failure {
    Failure::new(
        FailureKind::Conflict,
        format!("there is a {what} named {name} already"),
    )
    .with_remedy(format!("chancery request why {request}"))
}

/// The certificate, DER, if it is for this key.
fn certificate_for(bytes: &[u8], spki: &[u8]) -> Result<Vec<u8>, String> {
    let certificate = openssl::x509::X509::from_der(bytes)
        .or_else(|_| openssl::x509::X509::from_pem(bytes))
        .map_err(|_| "it can be read neither as DER nor as PEM".to_owned())?;
    let failed = |_| "it cannot be read".to_owned();
    let ours = openssl::pkey::PKey::public_key_from_der(spki).map_err(failed)?;
    if !certificate.public_key().map_err(failed)?.public_eq(&ours) {
        return Err("it is for another key".to_owned());
    }
    certificate.to_der().map_err(failed)
}
