//! Changes: what is written together or not at all.

use chancery_api::{ActId, CaId, CertificateId, HsmId, LeaseId, LeaseState, RequestNumber, SignerId};
use thiserror::Error;

use crate::{
    ActRecord, CaRecord, CertificateRecord, ClientRecord, ConnectorRecord, CrlRecord, CustodianRecord,
    DecisionKind, HsmRecord, LeaseAnswerRecord, LeaseCallRecord, LeaseRecord, LeaseSignatureRecord,
    LeaseWideningRecord, ManifestRecord, PersonRecord, ReplicaRecord, RequestRecord, RequestState,
    SignerRecord, SigningKeyRecord, TokenMark,
};

/// Rows to write and events to append, all or nothing.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Rows, in this order.
    pub writes: Vec<Write>,
    /// Bodies of audit leaves (canonical JSON), appended in this order.
    pub events: Vec<Vec<u8>>,
}

/// One row's change. An update that does not find exactly the row it expects is a [`Conflict`].
#[derive(Clone, Debug)]
pub enum Write {
    /// Adds an act.
    InsertAct(ActRecord),
    /// Adds a person.
    InsertPerson(PersonRecord),
    /// Adds an HSM.
    InsertHsm(HsmRecord),
    /// Replaces the mutable parts of an HSM (kcv, quorum, attached, mark, lost, locator), found by its id.
    UpdateHsm(HsmRecord),
    /// Stores a token's newest mark.
    SetHsmMark {
        /// The HSM.
        hsm: HsmId,
        /// The mark.
        mark: TokenMark,
    },
    /// Adds a custodian.
    InsertCustodian(CustodianRecord),
    /// Removes the custodians of an HSM that is initialised anew.
    ClearCustodians(HsmId),
    /// Adds a signer.
    InsertSigner(SignerRecord),
    /// Adds or replaces a replica.
    PutReplica(ReplicaRecord),
    /// Adds a CA.
    InsertCa(CaRecord),
    /// Gives a CA its signer; it must have none.
    SetCaSigner {
        /// The CA.
        ca: CaId,
        /// The signer.
        signer: SignerId,
    },
    /// Gives a CA its own certificate; it must have none.
    SetCaCertificate {
        /// The CA.
        ca: CaId,
        /// The certificate.
        certificate: CertificateId,
    },
    /// Adds a request.
    InsertRequest(RequestRecord),
    /// Moves a request from one state to another.
    MoveRequest {
        /// The request.
        request: RequestNumber,
        /// The state it must be in.
        from: RequestState,
        /// Its new state.
        to: RequestState,
    },
    /// Stores prepared to-be-signed bytes of a request that is in this state.
    SetRequestTbs {
        /// The request.
        request: RequestNumber,
        /// The state it must be in.
        state: RequestState,
        /// The bytes.
        tbs: Vec<u8>,
    },
    /// Moves a request from `approved` to `signing` and names its certificate.
    ClaimRequest {
        /// The request.
        request: RequestNumber,
        /// The certificate, inserted in the same change.
        certificate: CertificateId,
    },
    /// Adds a decision on a request; its act is inserted before.
    InsertDecision {
        /// The request.
        request: RequestNumber,
        /// What was decided.
        kind: DecisionKind,
        /// The proof.
        act: ActId,
    },
    /// Adds a certificate in state `signing`.
    InsertCertificate(CertificateRecord),
    /// Takes over an interrupted signature: sets the lease epoch of a certificate that is in state `signing` with an older epoch.
    ReclaimCertificate {
        /// The certificate.
        certificate: CertificateId,
        /// The new epoch.
        epoch: i64,
    },
    /// Records a signature: state `signing` with exactly this epoch becomes `issued`.
    IssueCertificate {
        /// The certificate.
        certificate: CertificateId,
        /// The epoch of the claim.
        epoch: i64,
        /// The certificate, DER.
        der: Vec<u8>,
    },
    /// Revokes an issued certificate.
    RevokeCertificate {
        /// The certificate.
        certificate: CertificateId,
        /// Seconds since the Unix epoch.
        revoked_seconds: i64,
        /// Reason code of RFC 5280 section 5.3.1.
        reason: i64,
        /// The act.
        act: ActId,
    },
    /// Adds a CRL in state `signing`.
    InsertCrl(CrlRecord),
    /// Takes over an interrupted CRL signature.
    ReclaimCrl {
        /// The CA.
        ca: CaId,
        /// CRL number.
        number: i64,
        /// The new epoch.
        epoch: i64,
    },
    /// Records a CRL's signature: state `signing` with exactly this epoch becomes `issued`.
    IssueCrl {
        /// The CA.
        ca: CaId,
        /// CRL number.
        number: i64,
        /// The epoch of the claim.
        epoch: i64,
        /// The CRL, DER.
        der: Vec<u8>,
    },
    /// Adds a signing key.
    InsertSigningKey(SigningKeyRecord),
    /// Gives a signing key its signer; it must have none.
    SetSigningKeySigner {
        /// Request that made the signing key.
        request: RequestNumber,
        /// The signer.
        signer: SignerId,
    },
    /// Stores or replaces the certificate of a signing key.
    SetSigningKeyCertificate {
        /// Request that made the signing key.
        request: RequestNumber,
        /// The certificate, DER.
        certificate: Vec<u8>,
    },
    /// Adds a lease with the digests it names.
    InsertLease(LeaseRecord, Option<ManifestRecord>),
    /// Takes a lease that is not over from an earlier start of a node.
    ClaimLease {
        /// The lease.
        lease: LeaseId,
        /// The new epoch.
        epoch: i64,
    },
    /// Writes where a lease stands, if it is not over and is served under this epoch.
    UpdateLease {
        /// The lease.
        lease: LeaseId,
        /// The epoch it must be served under.
        epoch: i64,
        /// Its new state.
        state: LeaseState,
        /// Why.
        because: Option<String>,
        /// Distinct digests reserved; a lower number than the row's leaves that.
        used: i64,
        /// Milliseconds left of it; a higher number than the row's leaves that.
        remaining_ms: i64,
        /// Milliseconds left of its wait for a first quorum, a higher number than the row's leaves that; none once it had one.
        wait_remaining_ms: Option<i64>,
        /// When it ended, if it did.
        ended_ms: Option<i64>,
    },
    /// Replaces the text of a lease that waits, under which nothing is counted, and that is served under this epoch.
    WidenLease {
        /// What happens, with the text that is replaced.
        widening: LeaseWideningRecord,
        /// The epoch it must be served under.
        epoch: i64,
        /// The new text, canonical JSON.
        text: Vec<u8>,
        /// Milliseconds left of it, also when that is more than before.
        remaining_ms: i64,
    },
    /// Adds a custodian's statement.
    InsertLeaseAnswer(LeaseAnswerRecord),
    /// Counts a digest for a lease; one that is counted already is left as it is.
    ReserveDigest {
        /// The lease.
        lease: LeaseId,
        /// The digest, as it is written.
        digest: String,
        /// When.
        reserved_ms: i64,
    },
    /// Adds a signature; its digest is reserved before.
    InsertLeaseSignature(LeaseSignatureRecord),
    /// Adds a call that is answered the same way when it is repeated.
    InsertLeaseCall(LeaseCallRecord),
    /// Adds a connector, or replaces a revoked one of the same name.
    PutConnector(ConnectorRecord),
    /// Binds a connector to the one device it may attach; one bound to another device stays.
    BindConnector {
        /// The connector.
        name: String,
        /// CHR of the device.
        device: String,
    },
    /// Revokes a connector.
    RevokeConnector {
        /// The connector.
        name: String,
        /// When.
        revoked_ms: i64,
    },
    /// Adds a client, or replaces a revoked one of the same name.
    PutClient(ClientRecord),
    /// Revokes a client.
    RevokeClient {
        /// The client.
        name: String,
        /// When.
        revoked_ms: i64,
    },
    /// Stores a signed checkpoint of the audit log.
    InsertCheckpoint {
        /// Number of leaves it covers.
        size: i64,
        /// C2SP signed note.
        note: String,
    },
}

/// A change that could not be made because something else is there already or has moved; nothing of it was written.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("table {table}, row {key}: {detail}")]
pub struct Conflict {
    /// The table.
    pub table: &'static str,
    /// The row's key, readable.
    pub key: String,
    /// What was expected.
    pub detail: String,
}
