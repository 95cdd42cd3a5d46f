//! Acts: what people have signed.

use chancery_api::{ActId, PersonId};
use chancery_store::{ActRecord, StoreError};

use super::error::{Key, Table, WriteError, table};
use crate::database::{Connection, Pool};

pub(crate) const ACT: Table = table!("act");

pub(crate) struct ActRow {
    pub(crate) id: Vec<u8>,
    pub(crate) person_id: Vec<u8>,
    pub(crate) verb: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) nonce: Vec<u8>,
    pub(crate) created_ms: i64,
}

impl TryFrom<ActRow> for ActRecord {
    type Error = StoreError;

    fn try_from(row: ActRow) -> Result<Self, StoreError> {
        let at = ACT.row(Key::Id(&row.id));
        Ok(Self {
            id: at.column("id", ActId::from_slice(&row.id))?,
            person: at.column("person_id", PersonId::from_slice(&row.person_id))?,
            verb: row.verb,
            payload: row.payload,
            signature: row.signature,
            nonce: row.nonce,
            created_ms: row.created_ms,
        })
    }
}

pub(crate) async fn act(pool: &Pool, id: ActId) -> Result<Option<ActRecord>, StoreError> {
    let id = id.as_bytes().as_slice();
    sqlx::query_as!(
        ActRow,
        "SELECT id, person_id, verb, payload, signature, nonce, created_ms FROM act WHERE id = $1",
        id
    )
    .fetch_optional(pool)
    .await
    .map_err(|error| ACT.read_error(error))?
    .map(ActRecord::try_from)
    .transpose()
}

pub(crate) async fn insert(connection: &mut Connection, act: &ActRecord) -> Result<(), WriteError> {
    let (id, person) = (act.id.as_bytes().as_slice(), act.person.as_bytes().as_slice());
    let result = sqlx::query!(
        "INSERT INTO act (id, person_id, verb, payload, signature, nonce, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        id,
        person,
        act.verb,
        act.payload,
        act.signature,
        act.nonce,
        act.created_ms
    )
    .execute(connection)
    .await;
    ACT.inserted(&act.id, result)
}
