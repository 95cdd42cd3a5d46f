//! HSMs and the custodians registered in them.

use chancery_api::{ActId, HsmId, PersonId, RequestNumber};
use chancery_store::{CustodianRecord, HsmRecord, StoreError, TokenMark};

use super::error::{Key, Table, WriteError, table};
use crate::database::{Connection, Pool};

pub(crate) const HSM: Table = table!("hsm");
pub(crate) const CUSTODIAN: Table = table!("custodian");

struct HsmRow {
    id: Vec<u8>,
    name: String,
    device: String,
    device_key: Vec<u8>,
    chain: Vec<u8>,
    locator: String,
    kcv: Option<Vec<u8>>,
    quorum_required: i64,
    quorum_total: i64,
    attached: i64,
    mark_sequence: Option<i64>,
    mark_hash: Option<Vec<u8>>,
    lost_ms: Option<i64>,
    lost_reason: Option<String>,
    act_id: Vec<u8>,
    created_ms: i64,
}

impl TryFrom<HsmRow> for HsmRecord {
    type Error = StoreError;

    fn try_from(row: HsmRow) -> Result<Self, StoreError> {
        let at = HSM.row(Key::Id(&row.id));
        let mark = at.together("mark_sequence and mark_hash", row.mark_sequence, row.mark_hash)?;
        let attached = match row.attached {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        };
        Ok(Self {
            id: at.column("id", HsmId::from_slice(&row.id))?,
            name: row.name,
            device: row.device,
            device_key: row.device_key,
            chain: row.chain,
            locator: row.locator,
            kcv: row.kcv,
            quorum_required: row.quorum_required,
            quorum_total: row.quorum_total,
            attached: at.column("attached", attached)?,
            mark: mark.map(|(sequence, hash)| TokenMark { sequence, hash }),
            lost: at.together("lost_ms and lost_reason", row.lost_ms, row.lost_reason)?,
            act: at.column("act_id", ActId::from_slice(&row.act_id))?,
            created_ms: row.created_ms,
        })
    }
}

struct CustodianRow {
    hsm_id: Vec<u8>,
    person_id: Vec<u8>,
    chr: String,
    public_key: Vec<u8>,
    chain: Vec<u8>,
    key_request: Vec<u8>,
    request_number: i64,
}

impl TryFrom<CustodianRow> for CustodianRecord {
    type Error = StoreError;

    fn try_from(row: CustodianRow) -> Result<Self, StoreError> {
        let at = CUSTODIAN.row(Key::Id(&row.person_id));
        Ok(Self {
            hsm: at.column("hsm_id", HsmId::from_slice(&row.hsm_id))?,
            person: at.column("person_id", PersonId::from_slice(&row.person_id))?,
            chr: row.chr,
            public_key: row.public_key,
            chain: row.chain,
            key_request: row.key_request,
            request: RequestNumber(row.request_number),
        })
    }
}

pub(crate) async fn hsms(pool: &Pool) -> Result<Vec<HsmRecord>, StoreError> {
    let rows = sqlx::query_as!(
        HsmRow,
        "SELECT id, name, device, device_key, chain, locator, kcv, quorum_required, quorum_total, attached, \
         mark_sequence, mark_hash, lost_ms, lost_reason, act_id, created_ms FROM hsm ORDER BY name"
    )
    .fetch_all(pool)
    .await
    .map_err(|error| HSM.read_error(error))?;
    rows.into_iter().map(HsmRecord::try_from).collect()
}

pub(crate) async fn custodians(pool: &Pool, hsm: HsmId) -> Result<Vec<CustodianRecord>, StoreError> {
    let hsm = hsm.as_bytes().as_slice();
    let rows = sqlx::query_as!(
        CustodianRow,
        "SELECT hsm_id, person_id, chr, public_key, chain, key_request, request_number FROM custodian \
         WHERE hsm_id = $1 ORDER BY chr",
        hsm
    )
    .fetch_all(pool)
    .await
    .map_err(|error| CUSTODIAN.read_error(error))?;
    rows.into_iter().map(CustodianRecord::try_from).collect()
}

