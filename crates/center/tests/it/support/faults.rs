//! A store that fails when it is told to: everything else goes to the real one.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use chancery_api::{ActId, CaId, CertificateId, HsmId, LeaseId, PersonId, RequestNumber, SignerId};
use chancery_store::{
    ActRecord, AuditHead, AuditLeaf, CaRecord, CertificateRecord, Change, ClientRecord, Conflict,
    ConnectorRecord, CrlRecord, CustodianRecord, DecidedRequest, DecisionRecord, HsmRecord,
    LeaseAnswerRecord, LeaseCallRecord, LeaseRecord, LeaseSignatureRecord, LeaseWideningRecord,
    ManifestRecord, PersonRecord, ReplicaRecord, RequestRecord, RequestState, RevokedEntry, SignerRecord,
    SigningKeyRecord, Store, StoreError, Write,
};
use chancery_store_sqlite::SqliteStore;

use super::TestClock;

/// How a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing of it is durable.
    Before,
    /// All of it is durable, and nobody is told.
    After,
    /// As `Before`, because no space is left.
    Full,
}

/// What is to fail, and what was committed.
#[derive(Default)]
pub struct Faults {
    /// Commits asked for, those of nothing but a signed head of the audit log left out.
    commits: AtomicU64,
    plan: Mutex<Option<(u64, Fault)>>,
    /// A clock, and milliseconds that it goes on by during a commit.
    slow: Mutex<Option<(Arc<TestClock>, u64)>>,
}

impl Faults {
    /// Commits asked for so far, those of nothing but a signed head of the audit log left out.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Has the commit `number` from now (the next one is 1) fail, and every one after it, until `heal`.
    pub fn fail(&self, number: u64, fault: Fault) {
        *self.plan.lock().expect("not poisoned") = Some((self.commits() + number, fault));
    }

    /// Has each commit take so long by a clock.
    pub fn take_time(&self, clock: &Arc<TestClock>, ms: u64) {
        *self.slow.lock().expect("not poisoned") = Some((Arc::clone(clock), ms));
    }

    /// No commit fails any more. Whether one did.
    pub fn heal(&self) -> bool {
        let plan = self.plan.lock().expect("not poisoned").take();
        plan.is_some_and(|(number, _)| number <= self.commits())
    }

    fn next(&self, group: &[Change]) -> Option<Fault> {
        let heads_only = group
            .iter()
            .flat_map(|change| &change.writes)
            .all(|write| matches!(write, Write::InsertCheckpoint { .. }))
            && group.iter().all(|change| change.events.is_empty());
        let number = match heads_only {
            true => self.commits(),
            false => self.commits.fetch_add(1, Ordering::Relaxed) + 1,
        };
        if let Some((clock, ms)) = &*self.slow.lock().expect("not poisoned") {
            clock.1.fetch_add(*ms, Ordering::Relaxed);
        }
        let plan = *self.plan.lock().expect("not poisoned");
        plan.filter(|(first, _)| number >= *first).map(|(_, fault)| fault)
    }
}

/// The real store, and what goes wrong with it.
pub struct FaultyStore {
    pub inner: Arc<SqliteStore>,
    pub faults: Arc<Faults>,
}

fn injected() -> StoreError {
    StoreError::Database {
        doing: "committing",
        source: "injected".into(),
    }
}

macro_rules! delegate {
    ($(async fn $name:ident(&self $(, $argument:ident: $kind:ty)*) -> $result:ty;)*) => {
        #[async_trait]
        impl Store for FaultyStore {
            async fn commit(&self, group: Vec<Change>) -> Result<Vec<Result<(), Conflict>>, StoreError> {
                match self.faults.next(&group) {
                    None => self.inner.commit(group).await,
                    Some(Fault::Before) => Err(injected()),
                    Some(Fault::Full) => Err(StoreError::Full { doing: "committing" }),
                    Some(Fault::After) => {
                        self.inner.commit(group).await?;
                        Err(injected())
                    }
                }
            }

            $(async fn $name(&self $(, $argument: $kind)*) -> Result<$result, StoreError> {
                self.inner.$name($($argument),*).await
            })*
        }
    };
}

