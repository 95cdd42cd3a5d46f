//! A connection that is kept between uses, outside any pool: handing one back to a pool costs two more turns of the
//! database's thread each time.

use std::sync::Arc;

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tokio::sync::{Mutex, MutexGuard};

use crate::database::Connection;

/// One connection, opened when it is needed first, and what is known while it is open.
#[derive(Debug)]
pub(crate) struct Kept<K> {
    place: Arc<Place<K>>,
}

#[derive(Debug)]
struct Place<K> {
    options: SqliteConnectOptions,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
enum State<K> {
    /// Opened when it is asked for.
    Empty,
    Open(Connection, K),
    Closed,
}

impl<K> Clone for Kept<K> {
    fn clone(&self) -> Self {
        Self {
            place: Arc::clone(&self.place),
        }
    }
}

impl<K: Default> Kept<K> {
    pub(crate) fn new(options: SqliteConnectOptions) -> Self {
        Self {
            place: Arc::new(Place {
                options,
                state: Mutex::new(State::Empty),
            }),
        }
    }

    /// Waits until nobody else uses the connection. What is taken and not put back is closed: neither a failure nor a
    /// caller that stopped waiting leaves a transaction behind for the next.
    pub(crate) async fn take(&self) -> Result<Taken<'_, K>, sqlx::Error> {
        let mut place = self.place.state.lock().await;
        let (connection, known) = match std::mem::replace(&mut *place, State::Empty) {
            State::Open(connection, known) => (connection, known),
            State::Empty => (self.place.options.connect().await?, K::default()),
            State::Closed => {
                *place = State::Closed;
                return Err(sqlx::Error::PoolClosed);
            }
        };
        Ok(Taken {
            place,
            connection,
            known,
        })
    }

    /// Waits for who uses it, and closes it for good.
    pub(crate) async fn close(&self) {
        let mut place = self.place.state.lock().await;
        if let State::Open(connection, _) = std::mem::replace(&mut *place, State::Closed) {
            // What was acknowledged is in the file whether or not its log is folded in now.
            let _ = connection.close().await;
        }
    }
}

/// The connection while it is used.
pub(crate) struct Taken<'a, K> {
    place: MutexGuard<'a, State<K>>,
    pub(crate) connection: Connection,
    pub(crate) known: K,
}

impl<K> Taken<'_, K> {
    /// Puts the connection back; no transaction is open on it.
    pub(crate) fn keep(mut self) {
        *self.place = State::Open(self.connection, self.known);
    }

    /// Closes the connection after a failure: what state that left it in is anybody's guess, and the next caller gets a
    /// new one. Closing can fail for the same reason, which the caller knows already.
    pub(crate) async fn close(self) {
        let _ = self.connection.close().await;
    }
}
