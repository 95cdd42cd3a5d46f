//! Certification authorities.

use chancery_api::{CaId, CertificateId, RequestNumber, SignerId};
use chancery_store::{CaRecord, StoreError};

use super::error::{Key, Table, WriteError, table};
use crate::database::{Connection, Pool};

pub(crate) const CA: Table = table!("ca");

struct CaRow {
    id: Vec<u8>,
    name: String,
    request_number: i64,
    key_id: i64,
    signer_id: Option<Vec<u8>>,
    certificate_id: Option<Vec<u8>>,
    created_ms: i64,
}

impl TryFrom<CaRow> for CaRecord {
    type Error = StoreError;

    fn try_from(row: CaRow) -> Result<Self, StoreError> {
        let at = CA.row(Key::Id(&row.id));
        let signer = row
            .signer_id
            .map(|id| at.column("signer_id", SignerId::from_slice(&id)));
        let certificate = row
            .certificate_id
            .map(|id| at.column("certificate_id", CertificateId::from_slice(&id)));
        Ok(Self {
            id: at.column("id", CaId::from_slice(&row.id))?,
            name: row.name,
            request: RequestNumber(row.request_number),
            key_id: row.key_id,
            signer: signer.transpose()?,
            certificate: certificate.transpose()?,
            created_ms: row.created_ms,
        })
    }
}

macro_rules! select {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            CaRow,
            "SELECT id, name, request_number, key_id, signer_id, certificate_id, created_ms FROM ca " + $tail
            $(, $argument)*
        )
    };
}

pub(crate) async fn cas(pool: &Pool) -> Result<Vec<CaRecord>, StoreError> {
    let rows = select!("ORDER BY name")
        .fetch_all(pool)
        .await
        .map_err(|error| CA.read_error(error))?;
    rows.into_iter().map(CaRecord::try_from).collect()
}

pub(crate) async fn ca(pool: &Pool, id: CaId) -> Result<Option<CaRecord>, StoreError> {
    let id = id.as_bytes().as_slice();
    let row = select!("WHERE id = $1", id).fetch_optional(pool).await;
    row.map_err(|error| CA.read_error(error))?
        .map(CaRecord::try_from)
        .transpose()
}

pub(crate) async fn ca_by_name(pool: &Pool, name: &str) -> Result<Option<CaRecord>, StoreError> {
    let row = select!("WHERE name = $1", name).fetch_optional(pool).await;
    row.map_err(|error| CA.read_error(error))?
        .map(CaRecord::try_from)
        .transpose()
}

pub(crate) async fn insert(connection: &mut Connection, ca: &CaRecord) -> Result<(), WriteError> {
    let id = ca.id.as_bytes().as_slice();
    let signer = ca.signer.as_ref().map(|id| id.as_bytes().as_slice());
    let certificate = ca.certificate.as_ref().map(|id| id.as_bytes().as_slice());
    let result = sqlx::query!(
        "INSERT INTO ca (id, name, request_number, key_id, signer_id, certificate_id, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        id,
        ca.name,
        ca.request.0,
        ca.key_id,
        signer,
        certificate,
        ca.created_ms
    )
    .execute(connection)
    .await;
    CA.inserted(&ca.name, result)
}

pub(crate) async fn set_signer(
    connection: &mut Connection,
    ca: CaId,
    signer: SignerId,
) -> Result<(), WriteError> {
    let (id, signer) = (ca.as_bytes().as_slice(), signer.as_bytes().as_slice());
    let result = sqlx::query!(
        "UPDATE ca SET signer_id = $2 WHERE id = $1 AND signer_id IS NULL",
        id,
        signer
    )
    .execute(connection)
    .await;
    CA.updated(&ca, result, &"a CA without a signer was expected")
}

pub(crate) async fn set_certificate(
    connection: &mut Connection,
    ca: CaId,
    certificate: CertificateId,
) -> Result<(), WriteError> {
    let (id, certificate) = (ca.as_bytes().as_slice(), certificate.as_bytes().as_slice());
    let result = sqlx::query!(
        "UPDATE ca SET certificate_id = $2 WHERE id = $1 AND certificate_id IS NULL",
        id,
        certificate
    )
    .execute(connection)
    .await;
    CA.updated(&ca, result, &"a CA without a certificate was expected")
}
