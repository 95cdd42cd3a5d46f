//! What custodians added to leases.

use chancery_api::{LeaseId, PersonId};
use chancery_store::{LeaseWideningRecord, StoreError};

use super::{
    error::{Key, Table, WriteError, table},
    leases::LEASE,
};
use crate::database::{Connection, Pool};

const LEASE_WIDENING: Table = table!("lease_widening");

struct WideningRow {
    place: i64,
    text: Vec<u8>,
    last_answer: i64,
    person_id: Vec<u8>,
    person: String,
    widened_ms: i64,
}

pub(crate) async fn widenings(pool: &Pool, lease: LeaseId) -> Result<Vec<LeaseWideningRecord>, StoreError> {
    let id = lease.as_bytes().as_slice();
    let rows = sqlx::query_as!(
        WideningRow,
        "SELECT place, text, last_answer, person_id, person, widened_ms FROM lease_widening \
         WHERE lease_id = $1 ORDER BY place",
        id
    )
    .fetch_all(pool)
    .await
    .map_err(|error| LEASE_WIDENING.read_error(error))?;
    let at = LEASE_WIDENING.row(Key::Id(id));
    rows.into_iter()
        .map(|row| {
            Ok(LeaseWideningRecord {
                lease,
                place: row.place,
                text: row.text,
                last_answer: row.last_answer,
                person: at.column("person_id", PersonId::from_slice(&row.person_id))?,
                name: row.person,
                widened_ms: row.widened_ms,
            })
        })
        .collect()
}

pub(crate) async fn widen(
    connection: &mut Connection,
    widening: &LeaseWideningRecord,
    epoch: i64,
    text: &[u8],
    remaining_ms: i64,
) -> Result<(), WriteError> {
    let (id, person) = (
        widening.lease.as_bytes().as_slice(),
        widening.person.as_bytes().as_slice(),
    );
    let result = sqlx::query!(
        "UPDATE lease SET text = $3, remaining_ms = $4 \
         WHERE id = $1 AND epoch = $2 AND text = $5 AND state = 'waiting' AND used = 0 AND ended_ms IS NULL",
        id,
        epoch,
        text,
        remaining_ms,
        widening.text
    )
    .execute(&mut *connection)
    .await;
    LEASE.updated(
        &widening.lease,
        result,
        &"a lease of this start that waits, with the text that is replaced, was expected",
    )?;
    let result = sqlx::query!(
        "INSERT INTO lease_widening (lease_id, place, text, last_answer, person_id, person, widened_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        id,
        widening.place,
        widening.text,
        widening.last_answer,
        person,
        widening.name,
        widening.widened_ms
    )
    .execute(connection)
    .await;
    LEASE_WIDENING.inserted(&widening.lease, result)
}
