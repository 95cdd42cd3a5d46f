//! Connectors and clients.

use chancery_store::{ClientRecord, ConnectorRecord, StoreError};

use super::error::{Table, WriteError, table};
use crate::database::{Connection, Pool};

pub(crate) const CONNECTOR: Table = table!("connector");
pub(crate) const CLIENT: Table = table!("client");

pub(crate) async fn connectors(pool: &Pool) -> Result<Vec<ConnectorRecord>, StoreError> {
    sqlx::query_as!(
        ConnectorRecord,
        "SELECT name, ticket_hash, device, created_ms, revoked_ms FROM connector ORDER BY name"
    )
    .fetch_all(pool)
    .await
    .map_err(|error| CONNECTOR.read_error(error))
}

pub(crate) async fn clients(pool: &Pool) -> Result<Vec<ClientRecord>, StoreError> {
    sqlx::query_as!(
        ClientRecord,
        "SELECT name, key_hash, public_key, custodian, created_ms, revoked_ms FROM client ORDER BY name"
    )
    .fetch_all(pool)
    .await
    .map_err(|error| CLIENT.read_error(error))
}

pub(crate) async fn client_by_key(pool: &Pool, key_hash: &[u8]) -> Result<Option<ClientRecord>, StoreError> {
    sqlx::query_as!(
        ClientRecord,
        "SELECT name, key_hash, public_key, custodian, created_ms, revoked_ms FROM client WHERE key_hash = $1",
        key_hash
    )
    .fetch_optional(pool)
    .await
    .map_err(|error| CLIENT.read_error(error))
}

pub(crate) async fn put_connector(
    connection: &mut Connection,
    connector: &ConnectorRecord,
) -> Result<(), WriteError> {
    let result = sqlx::query!(
        "INSERT INTO connector (name, ticket_hash, device, created_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (name) DO UPDATE SET ticket_hash = excluded.ticket_hash, device = excluded.device, \
         created_ms = excluded.created_ms, revoked_ms = NULL WHERE connector.revoked_ms IS NOT NULL",
        connector.name,
        connector.ticket_hash,
        connector.device,
        connector.created_ms
    )
    .execute(connection)
    .await;
    CONNECTOR.updated(&connector.name, result, &"none of this name that is not revoked")
}

pub(crate) async fn bind_connector(
    connection: &mut Connection,
    name: &str,
    device: &str,
) -> Result<(), WriteError> {
    let result = sqlx::query!(
        "UPDATE connector SET device = $2 \
         WHERE name = $1 AND revoked_ms IS NULL AND (device IS NULL OR device = $2)",
        name,
        device
    )
    .execute(connection)
    .await;
    CONNECTOR.updated(
        &name,
        result,
        &"one that is not revoked and not bound to another device",
    )
}

pub(crate) async fn revoke_connector(
    connection: &mut Connection,
    name: &str,
    revoked_ms: i64,
) -> Result<(), WriteError> {
    let result = sqlx::query!(
        "UPDATE connector SET revoked_ms = $2 WHERE name = $1 AND revoked_ms IS NULL",
        name,
        revoked_ms
    )
    .execute(connection)
    .await;
    CONNECTOR.updated(&name, result, &"one that is not revoked")
}

pub(crate) async fn put_client(connection: &mut Connection, client: &ClientRecord) -> Result<(), WriteError> {
    let result = sqlx::query!(
        "INSERT INTO client (name, key_hash, public_key, custodian, created_ms) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (name) DO UPDATE SET key_hash = excluded.key_hash, public_key = excluded.public_key, \
         custodian = excluded.custodian, created_ms = excluded.created_ms, revoked_ms = NULL \
         WHERE client.revoked_ms IS NOT NULL",
        client.name,
        client.key_hash,
        client.public_key,
        client.custodian,
        client.created_ms
    )
    .execute(connection)
    .await;
    CLIENT.updated(&client.name, result, &"none of this name that is not revoked")
}

pub(crate) async fn revoke_client(
    connection: &mut Connection,
    name: &str,
    revoked_ms: i64,
) -> Result<(), WriteError> {
    let result = sqlx::query!(
        "UPDATE client SET revoked_ms = $2 WHERE name = $1 AND revoked_ms IS NULL",
        name,
        revoked_ms
    )
    .execute(connection)
    .await;
    CLIENT.updated(&name, result, &"one that is not revoked")
}
