//! The audit log: leaves, head and checkpoints; and the starts of nodes, whose numbers are lease epochs.

use chancery_audit::{Frontier, leaf_hash};
use chancery_store::{AuditHead, AuditLeaf, StoreError};

use super::error::{Key, Table, WriteError, failed, table};
use crate::database::{Connection, Executes, Pool};

pub(crate) const LEAF: Table = table!("audit_leaf");
pub(crate) const HEAD: Table = table!("audit_head");
pub(crate) const CHECKPOINT: Table = table!("audit_checkpoint");
pub(crate) const NODE_START: Table = table!("node_start");

/// Appends leaves at contiguous indices and moves the head, which stays locked until the transaction ends.
///
/// Called last in a transaction: on databases with many writers they queue here.
pub(crate) async fn append(connection: &mut Connection, bodies: &[&[u8]]) -> Result<(), StoreError> {
    if bodies.is_empty() {
        return Ok(());
    }
    // An update that changes nothing: it takes the row's lock, where SELECT would not.
    let head = sqlx::query_as!(
        AuditHead,
        r#"UPDATE audit_head SET size = size WHERE id = 1 RETURNING size AS "size!: i64", frontier AS "frontier!: Vec<u8>""#
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(|error| HEAD.read_error(error))?;
    let mut frontier = frontier(&head)?;
    let mut leaves = Vec::with_capacity(bodies.len());
    for body in bodies {
        leaves.push((stored(frontier.push(leaf_hash(body)))?, *body));
    }
    for (index, body) in leaves {
        insert(connection, index, body).await?;
    }
    let (size, bytes) = (stored(frontier.size())?, frontier.to_bytes());
    sqlx::query!(
        "UPDATE audit_head SET size = $1, frontier = $2 WHERE id = 1",
        size,
        bytes
    )
    .execute(&mut *connection)
    .await
    .map(drop)
    .map_err(failed(HEAD.writing))
}

async fn insert(connection: &mut Connection, index: i64, body: &[u8]) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "INSERT INTO audit_leaf (leaf_index, body) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        index,
        body
    )
    .execute(connection)
    .await
    .map_err(failed(LEAF.writing))?;
    if result.rows_affected() == 1 {
        return Ok(());
    }
    Err(LEAF
        .row(Key::Number(index))
        .corrupt("the head of the log is behind its leaves".to_owned()))
}

/// What appends to the log start from: the head as it is now.
pub(crate) async fn frontier_now(connection: &mut Connection) -> Result<Frontier, StoreError> {
    frontier(&head(connection).await?)
}

pub(crate) async fn head<'c>(executor: impl Executes<'c>) -> Result<AuditHead, StoreError> {
    let head = sqlx::query_as!(AuditHead, "SELECT size, frontier FROM audit_head WHERE id = 1")
        .fetch_one(executor)
        .await
        .map_err(|error| HEAD.read_error(error))?;
    frontier(&head)?;
    Ok(head)
}

pub(crate) async fn leaves(pool: &Pool, from: i64, limit: i64) -> Result<Vec<AuditLeaf>, StoreError> {
    sqlx::query_as!(
        AuditLeaf,
        r#"SELECT leaf_index AS "index", body FROM audit_leaf WHERE leaf_index >= $1 ORDER BY leaf_index LIMIT $2"#,
        from,
        limit
    )
    .fetch_all(pool)
    .await
    .map_err(|error| LEAF.read_error(error))
}

struct CheckpointRow {
    size: i64,
    note: String,
}

pub(crate) async fn checkpoint(pool: &Pool) -> Result<Option<(i64, String)>, StoreError> {
    let row = sqlx::query_as!(
        CheckpointRow,
        "SELECT size, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1"
    )
    .fetch_optional(pool)
    .await
    .map_err(|error| CHECKPOINT.read_error(error))?;
    Ok(row.map(|row| (row.size, row.note)))
}

pub(crate) async fn checkpoints(
    pool: &Pool,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, String)>, StoreError> {
    let rows = sqlx::query_as!(
        CheckpointRow,
        "SELECT size, note FROM audit_checkpoint WHERE size > $1 ORDER BY size LIMIT $2",
        after,
        limit
    )
    .fetch_all(pool)
    .await
    .map_err(|error| CHECKPOINT.read_error(error))?;
    Ok(rows.into_iter().map(|row| (row.size, row.note)).collect())
}

pub(crate) async fn insert_checkpoint(
    connection: &mut Connection,
    size: i64,
    note: &str,
) -> Result<(), WriteError> {
    let result = sqlx::query!(
        "INSERT INTO audit_checkpoint (size, note) VALUES ($1, $2)",
        size,
        note
    )
    .execute(connection)
    .await;
    CHECKPOINT.inserted(&size, result)
}

pub(crate) async fn begin_epoch(connection: &mut Connection, now_ms: i64) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        "INSERT INTO node_start (epoch, started_ms) \
         SELECT COALESCE(MAX(epoch), 0) + 1, $1 FROM node_start RETURNING epoch AS \"epoch!: i64\"",
        now_ms
    )
    .fetch_one(connection)
    .await
    .map_err(failed(NODE_START.writing))
}

/// The frontier in a head row, if row and frontier agree.
fn frontier(head: &AuditHead) -> Result<Frontier, StoreError> {
    let at = HEAD.row(Key::Number(1));
    let frontier = Frontier::from_bytes(&head.frontier).map_err(|error| at.corrupt(error.to_string()))?;
    if stored(frontier.size())? != head.size {
        return Err(at.corrupt(format!(
            "size {} is not the frontier's {}",
            head.size,
            frontier.size()
        )));
    }
    Ok(frontier)
}

/// A size or an index as a column holds it.
pub(crate) fn stored(size: u64) -> Result<i64, StoreError> {
    HEAD.row(Key::Number(1)).column("size", i64::try_from(size).ok())
}
