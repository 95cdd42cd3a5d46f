//! Leases and what custodians signed about them.

use chancery_api::{HashName, HsmId, LeaseId, LeaseState, PersonId, SignerId, StatementKind};
use chancery_store::{LeaseAnswerRecord, LeaseRecord, ManifestRecord, StoreError};

use super::error::{Key, Table, WriteError, table};
use crate::database::{Connection, Pool};

pub(crate) const LEASE: Table = table!("lease");
pub(crate) const LEASE_MANIFEST: Table = table!("lease_manifest");
pub(crate) const LEASE_ANSWER: Table = table!("lease_answer");

struct LeaseRow {
    id: Vec<u8>,
    signer_id: Vec<u8>,
    requester: String,
    text: Vec<u8>,
    created_ms: i64,
    state: String,
    because: Option<String>,
    used: i64,
    remaining_ms: i64,
    wait_remaining_ms: Option<i64>,
    log_frontier: Option<Vec<u8>>,
    epoch: i64,
    ended_ms: Option<i64>,
}

impl TryFrom<LeaseRow> for LeaseRecord {
    type Error = StoreError;

    fn try_from(row: LeaseRow) -> Result<Self, StoreError> {
        let at = LEASE.row(Key::Id(&row.id));
        Ok(Self {
            id: at.column("id", LeaseId::from_slice(&row.id))?,
            signer: at.column("signer_id", SignerId::from_slice(&row.signer_id))?,
            requester: row.requester,
            text: row.text,
            created_ms: row.created_ms,
            state: at.column("state", LeaseState::from_name(&row.state))?,
            because: row.because,
            used: row.used,
            remaining_ms: row.remaining_ms,
            wait_remaining_ms: row.wait_remaining_ms,
            log_frontier: row.log_frontier,
            epoch: row.epoch,
            ended_ms: row.ended_ms,
        })
    }
}

struct ManifestRow {
    hash: String,
    digests: Vec<u8>,
}

struct AnswerRow {
    place: i64,
    hsm_id: Vec<u8>,
    attempt: i64,
    person_id: Vec<u8>,
    person: String,
    chr: String,
    chain: Vec<u8>,
    key_request: Vec<u8>,
    kind: String,
    challenge: Vec<u8>,
    log_size: i64,
    log_root: Vec<u8>,
    unlock: Option<Vec<u8>>,
    statement: Vec<u8>,
    reason: Option<String>,
    answered_ms: i64,
}

macro_rules! select {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            LeaseRow,
            "SELECT id, signer_id, requester, text, created_ms, state, because, used, remaining_ms, wait_remaining_ms, \
             log_frontier, epoch, ended_ms FROM lease " + $tail
            $(, $argument)*
        )
    };
}

pub(crate) async fn open(pool: &Pool) -> Result<Vec<LeaseRecord>, StoreError> {
    let rows = select!("WHERE ended_ms IS NULL ORDER BY created_ms, id")
        .fetch_all(pool)
        .await
        .map_err(|error| LEASE.read_error(error))?;
    rows.into_iter().map(LeaseRecord::try_from).collect()
}

pub(crate) async fn leases(pool: &Pool, limit: i64) -> Result<Vec<LeaseRecord>, StoreError> {
    let rows = select!("ORDER BY created_ms DESC, id DESC LIMIT $1", limit)
        .fetch_all(pool)
        .await
        .map_err(|error| LEASE.read_error(error))?;
    rows.into_iter().map(LeaseRecord::try_from).collect()
}

pub(crate) async fn lease(pool: &Pool, id: LeaseId) -> Result<Option<LeaseRecord>, StoreError> {
    let id = id.as_bytes().as_slice();
    let row = select!("WHERE id = $1", id).fetch_optional(pool).await;
    row.map_err(|error| LEASE.read_error(error))?
        .map(LeaseRecord::try_from)
        .transpose()
}

pub(crate) async fn manifest(pool: &Pool, id: LeaseId) -> Result<Option<ManifestRecord>, StoreError> {
    let bytes = id.as_bytes().as_slice();
    let row = sqlx::query_as!(
        ManifestRow,
        "SELECT hash, digests FROM lease_manifest WHERE lease_id = $1",
        bytes
    )
    .fetch_optional(pool)
    .await
    .map_err(|error| LEASE_MANIFEST.read_error(error))?;
    let Some(row) = row else { return Ok(None) };
    let at = LEASE_MANIFEST.row(Key::Id(bytes));
    Ok(Some(ManifestRecord {
        hash: at.column("hash", HashName::from_name(&row.hash))?,
        digests: row.digests,
    }))
}

