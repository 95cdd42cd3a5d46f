//! People.

use chancery_api::{PersonId, RequestNumber};
use chancery_store::{PersonRecord, StoreError};

use super::error::{Key, Table, WriteError, table};
use crate::database::{Connection, Pool};

pub(crate) const PERSON: Table = table!("person");

pub(crate) struct PersonRow {
    pub(crate) id: Vec<u8>,
    pub(crate) name: String,
    pub(crate) document: Vec<u8>,
    pub(crate) public_key: Vec<u8>,
    pub(crate) chain: Vec<u8>,
    pub(crate) key_request: Vec<u8>,
    pub(crate) request_number: Option<i64>,
    pub(crate) created_ms: i64,
}

impl TryFrom<PersonRow> for PersonRecord {
    type Error = StoreError;

    fn try_from(row: PersonRow) -> Result<Self, StoreError> {
        let at = PERSON.row(Key::Id(&row.id));
        Ok(Self {
            id: at.column("id", PersonId::from_slice(&row.id))?,
            name: row.name,
            document: row.document,
            public_key: row.public_key,
            chain: row.chain,
            key_request: row.key_request,
            request: row.request_number.map(RequestNumber),
            created_ms: row.created_ms,
        })
    }
}

macro_rules! select {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            PersonRow,
            "SELECT id, name, document, public_key, chain, key_request, request_number, created_ms FROM person "
                + $tail
            $(, $argument)*
        )
    };
}

pub(crate) async fn people(pool: &Pool) -> Result<Vec<PersonRecord>, StoreError> {
    let rows = select!("ORDER BY name")
        .fetch_all(pool)
        .await
        .map_err(|error| PERSON.read_error(error))?;
    rows.into_iter().map(PersonRecord::try_from).collect()
}

pub(crate) async fn person(pool: &Pool, id: PersonId) -> Result<Option<PersonRecord>, StoreError> {
    let id = id.as_bytes().as_slice();
    let row = select!("WHERE id = $1", id).fetch_optional(pool).await;
    row.map_err(|error| PERSON.read_error(error))?
        .map(PersonRecord::try_from)
        .transpose()
}

pub(crate) async fn person_by_name(pool: &Pool, name: &str) -> Result<Option<PersonRecord>, StoreError> {
    let row = select!("WHERE name = $1", name).fetch_optional(pool).await;
    row.map_err(|error| PERSON.read_error(error))?
        .map(PersonRecord::try_from)
        .transpose()
}

pub(crate) async fn insert(connection: &mut Connection, person: &PersonRecord) -> Result<(), WriteError> {
    let id = person.id.as_bytes().as_slice();
    let request = person.request.map(|request| request.0);
    let result = sqlx::query!(
        "INSERT INTO person (id, name, document, public_key, chain, key_request, request_number, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        id,
        person.name,
        person.document,
        person.public_key,
        person.chain,
        person.key_request,
        request,
        person.created_ms
    )
    .execute(connection)
    .await;
    PERSON.inserted(&person.name, result)
}
