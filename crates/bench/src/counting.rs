//! Counting what passes: commands to a token, groups to a database.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use chancery_api::{ActId, CaId, CertificateId, HsmId, LeaseId, PersonId, RequestNumber, SignerId};
use chancery_iso7816::{Transport, TransportError};
use chancery_keys::{Connect, ConnectError, Mark, Token, VirtualConnect};
use chancery_store::{
    ActRecord, AuditHead, AuditLeaf, CaRecord, CertificateRecord, Change, ClientRecord, Conflict,
    ConnectorRecord, CrlRecord, CustodianRecord, DecidedRequest, DecisionRecord, HsmRecord,
    LeaseAnswerRecord, LeaseCallRecord, LeaseRecord, LeaseSignatureRecord, LeaseWideningRecord,
    ManifestRecord, PersonRecord, ReplicaRecord, RequestRecord, RequestState, RevokedEntry, SignerRecord,
    SigningKeyRecord, Store, StoreError,
};
use chancery_vtoken::AtRest;
use zeroize::Zeroizing;

/// A way to a token that counts commands.
#[derive(Clone)]
pub(crate) struct Counted {
    connect: Arc<VirtualConnect>,
    apdus: Arc<AtomicU64>,
}

impl Counted {
    pub(crate) fn token(directory: &Path, at_rest: &AtRest) -> Self {
        let connect = Arc::new(VirtualConnect::new(directory, at_rest.clone()));
        Self {
            connect,
            apdus: Arc::default(),
        }
    }

    /// As [`Counted::token`], adding to a count that others add to as well.
    pub(crate) fn adding_to(mut self, apdus: &Arc<AtomicU64>) -> Self {
        self.apdus = Arc::clone(apdus);
        self
    }

    /// Commands so far.
    pub(crate) fn apdus(&self) -> u64 {
        self.apdus.load(Ordering::Relaxed)
    }
}

impl Connect for Counted {
    fn connect(&self) -> Result<Box<dyn Token>, ConnectError> {
        Ok(Box::new(CountedToken {
            inner: self.connect.connect()?,
            apdus: Arc::clone(&self.apdus),
        }))
    }
}

struct CountedToken {
    inner: Box<dyn Token>,
    apdus: Arc<AtomicU64>,
}

impl Transport for CountedToken {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.apdus.fetch_add(1, Ordering::Relaxed);
        self.inner.transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.inner.reset()
    }
}

impl Token for CountedToken {
    fn mark(&self) -> Option<Mark> {
        self.inner.mark()
    }
}

/// A database that counts groups made durable.
pub(crate) struct CountedStore<S> {
    inner: S,
    groups: AtomicU64,
}

impl<S> CountedStore<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            groups: AtomicU64::new(0),
        }
    }

    /// Groups so far.
    pub(crate) fn groups(&self) -> u64 {
        self.groups.load(Ordering::Relaxed)
    }
}

/// Passes reading methods on.
macro_rules! pass {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        #[async_trait]
        impl<S: Store> Store for CountedStore<S> {
            async fn commit(&self, group: Vec<Change>) -> Result<Vec<Result<(), Conflict>>, StoreError> {
                self.groups.fetch_add(1, Ordering::Relaxed);
                self.inner.commit(group).await
            }

            $(async fn $name(&self, $($argument: $type),*) -> Result<$result, StoreError> {
                self.inner.$name($($argument),*).await
            })*
        }
    };
}

pass! {
    begin_epoch(now_ms: i64) -> i64;
    act(id: ActId) -> Option<ActRecord>;
    people() -> Vec<PersonRecord>;
    everybody_and(numbers: &[RequestNumber]) -> (Vec<PersonRecord>, Vec<DecidedRequest>);
    person(id: PersonId) -> Option<PersonRecord>;
    person_by_name(name: &str) -> Option<PersonRecord>;
    hsms() -> Vec<HsmRecord>;
    custodians(hsm: HsmId) -> Vec<CustodianRecord>;
    signers() -> Vec<SignerRecord>;
    signer(id: SignerId) -> Option<SignerRecord>;
    replicas(signer: SignerId) -> Vec<ReplicaRecord>;
    cas() -> Vec<CaRecord>;
    ca(id: CaId) -> Option<CaRecord>;
    ca_by_name(name: &str) -> Option<CaRecord>;
    last_request() -> RequestNumber;
    request(number: RequestNumber) -> Option<RequestRecord>;
    requests(state: Option<RequestState>, before: Option<RequestNumber>, limit: u32) -> Vec<RequestRecord>;
    decisions(request: RequestNumber) -> Vec<DecisionRecord>;
    decided(numbers: &[RequestNumber]) -> Vec<DecidedRequest>;
    certificate(id: CertificateId) -> Option<CertificateRecord>;
    certificates_by_serial(serial: &[u8]) -> Vec<CertificateRecord>;
    certificates(ca: Option<CaId>, before: Option<CertificateId>, limit: u32) -> Vec<CertificateRecord>;
    certificates_signing() -> Vec<CertificateRecord>;
    revoked(ca: CaId) -> Vec<RevokedEntry>;
    last_crl(ca: CaId) -> Option<CrlRecord>;
    issued_crl(ca: CaId) -> Option<CrlRecord>;
    signing_keys() -> Vec<SigningKeyRecord>;
    open_leases() -> Vec<LeaseRecord>;
    leases(limit: u32) -> Vec<LeaseRecord>;
    lease(id: LeaseId) -> Option<LeaseRecord>;
    lease_manifest(id: LeaseId) -> Option<ManifestRecord>;
    lease_answers(id: LeaseId) -> Vec<LeaseAnswerRecord>;
    lease_widenings(id: LeaseId) -> Vec<LeaseWideningRecord>;
    lease_digests(id: LeaseId) -> Vec<String>;
    lease_signatures(id: LeaseId) -> Vec<LeaseSignatureRecord>;
    lease_signature(id: LeaseId, digest: &str) -> Option<LeaseSignatureRecord>;
    lease_call(requester: &str, key: &str) -> Option<LeaseCallRecord>;
    connectors() -> Vec<ConnectorRecord>;
    clients() -> Vec<ClientRecord>;
    client_by_key(key_hash: &[u8]) -> Option<ClientRecord>;
    audit_head() -> AuditHead;
    audit_leaves(from: i64, limit: u32) -> Vec<AuditLeaf>;
    checkpoint() -> Option<(i64, String)>;
    checkpoints(after: i64, limit: u32) -> Vec<(i64, String)>;
}
