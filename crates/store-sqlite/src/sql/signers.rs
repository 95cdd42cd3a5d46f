//! Signers and where they are.

use chancery_api::{HsmId, SignerId};
use chancery_store::{ReplicaRecord, ReplicaState, SignerRecord, StoreError};

use super::error::{Key, Table, WriteError, table};
use crate::database::{Connection, Pool};

pub(crate) const SIGNER: Table = table!("signer");
pub(crate) const REPLICA: Table = table!("replica");

struct SignerRow {
    id: Vec<u8>,
    kcv: Vec<u8>,
    key_id: i64,
    algorithm: String,
    public_key: Vec<u8>,
    attestation: Vec<u8>,
    chain: Vec<u8>,
    created_ms: i64,
}

impl TryFrom<SignerRow> for SignerRecord {
    type Error = StoreError;

    fn try_from(row: SignerRow) -> Result<Self, StoreError> {
        let at = SIGNER.row(Key::Id(&row.id));
        Ok(Self {
            id: at.column("id", SignerId::from_slice(&row.id))?,
            kcv: row.kcv,
            key_id: row.key_id,
            algorithm: row.algorithm,
            public_key: row.public_key,
            attestation: row.attestation,
            chain: row.chain,
            created_ms: row.created_ms,
        })
    }
}

struct ReplicaRow {
    signer_id: Vec<u8>,
    hsm_id: Vec<u8>,
    state: String,
    checked_ms: i64,
}

impl TryFrom<ReplicaRow> for ReplicaRecord {
    type Error = StoreError;

    fn try_from(row: ReplicaRow) -> Result<Self, StoreError> {
        let at = REPLICA.row(Key::Id(&row.signer_id));
        Ok(Self {
            signer: at.column("signer_id", SignerId::from_slice(&row.signer_id))?,
            hsm: at.column("hsm_id", HsmId::from_slice(&row.hsm_id))?,
            state: at.column("state", ReplicaState::from_name(&row.state))?,
            checked_ms: row.checked_ms,
        })
    }
}

macro_rules! select {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            SignerRow,
            "SELECT id, kcv, key_id, algorithm, public_key, attestation, chain, created_ms FROM signer " + $tail
            $(, $argument)*
        )
    };
}

pub(crate) async fn signers(pool: &Pool) -> Result<Vec<SignerRecord>, StoreError> {
    let rows = select!("ORDER BY created_ms, id").fetch_all(pool).await;
    let rows = rows.map_err(|error| SIGNER.read_error(error))?;
    rows.into_iter().map(SignerRecord::try_from).collect()
}

pub(crate) async fn signer(pool: &Pool, id: SignerId) -> Result<Option<SignerRecord>, StoreError> {
    let id = id.as_bytes().as_slice();
    let row = select!("WHERE id = $1", id).fetch_optional(pool).await;
    row.map_err(|error| SIGNER.read_error(error))?
        .map(SignerRecord::try_from)
        .transpose()
}

pub(crate) async fn replicas(pool: &Pool, signer: SignerId) -> Result<Vec<ReplicaRecord>, StoreError> {
    let signer = signer.as_bytes().as_slice();
    let rows = sqlx::query_as!(
        ReplicaRow,
        "SELECT signer_id, hsm_id, state, checked_ms FROM replica WHERE signer_id = $1 ORDER BY hsm_id",
        signer
    )
    .fetch_all(pool)
    .await
    .map_err(|error| REPLICA.read_error(error))?;
    rows.into_iter().map(ReplicaRecord::try_from).collect()
}

pub(crate) async fn insert(connection: &mut Connection, signer: &SignerRecord) -> Result<(), WriteError> {
    let id = signer.id.as_bytes().as_slice();
    let result = sqlx::query!(
        "INSERT INTO signer (id, kcv, key_id, algorithm, public_key, attestation, chain, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        id,
        signer.kcv,
        signer.key_id,
        signer.algorithm,
        signer.public_key,
        signer.attestation,
        signer.chain,
        signer.created_ms
    )
    .execute(connection)
    .await;
    SIGNER.inserted(&signer.id, result)
}

pub(crate) async fn put_replica(
    connection: &mut Connection,
    replica: &ReplicaRecord,
) -> Result<(), WriteError> {
    let (signer, hsm) = (
        replica.signer.as_bytes().as_slice(),
        replica.hsm.as_bytes().as_slice(),
    );
    let state = replica.state.name();
    let result = sqlx::query!(
        "INSERT INTO replica (signer_id, hsm_id, state, checked_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (signer_id, hsm_id) DO UPDATE SET state = excluded.state, checked_ms = excluded.checked_ms",
        signer,
        hsm,
        state,
        replica.checked_ms
    )
    .execute(connection)
    .await;
    REPLICA.inserted(&replica.signer, result)
}
