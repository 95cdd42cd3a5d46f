//! Certificates, from before they are signed.

use chancery_api::{ActId, CaId, CertificateId, RequestNumber};
use chancery_store::{CertificateRecord, CertificateState, RevokedEntry, StoreError};

use super::error::{Key, Table, WriteError, table};
use crate::database::{Connection, Pool};

pub(crate) const CERTIFICATE: Table = table!("certificate");

struct CertificateRow {
    id: Vec<u8>,
    ca_id: Vec<u8>,
    serial: Vec<u8>,
    state: String,
    request_number: Option<i64>,
    act_id: Vec<u8>,
    profile: String,
    subject: String,
    names: String,
    not_after_seconds: i64,
    tbs: Vec<u8>,
    der: Option<Vec<u8>>,
    epoch: i64,
    created_ms: i64,
    revoked_seconds: Option<i64>,
    revoked_reason: Option<i64>,
    revoked_act_id: Option<Vec<u8>>,
}

impl TryFrom<CertificateRow> for CertificateRecord {
    type Error = StoreError;

    fn try_from(row: CertificateRow) -> Result<Self, StoreError> {
        let at = CERTIFICATE.row(Key::Id(&row.id));
        let revoked = at.together(
            "revoked_seconds and revoked_reason",
            row.revoked_seconds,
            row.revoked_reason,
        )?;
        let revoked = at
            .together("revoked_seconds and revoked_act_id", revoked, row.revoked_act_id)?
            .map(|((seconds, reason), act)| {
                Ok::<_, StoreError>((
                    seconds,
                    reason,
                    at.column("revoked_act_id", ActId::from_slice(&act))?,
                ))
            })
            .transpose()?;
        Ok(Self {
            id: at.column("id", CertificateId::from_slice(&row.id))?,
            ca: at.column("ca_id", CaId::from_slice(&row.ca_id))?,
            serial: row.serial,
            state: at.column("state", CertificateState::from_name(&row.state))?,
            request: row.request_number.map(RequestNumber),
            act: at.column("act_id", ActId::from_slice(&row.act_id))?,
            profile: row.profile,
            subject: row.subject,
            names: row.names,
            not_after_seconds: row.not_after_seconds,
            tbs: row.tbs,
            der: row.der,
            epoch: row.epoch,
            created_ms: row.created_ms,
            revoked,
        })
    }
}

struct RevokedRow {
    id: Vec<u8>,
    serial: Vec<u8>,
    revoked_seconds: Option<i64>,
    revoked_reason: Option<i64>,
    revoked_act_id: Option<Vec<u8>>,
}

impl TryFrom<RevokedRow> for RevokedEntry {
    type Error = StoreError;

    fn try_from(row: RevokedRow) -> Result<Self, StoreError> {
        let at = CERTIFICATE.row(Key::Id(&row.id));
        Ok(Self {
            serial: row.serial,
            revoked_seconds: at.column("revoked_seconds", row.revoked_seconds)?,
            reason: at.column("revoked_reason", row.revoked_reason)?,
            act: at.column(
                "revoked_act_id",
                row.revoked_act_id.as_deref().and_then(ActId::from_slice),
            )?,
        })
    }
}

macro_rules! select {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            CertificateRow,
            "SELECT id, ca_id, serial, state, request_number, act_id, profile, subject, names, not_after_seconds, \
             tbs, der, epoch, created_ms, revoked_seconds, revoked_reason, revoked_act_id FROM certificate " + $tail
            $(, $argument)*
        )
    };
}

pub(crate) async fn certificate(
    pool: &Pool,
    id: CertificateId,
) -> Result<Option<CertificateRecord>, StoreError> {
    let id = id.as_bytes().as_slice();
    let row = select!("WHERE id = $1", id).fetch_optional(pool).await;
    row.map_err(|error| CERTIFICATE.read_error(error))?
        .map(CertificateRecord::try_from)
        .transpose()
}

pub(crate) async fn by_serial(pool: &Pool, serial: &[u8]) -> Result<Vec<CertificateRecord>, StoreError> {
    records(
        select!("WHERE serial = $1 ORDER BY ca_id", serial)
            .fetch_all(pool)
            .await,
    )
}

/// A page, newest first. A `before` that does not exist is at no place, and the page is empty.
pub(crate) async fn page(
    pool: &Pool,
    ca: Option<CaId>,
    before: Option<CertificateId>,
    limit: i64,
) -> Result<Vec<CertificateRecord>, StoreError> {
    let (time, id) = match before {
        None => (i64::MAX, [0xff; 16]),
        Some(before) => match created(pool, before).await? {
            Some(time) => (time, *before.as_bytes()),
            None => return Ok(Vec::new()),
        },
    };
    let id = id.as_slice();
    records(match ca {
        Some(ca) => {
            let ca = ca.as_bytes().as_slice();
            select!(
                "WHERE ca_id = $1 AND (created_ms, id) < ($2, $3) ORDER BY created_ms DESC, id DESC LIMIT $4",
                ca,
                time,
                id,
                limit
            )
            .fetch_all(pool)
            .await
        }
        None => {
            select!(
                "WHERE (created_ms, id) < ($1, $2) ORDER BY created_ms DESC, id DESC LIMIT $3",
                time,
                id,
                limit
            )
            .fetch_all(pool)
            .await
        }
    })
}

