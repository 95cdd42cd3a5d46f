//! The trait, method by method.

use async_trait::async_trait;
use chancery_api::{ActId, CaId, CertificateId, HsmId, LeaseId, PersonId, RequestNumber, SignerId};
use chancery_store::{
    ActRecord, AuditHead, AuditLeaf, CaRecord, CertificateRecord, Change, ClientRecord, Conflict,
    ConnectorRecord, CrlRecord, CustodianRecord, DecidedRequest, DecisionRecord, HsmRecord,
    LeaseAnswerRecord, LeaseCallRecord, LeaseRecord, LeaseSignatureRecord, LeaseWideningRecord,
    ManifestRecord, PersonRecord, ReplicaRecord, RequestRecord, RequestState, RevokedEntry, SignerRecord,
    SigningKeyRecord, Store, StoreError,
};

use super::{
    acts, audit, cas, certificates, commit, crls, decided, hsms, lease_digests, lease_widenings, leases,
    network, people, requests, signers, signing_keys,
};
use crate::database::{DatabaseStore, everybody_and};

#[async_trait]
impl Store for DatabaseStore {
    async fn commit(&self, group: Vec<Change>) -> Result<Vec<Result<(), Conflict>>, StoreError> {
        commit::commit(self, &group).await
    }

    async fn begin_epoch(&self, now_ms: i64) -> Result<i64, StoreError> {
        let mut writer = self.writer().await?;
        let epoch = audit::begin_epoch(&mut writer.connection, now_ms).await?;
        writer.keep();
        Ok(epoch)
    }

    async fn act(&self, id: ActId) -> Result<Option<ActRecord>, StoreError> {
        acts::act(self.reader(), id).await
    }

    async fn people(&self) -> Result<Vec<PersonRecord>, StoreError> {
        people::people(self.reader()).await
    }

    async fn person(&self, id: PersonId) -> Result<Option<PersonRecord>, StoreError> {
        people::person(self.reader(), id).await
    }

    async fn person_by_name(&self, name: &str) -> Result<Option<PersonRecord>, StoreError> {
        people::person_by_name(self.reader(), name).await
    }

    async fn hsms(&self) -> Result<Vec<HsmRecord>, StoreError> {
        hsms::hsms(self.reader()).await
    }

    async fn custodians(&self, hsm: HsmId) -> Result<Vec<CustodianRecord>, StoreError> {
        hsms::custodians(self.reader(), hsm).await
    }

    async fn signers(&self) -> Result<Vec<SignerRecord>, StoreError> {
        signers::signers(self.reader()).await
    }

    async fn signer(&self, id: SignerId) -> Result<Option<SignerRecord>, StoreError> {
        signers::signer(self.reader(), id).await
    }

    async fn replicas(&self, signer: SignerId) -> Result<Vec<ReplicaRecord>, StoreError> {
        signers::replicas(self.reader(), signer).await
    }

    async fn cas(&self) -> Result<Vec<CaRecord>, StoreError> {
        cas::cas(self.reader()).await
    }

    async fn ca(&self, id: CaId) -> Result<Option<CaRecord>, StoreError> {
        cas::ca(self.reader(), id).await
    }

    async fn ca_by_name(&self, name: &str) -> Result<Option<CaRecord>, StoreError> {
        cas::ca_by_name(self.reader(), name).await
    }

    async fn last_request(&self) -> Result<RequestNumber, StoreError> {
        requests::last(self.reader()).await
    }

    async fn request(&self, number: RequestNumber) -> Result<Option<RequestRecord>, StoreError> {
        requests::request(self.reader(), number).await
    }

    async fn requests(
        &self,
        state: Option<RequestState>,
        before: Option<RequestNumber>,
        limit: u32,
    ) -> Result<Vec<RequestRecord>, StoreError> {
        requests::requests(self.reader(), state, before, page(limit)).await
    }

    async fn decisions(&self, request: RequestNumber) -> Result<Vec<DecisionRecord>, StoreError> {
        requests::decisions(self.reader(), request).await
    }

    async fn decided(&self, numbers: &[RequestNumber]) -> Result<Vec<DecidedRequest>, StoreError> {
        decided::decided(self.reader(), numbers).await
    }

    async fn everybody_and(
        &self,
        numbers: &[RequestNumber],
    ) -> Result<(Vec<PersonRecord>, Vec<DecidedRequest>), StoreError> {
        let mut questions = self.questions().await?;
        let found = everybody_and(&mut questions.connection, numbers).await?;
        questions.keep();
        Ok(found)
    }