pub(crate) async fn insert(connection: &mut Connection, hsm: &HsmRecord) -> Result<(), WriteError> {
    let (id, act) = (hsm.id.as_bytes().as_slice(), hsm.act.as_bytes().as_slice());
    let attached = i64::from(hsm.attached);
    let (mark_sequence, mark_hash) = hsm.mark.as_ref().map(|mark| (mark.sequence, &mark.hash)).unzip();
    let (lost_ms, lost_reason) = hsm.lost.as_ref().map(|(at, why)| (at, why)).unzip();
    let result = sqlx::query!(
        "INSERT INTO hsm (id, name, device, device_key, chain, locator, kcv, quorum_required, quorum_total, \
         attached, mark_sequence, mark_hash, lost_ms, lost_reason, act_id, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        id,
        hsm.name,
        hsm.device,
        hsm.device_key,
        hsm.chain,
        hsm.locator,
        hsm.kcv,
        hsm.quorum_required,
        hsm.quorum_total,
        attached,
        mark_sequence,
        mark_hash,
        lost_ms,
        lost_reason,
        act,
        hsm.created_ms
    )
    .execute(connection)
    .await;
    HSM.inserted(&hsm.name, result)
}

pub(crate) async fn update(connection: &mut Connection, hsm: &HsmRecord) -> Result<(), WriteError> {
    let id = hsm.id.as_bytes().as_slice();
    let attached = i64::from(hsm.attached);
    let (mark_sequence, mark_hash) = hsm.mark.as_ref().map(|mark| (mark.sequence, &mark.hash)).unzip();
    let (lost_ms, lost_reason) = hsm.lost.as_ref().map(|(at, why)| (at, why)).unzip();
    let result = sqlx::query!(
        "UPDATE hsm SET locator = $2, kcv = $3, quorum_required = $4, quorum_total = $5, attached = $6, \
         mark_sequence = $7, mark_hash = $8, lost_ms = $9, lost_reason = $10 WHERE id = $1",
        id,
        hsm.locator,
        hsm.kcv,
        hsm.quorum_required,
        hsm.quorum_total,
        attached,
        mark_sequence,
        mark_hash,
        lost_ms,
        lost_reason
    )
    .execute(connection)
    .await;
    HSM.updated(&hsm.name, result, &"no such HSM")
}

pub(crate) async fn set_mark(
    connection: &mut Connection,
    hsm: HsmId,
    mark: &TokenMark,
) -> Result<(), WriteError> {
    let id = hsm.as_bytes().as_slice();
    let result = sqlx::query!(
        "UPDATE hsm SET mark_sequence = $2, mark_hash = $3 WHERE id = $1",
        id,
        mark.sequence,
        mark.hash
    )
    .execute(connection)
    .await;
    HSM.updated(&hsm, result, &"no such HSM")
}

pub(crate) async fn insert_custodian(
    connection: &mut Connection,
    custodian: &CustodianRecord,
) -> Result<(), WriteError> {
    let (hsm, person) = (
        custodian.hsm.as_bytes().as_slice(),
        custodian.person.as_bytes().as_slice(),
    );
    let result = sqlx::query!(
        "INSERT INTO custodian (hsm_id, person_id, chr, public_key, chain, key_request, request_number) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        hsm,
        person,
        custodian.chr,
        custodian.public_key,
        custodian.chain,
        custodian.key_request,
        custodian.request.0
    )
    .execute(connection)
    .await;
    CUSTODIAN.inserted(&custodian.chr, result)
}

pub(crate) async fn clear_custodians(connection: &mut Connection, hsm: HsmId) -> Result<(), WriteError> {
    let id = hsm.as_bytes().as_slice();
    // Any number of rows is right: the HSM may have had none.
    sqlx::query!("DELETE FROM custodian WHERE hsm_id = $1", id)
        .execute(connection)
        .await
        .map(drop)
        .map_err(|error| CUSTODIAN.write_error(&hsm, error))
}
