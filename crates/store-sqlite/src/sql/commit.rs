//! A group of changes as one transaction.

use chancery_store::{Change, Conflict, StoreError};
use sqlx::Connection as _;

use super::{
    apply::apply,
    audit,
    batch::Batch,
    error::{WriteError, failed},
};
use crate::database::{BEGIN, Connection, Pool};

/// Makes a group durable, or nothing of it.
pub(crate) async fn commit(pool: &Pool, group: &[Change]) -> Result<Vec<Result<(), Conflict>>, StoreError> {
    if group.is_empty() {
        return Ok(Vec::new());
    }
    let mut connection = pool
        .acquire()
        .await
        .map_err(failed("waiting for the writing connection"))?;
    let result = match together(&mut connection, group).await {
        Ok(true) => Ok(vec![Ok(()); group.len()]),
        Ok(false) => apart(&mut connection, group).await,
        Err(error) => Err(error),
    };
    if result.is_err() {
        // What state the failure left the connection in is anybody's guess; the next caller gets a new one.
        // Closing it can fail for the same reason as the transaction, which is what the caller is told.
        let _ = connection.close().await;
    }
    result
}

/// The usual way: all changes fit, and rows of one kind are written together. `false`, with nothing written, when something does not fit.
async fn together(connection: &mut Connection, group: &[Change]) -> Result<bool, StoreError> {
    let mut transaction = connection.begin_with(BEGIN).await.map_err(failed(BEGINNING))?;
    let mut batch = Batch::default();
    let mut fits = true;
    for change in group {
        if fits && !batch.take(change) {
            fits = rows(&mut transaction, change).await?.is_ok();
        }
    }
    if fits {
        fits = match batch.write(&mut transaction).await {
            Ok(fits) => fits,
            Err(WriteError::Conflict(_)) => false,
            Err(WriteError::Store(error)) => return Err(error),
        };
    }
    if !fits {
        transaction.rollback().await.map_err(failed(ROLLING_BACK))?;
        return Ok(false);
    }
    audit::append(&mut transaction, &events(group.iter())).await?;
    transaction.commit().await.map_err(failed(COMMITTING))?;
    Ok(true)
}

/// The careful way, when one is known not to fit: each change in a savepoint of its own, so that only the
/// guilty ones are undone, still in one transaction, so that the group stands or falls as one.
async fn apart(
    connection: &mut Connection,
    group: &[Change],
) -> Result<Vec<Result<(), Conflict>>, StoreError> {
    let mut transaction = connection.begin_with(BEGIN).await.map_err(failed(BEGINNING))?;
    let mut outcomes = Vec::with_capacity(group.len());
    for change in group {
        let mut savepoint = transaction.begin().await.map_err(failed(BEGINNING))?;
        let outcome = rows(&mut savepoint, change).await?;
        match outcome {
            Ok(()) => savepoint.commit().await.map_err(failed(COMMITTING))?,
            Err(_) => savepoint.rollback().await.map_err(failed(ROLLING_BACK))?,
        }
        outcomes.push(outcome);
    }
    let fitting = group.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
    audit::append(&mut transaction, &events(fitting.map(|(change, _)| change))).await?;
    transaction.commit().await.map_err(failed(COMMITTING))?;
    Ok(outcomes)
}

/// Writes one change's rows, up to the first that does not fit.
async fn rows(connection: &mut Connection, change: &Change) -> Result<Result<(), Conflict>, StoreError> {
    for write in &change.writes {
        match apply(connection, write).await {
            Ok(()) => {}
            Err(WriteError::Conflict(conflict)) => return Ok(Err(conflict)),
            Err(WriteError::Store(error)) => return Err(error),
        }
    }
    Ok(Ok(()))
}

fn events<'a>(changes: impl Iterator<Item = &'a Change>) -> Vec<&'a [u8]> {
    changes
        .flat_map(|change| change.events.iter().map(Vec::as_slice))
        .collect()
}

const BEGINNING: &str = "beginning a transaction";
const ROLLING_BACK: &str = "rolling a transaction back";
const COMMITTING: &str = "committing a transaction";
