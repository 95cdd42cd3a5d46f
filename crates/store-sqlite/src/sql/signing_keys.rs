//! Signing keys.

use chancery_api::{RequestNumber, SignerId};
use chancery_store::{SigningKeyRecord, StoreError};

use super::error::{Key, Table, WriteError, table};
use crate::database::{Connection, Pool};

pub(crate) const SIGNING_KEY: Table = table!("signing_key");

struct SigningKeyRow {
    request_number: i64,
    name: String,
    key_id: i64,
    signer_id: Option<Vec<u8>>,
    certificate: Option<Vec<u8>>,
    created_ms: i64,
}

impl TryFrom<SigningKeyRow> for SigningKeyRecord {
    type Error = StoreError;

    fn try_from(row: SigningKeyRow) -> Result<Self, StoreError> {
        let at = SIGNING_KEY.row(Key::Number(row.request_number));
        let signer = row
            .signer_id
            .map(|id| at.column("signer_id", SignerId::from_slice(&id)));
        Ok(Self {
            request: RequestNumber(row.request_number),
            name: row.name,
            key_id: row.key_id,
            signer: signer.transpose()?,
            certificate: row.certificate,
            created_ms: row.created_ms,
        })
    }
}

pub(crate) async fn signing_keys(pool: &Pool) -> Result<Vec<SigningKeyRecord>, StoreError> {
    let rows = sqlx::query_as!(
        SigningKeyRow,
        "SELECT request_number, name, key_id, signer_id, certificate, created_ms FROM signing_key ORDER BY name"
    )
    .fetch_all(pool)
    .await
    .map_err(|error| SIGNING_KEY.read_error(error))?;
    rows.into_iter().map(SigningKeyRecord::try_from).collect()
}

pub(crate) async fn insert(connection: &mut Connection, key: &SigningKeyRecord) -> Result<(), WriteError> {
    let signer = key.signer.as_ref().map(|id| id.as_bytes().as_slice());
    let result = sqlx::query!(
        "INSERT INTO signing_key (request_number, name, key_id, signer_id, certificate, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        key.request.0,
        key.name,
        key.key_id,
        signer,
        key.certificate,
        key.created_ms
    )
    .execute(connection)
    .await;
    SIGNING_KEY.inserted(&key.name, result)
}

pub(crate) async fn set_signer(
    connection: &mut Connection,
    request: RequestNumber,
    signer: SignerId,
) -> Result<(), WriteError> {
    let signer = signer.as_bytes().as_slice();
    let result = sqlx::query!(
        "UPDATE signing_key SET signer_id = $2 WHERE request_number = $1 AND signer_id IS NULL",
        request.0,
        signer
    )
    .execute(connection)
    .await;
    SIGNING_KEY.updated(&request, result, &"a signing key without a signer was expected")
}

pub(crate) async fn set_certificate(
    connection: &mut Connection,
    request: RequestNumber,
    certificate: &[u8],
) -> Result<(), WriteError> {
    let result = sqlx::query!(
        "UPDATE signing_key SET certificate = $2 WHERE request_number = $1",
        request.0,
        certificate
    )
    .execute(connection)
    .await;
    SIGNING_KEY.updated(&request, result, &"a signing key was expected")
}