    async fn certificate(&self, id: CertificateId) -> Result<Option<CertificateRecord>, StoreError> {
        certificates::certificate(self.reader(), id).await
    }

    async fn certificates_by_serial(&self, serial: &[u8]) -> Result<Vec<CertificateRecord>, StoreError> {
        certificates::by_serial(self.reader(), serial).await
    }

    async fn certificates(
        &self,
        ca: Option<CaId>,
        before: Option<CertificateId>,
        limit: u32,
    ) -> Result<Vec<CertificateRecord>, StoreError> {
        certificates::page(self.reader(), ca, before, page(limit)).await
    }

    async fn certificates_signing(&self) -> Result<Vec<CertificateRecord>, StoreError> {
        certificates::signing(self.reader()).await
    }

    async fn revoked(&self, ca: CaId) -> Result<Vec<RevokedEntry>, StoreError> {
        certificates::revoked(self.reader(), ca).await
    }

    async fn last_crl(&self, ca: CaId) -> Result<Option<CrlRecord>, StoreError> {
        crls::last(self.reader(), ca).await
    }

    async fn issued_crl(&self, ca: CaId) -> Result<Option<CrlRecord>, StoreError> {
        crls::issued(self.reader(), ca).await
    }

    async fn signing_keys(&self) -> Result<Vec<SigningKeyRecord>, StoreError> {
        signing_keys::signing_keys(self.reader()).await
    }

    async fn open_leases(&self) -> Result<Vec<LeaseRecord>, StoreError> {
        leases::open(self.reader()).await
    }

    async fn leases(&self, limit: u32) -> Result<Vec<LeaseRecord>, StoreError> {
        leases::leases(self.reader(), page(limit)).await
    }

    async fn lease(&self, id: LeaseId) -> Result<Option<LeaseRecord>, StoreError> {
        leases::lease(self.reader(), id).await
    }

    async fn lease_manifest(&self, id: LeaseId) -> Result<Option<ManifestRecord>, StoreError> {
        leases::manifest(self.reader(), id).await
    }

    async fn lease_answers(&self, id: LeaseId) -> Result<Vec<LeaseAnswerRecord>, StoreError> {
        leases::answers(self.reader(), id).await
    }

    async fn lease_widenings(&self, id: LeaseId) -> Result<Vec<LeaseWideningRecord>, StoreError> {
        lease_widenings::widenings(self.reader(), id).await
    }

    async fn lease_digests(&self, id: LeaseId) -> Result<Vec<String>, StoreError> {
        lease_digests::digests(self.reader(), id).await
    }

    async fn lease_signatures(&self, id: LeaseId) -> Result<Vec<LeaseSignatureRecord>, StoreError> {
        lease_digests::signatures(self.reader(), id).await
    }

    async fn lease_signature(
        &self,
        id: LeaseId,
        digest: &str,
    ) -> Result<Option<LeaseSignatureRecord>, StoreError> {
        lease_digests::signature(self.reader(), id, digest).await
    }

    async fn lease_call(&self, requester: &str, key: &str) -> Result<Option<LeaseCallRecord>, StoreError> {
        lease_digests::call(self.reader(), requester, key).await
    }

    async fn connectors(&self) -> Result<Vec<ConnectorRecord>, StoreError> {
        network::connectors(self.reader()).await
    }

    async fn clients(&self) -> Result<Vec<ClientRecord>, StoreError> {
        network::clients(self.reader()).await
    }

    async fn client_by_key(&self, key_hash: &[u8]) -> Result<Option<ClientRecord>, StoreError> {
        network::client_by_key(self.reader(), key_hash).await
    }

    async fn audit_head(&self) -> Result<AuditHead, StoreError> {
        audit::head(self.reader()).await
    }

    async fn audit_leaves(&self, from: i64, limit: u32) -> Result<Vec<AuditLeaf>, StoreError> {
        audit::leaves(self.reader(), from, page(limit)).await
    }

    async fn checkpoint(&self) -> Result<Option<(i64, String)>, StoreError> {
        audit::checkpoint(self.reader()).await
    }

    async fn checkpoints(&self, after: i64, limit: u32) -> Result<Vec<(i64, String)>, StoreError> {
        audit::checkpoints(self.reader(), after, page(limit)).await
    }
}

/// The trait's limit on pages.
fn page(limit: u32) -> i64 {
    i64::from(limit.min(1000))
}
