//! A group of changes in two calls to the database's thread: everything, and COMMIT.

mod rows;

use chancery_audit::{Frontier, leaf_hash};
use chancery_store::{Change, StoreError};

use self::rows::{Rows, insert_leaves};
use crate::{
    database::{BEGIN, Connection, Writer},
    script::{Script, Step, add},
    sql::{self, HEAD, WriteError, failed},
};

/// Writes a group all of whose changes fit; `false`, with nothing written, when something does not fit.
///
/// The log's head is the one that this connection wrote last, or is read; that it still is the head is checked in the transaction.
pub(crate) async fn together(writer: &mut Writer<'_>, group: &[Change]) -> Result<bool, StoreError> {
    let mut frontier = match writer.known.take() {
        Some(frontier) => frontier,
        None => sql::frontier_now(&mut writer.connection).await?,
    };
    let connection = &mut writer.connection;
    let mut gathered = Rows::default();
    let others: Vec<&Change> = group.iter().filter(|change| !gathered.take(change)).collect();
    let mut script = Script::default();
    if others.is_empty() {
        script.statement(Step::about(HEAD), BEGIN);
    } else {
        step(connection, BEGIN, BEGINNING).await?;
    }
    for change in others {
        if sql::rows(connection, change).await?.is_err() {
            step(connection, "ROLLBACK", ROLLING_BACK).await?;
            return Ok(false);
        }
    }
    gathered.write(&mut script);
    append(&mut script, group, &mut frontier)?;
    match script.write(connection).await {
        Ok(true) => {}
        Ok(false) | Err(WriteError::Conflict(_)) => {
            step(connection, "ROLLBACK", ROLLING_BACK).await?;
            return Ok(false);
        }
        Err(WriteError::Store(error)) => return Err(error),
    }
    step(connection, "COMMIT", COMMITTING).await?;
    writer.known = Some(frontier);
    Ok(true)
}

/// Adds the events of all changes as leaves, and moves the head from where it is expected.
fn append(script: &mut Script, group: &[Change], frontier: &mut Frontier) -> Result<(), StoreError> {
    let (old_size, old_bytes) = (sql::stored(frontier.size())?, frontier.to_bytes());
    let mut leaves = Vec::new();
    for body in group.iter().flat_map(|change| &change.events) {
        leaves.push((sql::stored(frontier.push(leaf_hash(body)))?, body.as_slice()));
    }
    if leaves.is_empty() {
        return Ok(());
    }
    insert_leaves(script, &leaves);
    let (size, bytes) = (sql::stored(frontier.size())?, frontier.to_bytes());
    add!(
        script,
        Step::touching(HEAD, 1),
        "UPDATE audit_head SET size = ?, frontier = ? WHERE id = 1 AND size = ? AND frontier = ?",
        size,
        bytes.as_slice(),
        old_size,
        old_bytes.as_slice()
    );
    Ok(())
}

/// One statement without values.
async fn step(
    connection: &mut Connection,
    text: &'static str,
    doing: &'static str,
) -> Result<(), StoreError> {
    sqlx::query(text)
        .execute(connection)
        .await
        .map(drop)
        .map_err(failed(doing))
}

const BEGINNING: &str = "beginning a transaction";
const ROLLING_BACK: &str = "rolling a transaction back";
const COMMITTING: &str = "committing a transaction";