delegate! {
    async fn begin_epoch(&self, now_ms: i64) -> i64;
    async fn act(&self, id: ActId) -> Option<ActRecord>;
    async fn people(&self) -> Vec<PersonRecord>;
    async fn person(&self, id: PersonId) -> Option<PersonRecord>;
    async fn person_by_name(&self, name: &str) -> Option<PersonRecord>;
    async fn hsms(&self) -> Vec<HsmRecord>;
    async fn custodians(&self, hsm: HsmId) -> Vec<CustodianRecord>;
    async fn signers(&self) -> Vec<SignerRecord>;
    async fn signer(&self, id: SignerId) -> Option<SignerRecord>;
    async fn replicas(&self, signer: SignerId) -> Vec<ReplicaRecord>;
    async fn cas(&self) -> Vec<CaRecord>;
    async fn ca(&self, id: CaId) -> Option<CaRecord>;
    async fn ca_by_name(&self, name: &str) -> Option<CaRecord>;
    async fn last_request(&self) -> RequestNumber;
    async fn request(&self, number: RequestNumber) -> Option<RequestRecord>;
    async fn requests(&self, state: Option<RequestState>, before: Option<RequestNumber>, limit: u32) -> Vec<RequestRecord>;
    async fn decided(&self, numbers: &[RequestNumber]) -> Vec<DecidedRequest>;
    async fn decisions(&self, request: RequestNumber) -> Vec<DecisionRecord>;
    async fn certificate(&self, id: CertificateId) -> Option<CertificateRecord>;
    async fn certificates_by_serial(&self, serial: &[u8]) -> Vec<CertificateRecord>;
    async fn certificates(&self, ca: Option<CaId>, before: Option<CertificateId>, limit: u32) -> Vec<CertificateRecord>;
    async fn certificates_signing(&self) -> Vec<CertificateRecord>;
    async fn revoked(&self, ca: CaId) -> Vec<RevokedEntry>;
    async fn last_crl(&self, ca: CaId) -> Option<CrlRecord>;
    async fn issued_crl(&self, ca: CaId) -> Option<CrlRecord>;
    async fn signing_keys(&self) -> Vec<SigningKeyRecord>;
    async fn open_leases(&self) -> Vec<LeaseRecord>;
    async fn leases(&self, limit: u32) -> Vec<LeaseRecord>;
    async fn lease(&self, id: LeaseId) -> Option<LeaseRecord>;
    async fn lease_manifest(&self, id: LeaseId) -> Option<ManifestRecord>;
    async fn lease_answers(&self, id: LeaseId) -> Vec<LeaseAnswerRecord>;
    async fn lease_widenings(&self, id: LeaseId) -> Vec<LeaseWideningRecord>;
    async fn lease_digests(&self, id: LeaseId) -> Vec<String>;
    async fn lease_signatures(&self, id: LeaseId) -> Vec<LeaseSignatureRecord>;
    async fn lease_signature(&self, id: LeaseId, digest: &str) -> Option<LeaseSignatureRecord>;
    async fn lease_call(&self, requester: &str, key: &str) -> Option<LeaseCallRecord>;
    async fn connectors(&self) -> Vec<ConnectorRecord>;
    async fn clients(&self) -> Vec<ClientRecord>;
    async fn client_by_key(&self, key_hash: &[u8]) -> Option<ClientRecord>;
    async fn audit_head(&self) -> AuditHead;
    async fn audit_leaves(&self, from: i64, limit: u32) -> Vec<AuditLeaf>;
    async fn checkpoint(&self) -> Option<(i64, String)>;
    async fn checkpoints(&self, after: i64, limit: u32) -> Vec<(i64, String)>;
}
