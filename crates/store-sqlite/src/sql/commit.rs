//! A group of changes as one transaction.

use chancery_store::{Change, Conflict, StoreError};
use sqlx::Connection as _;

use super::{
    apply::apply,
    audit,
    error::{WriteError, failed},
};
use crate::database::{BEGIN, Connection, DatabaseStore, together};

/// Makes a group durable, or nothing of it: together when all changes fit, as they nearly always do.
pub(crate) async fn commit(
    store: &DatabaseStore,
    group: &[Change],
) -> Result<Vec<Result<(), Conflict>>, StoreError> {
    if group.is_empty() {
        return Ok(Vec::new());
    }
    let mut writer = store.writer().await?;
    let result = match together(&mut writer, group).await {
        Ok(true) => Ok(vec![Ok(()); group.len()]),
        Ok(false) => apart(&mut writer.connection, group).await,
        Err(error) => Err(error),
    };
    match &result {
        Ok(_) => writer.keep(),
        Err(_) => writer.close().await,
    }
    result
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
pub(crate) async fn rows(
    connection: &mut Connection,
    change: &Change,
) -> Result<Result<(), Conflict>, StoreError> {
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