pub(crate) async fn signing(pool: &Pool) -> Result<Vec<CertificateRecord>, StoreError> {
    records(
        select!("WHERE state = 'signing' ORDER BY created_ms, id")
            .fetch_all(pool)
            .await,
    )
}

pub(crate) async fn revoked(pool: &Pool, ca: CaId) -> Result<Vec<RevokedEntry>, StoreError> {
    let ca = ca.as_bytes().as_slice();
    let rows = sqlx::query_as!(
        RevokedRow,
        "SELECT id, serial, revoked_seconds, revoked_reason, revoked_act_id FROM certificate \
         WHERE ca_id = $1 AND state = 'revoked' ORDER BY serial",
        ca
    )
    .fetch_all(pool)
    .await
    .map_err(|error| CERTIFICATE.read_error(error))?;
    rows.into_iter().map(RevokedEntry::try_from).collect()
}

pub(crate) async fn insert(
    connection: &mut Connection,
    certificate: &CertificateRecord,
) -> Result<(), WriteError> {
    if certificate.state != CertificateState::Signing {
        let detail = "a certificate is recorded before it is signed".to_owned();
        return Err(CERTIFICATE.conflict(&certificate.id, detail).into());
    }
    let (id, ca) = (
        certificate.id.as_bytes().as_slice(),
        certificate.ca.as_bytes().as_slice(),
    );
    let act = certificate.act.as_bytes().as_slice();
    let request = certificate.request.map(|request| request.0);
    let result = sqlx::query!(
        "INSERT INTO certificate (id, ca_id, serial, state, request_number, act_id, profile, subject, names, \
         not_after_seconds, tbs, epoch, created_ms) \
         VALUES ($1, $2, $3, 'signing', $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        id,
        ca,
        certificate.serial,
        request,
        act,
        certificate.profile,
        certificate.subject,
        certificate.names,
        certificate.not_after_seconds,
        certificate.tbs,
        certificate.epoch,
        certificate.created_ms
    )
    .execute(connection)
    .await;
    CERTIFICATE.inserted(&certificate.id, result)
}

pub(crate) async fn reclaim(
    connection: &mut Connection,
    certificate: CertificateId,
    epoch: i64,
) -> Result<(), WriteError> {
    let id = certificate.as_bytes().as_slice();
    let result = sqlx::query!(
        "UPDATE certificate SET epoch = $2 WHERE id = $1 AND state = 'signing' AND epoch < $2",
        id,
        epoch
    )
    .execute(connection)
    .await;
    let expected = format_args!("a certificate being signed in an epoch before {epoch} was expected");
    CERTIFICATE.updated(&certificate, result, &expected)
}

pub(crate) async fn issue(
    connection: &mut Connection,
    certificate: CertificateId,
    epoch: i64,
    der: &[u8],
) -> Result<(), WriteError> {
    let id = certificate.as_bytes().as_slice();
    let result = sqlx::query!(
        "UPDATE certificate SET state = 'issued', der = $3 WHERE id = $1 AND state = 'signing' AND epoch = $2",
        id,
        epoch,
        der
    )
    .execute(connection)
    .await;
    let expected = format_args!("a certificate being signed in epoch {epoch} was expected");
    CERTIFICATE.updated(&certificate, result, &expected)
}

pub(crate) async fn revoke(
    connection: &mut Connection,
    certificate: CertificateId,
    revoked_seconds: i64,
    reason: i64,
    act: ActId,
) -> Result<(), WriteError> {
    let (id, act) = (certificate.as_bytes().as_slice(), act.as_bytes().as_slice());
    let result = sqlx::query!(
        "UPDATE certificate SET state = 'revoked', revoked_seconds = $2, revoked_reason = $3, revoked_act_id = $4 \
         WHERE id = $1 AND state = 'issued'",
        id,
        revoked_seconds,
        reason,
        act
    )
    .execute(connection)
    .await;
    CERTIFICATE.updated(&certificate, result, &"an issued certificate was expected")
}

async fn created(pool: &Pool, id: CertificateId) -> Result<Option<i64>, StoreError> {
    let id = id.as_bytes().as_slice();
    sqlx::query_scalar!("SELECT created_ms FROM certificate WHERE id = $1", id)
        .fetch_optional(pool)
        .await
        .map_err(|error| CERTIFICATE.read_error(error))
}

fn records(rows: Result<Vec<CertificateRow>, sqlx::Error>) -> Result<Vec<CertificateRecord>, StoreError> {
    let rows = rows.map_err(|error| CERTIFICATE.read_error(error))?;
    rows.into_iter().map(CertificateRecord::try_from).collect()
}
