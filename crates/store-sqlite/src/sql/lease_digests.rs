//! What was counted and signed under leases.

use chancery_api::{HsmId, LeaseId};
use chancery_store::{LeaseCallRecord, LeaseSignatureRecord, StoreError};

use super::error::{Key, Table, WriteError, table};
use crate::database::{Connection, Pool};

pub(crate) const LEASE_DIGEST: Table = table!("lease_digest");
pub(crate) const LEASE_SIGNATURE: Table = table!("lease_signature");
pub(crate) const LEASE_CALL: Table = table!("lease_call");

struct SignatureRow {
    lease_id: Vec<u8>,
    digest: String,
    signature: Vec<u8>,
    hsm_id: Vec<u8>,
    attempt: i64,
    signed_ms: i64,
    leaf_hash: Vec<u8>,
    log_size: i64,
}

impl TryFrom<SignatureRow> for LeaseSignatureRecord {
    type Error = StoreError;

    fn try_from(row: SignatureRow) -> Result<Self, StoreError> {
        let at = LEASE_SIGNATURE.row(Key::Id(&row.lease_id));
        Ok(Self {
            lease: at.column("lease_id", LeaseId::from_slice(&row.lease_id))?,
            digest: row.digest,
            signature: row.signature,
            hsm: at.column("hsm_id", HsmId::from_slice(&row.hsm_id))?,
            attempt: row.attempt,
            signed_ms: row.signed_ms,
            leaf_hash: row.leaf_hash,
            log_size: row.log_size,
        })
    }
}

struct CallRow {
    requester: String,
    idempotency_key: String,
    lease_id: Vec<u8>,
    call_hash: Vec<u8>,
    created_ms: i64,
}

macro_rules! select {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            SignatureRow,
            "SELECT lease_id, digest, signature, hsm_id, attempt, signed_ms, leaf_hash, log_size FROM lease_signature "
                + $tail
            $(, $argument)*
        )
    };
}

pub(crate) async fn digests(pool: &Pool, lease: LeaseId) -> Result<Vec<String>, StoreError> {
    let id = lease.as_bytes().as_slice();
    sqlx::query_scalar!(
        "SELECT digest FROM lease_digest WHERE lease_id = $1 ORDER BY digest",
        id
    )
    .fetch_all(pool)
    .await
    .map_err(|error| LEASE_DIGEST.read_error(error))
}

pub(crate) async fn signatures(pool: &Pool, lease: LeaseId) -> Result<Vec<LeaseSignatureRecord>, StoreError> {
    let id = lease.as_bytes().as_slice();
    let rows = select!("WHERE lease_id = $1 ORDER BY digest", id)
        .fetch_all(pool)
        .await
        .map_err(|error| LEASE_SIGNATURE.read_error(error))?;
    rows.into_iter().map(LeaseSignatureRecord::try_from).collect()
}

pub(crate) async fn signature(
    pool: &Pool,
    lease: LeaseId,
    digest: &str,
) -> Result<Option<LeaseSignatureRecord>, StoreError> {
    let id = lease.as_bytes().as_slice();
    let row = select!("WHERE lease_id = $1 AND digest = $2", id, digest)
        .fetch_optional(pool)
        .await;
    row.map_err(|error| LEASE_SIGNATURE.read_error(error))?
        .map(LeaseSignatureRecord::try_from)
        .transpose()
}

pub(crate) async fn call(
    pool: &Pool,
    requester: &str,
    key: &str,
) -> Result<Option<LeaseCallRecord>, StoreError> {
    let row = sqlx::query_as!(
        CallRow,
        "SELECT requester, idempotency_key, lease_id, call_hash, created_ms FROM lease_call \
         WHERE requester = $1 AND idempotency_key = $2",
        requester,
        key
    )
    .fetch_optional(pool)
    .await
    .map_err(|error| LEASE_CALL.read_error(error))?;
    let Some(row) = row else { return Ok(None) };
    let at = LEASE_CALL.row(Key::Id(&row.lease_id));
    Ok(Some(LeaseCallRecord {
        requester: row.requester,
        key: row.idempotency_key,
        lease: at.column("lease_id", LeaseId::from_slice(&row.lease_id))?,
        call: row.call_hash,
        created_ms: row.created_ms,
    }))
}

pub(crate) async fn reserve(
    connection: &mut Connection,
    lease: LeaseId,
    digest: &str,
    reserved_ms: i64,
) -> Result<(), WriteError> {
    let id = lease.as_bytes().as_slice();
    let result = sqlx::query!(
        "INSERT INTO lease_digest (lease_id, digest, reserved_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        id,
        digest,
        reserved_ms
    )
    .execute(connection)
    .await;
    LEASE_DIGEST.inserted(&lease, result)
}

pub(crate) async fn insert_signature(
    connection: &mut Connection,
    signature: &LeaseSignatureRecord,
) -> Result<(), WriteError> {
    let (lease, hsm) = (
        signature.lease.as_bytes().as_slice(),
        signature.hsm.as_bytes().as_slice(),
    );
    let result = sqlx::query!(
        "INSERT INTO lease_signature (lease_id, digest, signature, hsm_id, attempt, signed_ms, leaf_hash, log_size) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, (SELECT size FROM audit_head WHERE id = 1))",
        lease,
        signature.digest,
        signature.signature,
        hsm,
        signature.attempt,
        signature.signed_ms,
        signature.leaf_hash
    )
    .execute(connection)
    .await;
    LEASE_SIGNATURE.inserted(&signature.lease, result)
}

pub(crate) async fn insert_call(
    connection: &mut Connection,
    call: &LeaseCallRecord,
) -> Result<(), WriteError> {
    let lease = call.lease.as_bytes().as_slice();
    let result = sqlx::query!(
        "INSERT INTO lease_call (requester, idempotency_key, lease_id, call_hash, created_ms) \
         VALUES ($1, $2, $3, $4, $5)",
        call.requester,
        call.key,
        lease,
        call.call,
        call.created_ms
    )
    .execute(connection)
    .await;
    LEASE_CALL.inserted(&call.key, result)
}
