//! CRLs, from before they are signed.

use chancery_api::{ActId, CaId};
use chancery_store::{CertificateState, CrlRecord, StoreError};

use super::error::{Key, Table, WriteError, table};
use crate::database::{Connection, Pool};

pub(crate) const CRL: Table = table!("crl");

struct CrlRow {
    ca_id: Vec<u8>,
    number: i64,
    state: String,
    tbs: Vec<u8>,
    der: Option<Vec<u8>>,
    this_update_seconds: i64,
    next_update_seconds: i64,
    entries: i64,
    epoch: i64,
    act_id: Vec<u8>,
}

impl TryFrom<CrlRow> for CrlRecord {
    type Error = StoreError;

    fn try_from(row: CrlRow) -> Result<Self, StoreError> {
        let at = CRL.row(Key::Number(row.number));
        Ok(Self {
            ca: at.column("ca_id", CaId::from_slice(&row.ca_id))?,
            number: row.number,
            state: at.column("state", CertificateState::from_name(&row.state))?,
            tbs: row.tbs,
            der: row.der,
            this_update_seconds: row.this_update_seconds,
            next_update_seconds: row.next_update_seconds,
            entries: row.entries,
            epoch: row.epoch,
            act: at.column("act_id", ActId::from_slice(&row.act_id))?,
        })
    }
}

macro_rules! select {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            CrlRow,
            "SELECT ca_id, number, state, tbs, der, this_update_seconds, next_update_seconds, entries, epoch, act_id \
             FROM crl " + $tail
            $(, $argument)*
        )
    };
}

pub(crate) async fn last(pool: &Pool, ca: CaId) -> Result<Option<CrlRecord>, StoreError> {
    let ca = ca.as_bytes().as_slice();
    let row = select!("WHERE ca_id = $1 ORDER BY number DESC LIMIT 1", ca)
        .fetch_optional(pool)
        .await;
    row.map_err(|error| CRL.read_error(error))?
        .map(CrlRecord::try_from)
        .transpose()
}

pub(crate) async fn issued(pool: &Pool, ca: CaId) -> Result<Option<CrlRecord>, StoreError> {
    let ca = ca.as_bytes().as_slice();
    let row = select!(
        "WHERE ca_id = $1 AND state = 'issued' ORDER BY number DESC LIMIT 1",
        ca
    )
    .fetch_optional(pool)
    .await;
    row.map_err(|error| CRL.read_error(error))?
        .map(CrlRecord::try_from)
        .transpose()
}

pub(crate) async fn insert(connection: &mut Connection, crl: &CrlRecord) -> Result<(), WriteError> {
    if crl.state != CertificateState::Signing {
        let detail = "a CRL is recorded before it is signed".to_owned();
        return Err(CRL.conflict(&crl.number, detail).into());
    }
    let (ca, act) = (crl.ca.as_bytes().as_slice(), crl.act.as_bytes().as_slice());
    let result = sqlx::query!(
        "INSERT INTO crl (ca_id, number, state, tbs, this_update_seconds, next_update_seconds, entries, epoch, \
         act_id) VALUES ($1, $2, 'signing', $3, $4, $5, $6, $7, $8)",
        ca,
        crl.number,
        crl.tbs,
        crl.this_update_seconds,
        crl.next_update_seconds,
        crl.entries,
        crl.epoch,
        act
    )
    .execute(connection)
    .await;
    CRL.inserted(&crl.number, result)
}

pub(crate) async fn reclaim(
    connection: &mut Connection,
    ca: CaId,
    number: i64,
    epoch: i64,
) -> Result<(), WriteError> {
    let ca = ca.as_bytes().as_slice();
    let result = sqlx::query!(
        "UPDATE crl SET epoch = $3 WHERE ca_id = $1 AND number = $2 AND state = 'signing' AND epoch < $3",
        ca,
        number,
        epoch
    )
    .execute(connection)
    .await;
    let expected = format_args!("a CRL being signed in an epoch before {epoch} was expected");
    CRL.updated(&number, result, &expected)
}

pub(crate) async fn issue(
    connection: &mut Connection,
    ca: CaId,
    number: i64,
    epoch: i64,
    der: &[u8],
) -> Result<(), WriteError> {
    let ca = ca.as_bytes().as_slice();
    let result = sqlx::query!(
        "UPDATE crl SET state = 'issued', der = $4 \
         WHERE ca_id = $1 AND number = $2 AND state = 'signing' AND epoch = $3",
        ca,
        number,
        epoch,
        der
    )
    .execute(connection)
    .await;
    CRL.updated(
        &number,
        result,
        &format_args!("a CRL being signed in epoch {epoch} was expected"),
    )
}
