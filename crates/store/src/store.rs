//! The trait that a database implements.

use async_trait::async_trait;
use chancery_api::{ActId, CaId, CertificateId, HsmId, LeaseId, PersonId, RequestNumber, SignerId};

use crate::{
    ActRecord, AuditHead, AuditLeaf, CaRecord, CertificateRecord, Change, ClientRecord, Conflict,
    ConnectorRecord, CrlRecord, CustodianRecord, DecidedRequest, DecisionRecord, HsmRecord,
    LeaseAnswerRecord, LeaseCallRecord, LeaseRecord, LeaseSignatureRecord, LeaseWideningRecord,
    ManifestRecord, PersonRecord, ReplicaRecord, RequestRecord, RequestState, RevokedEntry, SignerRecord,
    SigningKeyRecord, StoreError,
};

/// A database of one installation. "Not found" is `Ok(None)`.
///
/// Lists that can grow come in pages by key, newest first; `limit` is at most 1000.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes a group of changes durable before it returns, one answer for each in the same order.
    ///
    /// A change that conflicts is left out wholly and does not disturb the others. Audit leaves get contiguous indices in the order of
    /// the changes, appended last.
    ///
    /// # Errors
    /// [`StoreError`] when the group as a whole failed: then nothing of it is durable.
    async fn commit(&self, group: Vec<Change>) -> Result<Vec<Result<(), Conflict>>, StoreError>;

    /// Counts a start of a node durably and returns its number, from 1.
    async fn begin_epoch(&self, now_ms: i64) -> Result<i64, StoreError>;

    /// An act.
    async fn act(&self, id: ActId) -> Result<Option<ActRecord>, StoreError>;
    /// Everybody, by name.
    async fn people(&self) -> Result<Vec<PersonRecord>, StoreError>;
    /// A person.
    async fn person(&self, id: PersonId) -> Result<Option<PersonRecord>, StoreError>;
    /// A person by name.
    async fn person_by_name(&self, name: &str) -> Result<Option<PersonRecord>, StoreError>;

    /// All HSMs, by name.
    async fn hsms(&self) -> Result<Vec<HsmRecord>, StoreError>;
    /// Custodians of an HSM.
    async fn custodians(&self, hsm: HsmId) -> Result<Vec<CustodianRecord>, StoreError>;
    /// All signers.
    async fn signers(&self) -> Result<Vec<SignerRecord>, StoreError>;
    /// A signer.
    async fn signer(&self, id: SignerId) -> Result<Option<SignerRecord>, StoreError>;
    /// What is known of a signer's presence on HSMs.
    async fn replicas(&self, signer: SignerId) -> Result<Vec<ReplicaRecord>, StoreError>;

    /// All CAs, by name.
    async fn cas(&self) -> Result<Vec<CaRecord>, StoreError>;
    /// A CA.
    async fn ca(&self, id: CaId) -> Result<Option<CaRecord>, StoreError>;
    /// A CA by name.
    async fn ca_by_name(&self, name: &str) -> Result<Option<CaRecord>, StoreError>;

    /// The highest request number, 0 when there is none.
    async fn last_request(&self) -> Result<RequestNumber, StoreError>;
    /// A request.
    async fn request(&self, number: RequestNumber) -> Result<Option<RequestRecord>, StoreError>;
    /// Requests with a number below `before`, newest first.
    async fn requests(
        &self,
        state: Option<RequestState>,
        before: Option<RequestNumber>,
        limit: u32,
    ) -> Result<Vec<RequestRecord>, StoreError>;
    /// Decisions on a request with their acts, oldest first.
    async fn decisions(&self, request: RequestNumber) -> Result<Vec<DecisionRecord>, StoreError>;
    /// Requests with the decisions on them, in any order; numbers that are unknown are left out. A database answers many in few
    /// questions; asked one by one they give the same.
    async fn decided(&self, numbers: &[RequestNumber]) -> Result<Vec<DecidedRequest>, StoreError> {
        let mut found = Vec::with_capacity(numbers.len());
        for number in numbers {
            if let Some(request) = self.request(*number).await? {
                let decisions = self.decisions(*number).await?;
                found.push(DecidedRequest { request, decisions });
            }
        }
        Ok(found)
    }

    /// Everybody as [`Store::people`] gives them, and as [`Store::decided`] these requests and those that made the people: what a
    /// decision needs. A database may answer it in one question.
    async fn everybody_and(
        &self,
        numbers: &[RequestNumber],
    ) -> Result<(Vec<PersonRecord>, Vec<DecidedRequest>), StoreError> {
        let people = self.people().await?;
        let mut wanted = numbers.to_vec();
        wanted.extend(people.iter().filter_map(|person| person.request));
        let found = self.decided(&wanted).await?;
        Ok((people, found))
    }

    /// A certificate.
    async fn certificate(&self, id: CertificateId) -> Result<Option<CertificateRecord>, StoreError>;
    /// Certificates with this serial number, of all CAs.
    async fn certificates_by_serial(&self, serial: &[u8]) -> Result<Vec<CertificateRecord>, StoreError>;
    /// Certificates, newest first; `before` is the last of the page before (creation time and id order).
    async fn certificates(
        &self,
        ca: Option<CaId>,
        before: Option<CertificateId>,
        limit: u32,
    ) -> Result<Vec<CertificateRecord>, StoreError>;
    /// Certificates whose signature was claimed and not recorded.
    async fn certificates_signing(&self) -> Result<Vec<CertificateRecord>, StoreError>;
    /// Revoked certificates of a CA, by serial.
    async fn revoked(&self, ca: CaId) -> Result<Vec<RevokedEntry>, StoreError>;
    /// The CRL of a CA with the highest number, signed or not.
    async fn last_crl(&self, ca: CaId) -> Result<Option<CrlRecord>, StoreError>;
    /// The newest signed CRL of a CA.
    async fn issued_crl(&self, ca: CaId) -> Result<Option<CrlRecord>, StoreError>;

    /// All signing keys, by name.
    async fn signing_keys(&self) -> Result<Vec<SigningKeyRecord>, StoreError>;
    /// Leases that are not over, oldest first.
    async fn open_leases(&self) -> Result<Vec<LeaseRecord>, StoreError>;
    /// Leases, newest first.
    async fn leases(&self, limit: u32) -> Result<Vec<LeaseRecord>, StoreError>;
    /// A lease.
    async fn lease(&self, id: LeaseId) -> Result<Option<LeaseRecord>, StoreError>;
    /// The digests a lease names.
    async fn lease_manifest(&self, id: LeaseId) -> Result<Option<ManifestRecord>, StoreError>;
    /// What custodians signed about a lease, in order.
    async fn lease_answers(&self, id: LeaseId) -> Result<Vec<LeaseAnswerRecord>, StoreError>;
    /// How a lease was widened, in order.
    async fn lease_widenings(&self, id: LeaseId) -> Result<Vec<LeaseWideningRecord>, StoreError>;
    /// All digests counted for a lease, as they are written, ascending.
    async fn lease_digests(&self, id: LeaseId) -> Result<Vec<String>, StoreError>;
    /// All signatures made under a lease, by digest.
    async fn lease_signatures(&self, id: LeaseId) -> Result<Vec<LeaseSignatureRecord>, StoreError>;
    /// The signature over a digest made under a lease.
    async fn lease_signature(
        &self,
        id: LeaseId,
        digest: &str,
    ) -> Result<Option<LeaseSignatureRecord>, StoreError>;
    /// A call by the caller's own key for it.
    async fn lease_call(&self, requester: &str, key: &str) -> Result<Option<LeaseCallRecord>, StoreError>;

    /// All connectors, by name.
    async fn connectors(&self) -> Result<Vec<ConnectorRecord>, StoreError>;
    /// All clients, by name.
    async fn clients(&self) -> Result<Vec<ClientRecord>, StoreError>;
    /// The client with this key, by the SHA-256 of its SubjectPublicKeyInfo.
    async fn client_by_key(&self, key_hash: &[u8]) -> Result<Option<ClientRecord>, StoreError>;

    /// Head of the audit log.
    async fn audit_head(&self) -> Result<AuditHead, StoreError>;
    /// Leaves from an index on.
    async fn audit_leaves(&self, from: i64, limit: u32) -> Result<Vec<AuditLeaf>, StoreError>;
    /// The newest signed checkpoint: its size and note.
    async fn checkpoint(&self) -> Result<Option<(i64, String)>, StoreError>;
    /// All signed checkpoints with a size above `after`, oldest first.
    async fn checkpoints(&self, after: i64, limit: u32) -> Result<Vec<(i64, String)>, StoreError>;
}