pub(crate) async fn answers(pool: &Pool, lease: LeaseId) -> Result<Vec<LeaseAnswerRecord>, StoreError> {
    let id = lease.as_bytes().as_slice();
    let rows = sqlx::query_as!(
        AnswerRow,
        "SELECT place, hsm_id, attempt, person_id, person, chr, chain, key_request, kind, challenge, log_size, \
         log_root, unlock, statement, reason, answered_ms FROM lease_answer WHERE lease_id = $1 ORDER BY place",
        id
    )
    .fetch_all(pool)
    .await
    .map_err(|error| LEASE_ANSWER.read_error(error))?;
    let at = LEASE_ANSWER.row(Key::Id(id));
    rows.into_iter()
        .map(|row| {
            Ok(LeaseAnswerRecord {
                lease,
                place: row.place,
                hsm: at.column("hsm_id", HsmId::from_slice(&row.hsm_id))?,
                attempt: row.attempt,
                person: at.column("person_id", PersonId::from_slice(&row.person_id))?,
                name: row.person,
                chr: row.chr,
                chain: row.chain,
                key_request: row.key_request,
                kind: at.column("kind", StatementKind::from_name(&row.kind))?,
                challenge: row.challenge,
                log_size: row.log_size,
                log_root: row.log_root,
                unlock: row.unlock,
                statement: row.statement,
                reason: row.reason,
                answered_ms: row.answered_ms,
            })
        })
        .collect()
}

pub(crate) async fn insert(
    connection: &mut Connection,
    lease: &LeaseRecord,
    manifest: Option<&ManifestRecord>,
) -> Result<(), WriteError> {
    let (id, signer) = (lease.id.as_bytes().as_slice(), lease.signer.as_bytes().as_slice());
    let state = lease.state.name();
    let result = sqlx::query!(
        "INSERT INTO lease (id, signer_id, requester, text, created_ms, state, because, used, remaining_ms, \
         wait_remaining_ms, epoch, ended_ms, log_frontier) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
         (SELECT frontier FROM audit_head WHERE id = 1))",
        id,
        signer,
        lease.requester,
        lease.text,
        lease.created_ms,
        state,
        lease.because,
        lease.used,
        lease.remaining_ms,
        lease.wait_remaining_ms,
        lease.epoch,
        lease.ended_ms
    )
    .execute(&mut *connection)
    .await;
    LEASE.inserted(&lease.id, result)?;
    let Some(manifest) = manifest else { return Ok(()) };
    let hash = manifest.hash.name();
    let result = sqlx::query!(
        "INSERT INTO lease_manifest (lease_id, hash, digests) VALUES ($1, $2, $3)",
        id,
        hash,
        manifest.digests
    )
    .execute(connection)
    .await;
    LEASE_MANIFEST.inserted(&lease.id, result)
}

pub(crate) async fn claim(connection: &mut Connection, lease: LeaseId, epoch: i64) -> Result<(), WriteError> {
    let id = lease.as_bytes().as_slice();
    let result = sqlx::query!(
        "UPDATE lease SET epoch = $2 WHERE id = $1 AND epoch < $2 AND ended_ms IS NULL",
        id,
        epoch
    )
    .execute(connection)
    .await;
    LEASE.updated(
        &lease,
        result,
        &"a lease of an earlier start that is not over was expected",
    )
}

/// What an update of a lease writes.
pub(crate) struct Update<'a> {
    pub(crate) lease: LeaseId,
    pub(crate) epoch: i64,
    pub(crate) state: LeaseState,
    pub(crate) because: Option<&'a str>,
    pub(crate) used: i64,
    pub(crate) remaining_ms: i64,
    pub(crate) wait_remaining_ms: Option<i64>,
    pub(crate) ended_ms: Option<i64>,
}

pub(crate) async fn update(connection: &mut Connection, update: &Update<'_>) -> Result<(), WriteError> {
    let id = update.lease.as_bytes().as_slice();
    let state = update.state.name();
    let result = sqlx::query!(
        "UPDATE lease SET state = $3, because = $4, used = CASE WHEN used < $5 THEN $5 ELSE used END, \
         remaining_ms = CASE WHEN remaining_ms > $6 THEN $6 ELSE remaining_ms END, ended_ms = $7, \
         wait_remaining_ms = CASE WHEN $8 IS NULL OR wait_remaining_ms > $8 THEN $8 ELSE wait_remaining_ms END WHERE id = $1 AND epoch = $2 AND ended_ms IS NULL",
        id,
        update.epoch,
        state,
        update.because,
        update.used,
        update.remaining_ms,
        update.ended_ms,
        update.wait_remaining_ms
    )
    .execute(connection)
    .await;
    LEASE.updated(
        &update.lease,
        result,
        &"a lease of this start that is not over was expected",
    )
}

pub(crate) async fn insert_answer(
    connection: &mut Connection,
    answer: &LeaseAnswerRecord,
) -> Result<(), WriteError> {
    let (lease, hsm, person) = (
        answer.lease.as_bytes().as_slice(),
        answer.hsm.as_bytes().as_slice(),
        answer.person.as_bytes().as_slice(),
    );
    let kind = answer.kind.name();
    let result = sqlx::query!(
        "INSERT INTO lease_answer (lease_id, place, hsm_id, attempt, person_id, person, chr, chain, key_request, \
         kind, challenge, log_size, log_root, unlock, statement, reason, answered_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        lease,
        answer.place,
        hsm,
        answer.attempt,
        person,
        answer.name,
        answer.chr,
        answer.chain,
        answer.key_request,
        kind,
        answer.challenge,
        answer.log_size,
        answer.log_root,
        answer.unlock,
        answer.statement,
        answer.reason,
        answer.answered_ms
    )
    .execute(connection)
    .await;
    LEASE_ANSWER.inserted(&answer.lease, result)
}
